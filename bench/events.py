#!/usr/bin/env python3
"""From a proposal on NATS to its result, its change event and the effect of a rule.

    ./dev bench events [--quick] [--json FILE]

A C++ client publishes proposals to internal.state.mutation.v1 and listens to three JetStream push
consumers, as the platform's services do: results, changes, egress. Between publish and sighting
lie: the server stores the proposal and delivers it, the engine decides and commits it to SQLite
(synchronous=FULL), publishes, the server stores that and delivers it. One rule emits an effect for
each change. Measured one proposal at a time, at a steady 1,000 a second, and as fast as the client
publishes. Beside it the floor that the wire sets: the same client and server, one message published
to a stream and delivered by a push consumer, with no engine in between (the engine's way has two
such trips, and a durable commit). Needs nats-server.
"""

import contextlib
import json
import subprocess
import sys
import time

import bus_rig as rig
import measuring as m
import nats_harness as nats

BARE = "bench.bare.v1"
RULES = """\
rules:
  - id: tell
    when: {"==": [{"var": "op"}, "set"]}
    actions:
      - type: publishEgress
        payload: {type: bench.changed}
"""
SEEN = ("result", "change", "egress")


def listen(client, subject):
    """A push consumer of what comes from now on; returns its deliver subject."""
    stream = client.api("STREAM.NAMES", {"subject": subject})["streams"][0]
    deliver = f"_INBOX.bench.{time.monotonic_ns()}"
    made = client.api(f"CONSUMER.CREATE.{stream}", {
        "stream_name": stream, "config": {"filter_subject": subject, "deliver_subject": deliver,
                                          "ack_policy": "none", "deliver_policy": "new",
                                          "replay_policy": "instant"}})
    if "error" in made:
        raise RuntimeError(made["error"])
    return deliver


def follow(server, peer, subject, seen, count, rate):
    with contextlib.closing(nats.Client(server.port)) as client:
        deliver = [listen(client, name) for name in seen]
    done = subprocess.run([peer, "follow", server.url, subject, str(count), str(rate), *deliver],
                          stdout=subprocess.PIPE, check=True, timeout=120)
    return json.loads(done.stdout)


@contextlib.contextmanager
def engine_on(server, home, config):
    engine = m.harness.Engine(home, config=config, args=[
        "--nats-url", server.url, "--log-level", "warn", "--no-register"])
    with engine:
        yield engine
        engine.stop()


class Rig:
    """A fresh engine for each round, since ids are used again; the bare side needs none."""

    def __init__(self, server, peer, directory):
        self._server, self._peer, self._directory = server, peer, directory
        self._config = directory / "bench.yaml"
        self._config.write_text(rig.CONFIG + RULES)
        with contextlib.closing(nats.Client(server.port)) as client:
            made = client.api("STREAM.CREATE.bench-bare", {
                "name": "bench-bare", "subjects": [BARE], "storage": "file",
                "retention": "limits", "num_replicas": 1})
            if "error" in made:
                raise RuntimeError(made["error"])

    def engine(self, count, rate):
        with contextlib.closing(nats.Client(self._server.port)) as client:
            # The durable of the engine before would go on where that one was.
            client.api(f"CONSUMER.DELETE.{rig.STREAM}.{rig.DURABLE}")
            for stream in (rig.STREAM, "internal-egress"):
                client.api(f"STREAM.PURGE.{stream}")
        # Dedupe knows ids by engine, and a fresh data directory is another engine.
        home = self._directory / f"engine-{time.monotonic_ns()}"
        with engine_on(self._server, home, self._config) as engine:
            follow(self._server, self._peer, BARE, [BARE], 50, 0)  # the server is warm
            cpu = m.cpu_seconds(engine.process.pid)
            out = follow(self._server, self._peer, nats.MUTATION,
                         [nats.RESULT, nats.CHANGED, nats.EGRESS], count, rate)
            out["cpu_us_per_call"] = (m.cpu_seconds(engine.process.pid) - cpu) * 1e6 / count
        return flat(out, count, SEEN)

    def bare(self, count, rate):
        return flat(follow(self._server, self._peer, BARE, [BARE], count, rate), count, ("bare",))


def flat(out, count, names):
    found = {"calls_per_s": count / out["seconds"],
             "cpu_us_per_call": out.get("cpu_us_per_call", 0.0)}
    for name, seen in zip(names, out["seen"]):
        found.update({f"{name}_{field}": value for field, value in seen.items()})
    return found


def print_case(title, measured):
    engine, bare = measured["engine"], measured["bare"]
    print(f"{title}: {m.median_of(engine, 'calls_per_s'):,.0f} proposals/s, CPU of the engine "
          f"{m.median_of(engine, 'cpu_us_per_call'):.0f} us each, spread {m.spread_of(engine):.0%}")
    m.print_table(
        ["seen", "p50 us", "p99 us", "ratio of p50 to the bare trip"],
        [[name, f"{m.median_of(side, f'{name}_p50_us'):,.0f}",
          f"{m.median_of(side, f'{name}_p99_us'):,.0f}",
          f"{m.median_of(side, f'{name}_p50_us') / m.median_of(bare, 'bare_p50_us'):.1f}"]
         for name, side in [*[(name, engine) for name in SEEN], ("bare", bare)]])


def main():
    options = m.arguments(__doc__)
    if rig.need_server() is None:
        return m.SKIPPED
    m.require()
    peer = rig.build("bench_nats_peer")
    few, many, rounds = (300, 2000, 1) if options.quick else (2000, 20_000, 3)
    facts = m.machine_facts(nats=[rig.need_server(), "--version"])
    cases = {}
    with m.scratch() as directory, rig.server(directory / "nats") as server:
        sides = Rig(server, peer, directory)
        for name, count, rate in (("one at a time", few, 0), ("1,000 a second", many // 2, 1000),
                                  ("as fast as it goes", many, -1)):
            cases[name] = m.take_turns({"engine": lambda c=count, r=rate: sides.engine(c, r),
                                        "bare": lambda c=count, r=rate: sides.bare(c, r)},
                                       rounds, name)
    figures = []
    for name, measured in cases.items():
        print_case(name, measured)
        for seen in SEEN:
            figures.append(m.figure(f"NATS, {name}: proposal published until its {seen} is seen, "
                                    "p50", m.median_of(measured["engine"], f"{seen}_p50_us"), "us",
                                    better="lower"))
    figures.append(m.figure("NATS: results, changes and effects of proposals published as fast as "
                            "it goes", m.median_of(cases["as fast as it goes"]["engine"],
                                                   "calls_per_s"), "proposals/s"))
    m.write_report("events", {"machine": facts, "rounds_each": rounds, "cases": cases,
                              "figures": figures}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
