#!/usr/bin/env python3
"""The load engine beside h2load: client CPU per call, closed loop, HTTP/2 by prior knowledge, 1 × 32 and 8 × 4 calls in
flight, nginx with a 90-byte body on one core, the client on another. Alternating pairs.

    cargo build --release && python3 benches/against_h2load.py [PAIRS] [SECONDS]

Needs nginx and h2load (apt-get install nginx-light nghttp2-client) and two cores. WIREBENCH names another binary.
"""

import re

from beside import URL, compare, measured, nginx, pairs_and_seconds, wirebench

pairs, seconds = pairs_and_seconds()
for connections, in_flight in [(1, 32), (8, 4)]:

    def h2load():
        text, cpu_us = measured(["h2load", "-t1", f"-c{connections}", f"-m{in_flight}", f"-D{seconds}", URL])
        return cpu_us / int(re.search(r"(\d+) succeeded", text)[1])

    def ours():
        return wirebench(seconds, "--http2", f"--connections={connections}", f"--in-flight={in_flight}")

    print(f"{connections} connections, {in_flight} calls in flight on each")
    compare("h2load", ours, h2load, pairs, nginx(http2=True))
