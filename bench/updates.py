#!/usr/bin/env python3
"""How long after a commit its listeners hear of it, over HTTP, with real commits.

    bench/updates.py [--quick] [--json FILE]

One engine with SQLite; 1, 100 and 1,000 open subscriptions/listen streams on a collection. One
client proposes, one mutation after the other, at intervals. Two delays for each update, both as
clients see them: from the moment the proposer has its answer (the commit is durable a little
before that), which is negative when a listener hears first, and from the moment the proposal was
sent, which holds the commit itself. `first` is the listener that hears first, `all` the one that
hears last. The listeners are read by one Python thread, whose own time is measured apart and
counts into `all`.

It is no test: nothing fails for being slow. The goal of the design is 50 ms.
"""

import argparse
import json
import os
import pathlib
import resource
import selectors
import shutil
import socket
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/process"))
sys.path.insert(0, str(ROOT / "bench"))
import get_state  # noqa: E402  pylint: disable=wrong-import-position
import harness  # noqa: E402  pylint: disable=wrong-import-position
import listeners_test  # noqa: E402  pylint: disable=wrong-import-position

COUNTS = (1, 100, 1000)
GOAL_MS = 50


def wait_for_all(selector, count, mark, deadline):
    """Returns (first, last): when `mark` came on the first and on the last of `count` sockets."""
    rest = {}
    first = last = None
    while count:
        for key, _ in selector.select(1):
            data = rest.get(key.fd, b"") + key.fileobj.recv(1 << 16)
            if mark not in data:
                rest[key.fd] = data
                continue
            rest[key.fd] = b""
            last = time.perf_counter()
            first = first or last
            count -= 1
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{count} listeners never heard of {mark}")
    return first, last


class TimedCrowd(listeners_test.Crowd):
    """Notes when the first and the last listener heard of each round."""

    def round(self, uri, deadline):
        mark = f'"uri":"{uri}"'.encode()
        return wait_for_all(self._selector, len(self.listeners), mark, deadline)


def measure(engine, count, rounds, pause):
    crowd = TimedCrowd(engine.url, count, ["state://bench."])
    crowd.read_until(lambda listener: listener.acknowledged, "to be acknowledged")
    mcp = harness.HttpMcp(engine.url)
    samples = []
    cpu_before = 0.0
    try:
        for number in range(rounds + 5):
            if number == 5:  # The first ones warm up.
                cpu_before = get_state.cpu_seconds(engine.process.pid)
            key = f"bench.k{number % 50}"
            times = {}

            def propose():
                times["sent"] = time.perf_counter()
                if not mcp.propose(key, number, reason="benchmark").accepted:
                    raise RuntimeError("a proposal was rejected")
                times["answered"] = time.perf_counter()

            proposer = threading.Thread(target=propose)
            proposer.start()
            first, last = crowd.round(f"state://{key}", time.perf_counter() + 30)
            proposer.join()
            if number >= 5:
                samples.append({"first_ms": (first - times["answered"]) * 1e3,
                                "all_ms": (last - times["answered"]) * 1e3,
                                "first_from_sent_ms": (first - times["sent"]) * 1e3,
                                "all_from_sent_ms": (last - times["sent"]) * 1e3,
                                "commit_ms": (times["answered"] - times["sent"]) * 1e3})
            time.sleep(pause)
    finally:
        mcp.close()
        crowd.close()
    return samples, (get_state.cpu_seconds(engine.process.pid) - cpu_before) * 1e6 / rounds / count


def percentile(samples, name, share):
    values = sorted(sample[name] for sample in samples)
    return values[min(len(values) - 1, int(len(values) * share))]


def reader_cost(count):
    """Milliseconds that one Python thread needs to read one event from each of `count` sockets."""
    pairs = [socket.socketpair() for _ in range(count)]
    selector = selectors.DefaultSelector()
    for ours, theirs in pairs:
        selector.register(ours, selectors.EVENT_READ)
        theirs.sendall(b"." * 200 + b"mark")
    began = time.perf_counter()
    wait_for_all(selector, count, b"mark", began + 30)
    took = (time.perf_counter() - began) * 1e3
    selector.close()
    for pair in pairs:
        for end in pair:
            end.close()
    return took


def table_of(rows):
    lines = ["| listeners | first hears, p50 / p99 | all have heard, p50 / p99 | "
             "from sending: all, p50 | propose, p50 | the reader's own time | "
             "engine CPU per update |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        samples = row["samples"]
        def at(name, share, samples=samples):
            return f"{percentile(samples, name, share):.1f}"
        lines.append(f"| {row['listeners']:,} | {at('first_ms', .5)} / {at('first_ms', .99)} ms "
                     f"| {at('all_ms', .5)} / {at('all_ms', .99)} ms "
                     f"| {at('all_from_sent_ms', .5)} ms | {at('commit_ms', .5)} ms "
                     f"| {row['reader_ms']:.1f} ms | {row['cpu_us']:.1f} us |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 commits each")
    parser.add_argument("--json", default=str(ROOT / "build/bench/updates.json"),
                        help="where the figures go")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    rounds, pause = (20, 0.02) if options.quick else (200, 0.05)
    facts = {"cpu": get_state.cpu_name(), "cores": os.cpu_count(),
             "load_before": [round(value, 2) for value in os.getloadavg()],
             "engine": get_state.version_of([harness.engine_binary(), "--version"]),
             "date": time.strftime("%Y-%m-%d", time.gmtime())}
    directory = pathlib.Path(tempfile.mkdtemp(prefix="state-engine-bench-"))
    rows = []
    try:
        config = directory / "bench.yaml"
        config.write_text('allowedKeys: ["bench.*"]\n')
        with harness.Engine(directory / "data", config=config,
                            args=["--log-level", "warn"]) as engine:
            for count in COUNTS:
                print(f"  {count} listeners", file=sys.stderr)
                samples, cpu_us = measure(engine, count, rounds, pause)
                rows.append({"listeners": count, "reader_ms": reader_cost(count),
                             "cpu_us": cpu_us, "samples": samples})
            engine.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    facts["load_after"] = [round(value, 2) for value in os.getloadavg()]
    target = pathlib.Path(options.json)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"benchmark": "updates", "goal_ms": GOAL_MS, "commits": rounds,
                                  "machine": facts, "rows": rows}, indent=1) + "\n")
    print(f"Updates after a commit, over HTTP, {rounds} commits each; the goal is {GOAL_MS} ms.")
    print("Delays from the proposer's answer; below zero: the listener heard first.")
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(table_of(rows))
    print(f"figures: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
