#!/usr/bin/env python3
"""get_state over MCP HTTP beside nginx answering a fixed body of the same size, in the same run.

    ./dev bench get_state [--quick] [--json FILE]

Both servers get the same requests from `wrk`, in turns: engine, nginx, engine, ... for 1, 10 and
100 keys, a prefix, both eras of MCP, 1 to 64 connections. nginx parses no JSON, looks nothing up
and checks no version: it is the ceiling, not a competitor.

Half load: both are offered half of the calls that the engine did with 16 connections in the same
run, at a fixed rate over 16 connections, by bench_load: every 100 us those that are due in it.
Latencies count from the moment a request was due (no coordinated omission) until the kernel has the
answer. wrk does not wait between calls, so its p99 is that of a saturated machine, on which client
and server share the cores.

One more case reads while 64 writers commit. Needs wrk and nginx.
"""

import contextlib
import json
import subprocess
import sys

import measuring as m
import peers

KEYS_STORED = 1000


def keys_of(count):
    return ["stream.state"] + [f"user.fact.{i}" for i in range(count - 1)]


# name, tool, arguments, legacy, connections
FULL = [
    ("1 key", "get_state", {"keys": keys_of(1)}, False, (1, 16, 64)),
    ("1 key, 2025-11-25", "get_state", {"keys": keys_of(1)}, True, (16,)),
    ("10 keys", "get_state", {"keys": keys_of(10)}, False, (16,)),
    ("100 keys", "get_state", {"keys": keys_of(100)}, False, (16,)),
    ("prefix, 100 of 1,000", "get_state_prefix", {"prefix": "user.", "limit": 100}, False, (16,)),
]
QUICK = [("1 key", "get_state", {"keys": keys_of(1)}, False, (16,)),
         ("100 keys", "get_state", {"keys": keys_of(100)}, False, (16,))]


def checked_answer(engine, case):
    """The request of a case and its answer, which must hold what was asked for."""
    name, tool, arguments, legacy, _ = case
    headers = m.call_headers(tool, legacy)
    body = m.call_body(tool, arguments, legacy)
    answer = m.exchange(engine.url, headers, body)
    snapshots = json.loads(answer)["result"]["structuredContent"]["snapshots"]
    expected = len(arguments["keys"]) if "keys" in arguments else arguments["limit"]
    if len(snapshots) != expected or None in snapshots.values():
        raise RuntimeError(f"{name}: the answer lacks snapshots: {answer[:300]!r}")
    return headers, body, answer


def measure_case(engine, directory, case, rounds, seconds):
    name, connection_counts = case[0], case[-1]
    headers, body, answer = checked_answer(engine, case)
    script = m.wrk_script(directory / "request.lua", headers, body)
    rows = []
    with peers.nginx_with_body(directory, len(answer)) as nginx:
        ours = (engine.url, engine.process.pid)
        for connections in connection_counts:
            for server in (ours, nginx):
                m.wrk(server, script, connections, 1)  # Warms up, not counted.
            sides = {"engine": lambda c=connections: m.wrk(ours, script, c, seconds),
                     "nginx": lambda c=connections: m.wrk(nginx, script, c, seconds)}
            measured = m.take_turns(sides, rounds, f"{name}, {connections} connections")
            rows.append({"case": name, "connections": connections, "request_bytes": len(body),
                         "response_bytes": len(answer), "rounds": measured,
                         "ratio": m.ratio_of(measured["engine"], measured["nginx"]),
                         "p99_ratio": m.ratio_of(measured["engine"], measured["nginx"], "p99_us"),
                         "spread": m.spread_of(measured["engine"])})
    return rows


# Of half load. A busy processor stands still for some ms a few times a second here, and requests
# pile up behind that: short rounds let the median be one without it (docs/performance.md).
SHORT_ROUND_SECONDS = 1


def half_load(engine, directory, rate, rounds):
    """Latency of both servers at the same fixed `rate`."""
    seconds = 1 + SHORT_ROUND_SECONDS  # bench_load does not count the first
    headers, body, answer = checked_answer(engine, QUICK[0])
    request = m.raw_request(directory / "request.http", headers, body)
    with peers.nginx_with_body(directory, len(answer)) as nginx:
        ours = (engine.url, engine.process.pid)
        sides = {"engine": lambda: m.paced(ours, request, rate, 16, seconds),
                 "nginx": lambda: m.paced(nginx, request, rate, 16, seconds)}
        measured = m.take_turns(sides, rounds, f"half load, {rate:,.0f} calls/s")
    return {"rate": rate, "connections": 16, "rounds": measured,
            "p99_ratio": m.ratio_of(measured["engine"], measured["nginx"], "p99_us"),
            "spread": m.spread_of(measured["engine"], "p99_us")}


WRITES = """\
local requests, n = {}, 0
init = function()
  for i = 1, 10000 do
    requests[i] = wrk.format(nil, nil, nil, [==[HEAD]==] .. i .. [==[TAIL]==])
  end
end
request = function()
  n = n % 10000 + 1
  return requests[n]
end
"""


def writes_script(path):
    body = m.call_body("propose_mutation",
                       {"key": "bench.k#", "value": {"n": 1}, "reason": "benchmark"})
    head, tail = body.split("#")
    return m.wrk_script(path, m.call_headers("propose_mutation"),
                        request=WRITES.replace("HEAD", head).replace("TAIL", tail))


