#!/usr/bin/env python3
"""JetStream KV beside the engine: puts beside propose_mutation, gets beside get_state.

    ./dev bench kv [--quick] [--json FILE]

The store directory of the nats-server is marked for synchronous writes (chattr +S on ext4), since
2.9 has no `sync_interval: always`: so a put is on disk when it is answered, as a mutation is. A
second nats-server runs as it is shipped, which writes to disk every two minutes: that column says
what durability costs there. Each side has its usual client: wrk for the engine's MCP over HTTP, the
NATS C client with one thread and connection each for KV; 100 bytes of value; 1, 16 and 64
connections. A KV put has no policy, no log of reasons, no rules and no version check. Needs wrk and
nats-server.
"""

import contextlib
import json
import subprocess
import sys

import bus_rig as rig
import measuring as m
import nats_harness as nats
from get_state import writes_script

VALUE_BYTES = 100
BUCKET = {"name": "KV_bench", "subjects": ["$KV.bench.>"], "max_msgs_per_subject": 1,
          "storage": "file", "num_replicas": 1, "retention": "limits", "discard": "new",
          "allow_rollup_hdrs": True, "deny_delete": True, "allow_direct": True,
          "duplicate_window": 120_000_000_000}


def make_synchronous(directory):
    """Every write below `directory` is on disk before it returns. False where that cannot be."""
    directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["chattr", "+S", str(directory)], capture_output=True, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def kv_server(home, synchronous):
    """A nats-server with the bucket and 1,000 keys in it."""
    if synchronous and not make_synchronous(home / "js"):
        raise RuntimeError(f"chattr +S {home}: not on this file system")
    running = nats.Server(home)
    try:
        running.start()
        with contextlib.closing(nats.Client(running.port)) as client:
            m.harness.wait_until(lambda: "error" not in client.api("INFO"), 20, "JetStream")
            made = client.api(f"STREAM.CREATE.{BUCKET['name']}", BUCKET)
            if "error" in made:
                raise RuntimeError(made["error"])
            for number in range(1000):
                client.publish(f"$KV.bench.k{number}", "x" * VALUE_BYTES)

            def filled():
                state = client.api(f"STREAM.INFO.{BUCKET['name']}")["state"]
                return state["messages"] == 1000
            m.harness.wait_until(filled, 60, "1,000 keys")
        yield running
    finally:
        running.kill()


def measure_kv(server, peer, verb, connections, seconds):
    cpu = m.cpu_seconds(server.process.pid)
    done = subprocess.run([peer, "kv", server.url, verb, str(connections), str(seconds),
                           str(VALUE_BYTES)], stdout=subprocess.PIPE, check=True)
    out = json.loads(done.stdout)
    out["cpu_us_per_call"] = (m.cpu_seconds(server.process.pid) - cpu) * 1e6 / out["calls"]
    return out


def sides_of(verb, servers, engine, scripts, options):
    """name -> function(connections), for puts or gets."""
    sides = {"engine": lambda c: m.wrk((engine.url, engine.process.pid), scripts[verb], c,
                                       options["seconds"])}
    for name, server in servers.items():
        sides[name] = lambda c, s=server: measure_kv(s, options["peer"], verb, c,
                                                     options["seconds"])
    return sides


def measure(servers, engine, scripts, options):
    rows = []
    for verb in ("put", "get"):
        for connections in options["connections"]:
            sides = {name: (lambda f=function, c=connections: f(c)) for name, function in
                     sides_of(verb, servers, engine, scripts, options).items()}
            rows.append({"verb": verb, "connections": connections,
                         "rounds": m.take_turns(sides, options["rounds"],
                                                f"{verb}, {connections} connections")})
    return rows


def print_rows(rows):
    names = list(rows[0]["rounds"])
    m.print_table(
        ["call", "connections", *[f"{name} calls/s" for name in names],
         *[f"ratio to {name}" for name in names[1:]], "spread",
         *[f"{name} p50 / p99 us" for name in names]],
        [["write" if row["verb"] == "put" else "read", row["connections"],
          *[f"{m.median_of(row['rounds'][name], 'calls_per_s'):,.0f}" for name in names],
          *[f"{m.ratio_of(row['rounds']['engine'], row['rounds'][name]):.2f}"
            for name in names[1:]],
          f"{m.spread_of(row['rounds']['engine']):.0%}",
          *[f"{m.median_of(row['rounds'][name], 'p50_us'):.0f} / "
            f"{m.median_of(row['rounds'][name], 'p99_us'):.0f}" for name in names]]
         for row in rows])


def figures_of(rows):
    out = []
    for row in rows:
        competitor = "kv_synced" if row["verb"] == "put" else "kv"
        if competitor not in row["rounds"]:
            continue
        what = ("durable writes beside JetStream KV puts that are synced" if row["verb"] == "put"
                else "get_state beside JetStream KV gets")
        out.append(m.figure(f"{what}, {row['connections']} connections",
                            m.ratio_of(row["rounds"]["engine"], row["rounds"][competitor]), "x"))
    return out


def main():
    parsed = m.arguments(__doc__)
    if rig.need_server() is None:
        return m.SKIPPED
    m.require("wrk")
    options = {"peer": rig.build("bench_nats_peer"), "rounds": 1 if parsed.quick else 3,
               "seconds": 1 if parsed.quick else 3,
               "connections": (1, 64) if parsed.quick else (1, 16, 64)}
    facts = m.machine_facts(nats=[rig.need_server(), "--version"])
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(m.scratch())
        servers = {}
        if make_synchronous(directory / "probe"):
            servers["kv_synced"] = stack.enter_context(kv_server(directory / "synced", True))
        else:
            print("kv: chattr +S does not work on this file system, so the side with the same "
                  "durability is left out", file=sys.stderr)
        servers["kv"] = stack.enter_context(kv_server(directory / "plain", False))
        engine = stack.enter_context(m.engine_with_state(directory / "engine"))
        read = m.call_body("get_state", {"keys": ["user.fact.1"]})
        scripts = {"put": writes_script(directory / "writes.lua"),
                   "get": m.wrk_script(directory / "reads.lua", m.call_headers("get_state"), read)}
        rows = measure(servers, engine, scripts, options)
    print(f"medians of {options['rounds']} round(s) of {options['seconds']} s, in turns; "
          "kv_synced: every write on disk, kv: written to disk every two minutes")
    print_rows(rows)
    m.write_report("kv", {"machine": facts, "rows": rows, "figures": figures_of(rows)},
                   parsed.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
