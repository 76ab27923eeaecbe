#!/usr/bin/env python3
"""How the engine's cost grows with the number of keys and with the length of the log.

    ./dev bench growth [--quick | --full] [--json FILE]

An engine with many keys (or a long log) and one with 1,000 keys run side by side and take turns,
round by round; "flat" is the ratio of the two. Both use SQLite with synchronous=FULL; the client is
wrk with prepared requests over random keys: get_state of one key, get_state_prefix of exactly 100,
propose_mutation (durable), 16 connections each, and "sustained": propose_mutation on 100,000 keys
over 64 connections without a pause for so long that the fold of the log (decision 0030) is part of
it. After a round of proposals the engine may fold what is left before the other side's begins;
get_history (the newest entry of one key, and 20)
and explain of one mutation on one connection. The ratio of "history" is of answers of the same
length; that of "history20" is not, since a key of the short log has one entry only. Start-up is
from the start of the process to its ready line, the file in the system's cache. Memory per key is
what the resident size grows by, over the keys more. Replay is `state-engine replay` (folds the
log), verify is `state-engine verify` (also all hashes, SQLite's own integrity check and the
comparison with the state).

The data is made by bench_growth_make, not over MCP, and kept in build/bench/data: a run that was
stopped goes on where it was. Measured cases of the same engine are kept for an hour in
build/bench/growth.parts.json.
Without a flag 1 k, 100 k and 1 M keys and 10^4 and 10^6 entries; --quick up to 100 k and 10^5;
--full also 5 M keys and 10^7 entries (needs 30 GB of disk).
"""

import argparse
import contextlib
import functools
import json
import pathlib
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

import measuring as m

SMALL = 1000
REQUESTS = 5000  # Prepared ones; more than a second's worth only costs the client memory.
SUSTAINED = 100_000  # As many keys, if there are.
SUSTAINED_SECONDS = 15
DATA = m.ROOT / "build/bench/data"
PARTS = m.ROOT / "build/bench/growth.parts.json"
PARTS_SECONDS = 3600

SIZES = {"quick": ([1_000, 100_000], [10_000, 100_000]),
         "normal": ([1_000, 100_000, 1_000_000], [10_000, 1_000_000]),
         "full": ([1_000, 100_000, 1_000_000, 5_000_000], [10_000, 1_000_000, 10_000_000])}
LOG_KEYS = 10_000

REQUEST_LIST = """\
local requests, n = {}, 0
init = function()
  for body in io.lines("BODIES") do
    requests[#requests + 1] = wrk.format(nil, nil, nil, body)
  end
end
request = function()
  n = n % #requests + 1
  return requests[n]
end
"""


def maker():
    """The generator, built if it is not there."""
    found = m.ROOT / "build/release/bin/bench_growth_make"
    if not found.exists():
        done = subprocess.run(["ninja", "-C", str(m.ROOT / "build/release"), "bench_growth_make"],
                              check=False, stdout=subprocess.DEVNULL)
        if done.returncode or not found.exists():
            sys.exit("bench_growth_make is not built: run ./dev build release bench_growth_make")
    return str(found)


def make(directory, keys, entries):
    subprocess.run([maker(), str(directory), "--keys", str(keys), "--entries", str(entries)],
                   check=True, stderr=subprocess.DEVNULL)


@functools.cache
def schema_version():
    """Of the files that the engine writes."""
    with m.scratch() as directory:
        make(directory / "one", 1, 1)
        with contextlib.closing(sqlite3.connect(directory / "one/state.db")) as database:
            return str(database.execute("PRAGMA user_version").fetchone()[0])


def made_data(keys, entries):
    """A data directory of that size, made now unless it is there in the present schema."""
    entries = max(keys, entries)
    home = DATA / f"k{keys}-l{entries}"
    complete = home / "complete"
    if not complete.exists() or complete.read_text() != schema_version():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        print(f"  making {keys:,} keys, {entries:,} entries", file=sys.stderr)
        make(home / "data", keys, entries)
        complete.write_text(schema_version())
    return home / "data"


def copied(source, target):
    """A copy to measure on: what is kept stays as it was made."""
    subprocess.run(["cp", "-r", "--reflink=auto", str(source), str(target)], check=True)
    return target


