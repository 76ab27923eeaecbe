#!/usr/bin/env python3
"""Durable propose_mutation over MCP HTTP beside Redis and PostgreSQL with the same durability.

    ./dev bench propose [--quick] [--json FILE]

All sides sync to the same disk before they answer: the engine (SQLite, synchronous=FULL), Redis
(SET, appendfsync always), PostgreSQL (upsert, synchronous_commit on). They take turns at 1, 16, 64
and 256 connections. A proposal is more than a SET: policy, version, log entry with hash chain,
outbox, rules. Clients differ (wrk, redis-benchmark, pgbench): each is the usual one of its side.
A second case increments one hot key from 64 connections, and a third proposes transactions of 64
mutations over 16 connections: there HTTP and MCP are shared by 64, so that the processor time per
mutation comes near to that of engine and store alone and is never below it. Needs wrk and
redis-server; PostgreSQL is left out, with a word, where it is not installed.
"""

import contextlib
import json
import subprocess
import sys

import measuring as m
import peers
from get_state import writes_script

IN_A_TRANSACTION = 64


def compare(sides, connections, rounds):
    measured = m.take_turns(sides, rounds, f"{connections} connections")
    row = {"connections": connections, "rounds": measured,
           "spread": m.spread_of(measured["engine"])}
    for name in sides:
        if name != "engine":
            row[f"ratio_{name}"] = m.ratio_of(measured["engine"], measured[name])
    return row


def hot_key(engine, directory, seconds):
    """64 connections increment one key; what was answered must be what is stored."""
    body = m.call_body("propose_mutation", {"key": "bench.hot", "op": "increment", "value": 1,
                                            "reason": "benchmark"})
    script = m.wrk_script(directory / "hot.lua", m.call_headers("propose_mutation"), body)
    return m.wrk((engine.url, engine.process.pid), script, 64, seconds)


TRANSACTIONS = """\
local n = 0
request = function()
  n = n + 1
  local body = ([==[BODY]==]):gsub("#", tostring(n % 500))
  return wrk.format(nil, nil, nil, body)
end
"""


def transactions(engine, directory, seconds):
    """Mutations a second, and processor time for each, 64 to a transaction."""
    body = m.call_body("propose_transaction", {"reason": "benchmark", "mutations": [
        {"key": f"bench.t{i}.#", "value": {"n": 1}} for i in range(IN_A_TRANSACTION)]})
    script = m.wrk_script(directory / "transactions.lua", m.call_headers("propose_transaction"),
                          request=TRANSACTIONS.replace("BODY", body))
    round_ = m.wrk((engine.url, engine.process.pid), script, 16, seconds)
    return {"mutations_per_s": round_["calls_per_s"] * IN_A_TRANSACTION,
            "cpu_us_per_mutation": round_["cpu_us_per_call"] / IN_A_TRANSACTION, **round_}


def stages(engine, script, seconds):
    """What each stage of the engine needs for a mutation, 64 connections."""
    pid = engine.process.pid
    before = m.stage_seconds(pid)
    round_ = m.wrk((engine.url, pid), script, 64, seconds)
    return m.stages_between(before, m.stage_seconds(pid), round_["calls_per_s"] * seconds)


def stored_version(engine, key):
    mcp = engine.socket()
    snapshot = mcp.call("get_state", {"keys": [key]}).data["snapshots"][key]
    mcp.close()
    return snapshot["version"]


