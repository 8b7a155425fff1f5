#!/usr/bin/env python3
"""The load engine beside wrk: client CPU per call, closed loop, 32 connections, HTTP/1.1 keep-alive, nginx with a
90-byte body on one core, the client on another. Alternating pairs.

    cargo build --release && python3 benches/against_wrk.py [PAIRS] [SECONDS]

Needs nginx and wrk (apt-get install nginx-light wrk) and two cores. WIREBENCH names another binary.
"""

import re

from beside import URL, compare, measured, nginx, pairs_and_seconds, wirebench

pairs, seconds = pairs_and_seconds()


def wrk():
    text, cpu_us = measured(["wrk", "-t1", "-c32", f"-d{seconds}", URL])
    return cpu_us / int(re.search(r"(\d+) requests in", text)[1])


compare("wrk", lambda: wirebench(seconds, "--connections=32"), wrk, pairs, nginx())
