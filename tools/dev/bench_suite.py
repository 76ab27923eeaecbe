#!/usr/bin/env python3
"""All benchmarks as one run, resumable; the table of goals, the plots, the pages. ./dev bench.

    bench_suite.py [--quick | --full] [--fresh] [--write-docs] [NAME ...]
    bench_suite.py plots | docs | table [--quick | --full]

Each benchmark is a program bench/NAME.py with the form that bench/measuring.py describes. Its
report goes to build/bench/quick or build/bench/full; one of the same engine binary, machine, form
and benchmark code is taken over instead of measured again, unless --fresh. What is stopped (Ctrl-C,
a failure, the end of the 60 minutes) keeps the finished reports, so that the same command goes on.
Exit code 1 if a benchmark failed, 130 if it was stopped.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import plot  # noqa: E402  pylint: disable=wrong-import-position
import summary  # noqa: E402  pylint: disable=wrong-import-position

m = summary.m
# Seconds for one benchmark, and for all of them.
LIMITS = {"quick": (150, 15 * 60), "full": (45 * 60, 60 * 60)}
DOCUMENTS = ["docs/performance.md"]
IMAGES = "docs/images"
RUNNABLE = re.compile(r'"--json"|m\.arguments\(')
# Of bench/, what no benchmark runs.
AFTERWARDS = {"plot.py", "summary.py", "CMakeLists.txt"}


def log(words):
    print(words, file=sys.stderr, flush=True)


def benchmarks(folder=ROOT / "bench"):
    """name -> program of the common form, those that take longest in the full form last. Programs
    without --json, such as hot_paths, are run by name only."""
    found = {path.stem: path for path in sorted(folder.glob("*.py"))
             if os.access(path, os.X_OK) and RUNNABLE.search(path.read_text())}
    return dict(sorted(found.items(), key=lambda item: item[0] == "growth"))


def shared_code():
    """Every file of bench/ that is no benchmark of its own: helpers, other sides, C++ parts."""
    own = set(benchmarks().values())
    return sorted(path for path in (ROOT / "bench").glob("**/*")
                  if path.is_file() and path not in own and path.name not in AFTERWARDS
                  and "__pycache__" not in path.parts)


def identity(program, form):
    """What must be the same for a report to stand for a run of now."""
    return {"form": form, "binary": m.digest(m.harness.engine_binary()),
            "benchmark": m.digest(program, *shared_code()),
            "machine": f"{m.cpu_name()}, {os.cpu_count()} cores, {platform.release()}"}


def kept_report(path, wanted):
    """The report at `path` if it is whole and of `wanted`, else None."""
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    run = report.get("run", {}) if isinstance(report, dict) else {}
    return report if all(run.get(name) == value for name, value in wanted.items()) else None


def seal(path, wanted, seconds):
    """Writes into a fresh report what it stands for; only now can it be taken over."""
    report = json.loads(path.read_text())
    report["run"] = {**wanted, "seconds": round(seconds, 1)}
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(report, indent=1) + "\n")
    unfinished.replace(path)
    return report


def form_option(program, form):
    """--full only where the benchmark knows it: it is the default of most."""
    if form == "quick":
        return ["--quick"]
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return ["--full"] if "--full" in told else []


def stop(process):
    """Ends a benchmark so that it can end what it started; by force only if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            log("  it does not end; killing it and its children")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # Its own group: start_new_session.
    process.wait()


