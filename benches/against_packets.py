#!/usr/bin/env python3
"""The load engine beside the packets of its own calls: a server that freezes (500 ms every 5 s, else 2 ms), its percentiles as
`wirebench load` measures them, as tcpdump saw them, and as arithmetic has them for a server that answers all waiting calls at once.

    cargo build --release && python3 benches/against_packets.py [RATE] [SECONDS]

Needs tcpdump (apt-get install tcpdump), root and two cores. WIREBENCH names another binary.
"""

import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

from beside import PORT, URL, WIREBENCH, program

DELAY_MS, FREEZE_MS, PERIOD_MS = 2, 500, 5_000
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}
WARM_UP_S = 1
CONNECTIONS = 512
PCAP_NANOSECONDS = 0xA1B23C4D


def calls(capture):
    """(request, reply) of each call in ns, by request, as their first packets with data passed: one call at a time on a connection."""
    magic, link = struct.unpack("<I16xI", capture[:24])
    assert (magic, link) == (PCAP_NANOSECONDS, 1), "tcpdump writes another format than nanoseconds of Ethernet"
    asked, done, at = {}, [], 24
    while at < len(capture):
        seconds, nanoseconds, kept = struct.unpack("<III", capture[at : at + 12])
        ip = capture[at + 16 + 14 : at + 16 + kept]
        at += 16 + kept
        tcp = ip[(ip[0] & 15) * 4 :]
        source, target = struct.unpack(">HH", tcp[:4])
        data_bytes = struct.unpack(">H", ip[2:4])[0] - (ip[0] & 15) * 4 - (tcp[12] >> 4) * 4
        if data_bytes == 0:
            continue
        now = seconds * 10**9 + nanoseconds
        if target == PORT:
            asked[source] = now
        elif target in asked:
            done.append((asked.pop(target), now))
    return sorted(done)


def percentile(sorted_values, share):
    return sorted_values[max(math.ceil(len(sorted_values) * share), 1) - 1]


def arithmetic(rate, seconds):
    """Response times in ms where all that waits is answered at once: arrivals on a grid, over whole periods."""
    times = (nth * 1e3 / rate % PERIOD_MS for nth in range(rate * seconds))
    return sorted(max(FREEZE_MS - into, 0) + DELAY_MS for into in times)


rate, seconds = (int(word) for word in (sys.argv[1:] + ["1000", "20"][len(sys.argv) - 1 :])[:2])
server = [WIREBENCH, "serve", "reference", f"--port={PORT}", f"--delay={DELAY_MS}ms", "--core=0"]
server.append(f"--freeze={FREEZE_MS}ms/{PERIOD_MS // 1000}s")
load = [WIREBENCH, "load", URL, f"--rate={rate}", f"--duration={seconds}s", f"--warm-up={WARM_UP_S}s", "--core=1", "--json"]
with tempfile.TemporaryDirectory() as folder:
    capture = pathlib.Path(folder) / "calls.pcap"
    watch = ["tcpdump", "-i", "lo", "-s", "96", "-B", "65536", "-Z", "root", "--time-stamp-precision=nano", "-w", str(capture), f"tcp port {PORT}"]
    with program(*server), program(*watch):
        found = json.loads(subprocess.run([*load, f"--connections={CONNECTIONS}"], check=True, capture_output=True).stdout)
        time.sleep(1)  # tcpdump is told of packets in blocks
    seen = calls(capture.read_bytes())[rate * WARM_UP_S :]
assert found["failed_total"] == 0 and len(seen) == found["ok"], f"{len(seen)} calls in the packets, and {found['ok']} in the result"
packets = sorted((reply - request) / 1e6 for request, reply in seen)
expected = arithmetic(rate, seconds)
print(f"{'ms':8}{'load':>10}{'packets':>10}{'arithmetic':>12}{'load beside packets':>22}   n = {len(seen)}")
for name, share in PERCENTILES.items():
    ours, theirs = found["response_us"][name] / 1e3, percentile(packets, share)
    off = f"{(ours - theirs) * 1e3:+.0f} µs, {(ours / theirs - 1) * 100:+.2f} %"
    print(f"{name:8}{ours:10.2f}{theirs:10.2f}{percentile(expected, share):12.2f}{off:>22}")
