"""Checks a quick run's record: every contender measured, no wrong reply, every failure counted, every reply checked."""

import json
import sys

record = json.load(open(sys.argv[1]))
assert record["schema"] == "wirebench.record.v1", record["schema"]
assert not record["partial"]
assert record["tool"]["build"] == "release", record["tool"]
cells = {cell["contender"]: cell for cell in record["cells"]}
expected = {"rest-h1-json", "rest-h1-protobuf", "rest-h2-json", "rest-h2-protobuf", "grpc", "tcp"}
assert set(cells) == expected, set(cells)
for name, cell in cells.items():
    merged = cell["merged"]
    assert merged["ok"] > 0, f"{name}: nothing succeeded"
    assert "wrong_reply" not in merged["failed"] and "rejected" not in merged["failed"], f"{name}: {merged['failed']}"
    assert merged["ok"] + sum(merged["failed"].values()) == merged["arrivals"], name
    assert merged["response_us"]["n"] == merged["arrivals"], name
    assert merged["response_us"]["p50"] >= merged["service_us"]["p50"] > 0, name
assert len(record["rounds"]) == 60, len(record["rounds"])
assert all(part["replies_compared_whole"] >= 50 for part in record["conformance"]), record["conformance"]
print(f"{len(cells)} contenders, {sum(c['merged']['ok'] for c in cells.values())} right replies")
