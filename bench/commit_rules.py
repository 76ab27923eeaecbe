#!/usr/bin/env python3
"""What a commit costs with 0, 100 and 10,000 rules loaded, over MCP, in one run.

    ./dev bench commit_rules [--quick] [--json FILE]

Three engines on SQLite take turns; `wrk` sends each the same durable proposals over 16 connections,
to 100 keys in turn. Two cases: no rule names the key, and one rule matches each commit and emits an
event, which is stored with it. Rules that name other keys should cost nothing, since the engine
finds candidates by key; the ratio is to the engine without rules. Needs wrk.
"""

import contextlib
import json
import sys

import measuring as m
from get_state import WRITES

COUNTS = (0, 100, 10_000)
CONNECTIONS = 16
KEYS = 100


def rules_text(count):
    """`count` rules, one for each key bench.hit.N; JSON is YAML."""
    rules = [{"id": f"rule-{i}", "on": "commit",
              "when": {"and": [{"==": [{"var": "key"}, f"bench.hit.{i}"]},
                               {"==": [{"var": "value.n"}, 1]}]},
              "actions": [{"type": "publishEgress", "payload": {"type": "bench.hit"}}]}
             for i in range(count)]
    return f"rules: {json.dumps(rules)}\n" if rules else ""


def script_of(path, prefix):
    """Proposals to KEYS keys of `prefix` in turn."""
    body = m.call_body("propose_mutation",
                       {"key": f"{prefix}#", "value": {"n": 1}, "reason": "benchmark"})
    head, tail = body.split("#")
    lua = WRITES.replace("HEAD", head).replace("TAIL", tail).replace("10000", str(KEYS))
    return m.wrk_script(path, m.call_headers("propose_mutation"), request=lua)


def check(engine, count):
    """The rule of a key fires, where there is one: the log names it."""
    mcp = engine.http()
    mcp.propose("bench.hit.7", {"n": 1}, reason="benchmark")
    newest = json.dumps(mcp.call("get_history", {"key": "bench.hit.7", "limit": 1,
                                                 "order": "newest"}).structured)
    mcp.close()
    if ("rule-7" in newest) != (count > 7):
        raise RuntimeError(f"{count} rules: the log says {newest[:400]}")


def ratios_to_none(measured):
    base = measured[0]
    return {count: m.ratio_of(measured[count], base) for count in COUNTS}


def print_rows(rows):
    m.print_table(
        ("case", "rules", "commits/s", "ratio to none", "spread", "p50 / p99 us",
         "CPU us per commit"),
        [(row["case"], f"{count:,}", f"{m.median_of(rounds, 'calls_per_s'):,.0f}",
          f"{row['ratios'][count]:.2f}", f"{m.spread_of(rounds):.0%}",
          f"{m.median_of(rounds, 'p50_us'):.0f} / {m.median_of(rounds, 'p99_us'):.0f}",
          f"{m.median_of(rounds, 'cpu_us_per_call'):.1f}")
         for row in rows for count, rounds in row["rounds"].items()], "commit_rules")


def main():
    options = m.arguments(__doc__)
    m.require("wrk")
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    facts = m.machine_facts(wrk=["wrk", "-v"])
    rows = []
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(m.scratch())
        engines = {count: stack.enter_context(m.engine_with_state(
            directory / f"rules-{count}", 0, rules_text(count))) for count in COUNTS}
        for count, engine in engines.items():
            check(engine, count)
        for case, prefix in (("no rule names the key", "bench.miss."),
                             ("one rule matches and emits", "bench.hit.")):
            script = script_of(directory / f"{prefix}lua", prefix)
            sides = {count: lambda e=engine: m.wrk((e.url, e.process.pid), script, CONNECTIONS,
                                                   seconds)
                     for count, engine in engines.items()}
            for engine in engines.values():
                m.wrk((engine.url, engine.process.pid), script, CONNECTIONS, 1)
            measured = m.take_turns(sides, rounds, case)
            rows.append({"case": case, "rounds": measured, "ratios": ratios_to_none(measured)})
    print(f"durable proposals, {CONNECTIONS} connections, medians of {rounds} round(s) of "
          f"{seconds} s, in turns")
    print_rows(rows)
    figures = [m.figure(f"commits/s with 10,000 rules beside none, {row['case']}",
                        row["ratios"][10_000], "x") for row in rows]
    m.write_report("commit_rules", {"rounds": rounds, "seconds": seconds, "machine": facts,
                                    "figures": figures, "rows": rows}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
