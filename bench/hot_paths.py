#!/usr/bin/env python3
"""Instructions of a few hot paths, counted by callgrind: they do not depend on the machine's load.

    bench/hot_paths.py            count, and compare with bench/hot_paths.json
    bench/hot_paths.py --update   count, and write that baseline

Each path runs in one thread with virtual time (bench/hot_paths/hot_paths.cc), twice with different
counts; the difference is what one round costs. A path that grew by more than the tolerance fails:
mend it, or, if the change is worth its price, say so in the commit and write a new baseline. One
that shrank by more than that asks for a new baseline, too, so that the gain is kept. Counts depend
on the compiler and the libraries: the baseline names its compiler, another one is skipped. Needs
valgrind.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BASELINE = ROOT / "bench/hot_paths.json"
TOLERANCE = 0.05
TOLERANCE_ELSEWHERE = 0.15  # another processor: the C library and OpenSSL choose other variants
ROUNDS = {"json": (100, 600), "get_state": (50, 250), "get_state_prefix": (10, 40),
          "propose_mutation": (50, 250), "propose_with_rule": (50, 250), "entry_hash": (100, 600)}
SKIPPED = 77


def count_instructions(program, path, rounds):
    with tempfile.TemporaryDirectory(prefix="state-engine-hot-") as directory:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out",
             str(program), path, str(rounds)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{path} failed under valgrind:\n{done.stdout}{done.stderr}")
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def per_round(program, path):
    few, many = ROUNDS[path]
    return round((count_instructions(program, path, many) -
                  count_instructions(program, path, few)) / (many - few))


def compiler():
    done = subprocess.run([os.environ.get("CXX", "c++"), "-dumpfullversion"], capture_output=True,
                          text=True, check=True)
    machine = os.uname().machine
    return f"g++ {done.stdout.strip()} {machine}"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def verdicts(found, baseline, tolerance):
    """Returns (lines of a table, the paths out of tolerance)."""
    lines, out = [], []
    for path, count in found.items():
        stored = baseline.get(path)
        if stored is None:
            lines.append(f"  {path:20} {count:>10,}   new")
            out.append(path)
            continue
        change = count / stored - 1
        word = "ok"
        if abs(change) > tolerance:
            word = "GREW" if change > 0 else "SHRANK"
            out.append(path)
        lines.append(f"  {path:20} {count:>10,}   baseline {stored:>10,}   {change:+.1%}   {word}")
    return lines, out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the counts as the baseline")
    parser.add_argument("--program", type=pathlib.Path,
                        default=ROOT / "build/release/bin/bench_hot_paths",
                        help="a built bench_hot_paths")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("SKIP: valgrind is not installed (./dev deps installs it)")
        return 1 if os.environ.get("CI") else SKIPPED
    if not options.program.exists():
        sys.exit(f"{options.program} is not built: ./dev build release bench_hot_paths")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if not options.update and baseline.get("compiler") != compiler():
        print(f"SKIP: the baseline is of {baseline.get('compiler')}, this is {compiler()}")
        return SKIPPED
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(ROUNDS, pool.map(lambda path: per_round(options.program, path), ROUNDS)))
    tolerance = TOLERANCE if baseline.get("processor") == processor() else TOLERANCE_ELSEWHERE
    lines, out = verdicts(found, baseline.get("instructions", {}), tolerance)
    print("\n".join(["Instructions of one round:", *lines]))
    if options.update:
        BASELINE.write_text(json.dumps({"compiler": compiler(), "processor": processor(),
                                        "instructions": found}, indent=1)
                            + "\n")
        print(f"written to {BASELINE}")
        return 0
    if out:
        print(f"out of tolerance ({tolerance:.0%}): {', '.join(out)}. If that is meant, run "
              "bench/hot_paths.py --update and commit the new baseline with the reason.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