def measure_all(options, rounds, seconds):
    """The rows beside the others, the stages, the hot key and the transactions."""
    rows = []
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(m.scratch())
        engine = stack.enter_context(m.engine_with_state(directory / "engine"))
        redis_server = stack.enter_context(peers.redis(directory))
        sides = {}
        if peers.postgres_bin():
            postgres_server = stack.enter_context(peers.postgres(directory))
        else:
            print("propose: postgresql is not installed, so it is left out", file=sys.stderr)
        script = writes_script(directory / "writes.lua")
        for connections in (16, 64) if options.quick else (1, 16, 64, 256):
            sides["engine"] = lambda c=connections: m.wrk(
                (engine.url, engine.process.pid), script, c, seconds)
            rate = peers.measure_redis(redis_server, connections, 1, 2000)["calls_per_s"]
            sides["redis"] = lambda c=connections, r=rate: peers.measure_redis(
                redis_server, c, seconds, r)
            if peers.postgres_bin():
                sides["postgres"] = lambda c=connections: peers.measure_postgres(
                    postgres_server, c, seconds)
            m.wrk((engine.url, engine.process.pid), script, connections, 1)
            rows.append(compare(sides, connections, rounds))
        by_stage = [stages(engine, script, seconds) for _ in range(rounds)]
        hot = hot_key(engine, directory, seconds)
        hot["version"] = stored_version(engine, "bench.hot")
        if hot["version"] < hot["calls_per_s"] * seconds * 0.9:
            raise RuntimeError(f"the hot key lost increments: {hot}")
        groups = m.take_turns({"engine": lambda: transactions(engine, directory, seconds)},
                              rounds, "transactions")["engine"]
    return rows, by_stage, hot, groups


def print_rows(rows):
    names = [name for name in ("engine", "redis", "postgres") if name in rows[0]["rounds"]]
    m.print_table(
        ["connections", *[f"{name} writes/s" for name in names],
         *[f"ratio to {name}" for name in names[1:]], "spread", "engine p50 / p99 us",
         *[f"CPU us per write, {name}" for name in names]],
        [[row["connections"],
          *[f"{m.median_of(row['rounds'][name], 'calls_per_s'):,.0f}" for name in names],
          *[f"{row[f'ratio_{name}']:.2f}" for name in names[1:]], f"{row['spread']:.0%}",
          f"{m.median_of(row['rounds']['engine'], 'p50_us'):.0f} / "
          f"{m.median_of(row['rounds']['engine'], 'p99_us'):.0f}",
          *[f"{m.median_of(row['rounds'][name], 'cpu_us_per_call'):.1f}" for name in names]]
         for row in rows], "propose")


def figures_of(rows, groups):
    at_64 = next(row for row in rows if row["connections"] == 64)
    return [
        m.figure("durable propose_mutation over MCP HTTP, 64 connections, beside Redis SET with "
                 "appendfsync always", at_64["ratio_redis"], "x", 0.3, 1),
        m.figure("group commit: CPU per mutation in engine + store (upper bound: transactions of "
                 f"{IN_A_TRANSACTION} over MCP)", m.median_of(groups, "cpu_us_per_mutation"),
                 "us", 40, 10, "lower"),
        m.figure("durable propose_mutation over MCP HTTP, 64 connections",
                 m.median_of(at_64["rounds"]["engine"], "calls_per_s"), "/s")]


def main():
    options = m.arguments(__doc__)
    m.require("wrk", "redis-server", "redis-benchmark")
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    facts = m.machine_facts(redis=["redis-server", "--version"])
    if peers.postgres_bin():
        facts["postgres"] = m.version_of([str(peers.postgres_bin() / "postgres"), "--version"])
    rows, by_stage, hot, groups = measure_all(options, rounds, seconds)
    print(f"durable writes, medians of {rounds} round(s) of {seconds} s, in turns")
    print_rows(rows)
    m.print_table(
        ("case", "mutations/s", "p50 / p99 us of a call", "CPU us per mutation"),
        [("one hot key, 64 connections, increment", f"{hot['calls_per_s']:,.0f}",
          f"{hot['p50_us']:.0f} / {hot['p99_us']:.0f}", f"{hot['cpu_us_per_call']:.1f}"),
         (f"transactions of {IN_A_TRANSACTION}, 16 connections",
          f"{m.median_of(groups, 'mutations_per_s'):,.0f}",
          f"{m.median_of(groups, 'p50_us'):.0f} / {m.median_of(groups, 'p99_us'):.0f}",
          f"{m.median_of(groups, 'cpu_us_per_mutation'):.1f}")], "propose_shapes")
    m.print_stages(by_stage, "propose_stages")
    m.write_report("propose", {"rounds": rounds, "seconds": seconds, "machine": facts,
                               "figures": figures_of(rows, groups), "rows": rows,
                               "stages": by_stage, "hot_key": hot, "transactions": groups},
                   options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
