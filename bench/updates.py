#!/usr/bin/env python3
"""How long after a commit its listeners hear of it, over HTTP, with real commits.

    ./dev bench updates [--quick] [--json FILE]

One engine with SQLite; 1, 100 and 1,000 open subscriptions/listen streams on a collection. One
client proposes, one mutation after the other, at intervals. Two delays for each update, both as
clients see them: from the moment the proposer has its answer (the commit is durable a little
before that), which is negative when a listener hears first, and from the moment the proposal was
sent, which holds the commit itself. `first` is the listener that hears first, `all` the one that
hears last. The listeners are read by one Python thread, whose own time is measured apart and
counts into `all`.

It is no test: nothing fails for being slow. The goal of the design is 50 ms.
"""

import resource
import selectors
import socket
import sys
import threading
import time

import measuring as m  # Puts the test helpers in reach.
import harness
import listeners_test

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
                cpu_before = m.cpu_seconds(engine.process.pid)
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
    return samples, (m.cpu_seconds(engine.process.pid) - cpu_before) * 1e6 / rounds / count


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


def print_rows(rows):
    def cells(row):
        def at(name, share):
            return f"{percentile(row['samples'], name, share):.1f}"
        return (f"{row['listeners']:,}", f"{at('first_ms', .5)} / {at('first_ms', .99)} ms",
                f"{at('all_ms', .5)} / {at('all_ms', .99)} ms",
                f"{at('all_from_sent_ms', .5)} ms", f"{at('commit_ms', .5)} ms",
                f"{row['reader_ms']:.1f} ms", f"{row['cpu_us']:.1f} us")
    m.print_table(("listeners", "first hears, p50 / p99", "all have heard, p50 / p99",
                   "from sending: all, p50", "propose, p50", "the reader's own time",
                   "engine CPU per update"), [cells(row) for row in rows], "updates")


def figures_of(rows):
    return [m.figure(f"commit answered until the last of {row['listeners']:,} listeners has heard, "
                     "p99", percentile(row["samples"], "all_ms", .99), "ms", None, GOAL_MS,
                     "lower") for row in rows]


def main():
    options = m.arguments(__doc__)
    m.require()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    rounds, pause = (20, 0.02) if options.quick else (200, 0.05)
    facts = m.machine_facts()
    rows = []
    with m.scratch() as directory, m.engine_with_state(directory, 0) as engine:
        for count in COUNTS:
            print(f"  {count} listeners", file=sys.stderr)
            samples, cpu_us = measure(engine, count, rounds, pause)
            rows.append({"listeners": count, "reader_ms": reader_cost(count),
                         "cpu_us": cpu_us, "samples": samples})
    print(f"Updates after a commit, over HTTP, {rounds} commits each; the goal is {GOAL_MS} ms.")
    print("Delays from the proposer's answer; below zero: the listener heard first.")
    print_rows(rows)
    m.write_report("updates", {"goal_ms": GOAL_MS, "commits": rounds, "machine": facts,
                               "figures": figures_of(rows), "rows": rows}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