def reads_beside_writes(engine, directory, seconds):
    """16 readers with and without 64 writers that commit all the time."""
    body = m.call_body("get_state", {"keys": keys_of(1)})
    reads = m.wrk_script(directory / "reads.lua", m.call_headers("get_state"), body)
    writes = writes_script(directory / "writes.lua")
    server = (engine.url, engine.process.pid)
    alone = m.wrk(server, reads, 16, seconds)
    writer = subprocess.Popen(["wrk", "-t1", "-c64", f"-d{seconds + 3}s", "-s", str(writes),
                               engine.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
    try:
        m.time.sleep(1)
        beside = m.wrk(server, reads, 16, seconds)
        _, errors = writer.communicate(timeout=seconds + 30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            writer.kill()
    written = json.loads(next(line for line in errors.splitlines() if line.startswith("{")))
    return {"alone": alone, "beside_writers": beside,
            "writes_per_s": written["requests"] * 1e6 / written["microseconds"],
            "write_errors": written["errors"]}


def us(rounds, *fields):
    return " / ".join(f"{m.median_of(rounds, field):.0f}" for field in fields)


LATENCIES = ("p50_us", "p99_us", "p999_us")


def print_rows(rows):
    def cells(row):
        engine, nginx = row["rounds"]["engine"], row["rounds"]["nginx"]
        return (row["case"], row["connections"], f"{m.median_of(engine, 'calls_per_s'):,.0f}",
                f"{m.median_of(nginx, 'calls_per_s'):,.0f}", f"{row['ratio']:.2f}",
                f"{row['spread']:.0%}", us(engine, *LATENCIES), us(nginx, *LATENCIES),
                f"{m.median_of(engine, 'cpu_us_per_call'):.1f} / "
                f"{m.median_of(nginx, 'cpu_us_per_call'):.1f}")
    m.print_table(("case", "connections", "engine calls/s", "nginx calls/s", "ratio", "spread",
                   "engine p50 / p99 / p99.9 us", "nginx the same", "CPU us per call, both"),
                  [cells(row) for row in rows], "get_state")


def print_half_load(half):
    rounds = half["rounds"]
    ratio = {"engine": f"{half['p99_ratio']:.2f}", "nginx": ""}
    m.print_table(("server", "offered calls/s", "p50 / p99 / p99.9 us", "ratio of p99", "spread",
                   "CPU us per call"),
                  [(name, f"{half['rate']:,.0f}", us(rounds[name], *LATENCIES), ratio[name],
                    f"{m.spread_of(rounds[name], 'p99_us'):.0%}",
                    f"{m.median_of(rounds[name], 'cpu_us_per_call'):.1f}")
                   for name in ("engine", "nginx")], "half_load")


def print_mixed(mixed):
    m.print_table(("16 readers", "calls/s", "p50 / p99 / p99.9 us"),
                  [(label, f"{mixed[side]['calls_per_s']:,.0f}", us([mixed[side]], *LATENCIES))
                   for label, side in (("alone", "alone"),
                                       (f"beside 64 writers, {mixed['writes_per_s']:,.0f} "
                                        "commits/s", "beside_writers"))],
                  "reads_beside_writes")


def figures_of(rows, half, mixed):
    one = next(row for row in rows if row["case"] == "1 key" and row["connections"] == 16)
    return [
        m.figure("get_state over MCP HTTP, 16 connections: calls/s beside nginx with a fixed body",
                 one["ratio"], "x", 0.6, 0.95),
        m.figure("the same, p99 at half load beside nginx", half["p99_ratio"], "x", 2, 1.2,
                 "lower"),
        m.figure("get_state over MCP HTTP, 16 connections",
                 m.median_of(one["rounds"]["engine"], "calls_per_s"), "calls/s"),
        m.figure("p99.9 of get_state beside 64 committing writers",
                 mixed["beside_writers"]["p999_us"] / 1000, "ms", better="lower")]


def main():
    options = m.arguments(__doc__)
    m.require("wrk", "nginx")
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    facts = m.machine_facts(nginx=["nginx", "-v"], wrk=["wrk", "-v"])
    rows = []
    with m.scratch() as directory, m.engine_with_state(directory, KEYS_STORED) as engine:
        for case in QUICK if options.quick else FULL:
            rows += measure_case(engine, directory, case, rounds, seconds)
        loaded = next(row for row in rows if row["case"] == "1 key" and row["connections"] == 16)
        half = half_load(engine, directory,
                         m.median_of(loaded["rounds"]["engine"], "calls_per_s") / 2,
                         3 if options.quick else 20)
        mixed = reads_beside_writes(engine, directory, seconds)
    print(f"get_state over MCP HTTP, medians of {rounds} round(s) of {seconds} s, in turns")
    print_rows(rows)
    print("At half load, latencies from the moment a request was due")
    print_half_load(half)
    print_mixed(mixed)
    m.write_report("get_state", {"rounds": rounds, "seconds": seconds, "machine": facts,
                                 "figures": figures_of(rows, half, mixed), "rows": rows,
                                 "half_load": half, "reads_beside_writes": mixed}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
