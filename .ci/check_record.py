"""Checks a quick run's records: every contender measured, no wrong reply, every failure counted, every reply checked."""

import json
import sys

# Scenarios whose connections are closed on purpose: what comes again is what they are about.
CLOSED_ON_PURPOSE = {"sse-reconnect"}


def check_matrix(record):
    rows, columns = len(record["rows"]), len(record["columns"])
    assert len(record["cells"]) == rows * columns, (rows, columns, len(record["cells"]))
    assert record["verdicts"], "no verdict"
    print(f'{record["scenario"]["name"]}: {rows} x {columns} cells, {len(record["missing"])} clients missing')


def check_act(name, act, contenders):
    """Each act has parts, and each part its raw trials; a hold has one part a contender."""
    kind = act["act"]
    if kind == "hold":
        parts = [part["points"] for part in act["memory"]]
    elif kind == "restart":
        parts = [part["trials"] for part in act["restarts"]]
    elif kind == "scale_out":
        parts = [part["trials"] for part in act["scale_outs"]]
    else:
        assert kind == "capacity", kind
        parts = [part["trials"] for part in act["capacities"]]
    assert parts and all(len(trials) >= 2 for trials in parts), f"{name}: {kind}: {parts}"
    assert kind != "hold" or len(parts) == len(contenders), f"{name}: {len(parts)} of {len(contenders)} held"
    print(f"{name}: {kind}: {len(parts)} parts")


def check_cell(record, cell, are_flows, is_session, is_told):
    name = record["scenario"]["name"]
    who, merged = f'{name}: {cell["contender"]} {cell["condition"]}', cell["merged"]
    for flow in merged["flows"]:
        assert flow["received_blocks"] <= flow["sent_blocks"], who
        assert sum(flow["course_bits_per_s"]) / len(flow["course_bits_per_s"]) >= 0.99 * flow["goodput_bits_per_s"], who
    assert bool(merged["flows"]) == are_flows, who
    for part in filter(None, [merged, merged["ticks"]]):
        # Where most rounds were void, two events a second may all have fallen into those.
        if is_told and part["arrivals"] == 0:
            return
        assert part["ok"] > 0, f"{who}: nothing succeeded"
        assert "wrong_reply" not in part["failed"], f"{who}: {part['failed']}"
        # A market refuses nothing, unless it is told to fail or has no room.
        changes = any(" market" in change for change in cell["changes"])
        asked_to = cell.get("handler_fails", 0) > 0 or cell.get("handler_concurrency") or cell.get("front") or changes
        assert asked_to or "rejected" not in part["failed"], f"{who}: {part['failed']}"
        assert part["ok"] + sum(part["failed"].values()) == part["arrivals"], who
        assert part["response_us"]["n"] == part["arrivals"], who
        if name not in CLOSED_ON_PURPOSE:
            assert part["response_us"]["p50"] >= part["service_us"]["p50"] > 0, who
            assert part["duplicates"] == 0, who
            assert part["out_of_order"] == 0 or cell["protocol"] == "udp", who
    assert (merged["ticks"] is not None) == is_session, who
    assert merged["client"]["cpu_us_per_call"] > 0 and merged["server"]["cpu_us_per_call"] > 0, who
    assert merged["wire"]["bytes_per_call"] > 30 and merged["wire"]["packets_per_call"] > 0, who


def check(path):
    record = json.load(open(path))
    if record["schema"] == "wirebench.matrix.v1":
        return check_matrix(record)
    name, plan = record["scenario"]["name"], record["plan"]
    assert record["schema"] == "wirebench.record.v3", record["schema"]
    assert not record["partial"]
    assert record["tool"]["build"] == "release", record["tool"]
    measured = [cell for cell in record["cells"] if cell["merged"]]
    # On a busy machine every round of a contender can be void: then the record says so.
    is_told = record["void"] or any("void" in warning for warning in record["warnings"])
    missing = [cell for cell in record["cells"] if not cell["merged"] and not cell["not_offered"]]
    assert not missing or is_told, missing
    contenders = {cell["contender"] for cell in record["cells"]}
    assert {plan["baseline"], plan["baseline"] + "-again"} <= contenders and len(contenders) > 1, contenders
    for cell in measured:
        check_cell(record, cell, plan["operation"] == "flow", plan["operation"] == "session", is_told)
    rounds = len(plan["rounds"])
    counted = sum(1 for part in record["rounds"] if part["void"] is None)
    assert counted <= rounds * len(measured) <= len(record["rounds"]), len(record["rounds"])
    assert counted == rounds * len(measured) or record["warnings"], "measurements are missing and nothing says so"
    # A p99 takes 2 000 calls a round, which sessions and single subscribers do not have.
    assert len(record["aa"]) >= 2 or record["void"] or rounds < 10, record["aa"]
    for act in record["acts"]:
        check_act(name, act, contenders)
    for sought in record["break_evens"]:
        assert sought["because"] and len(sought["points"]) <= len(record["cells"]), sought
    for cell in measured if name == "ny-london" else []:
        distance = cell["distance"]
        off = abs(distance["round_trips"] - distance["predicted"])
        # Where the client had no processor time left, what it waited for was itself, and the record says so.
        assert off <= 0.15 or cell["merged"]["client_limited"], distance
    for cell in measured if name == "sse-reconnect" else []:
        who, merged = cell["contender"], cell["merged"]
        assert merged["reconnections"] > 0 and merged["longest_silence_us"] > 50_000, who
        assert (merged["longest_gap"] > 0) == (who == "websocket"), who
    if name == "rest-vs-grpc":
        assert all(part["replies_compared_whole"] >= 50 for part in record["conformance"]), record["conformance"]
    print(f"{name}: {len(measured)} cells, {sum(c['merged']['ok'] for c in measured)} right replies or events")


for path in sys.argv[1:]:
    check(path)
