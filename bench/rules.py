#!/usr/bin/env python3
"""JsonLogic beside json-logic-js and json-logic-engine, in one run.

    ./dev bench rules [--quick] [--engine FILE] [--json FILE]

Evaluations per second of one rule, and the rules' share of a commit with 10,000 rules of which one
matches. Rates are medians of processor time, so that other work on the machine counts little; the
ratio to json-logic-js says more than the absolute figure. The sides take turns in rounds: one of
one run with --quick, else three of five. Needs the packages of tests/node; without these it says so
and ends with 77.
"""

import json
import os
import pathlib
import subprocess
import sys

import measuring as m
import peers

ITEMS = ["simple", "medium", "some", "filter", "reduce"]
PACKAGES = ["json-logic-js", "json-logic-engine"]
OURS = "state-engine"
COSTS = [("load: parse, check, compile, index, graph", "load_ms", "ms"),
         ("commit on a key that no rule names", "commit_no_rule_ns", "ns"),
         ("commit, one candidate that does not match", "commit_no_match_ns", "ns"),
         ("commit, one match with an effect", "commit_ns", "ns"),
         ("the same with 100 rules in all", "commit_100_rules_ns", "ns"),
         ("10,000 rules on one key, told apart by value", "commit_one_key_ns", "ns"),
         ("without the index: all 10,000 evaluated", "commit_all_rules_ns", "ns")]


def run(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def medians(rounds):
    """One object of figures from those of the rounds."""
    return {field: m.median_of(rounds, field) for field in rounds[0]}


def print_peers(sides, measured):
    def cell(name, item):
        ratio = m.ratio_of(measured[name], measured["json-logic-js"], item)
        return f"{sides[name][item] / 1e6:.3g} M/s ({ratio:.1f} x)"

    rows = []
    for name, figures in sides.items():
        ratio = m.ratio_of(measured["json-logic-js"], measured[name], "commit_ns")
        rows.append((name, *[cell(name, item) for item in ITEMS],
                     f"{figures['commit_ns'] / 1e3:.3g} us ({ratio:.0f} x)"))
    m.print_table(("engine", *ITEMS, "commit, 10,000 rules"), rows, "rules")


def figures_of(sides, measured):
    ours = sides[OURS]
    return [
        m.figure("JsonLogic, one simple rule", ours["simple"] / 1e6, "M/s", 20, 40),
        m.figure("JsonLogic, one simple rule, beside json-logic-js",
                 m.ratio_of(measured[OURS], measured["json-logic-js"], "simple"), "x", 6),
        m.figure("10,000 rules loaded, one matching, per commit", ours["commit_ns"] / 1e3, "us",
                 2, 0.3, "lower")]


def main():
    options = m.arguments(__doc__, engine="a built bench_rules_engine")
    missing = [name for name in PACKAGES if not peers.node_package(name)]
    if not peers.node_binary() or missing:
        print(f"SKIP: missing {', '.join(missing) or 'Node'}; ./dev bench installs the packages "
              "of tests/node", file=sys.stderr)
        return m.SKIPPED
    engine = pathlib.Path(options.engine or m.built("bench_rules_engine")).resolve()
    facts = m.machine_facts(node=[peers.node_binary(), "--version"])
    facts.update({name: peers.node_package(name) for name in PACKAGES})
    script = m.ROOT / "bench/rules/peers.mjs"
    rounds = 1 if options.quick else 3
    os.environ["BENCH_RULES_RUNS"] = "1" if options.quick else "5"
    turns = m.take_turns({"peers": lambda: run([peers.node_binary(), str(script)]),
                          OURS: lambda: run([str(engine)])}, rounds, "rules")
    measured = {name: [entry[name] for entry in turns["peers"]] for name in turns["peers"][0]}
    measured[OURS] = turns[OURS]
    sides = {name: medians(entries) for name, entries in measured.items()}
    print(f"JsonLogic, medians of {rounds} round(s), in turns; in brackets beside json-logic-js")
    print_peers(sides, measured)
    m.print_table((f"{OURS}, 10,000 rules", "per commit, or as said"),
                  [(label, f"{sides[OURS][field]:,.0f} {unit}") for label, field, unit in COSTS],
                  "rules_costs")
    m.write_report("rules", {"rounds": rounds, "machine": facts,
                             "figures": figures_of(sides, measured), "sides": sides,
                             "measured": measured}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
