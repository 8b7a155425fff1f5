#!/usr/bin/env python3
"""The load engine beside h2load over gRPC: client CPU per call, closed loop, 8 × 4 calls in flight, the market's quote
from `wirebench serve grpc` on one core, the client on another. h2load sends the same bytes, and looks only at the
HTTP status. Alternating pairs.

    cargo build --release && python3 benches/against_h2load_grpc.py [PAIRS] [SECONDS]

Needs h2load (apt-get install nghttp2-client) and two cores. WIREBENCH names another binary.
"""

import pathlib
import re
import tempfile

from beside import PORT, WIREBENCH, compare, measured, pairs_and_seconds, program, wirebench

METHOD = "wirebench.market.v1.Market/GetQuote"
# A message that is not compressed, its length, and field 1: "AAAA".
REQUEST = b"\0" + (6).to_bytes(4, "big") + b"\x0a\x04AAAA"

pairs, seconds = pairs_and_seconds()
with tempfile.TemporaryDirectory() as folder:
    body = pathlib.Path(folder) / "request"
    body.write_bytes(REQUEST)

    def h2load():
        headers = ["-Hcontent-type: application/grpc", "-Hte: trailers"]
        url = f"http://127.0.0.1:{PORT}/{METHOD}"
        text, cpu_us = measured(["h2load", "-t1", "-c8", "-m4", f"-D{seconds}", f"-d{body}", *headers, url])
        return cpu_us / int(re.search(r"(\d+) succeeded", text)[1])

    def ours():
        method = f"grpc://127.0.0.1:{PORT}/{METHOD}"
        return wirebench(seconds, "--connections=8", "--in-flight=4", '--body={"symbol": "AAAA"}', url=method)

    server = program("taskset", "-c", "0", WIREBENCH, "serve", "grpc", f"--port={PORT}")
    compare("h2load", ours, h2load, pairs, server)
