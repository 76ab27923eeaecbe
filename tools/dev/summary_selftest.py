#!/usr/bin/env python3
"""summary_selftest.py: summary.py against fabricated ctest results."""

import os
import pathlib
import subprocess
import sys
import tempfile

SUMMARY = pathlib.Path(__file__).resolve().parent / "summary.py"

PASS = '<testcase name="Ok" status="run"><system-out>fine</system-out></testcase>'
PARTLY = '<testcase name="Part" status="run"><system-out>SKIP: no root</system-out></testcase>'
FAIL = '<testcase name="Bad" status="fail"><failure message=""/></testcase>'
SKIP = ('<testcase name="Skip" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
        "<system-out>SKIP: missing nginx-light</system-out></testcase>")
ABSENT = ('<testcase name="Gone" status="notrun">'
          '<skipped message="Unable to find executable"/></testcase>')

# name -> (runs, failed steps, CI, last line, exit code, what must be shown)
CASES = {
    "all pass": ({"dev": [PASS, PASS], "tsan": [PASS]}, [], False,
                 "3 passed, 0 failed, 0 skipped", 0, []),
    "a failure counts once": ({"dev": [PASS, FAIL]}, ["ctest dev"], False,
                              "1 passed, 1 failed, 0 skipped", 1, ["dev: Bad"]),
    "a program that is not there fails": ({"dev": [ABSENT]}, [], False,
                                          "0 passed, 1 failed, 0 skipped", 1, ["dev: Gone"]),
    "a skip is shown": ({"dev": [PASS, SKIP]}, [], False, "1 passed, 0 failed, 1 skipped", 0,
                        ["SKIPPED", "dev: Skip: missing nginx-light"]),
    "a skip for want of a package fails in CI": ({"dev": [PASS, SKIP]}, [], True,
                                                 "1 passed, 1 failed, 0 skipped", 1,
                                                 ["dev: Skip (skipped in CI"]),
    "a part skipped in a passing test is shown": ({"dev": [PARTLY]}, [], True,
                                                  "1 passed, 0 failed, 0 skipped", 0,
                                                  ["PARTLY SKIPPED", "dev: Part: no root"]),
    "a failed build counts": ({"dev": [PASS]}, ["build tsan"], False,
                              "1 passed, 1 failed, 0 skipped", 1, ["build tsan"]),
    "a crashed run counts": ({"dev": [PASS]}, ["ctest tsan"], False,
                             "1 passed, 1 failed, 0 skipped", 1, ["ctest tsan"]),
    "unreadable results count": ({"dev": ["<testcase"]}, [], False,
                                 "0 passed, 1 failed, 0 skipped", 1, ["dev.xml is not readable"]),
    "nothing ran": ({}, [], False, "0 passed, 1 failed, 0 skipped", 1, ["no test ran"]),
}


def run_case(runs, failed_steps, in_ci):
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for run, cases in runs.items():
            (root / f"{run}.xml").write_text(f"<testsuite>{''.join(cases)}</testsuite>")
        if failed_steps:
            (root / "failed-steps.txt").write_text("\n".join(failed_steps) + "\n")
        environment = dict(os.environ, CI="true" if in_ci else "")
        return subprocess.run([sys.executable, str(SUMMARY), str(root), str(root / "summary")],
                              capture_output=True, text=True, env=environment, check=False)


def main():
    failures = 0
    for title, (runs, failed_steps, in_ci, last, code, shown) in CASES.items():
        result = run_case(runs, failed_steps, in_ci)
        output = result.stdout
        if (output.splitlines() or [""])[-1:] != [last] or result.returncode != code or not all(
                part in output for part in shown):
            failures += 1
            print(f"{title}: expected {last!r}, exit {code}, {shown}; got exit "
                  f"{result.returncode} and:\n{output}{result.stderr}")
    print(f"summary_selftest: {len(CASES)} cases, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
