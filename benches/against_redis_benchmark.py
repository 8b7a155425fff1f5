#!/usr/bin/env python3
"""The load engine beside redis-benchmark, a bare epoll loop: client CPU per call over TCP, closed loop, 32 connections,
PING to a Redis server on one core, the client on another. Alternating pairs.

    cargo build --release && python3 benches/against_redis_benchmark.py [PAIRS] [SECONDS]

Needs Redis (apt-get install redis-server) and two cores. WIREBENCH names another binary.
"""

from beside import PORT, compare, measured, pairs_and_seconds, program, wirebench

# redis-benchmark counts calls, and no time.
CALLS_PER_S = 60_000

pairs, seconds = pairs_and_seconds()


def redis_benchmark():
    calls = CALLS_PER_S * seconds
    _, cpu_us = measured(["redis-benchmark", "-p", str(PORT), "-c", "32", "-n", str(calls), "-q", "-t", "ping_inline"])
    return cpu_us / calls


def ours():
    url = f"tcp://127.0.0.1:{PORT}"
    return wirebench(seconds, "--connections=32", r"--body=PING\r\n", "--reply-bytes=7", url=url)


server = program("taskset", "-c", "0", "redis-server", "--port", str(PORT), "--save", "", "--appendonly", "no")
compare("redis-benchmark", ours, redis_benchmark, pairs, server)