def run_program(command, seconds):
    """The exit code of `command`, or None if it took longer than `seconds`."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        stop(process)


def measure(name, program, form, folder, wanted, limit):
    """Runs one benchmark. Returns its report, or words that say why there is none."""
    target = folder / f"{name}.json"
    target.unlink(missing_ok=True)
    begin = time.monotonic()
    code = run_program([str(program), *form_option(program, form), "--json", str(target)], limit)
    seconds = time.monotonic() - begin
    if code is None:
        return f"FAILED: not done within {limit:.0f} s"
    if code == m.SKIPPED or code == 0 and not target.exists():
        return "left out: its own words above say what is missing"
    if code != 0:
        target.unlink(missing_ok=True)
        return f"FAILED with exit code {code}"
    return seal(target, wanted, seconds)


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def run_all(chosen, form, folder, fresh):
    """Returns name -> report, name -> why there is none, and whether all had their turn."""
    reports, absent = {}, {}
    per_benchmark, in_all = LIMITS[form]
    begin = time.monotonic()
    for number, (name, program) in enumerate(chosen.items(), 1):
        elapsed = time.monotonic() - begin
        head = f"[{number}/{len(chosen)}, {clock(elapsed)}] {name}"
        wanted = identity(program, form)
        report = None if fresh else kept_report(folder / f"{name}.json", wanted)
        if report is not None:
            log(f"{head}: taken over from {folder / (name + '.json')} (--fresh measures it again)")
            reports[name] = report
            continue
        if elapsed > in_all:
            absent[name] = f"left for the next run: {in_all // 60} minutes are over"
            continue
        log(head)
        try:
            outcome = measure(name, program, form, folder, wanted,
                              min(per_benchmark, in_all + 60 - elapsed))
        except KeyboardInterrupt:
            log(f"\nstopped in {name}; what is finished is kept, the same command goes on")
            return reports, absent, False
        if isinstance(outcome, str):
            log(f"{head}: {outcome}")
            absent[name] = outcome
        else:
            reports[name] = outcome
    log(f"all of {form}: {clock(time.monotonic() - begin)}")
    return reports, absent, True


def show(reports, absent, form):
    """The table at the end, and the same as JSON."""
    print(f"\nGoals (form: {form})\n")
    print(m.markdown_table(summary.HEADER, summary.goal_rows(reports)))
    if others := summary.other_rows(reports):
        print("\n" + m.markdown_table(("what", "measured", "benchmark"), others))
    for name, why in absent.items():
        print(f"\n{name}: {why}")
    if reports:
        print("\n" + summary.machine_line(next(iter(reports.values()))))
    target = ROOT / "build/bench/summary.json"
    target.write_text(json.dumps({**summary.combined(reports, form), "absent": absent}, indent=1)
                      + "\n")
    print(f"all figures: {target}")


def write_plots(reports):
    for path in plot.write_plots(reports, ROOT / IMAGES):
        log(f"wrote {path.relative_to(ROOT)}")


def write_documents(reports):
    blocks = summary.documents(reports)
    for name in DOCUMENTS:
        path = ROOT / name
        text, left = summary.splice(path.read_text(), blocks)
        path.write_text(text)
        log(f"wrote {name}")
        if left:
            log(f"  as before, since no report has them: {', '.join(left)}")


def chosen_of(names):
    every = benchmarks()
    unknown = [name for name in names if name not in every]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(every)}")
    return {name: program for name, program in every.items() if not names or name in names}


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", dest="form", action="store_const", const="quick",
                      help="short rounds, under 5 minutes in all (the default)")
    form.add_argument("--full", dest="form", action="store_const", const="full",
                      help="everything, at most 60 minutes")
    parser.add_argument("--fresh", action="store_true", help="measure again what is there")
    parser.add_argument("--write-docs", action="store_true",
                        help="put tables and plots into docs/ at the end")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="only these; or plots, docs, table: from the reports that are there")
    parser.set_defaults(form="quick")
    options = parser.parse_args()
    folder = ROOT / "build/bench" / options.form
    folder.mkdir(parents=True, exist_ok=True)
    if options.names in (["plots"], ["docs"], ["table"]):
        reports, absent, whole = summary.read_reports(folder), {}, True
        if not reports:
            sys.exit(f"no report in {folder}; run ./dev bench --{options.form} first")
    else:
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, interrupted)
        reports, absent, whole = run_all(chosen_of(options.names), options.form, folder,
                                         options.fresh)
    if options.names == ["plots"]:
        write_plots(reports)
        return 0
    show(reports, absent, options.form)
    if options.write_docs and whole or options.names == ["docs"]:
        write_documents(summary.read_reports(folder))
        write_plots(summary.read_reports(folder))
    if not whole:
        return 130
    return 1 if any(why.startswith("FAILED") for why in absent.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
