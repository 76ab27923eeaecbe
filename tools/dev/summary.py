#!/usr/bin/env python3
"""summary.py RESULTS_DIR SUMMARY_FILE: one verdict over several ctest runs.

Reads RESULTS_DIR/*.xml (ctest --output-junit) and RESULTS_DIR/failed-steps.txt (one failed build
or run a line). Prints failures and skips, then `N passed, N failed, N skipped` as the last line,
which also goes to SUMMARY_FILE. Exit code 1 when anything failed.

A test that cannot do its work prints a line `SKIP: reason`. When the reason starts with
`missing `, something installable is absent: with CI=true that is a failure, because ./dev should
have installed it.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from os import environ

SKIP_LINE = re.compile(r"\bSKIP(?:PED)?: *(.+)")


def read_run(path, in_ci):
    """Returns (passed, [failed], [skipped], [partly skipped]) of one ctest run."""
    passed, failed, skipped, partly = 0, [], [], []
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except ElementTree.ParseError as error:
        return 0, [f"{path.name} is not readable: {error}"], [], []
    for case in cases:
        name = f"{path.stem}: {case.get('name')}"
        reasons = SKIP_LINE.findall(case.findtext("system-out") or "")
        missing = [reason for reason in reasons if reason.startswith("missing ")]
        status = case.get("status")
        if in_ci and missing and status != "fail":
            failed.append(f"{name} (skipped in CI: {missing[0]})")
        elif status == "run" and case.find("failure") is None:
            passed += 1
            partly += [f"{name}: {reason}" for reason in reasons]
        elif status == "disabled" or (status == "notrun" and was_skipped(case)):
            skipped.append(f"{name}: {reasons[0] if reasons else skip_message(case)}")
        else:
            failed.append(name)
    return passed, failed, skipped, partly


def was_skipped(case):
    """True for ctest's own SKIP_*; a program that could not be started is a failure."""
    return "SKIP_" in skip_message(case)


def skip_message(case):
    element = case.find("skipped")
    return "no reason given" if element is None else element.get("message") or "no reason given"


def read_failed_steps(directory, runs_with_failures):
    """The failed builds, and the runs that failed without naming a test (a crash of ctest)."""
    path = directory / "failed-steps.txt"
    steps = path.read_text().splitlines() if path.exists() else []
    named = {f"ctest {run}" for run in runs_with_failures}
    return [step for step in steps if step not in named]


def show(title, lines):
    if lines:
        print(f"\n=== {title} ===")
        print("\n".join(f"  {line}" for line in lines))


def main():
    directory, summary = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    in_ci = environ.get("CI") == "true"
    passed, failed, skipped, partly, runs_with_failures = 0, [], [], [], set()
    for path in sorted(directory.glob("*.xml")):
        run = read_run(path, in_ci)
        passed += run[0]
        failed += run[1]
        skipped += run[2]
        partly += run[3]
        if run[1]:
            runs_with_failures.add(path.stem)
    failed += read_failed_steps(directory, runs_with_failures)
    if passed + len(failed) + len(skipped) == 0:
        failed.append("no test ran at all")
    show("PARTLY SKIPPED", partly)
    show("SKIPPED", skipped)
    show("FAILED", failed)
    line = f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped"
    summary.write_text(line + "\n")
    print(f"\n{line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
