"""Two load generators in alternating pairs against one server: client CPU per call, the same reading (rusage) for both."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PORT = 18090
URL = f"http://127.0.0.1:{PORT}/"
WIREBENCH = os.environ.get("WIREBENCH") or str(pathlib.Path(__file__).resolve().parent.parent / "target/release/wirebench")
CONFIG = """
worker_processes 1; worker_cpu_affinity 01; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} {http2}; location / {{ return 200 "{body}"; }} }}
}}
"""


def pairs_and_seconds():
    """What was typed: how many pairs, and how long each client runs."""
    pairs, seconds = (sys.argv[1:] + ["7", "10"][len(sys.argv) - 1 :])[:2]
    return int(pairs), int(seconds)


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


def wirebench(seconds, *options, url=URL):
    """Client CPU per call of `wirebench load`, in µs, every call answered well."""
    text, cpu_us = measured([WIREBENCH, "load", url, "--warm-up=0s", f"--duration={seconds}s", "--json", *options])
    found = json.loads(text)
    assert found["failed_total"] == 0, found
    return cpu_us / found["ok"]


@contextlib.contextmanager
def nginx(http2=False):
    """nginx on core 0."""
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=PORT, body="x" * 90, http2="http2" if http2 else ""))
        with program("nginx", "-c", str(config), "-p", folder):
            yield


@contextlib.contextmanager
def program(*command):
    """A server, until the end of the block."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        assert server.poll() is None, f"{command} ended with {server.returncode}"
        yield
    finally:
        server.terminate()
        server.wait()


def compare(name, ours, theirs, pairs, server):
    """Prints each pair and the medians; the server runs meanwhile."""
    with server:
        ours(), theirs()  # both warm
        found = []
        for nth in range(pairs):
            # Alternating who goes first, so that neither gains by its place.
            if nth % 2 == 0:
                mine, other = ours(), theirs()
            else:
                other, mine = theirs(), ours()
            found.append((mine, other))
            print(f"pair {nth + 1}: wirebench {mine:.2f} µs, {name} {other:.2f} µs, ratio {mine / other:.3f}", flush=True)
    ratios = sorted(mine / other for mine, other in found)
    print(
        f"median ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, n = {pairs} pairs); "
        f"medians: wirebench {statistics.median(p[0] for p in found):.2f} µs, "
        f"{name} {statistics.median(p[1] for p in found):.2f} µs of client CPU per call"
    )