def key_name(number):
    return f"user.{'count' if number % 10 == 9 else 'fact'}.{number}"


def prefix_of_100(rng, keys):
    """A prefix that begins exactly 100 keys: of ten numbers nine are facts."""
    digits = len(str(keys - 1))
    while True:
        number = rng.randrange(10 ** (digits - 3), keys // 100)
        if number % 10 != 9:
            return f"user.fact.{number}"


def request_script(path, tool, arguments):
    bodies = path.with_suffix(".bodies")
    bodies.write_text("".join(m.call_body(tool, item) + "\n" for item in arguments))
    return m.wrk_script(path, m.call_headers(tool),
                        request=REQUEST_LIST.replace("BODIES", str(bodies)))


class Side:
    """One engine on a copy of made data, with the scripts that load it."""

    def __init__(self, directory, keys, entries):
        self.keys = keys
        self.home = directory
        directory.mkdir()
        self.data = copied(made_data(keys, entries), directory / "data")
        config = directory / "bench.yaml"
        config.write_text('allowedKeys: ["stream.*", "user.*", "bench.*"]\n')
        self.engine = m.harness.Engine(self.data, config=config, args=["--log-level", "warn"])
        self.scripts = {}

    def start_seconds(self, times=3):
        """Starts it `times` times; the last one stays up. Returns the median."""
        taken = []
        for number in range(times):
            if number:
                self.engine.stop()
            begin = time.monotonic()
            self.engine.start(120)
            taken.append(time.monotonic() - begin)
        return statistics.median(taken)

    def add_script(self, name, tool, arguments):
        self.scripts[name] = request_script(self.home / f"{name}.lua", tool, arguments)
        answer = json.loads(m.exchange(self.engine.url, m.call_headers(tool),
                                       m.call_body(tool, arguments[0])))
        if answer["result"].get("isError"):
            raise RuntimeError(f"{tool} answered {answer['result']['content'][0]['text'][:300]}")
        return answer["result"].get("structuredContent")

    def add_key_scripts(self):
        rng = random.Random(1)
        numbers = [rng.randrange(self.keys) for _ in range(REQUESTS)]
        self.add_script("get", "get_state", [{"keys": [key_name(n)]} for n in numbers])
        page = self.add_script("prefix", "get_state_prefix", [
            {"prefix": prefix_of_100(rng, self.keys), "limit": 100} for _ in range(200)])
        if page["count"] != 100:
            raise RuntimeError(f"a prefix gave {page['count']} keys instead of 100")
        self.add_propose_script(numbers)

    def add_propose_script(self, numbers=None):
        rng = random.Random(2)
        numbers = numbers or [rng.randrange(self.keys) for _ in range(REQUESTS)]
        self.add_script("propose", "propose_mutation", [
            {"key": f"user.fact.{n - n % 10}", "value": {"n": n, "text": "a fact"},
             "reason": "benchmark"} for n in numbers])

    def add_sustained_script(self):
        rng = random.Random(4)
        self.add_script("sustained", "propose_mutation", [
            {"key": key_name(n - n % 10), "value": {"n": n, "text": "a fact"},
             "reason": "benchmark"} for n in (rng.randrange(self.keys) for _ in range(SUSTAINED))])

    def await_folded(self, seconds=60):
        """Until the tables by key hold all of the log."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/state.db?mode=ro",
                                                uri=True)) as database:
            until = time.monotonic() + seconds
            while database.execute("SELECT count(DISTINCT value) FROM meta WHERE key IN "
                                   "('head_seq', 'folded_seq')").fetchone()[0] != 1:
                if time.monotonic() > until:
                    raise RuntimeError(f"the log is not folded after {seconds} s of rest")
                time.sleep(0.05)

    def add_log_scripts(self, entries):
        rng = random.Random(3)
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/state.db?mode=ro",
                                                uri=True)) as database:
            ids = [database.execute("SELECT id FROM mutation_log WHERE seq = ?",
                                    (rng.randrange(1, entries + 1),)).fetchone()[0]
                   for _ in range(1000)]
        for name, limit in (("history", 1), ("history20", 20)):
            self.add_script(name, "get_history",
                            [{"key": key_name(rng.randrange(self.keys)), "limit": limit}
                             for _ in range(1000)])
        self.add_script("explain", "explain", [{"mutationId": name} for name in ids])
        self.add_propose_script()

    def measure(self, name, connections, seconds):
        measured = m.wrk((self.engine.url, self.engine.process.pid), self.scripts[name],
                         connections, seconds)
        if name in ("propose", "sustained"):
            self.await_folded()
        return measured


@contextlib.contextmanager
def side(directory, name, keys, entries=0):
    made = Side(directory / name, keys, entries)
    try:
        yield made
    finally:
        if made.engine.process is not None and made.engine.process.poll() is None:
            made.engine.stop()
        shutil.rmtree(made.home, ignore_errors=True)


def in_turns(small, large, case, connections, plan):
    """Rounds of both in turns: medians of the large one and its ratio to the small one."""
    rounds, seconds = plan
    for one in (small, large):
        one.measure(case, connections, 1)  # Warms up, not counted.
    measured = m.take_turns({"small": lambda: small.measure(case, connections, seconds),
                             "large": lambda: large.measure(case, connections, seconds)},
                            rounds, f"{case}, {large.keys:,} keys")
    ours, base = measured["large"], measured["small"]
    return {f"{case}_calls_per_s": m.median_of(ours, "calls_per_s"),
            f"{case}_us": m.median_of(ours, "p50_us"),
            f"{case}_p99_us": m.median_of(ours, "p99_us"),
            f"{case}_cpu_us": m.median_of(ours, "cpu_us_per_call"),
            f"{case}_ratio": m.ratio_of(ours, base),
            f"{case}_cpu_ratio": m.ratio_of(ours, base, "cpu_us_per_call"),
            f"{case}_spread": m.spread_of(ours)}


def measure_keys(directory, keys, plan, sustained):
    row = {"case": "keys", "keys": keys, "entries": keys}
    with side(directory, "small", SMALL) as small, side(directory, "large", keys) as large:
        small.start_seconds(1)
        row["start_s"] = large.start_seconds()
        if keys > SMALL:
            grown = (m.resident_bytes(large.engine.process.pid) -
                     m.resident_bytes(small.engine.process.pid))
            row["memory_bytes_per_key"] = grown / (keys - SMALL)
        small.add_key_scripts()
        large.add_key_scripts()
        for case in ("get", "prefix", "propose"):
            row |= in_turns(small, large, case, 16, plan)
        if sustained:
            small.add_sustained_script()
            large.add_sustained_script()
            row |= in_turns(small, large, "sustained", 64, (1, SUSTAINED_SECONDS))
    return row


def timed(verb, data, *args):
    begin = time.monotonic()
    subprocess.run([m.harness.engine_binary(), verb, "--data-dir", str(data), *args], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begin


def measure_log(directory, entries, plan):
    row = {"case": "log", "keys": LOG_KEYS, "entries": entries}
    source = made_data(LOG_KEYS, entries)
    idle = min(timed("replay", made_data(SMALL, 0)) for _ in range(3))
    turns = 1 if entries > 2_000_000 else 3
    for verb in ("replay", "verify"):
        taken = statistics.median(timed(verb, source) for _ in range(turns))
        row[f"{verb}_per_s"] = entries / max(taken - idle, 1e-3)
    with side(directory, "small", LOG_KEYS, LOG_KEYS) as small, \
            side(directory, "large", LOG_KEYS, entries) as large:
        small.start_seconds(1)
        row["start_s"] = large.start_seconds()
        small.add_log_scripts(LOG_KEYS)
        large.add_log_scripts(entries)
        for case, connections in (("history", 1), ("history20", 1), ("explain", 1),
                                  ("propose", 16)):
            row |= in_turns(small, large, case, connections, plan)
    return row


class Parts:
    """Cases that are done, so that a long run can be stopped and go on."""

    def __init__(self, form, measured):
        self.key = [form, measured]
        self.done = {}
        with contextlib.suppress(OSError, ValueError):
            if time.time() - PARTS.stat().st_mtime < PARTS_SECONDS:
                kept = json.loads(PARTS.read_text())
                self.done = kept["done"] if kept["key"] == self.key else {}

    def row(self, name, measure):
        if name in self.done:
            print(f"  {name}: kept from the run before", file=sys.stderr)
        else:
            self.done[name] = measure()
            PARTS.parent.mkdir(parents=True, exist_ok=True)
            PARTS.write_text(json.dumps({"key": self.key, "done": self.done}))
        return self.done[name]


def figures_of(rows):
    out = []
    keys = [row for row in rows if row["case"] == "keys"]
    for row in keys[1:]:
        count = f"{row['keys']:,} keys"
        million = row["keys"] == 1_000_000
        out.append(m.figure(f"start with {count}", row["start_s"], "s", 5 if million else None,
                            1 if million else None, better="lower"))
        out.append(m.figure(f"memory per small key, {count}", row["memory_bytes_per_key"] / 1024,
                            "KiB", 1, 0.3, better="lower"))
        for case in ("get", "prefix", "propose", "sustained"):
            if f"{case}_ratio" not in row:
                continue
            out.append(m.figure(f"{case} with {count}, calls/s beside 1,000 keys",
                                row[f"{case}_ratio"], "x"))
    for row in [row for row in rows if row["case"] == "log"]:
        count = f"{row['entries']:,} entries"
        out.append(m.figure(f"replay of {count}", row["replay_per_s"], "entries/s",
                          200_000, 1_000_000))
        out.append(m.figure(f"verify of {count}", row["verify_per_s"], "entries/s"))
        for case in ("history", "explain", "propose"):
            out.append(m.figure(f"{case} with {count}, calls/s beside {LOG_KEYS:,}",
                                row[f"{case}_ratio"], "x"))
    return out


def cell(row, name):
    if f"{name}_ratio" not in row:
        return "-"
    return (f"{row[f'{name}_calls_per_s']:,.0f}/s ({row[f'{name}_ratio']:.2f}), "
            f"{row[f'{name}_us']:.0f} / {row[f'{name}_p99_us']:.0f} us")


def print_rows(rows):
    print("keys: calls/s (ratio to 1,000 keys), p50 / p99")
    m.print_table(
        ["keys", "start", "memory per key", "get_state", "get_state_prefix, 100", "propose",
         "propose, sustained"],
        [[f"{row['keys']:,}", f"{row['start_s']:.2f} s",
          f"{row['memory_bytes_per_key']:.0f} B" if "memory_bytes_per_key" in row else "-",
          *[cell(row, name) for name in ("get", "prefix", "propose", "sustained")]]
         for row in rows if row["case"] == "keys"])
    print(f"log, {LOG_KEYS:,} keys: calls/s (ratio to {LOG_KEYS:,} entries), p50 / p99")
    m.print_table(
        ["entries", "start", "replay", "verify", "get_history, 1", "get_history, 20",
         "explain", "propose"],
        [[f"{row['entries']:,}", f"{row['start_s']:.2f} s", f"{row['replay_per_s']:,.0f}/s",
          f"{row['verify_per_s']:,.0f}/s",
          *[cell(row, name) for name in ("history", "history20", "explain", "propose")]]
         for row in rows if row["case"] == "log"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_const", dest="form", const="quick",
                      help="100,000 keys and entries at most, one short round")
    form.add_argument("--full", action="store_const", dest="form", const="full",
                      help="also 5,000,000 keys and 10,000,000 entries")
    parser.add_argument("--json", help="where the figures go")
    parser.set_defaults(form="normal")
    options = parser.parse_args()
    m.require("wrk")
    plan = (1, 1) if options.form == "quick" else (3, 3)
    facts = m.machine_facts(wrk=["wrk", "-v"])
    key_counts, log_sizes = SIZES[options.form]
    parts = Parts(options.form, m.digest(m.harness.engine_binary(), __file__))
    rows = []
    with m.scratch() as directory:
        for keys in key_counts:
            rows.append(parts.row(f"{keys} keys", lambda k=keys: measure_keys(
                directory, k, plan, options.form != "quick")))
        for entries in log_sizes:
            rows.append(parts.row(f"{entries} entries",
                                  lambda e=entries: measure_log(directory, e, plan)))
    print_rows(rows)
    m.write_report("growth", {"rounds": plan[0], "seconds": plan[1], "machine": facts,
                              "rows": rows, "figures": figures_of(rows)}, options.json)
    PARTS.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
