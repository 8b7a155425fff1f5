#!/usr/bin/env python3
"""The load engine beside wrk: client CPU per call, closed loop, 32 connections, HTTP/1.1 keep-alive, nginx with a
90-byte body on one core, the client on another. Alternating pairs; the same reading (rusage) for both.

    cargo build --release && python3 benches/against_wrk.py [PAIRS] [SECONDS]

Needs nginx and wrk (apt-get install nginx-light wrk) and two cores.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

PAIRS, SECONDS = (int(a) for a in (sys.argv[1:] + ["7", "10"][len(sys.argv) - 1 :]))
PORT = 18090
URL = f"http://127.0.0.1:{PORT}/"
WIREBENCH = pathlib.Path(__file__).resolve().parent.parent / "target/release/wirebench"
CONFIG = """
worker_processes 1; worker_cpu_affinity 01; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{body}"; }} }}
}}
"""


def measured(command):
    """Runs a client on core 1; gives its output and its user + system time in µs."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {1})
        os.dup2(writer, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execvp(command[0], command)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, f"{command} ended with {status}: {text}"
    return text, (usage.ru_utime + usage.ru_stime) * 1e6


def wrk():
    text, cpu_us = measured(["wrk", "-t1", "-c32", f"-d{SECONDS}", URL])
    return cpu_us / int(re.search(r"(\d+) requests in", text)[1])


def wirebench():
    text, cpu_us = measured(
        [str(WIREBENCH), "load", URL, "--model=closed", "--connections=32", "--warm-up=0s", f"--duration={SECONDS}s", "--json"]
    )
    found = json.loads(text)
    assert found["failed_total"] == 0, found
    return cpu_us / found["ok"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=PORT, body="x" * 90))
        server = subprocess.Popen(["nginx", "-c", str(config), "-p", folder], stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            wrk(), wirebench()  # both warm
            pairs = []
            for nth in range(PAIRS):
                # Alternating who goes first, so that neither gains by its place.
                first, second = (wrk, wirebench) if nth % 2 == 0 else (wirebench, wrk)
                figures = {first.__name__: first(), second.__name__: second()}
                pairs.append((figures["wirebench"], figures["wrk"]))
                print(f"pair {nth + 1}: wirebench {pairs[-1][0]:.2f} µs, wrk {pairs[-1][1]:.2f} µs, "
                      f"ratio {pairs[-1][0] / pairs[-1][1]:.3f}", flush=True)
        finally:
            server.terminate()
            server.wait()
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    print(f"median ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, n = {PAIRS} pairs of "
          f"{SECONDS} s); medians: wirebench {statistics.median(p[0] for p in pairs):.2f} µs, "
          f"wrk {statistics.median(p[1] for p in pairs):.2f} µs of client CPU per call")


main()
