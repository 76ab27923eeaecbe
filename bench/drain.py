#!/usr/bin/env python3
"""Draining a JetStream backlog, beside consumers that only acknowledge, or store and acknowledge.

    ./dev bench drain [--quick | --full] [--json FILE]

A nats-server with file storage holds N proposals before anybody consumes: 20,000 (--quick) or
100,000. All sides take over the same durable (push, explicit acks, 1,000 messages
unsettled at most) of a stream made alike, in turns, on a fresh stream each time. Time counts from
the first delivery until the server says that nothing is left to settle: the engine has committed
each mutation to SQLite (synchronous=FULL) by then, the bare consumer (C++, the same client library)
has done nothing but acknowledge, the storing one has put each into two tables of SQLite with the
same durability, unparsed. After each round of the engine its log is checked: all N, each once,
accepted, in the order of the stream. The engine also publishes a result and a change event
for each mutation; "published" counts until the stream has these too. The TypeScript reference was
measured on this kind of machine before (191/s on the Firestore emulator, 949/s on PostgreSQL); it
is not run here. Needs nats-server.
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time

import bus_rig as rig
import measuring as m
import nats_harness as nats

# Recorded on this kind of machine, not run here.
REFERENCE_POSTGRES = 949


def check_log(data_dir, count):
    """All of the backlog is in the log: once, accepted, in its order."""
    with contextlib.closing(sqlite3.connect(data_dir / "state.db")) as log:
        ids = [row[0] for row in log.execute(
            "select id from mutation_log where status = 'accepted' order by seq")]
        entries = log.execute("select count(*) from mutation_log").fetchone()[0]
    if ids != [f"bench-{number}" for number in range(count)] or entries != count:
        raise RuntimeError(f"the log has {entries} entries, {len(ids)} accepted, {len(set(ids))} "
                           f"different, of {count} proposals")


def start_of(client):
    return rig.poll(lambda: rig.backlog_left(client)[0] > 0, 30, "the first delivery", 0.001)


def end_of(client):
    return rig.poll(lambda: rig.backlog_left(client)[1] == 0, 600, "the backlog", 0.002)


def measure_engine(server, directory, count):
    with contextlib.closing(nats.Client(server.port)) as client:
        rig.fresh_stream(client)
        rig.publish_backlog(client, count)
        rig.durable(client)
        config = directory / "bench.yaml"
        config.write_text(rig.CONFIG)
        name = f"engine-{time.monotonic_ns()}"
        engine = m.harness.Engine(directory / name, config=config, args=[
            "--nats-url", server.url, "--log-level", "warn", "--no-register"])
        engine.launch()
        try:
            begin = start_of(client)
            pid = engine.process.pid
            cpu, server_cpu = m.cpu_seconds(pid), m.cpu_seconds(server.process.pid)
            stages = m.stage_seconds(pid)
            end = end_of(client)
            stages = m.stages_between(stages, m.stage_seconds(pid), count)
            drained_cpu = m.cpu_seconds(pid) - cpu
            published = rig.poll(lambda: messages_in(client) == 3 * count, 600,
                                 "results and changes", 0.01)
            cpu = m.cpu_seconds(pid) - cpu
            server_cpu = m.cpu_seconds(server.process.pid) - server_cpu
            engine.stop()
        finally:
            engine.end()
        check_log(directory / name, count)
    return {"calls_per_s": count / (end - begin), "published_per_s": count / (published - begin),
            "cpu_us_per_call": cpu * 1e6 / count, "drain_cpu_us": drained_cpu * 1e6 / count,
            "server_cpu_us": server_cpu * 1e6 / count, "stages": stages}


def messages_in(client):
    return client.api(f"STREAM.INFO.{rig.STREAM}")["state"]["messages"]


def measure_consumer(server, command, count):
    """A round of a consumer that ends by itself: `command` with URL, subject, queue and count put
    in between."""
    with contextlib.closing(nats.Client(server.port)) as client:
        rig.fresh_stream(client)
        rig.publish_backlog(client, count)
        subject = rig.durable(client)
        program, last = command
        process = subprocess.Popen([*program, server.url, subject, rig.QUEUE, str(count), *last],
                                   stdout=subprocess.DEVNULL)
        try:
            begin = start_of(client)
            server_cpu = m.cpu_seconds(server.process.pid)
            end = end_of(client)
            server_cpu = m.cpu_seconds(server.process.pid) - server_cpu
            # Its own time, from the kernel's account of a child that ended.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        if process.returncode:
            raise RuntimeError(f"{program[0]} failed")
        cpu = usage.ru_utime + usage.ru_stime
    return {"calls_per_s": count / (end - begin), "cpu_us_per_call": cpu * 1e6 / count,
            "server_cpu_us": server_cpu * 1e6 / count}


def measure_storing(server, consumer, directory, count):
    file = directory / f"consumer-{time.monotonic_ns()}.db"
    measured = measure_consumer(server, ([consumer], [str(file)]), count)
    with contextlib.closing(sqlite3.connect(file)) as log:
        stored = log.execute("select count(*) from log").fetchone()[0]
    if stored != count:
        raise RuntimeError(f"the storing consumer has {stored} of {count} proposals")
    return measured


def report_of(measured, count, facts, rounds):
    engine, bare = measured["engine"], measured["bare"]
    rate = m.median_of(engine, "calls_per_s")
    ratio = m.ratio_of(engine, bare)
    return {"machine": facts, "count": count, "rounds_each": rounds, "rounds": measured,
            "spread": m.spread_of(engine),
            "figures": [
                m.figure("draining a JetStream backlog, beside a bare consumer that only acks",
                         ratio, "x", 0.3, 0.8),
                m.figure("the same beside the TypeScript reference on PostgreSQL (949/s, recorded)",
                         rate / REFERENCE_POSTGRES, "x", 20, 50),
                m.figure("draining a JetStream backlog", rate, "mutations/s"),
                m.figure("the same beside a consumer that stores each proposal unparsed, and acks",
                         m.ratio_of(engine, measured["storing"]), "x"),
                m.figure("CPU of the engine per drained mutation, results and changes published",
                         m.median_of(engine, "cpu_us_per_call"), "us", better="lower")]}


def print_sides(measured):
    def cells(name, side):
        rounds = measured[side]
        published = f"{m.median_of(rounds, 'published_per_s'):,.0f}" if side == "engine" else "-"
        return [name, f"{m.median_of(rounds, 'calls_per_s'):,.0f}",
                f"{m.ratio_of(rounds, measured['bare']):.2f}", published,
                f"{m.median_of(rounds, 'cpu_us_per_call'):.1f}",
                f"{m.median_of(rounds, 'server_cpu_us'):.1f}"]
    m.print_table(
        ["side", "drained/s", "ratio", "results and changes published/s", "CPU us per message",
         "nats-server CPU us"],
        [cells("state-engine", "engine"), cells("consumer that stores and acknowledges", "storing"),
         cells("bare consumer", "bare")], "drain")


def main():
    options = m.arguments(__doc__)
    if rig.need_server() is None:
        return m.SKIPPED
    m.require()
    peer, consumer = rig.build("bench_nats_peer"), rig.build("bench_storing_consumer")
    count, rounds = (20_000, 1) if options.quick else (100_000, 3)
    facts = m.machine_facts(nats=[rig.need_server(), "--version"])
    with m.scratch() as directory, rig.server(directory / "nats") as server:
        sides = {"engine": lambda: measure_engine(server, directory, count),
                 "bare": lambda: measure_consumer(server, ([peer, "ack"], []), count),
                 "storing": lambda: measure_storing(server, consumer, directory, count)}
        measured = m.take_turns(sides, rounds, f"{count:,} proposals")
    report = report_of(measured, count, facts, rounds)
    print(f"backlog of {count:,} proposals, medians of {rounds} round(s), in turns")
    print_sides(measured)
    m.print_stages([one["stages"] for one in measured["engine"]], "drain_stages")
    print(f"spread {report['spread']:.0%}; TypeScript reference, recorded on this kind of machine, "
          "not run: 191/s on the Firestore emulator, 949/s on PostgreSQL")
    m.write_report("drain", report, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
