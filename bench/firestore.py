#!/usr/bin/env python3
"""The engine on the vendor's Firestore emulator, beside bare gRPC Commits.

    ./dev bench firestore [--quick] [--json FILE]

Writes over MCP (wrk, propose_mutation at 16 and 64 connections) and through NATS (a JetStream
backlog, time from the first delivery until all is settled), reads over MCP (get_state at 16
connections; a shared store has one way to read, BatchGetDocuments at each call, never the engine's
memory). Beside them, in turns on the same emulator: bare Commits (C++, the stubs of the engine) of
20 and 100 mutations, one after the other and on four connections; a mutation there is one state
document and one log document, as the engine writes them, with nothing decided. The TypeScript
reference was measured on this kind of machine before (191 mutations/s, 1,116 reads/s at 16
connections); it is not run here. The emulator keeps its documents in memory: these figures say
nothing about the service. Needs the emulator, java, wrk and nats-server.
"""

import contextlib
import json
import subprocess
import sys
import time

import bus_rig as rig
import measuring as m
import nats_harness as nats
import platform_rig
from get_state import writes_script

# Recorded on this kind of machine, not run here.
REFERENCE_WRITES = 191
REFERENCE_READS = 1116


class Sides:
    def __init__(self, emulator, server, peer, directory, options):
        self.emulator, self.server, self.peer = emulator, server, peer
        self.directory, self.options = directory, options
        self.config = directory / "bench.yaml"
        self.config.write_text(rig.CONFIG)
        self._writes = writes_script(directory / "writes.lua")
        self._reads = m.wrk_script(directory / "reads.lua", m.call_headers("get_state"),
                                   m.call_body("get_state", {"keys": ["bench.k1"]}))
        self._engine = self._new_engine()

    def _new_engine(self, args=()):
        return m.harness.Engine(
            self.directory / f"engine-{time.monotonic_ns()}", config=self.config,
            args=["--store", "firestore", "--firestore-project", platform_rig.PROJECT,
                  "--log-level", "warn", *args],
            env={"FIRESTORE_EMULATOR_HOST": self.emulator.host})

    @contextlib.contextmanager
    def serving(self):
        self._engine.start(90)
        try:
            yield
            self._engine.stop()
        finally:
            self._engine.end()

    def writes(self, connections):
        return m.wrk((self._engine.url, self._engine.process.pid), self._writes, connections,
                     self.options["seconds"])

    def reads(self):
        return m.wrk((self._engine.url, self._engine.process.pid), self._reads, 16,
                     self.options["seconds"])

    def bare(self, batch, connections):
        done = subprocess.run(
            [self.peer, self.emulator.host, platform_rig.PROJECT, f"bare{time.monotonic_ns()}n",
             str(batch), str(self.options["seconds"]), str(connections)],
            stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def drain(self):
        """A backlog through NATS, by an engine of its own."""
        count = self.options["backlog"]
        tag = time.monotonic_ns()
        with contextlib.closing(nats.Client(self.server.port)) as client:
            rig.fresh_stream(client)
            rig.publish_backlog(client, count, f"b{tag}-")
            rig.durable(client)
            engine = self._new_engine(["--nats-url", self.server.url, "--no-register"])
            engine.launch()
            try:
                begin = rig.poll(lambda: rig.backlog_left(client)[0] > 0, 90, "a delivery", 0.002)
                pid = engine.process.pid
                cpu = m.cpu_seconds(pid)
                end = rig.poll(lambda: rig.backlog_left(client)[1] == 0, 600, "the backlog", 0.01)
                cpu = m.cpu_seconds(pid) - cpu
                engine.stop()
            finally:
                engine.end()
        self.check(f"b{tag}-", count)
        return {"calls_per_s": count / (end - begin), "cpu_us_per_call": cpu * 1e6 / count}

    def check(self, prefix, count):
        """The log in the database has each of the backlog, accepted."""
        found = self.emulator.get("mutation_log", [f"{prefix}{n}" for n in range(count)]).values()
        accepted = [entry for entry in found if entry.get("status") == "accepted"]
        if len(found) != count or len(accepted) != count:
            raise RuntimeError(f"the log has {len(found)} of {count}, {len(accepted)} accepted")


def measure(sides, options):
    cases = {f"MCP, {c} connections": (lambda c=c: sides.writes(c)) for c in (16, 64)}
    for batch in (20, 100):
        for connections in (1, 4) if options["rounds"] > 1 else (1,):
            cases[f"bare Commits of {batch}, {connections} at a time"] = (
                lambda b=batch, c=connections: sides.bare(b, c))
    cases["get_state, 16 connections"] = sides.reads
    with sides.serving():
        sides.writes(16)  # the Java program compiles what it runs often
    # First: the emulator has no indexes, so an engine that starts on what all rounds of the other
    # cases leave may wait for its queries in vain.
    measured = m.take_turns({f"NATS, backlog of {options['backlog']:,}": sides.drain},
                            options["rounds"], "Firestore through NATS")
    with sides.serving():
        measured.update(m.take_turns(cases, options["rounds"], "Firestore"))
    return measured


def figures_of(measured):
    bare = max(m.median_of(rounds, "calls_per_s") for name, rounds in measured.items()
               if name.startswith("bare"))
    out = []
    for name, rounds in measured.items():
        rate = m.median_of(rounds, "calls_per_s")
        if name.startswith(("MCP", "NATS")):
            out.append(m.figure(f"Firestore emulator, {name}: mutations beside the TypeScript "
                                "reference (191/s, recorded)", rate / REFERENCE_WRITES, "x", 10,
                                30))
            out.append(m.figure(f"Firestore emulator, {name}: beside the best bare Commits",
                                rate / bare, "x"))
        elif name.startswith("get_state"):
            out.append(m.figure(f"Firestore emulator, {name}: beside the TypeScript reference "
                                "(1,116/s, recorded)", rate / REFERENCE_READS, "x"))
    return out


def main():
    parsed = m.arguments(__doc__)
    missing = platform_rig.emulator_missing()
    if missing or rig.need_server() is None:
        print(f"SKIP: {missing or 'missing nats-server'}", file=sys.stderr)
        return m.SKIPPED
    m.require("wrk")
    options = {"rounds": 1 if parsed.quick else 3, "seconds": 1 if parsed.quick else 4,
               "backlog": 1000 if parsed.quick else 10_000}
    peer = rig.build("bench_firestore_peer")
    facts = m.machine_facts(nats=[rig.need_server(), "--version"])
    with m.scratch() as directory, rig.server(directory / "nats") as server:
        # Bare Commits alone leave 240,000 documents a round; it stands still when its heap is full.
        emulator = platform_rig.Emulator(heap="4g")
        try:
            emulator.start()
            measured = measure(Sides(emulator, server, peer, directory, options), options)
        finally:
            emulator.kill()
    print(f"Firestore emulator, medians of {options['rounds']} round(s), in turns")
    m.print_table(["case", "a second", "p50 / p99 ms", "CPU of the engine, us", "spread"], [
        [name, f"{m.median_of(rounds, 'calls_per_s'):,.0f}",
         f"{m.median_of(rounds, 'p50_us') / 1000:.1f} / {m.median_of(rounds, 'p99_us') / 1000:.1f}"
         if "p50_us" in rounds[0] else "-",
         f"{m.median_of(rounds, 'cpu_us_per_call'):.0f}" if "cpu_us_per_call" in rounds[0] else "-",
         f"{m.spread_of(rounds):.0%}"] for name, rounds in measured.items()])
    figures = figures_of(measured)
    for figure in figures:
        print(f"{figure['what']}: {figure['value']:.2f} x")
    m.write_report("firestore", {"machine": facts, "options": options, "rounds": measured,
                                 "figures": figures}, parsed.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
