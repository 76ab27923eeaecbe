#!/usr/bin/env python3
"""get_state over MCP HTTP beside nginx answering a fixed body of the same size, in the same run.

    ./dev bench get_state [--quick] [--json FILE]

Both servers get the same requests from `wrk`, in turns: engine, nginx, engine, ... for 1, 10 and
100 keys, a prefix, both eras of MCP, 1 to 64 connections. nginx parses no JSON, looks nothing up
and checks no version: it is the ceiling, not a competitor. One more case reads while 64 writers
commit. Needs wrk and nginx.
"""

import argparse
import contextlib
import json
import subprocess
import sys

import measuring as m

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
QUICK = [("1 key", "get_state", {"keys": keys_of(1)}, False, (1, 16))]


def measure_case(engine, directory, case, rounds, seconds):
    name, tool, arguments, legacy, connection_counts = case
    headers = m.call_headers(tool, legacy)
    body = m.call_body(tool, arguments, legacy)
    answer = m.exchange(engine.url, headers, body)
    snapshots = json.loads(answer)["result"]["structuredContent"]["snapshots"]
    expected = len(arguments["keys"]) if "keys" in arguments else arguments["limit"]
    if len(snapshots) != expected or None in snapshots.values():
        raise RuntimeError(f"{name}: the answer lacks snapshots: {answer[:300]!r}")
    script = m.wrk_script(directory / "request.lua", headers, body)
    rows = []
    with m.nginx_with_body(directory, len(answer)) as nginx:
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


def print_rows(rows):
    def cells(row):
        engine, nginx = row["rounds"]["engine"], row["rounds"]["nginx"]
        us = [f"{m.median_of(side, 'p50_us'):.0f} / {m.median_of(side, 'p99_us'):.0f} / "
              f"{m.median_of(side, 'p999_us'):.0f}" for side in (engine, nginx)]
        return (row["case"], row["connections"], f"{m.median_of(engine, 'calls_per_s'):,.0f}",
                f"{m.median_of(nginx, 'calls_per_s'):,.0f}", f"{row['ratio']:.2f}",
                f"{row['spread']:.0%}", us[0], us[1],
                f"{m.median_of(engine, 'cpu_us_per_call'):.1f} / "
                f"{m.median_of(nginx, 'cpu_us_per_call'):.1f}")
    m.print_table(("case", "connections", "engine calls/s", "nginx calls/s", "ratio", "spread",
                   "engine p50 / p99 / p99.9 us", "nginx the same", "CPU us per call, both"),
                  [cells(row) for row in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one key only, one short round")
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    m.require("wrk", "nginx")
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    facts = m.machine_facts(nginx=["nginx", "-v"], wrk=["wrk", "-v"])
    rows = []
    with m.scratch() as directory, m.engine_with_state(directory, KEYS_STORED) as engine:
        for case in QUICK if options.quick else FULL:
            rows += measure_case(engine, directory, case, rounds, seconds)
        mixed = reads_beside_writes(engine, directory, seconds)
    print(f"get_state over MCP HTTP, medians of {rounds} round(s) of {seconds} s, in turns")
    print_rows(rows)
    print(f"reading beside 64 writers ({mixed['writes_per_s']:,.0f} commits/s): "
          f"p50 {mixed['alone']['p50_us']:.0f} -> {mixed['beside_writers']['p50_us']:.0f} us, "
          f"p99 {mixed['alone']['p99_us']:.0f} -> {mixed['beside_writers']['p99_us']:.0f} us")
    m.write_report("get_state", {"rounds": rounds, "seconds": seconds, "machine": facts,
                                 "rows": rows, "reads_beside_writes": mixed}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
