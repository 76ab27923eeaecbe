#!/usr/bin/env python3
"""Durable propose_mutation over MCP HTTP beside Redis and PostgreSQL with the same durability.

    ./dev bench propose [--quick] [--json FILE]

All sides sync to the same disk before they answer: the engine (SQLite, synchronous=FULL), Redis
(SET, appendfsync always), PostgreSQL (upsert, synchronous_commit on). They take turns at 1, 16, 64
and 256 connections. A proposal is more than a SET: policy, version, log entry with hash chain,
outbox, rules. Clients differ (wrk, redis-benchmark, pgbench): each is the usual one of its side.
A last case increments one hot key from 64 connections. Needs wrk and redis-server; PostgreSQL is
left out, with a word, where it is not installed.
"""

import argparse
import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import measuring as m
from get_state import writes_script

VALUE_BYTES = 100


@contextlib.contextmanager
def redis(directory):
    port = m.free_port()
    home = directory / "redis"
    home.mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home),
               "--appendonly", "yes", "--appendfsync", "always", "--save", "",
               "--daemonize", "no"]
    with m.child(command) as process:
        m.wait_for_port(port, "redis-server")
        yield port, process.pid


def measure_redis(server, connections, seconds, rate):
    port, pid = server
    requests = max(1000, int(rate * seconds))
    cpu_before = m.cpu_seconds(pid)
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-t", "set", "-c", str(connections), "-n",
         str(requests), "-d", str(VALUE_BYTES), "-r", "10000", "--csv"],
        capture_output=True, text=True, check=True)
    # "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95...","p99...","max..."
    row = [cell.strip('"') for cell in done.stdout.strip().splitlines()[-1].split(",")]
    return {"calls_per_s": float(row[1]), "p50_us": float(row[4]) * 1000,
            "p99_us": float(row[6]) * 1000,
            "cpu_us_per_call": (m.cpu_seconds(pid) - cpu_before) * 1e6 / requests}


def postgres_bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return pathlib.Path(found[-1]).parent if found and shutil.which("pgbench") else None


def as_postgres(command):
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@contextlib.contextmanager
def postgres(directory):
    binaries, port = postgres_bin(), m.free_port()
    home = directory / "postgres"
    home.mkdir()
    if os.geteuid() == 0:
        os.chmod(directory, 0o755)
        shutil.chown(home, "postgres")
    data = home / "data"
    subprocess.run(as_postgres([str(binaries / "initdb"), "-D", str(data), "-A", "trust",
                                "-U", "bench"]), check=True, stdout=subprocess.DEVNULL, cwd=home)
    command = as_postgres([str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k",
                           str(home), "-c", "listen_addresses=127.0.0.1", "-c",
                           "max_connections=300", "-c", "synchronous_commit=on"])
    with m.child(command, cwd=home) as process:
        m.wait_for_port(port, "postgres")
        psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "postgres", "-qc"]
        subprocess.run([*psql, "create table state (key text primary key, value jsonb, version "
                               "bigint not null)"], check=True, cwd=home)
        script = directory / "upsert.sql"
        script.write_text(
            "\\set k random(1, 10000)\n"
            "insert into state values ('bench.k' || :k, '{\"n\": 1}', 1) on conflict (key) do "
            "update set value = excluded.value, version = state.version + 1;\n")
        yield port, process.pid, script


def measure_postgres(server, connections, seconds):
    port, pid, script = server
    cpu_before = m.cpu_seconds(pid)
    done = subprocess.run(
        ["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-n", "-f", str(script),
         "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(seconds), "postgres"],
        capture_output=True, text=True, check=True)
    calls = float(re.search(r"tps = ([\d.]+)", done.stdout)[1])
    latency = float(re.search(r"latency average = ([\d.]+)", done.stdout)[1]) * 1000
    return {"calls_per_s": calls, "p50_us": latency, "p99_us": 0.0,
            "cpu_us_per_call": (m.cpu_seconds(pid) - cpu_before) * 1e6 / (calls * seconds)}


def compare(sides, connections, rounds):
    measured = m.take_turns(sides, rounds, f"{connections} connections")
    row = {"connections": connections, "rounds": measured,
           "spread": m.spread_of(measured["engine"])}
    for name in sides:
        if name != "engine":
            row[f"ratio_{name}"] = m.ratio_of(measured["engine"], measured[name])
    return row


def hot_key(engine, directory, seconds):
    """64 connections increment one key; what was answered must be what is stored."""
    body = m.call_body("propose_mutation", {"key": "bench.hot", "op": "increment", "value": 1,
                                            "reason": "benchmark"})
    script = m.wrk_script(directory / "hot.lua", m.call_headers("propose_mutation"), body)
    return m.wrk((engine.url, engine.process.pid), script, 64, seconds)


def stored_version(engine, key):
    mcp = engine.socket()
    snapshot = mcp.call("get_state", {"keys": [key]}).data["snapshots"][key]
    mcp.close()
    return snapshot["version"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two connection counts, one round")
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    m.require("wrk", "redis-server", "redis-benchmark")
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    facts = m.machine_facts(redis=["redis-server", "--version"])
    if postgres_bin():
        facts["postgres"] = m.version_of([str(postgres_bin() / "postgres"), "--version"])
    rows = []
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(m.scratch())
        engine = stack.enter_context(m.engine_with_state(directory / "engine"))
        redis_server = stack.enter_context(redis(directory))
        sides = {}
        if postgres_bin():
            postgres_server = stack.enter_context(postgres(directory))
        else:
            print("propose: postgresql is not installed, so it is left out", file=sys.stderr)
        script = writes_script(directory / "writes.lua")
        for connections in (16, 64) if options.quick else (1, 16, 64, 256):
            sides["engine"] = lambda c=connections: m.wrk(
                (engine.url, engine.process.pid), script, c, seconds)
            rate = measure_redis(redis_server, connections, 1, 2000)["calls_per_s"]
            sides["redis"] = lambda c=connections, r=rate: measure_redis(
                redis_server, c, seconds, r)
            if postgres_bin():
                sides["postgres"] = lambda c=connections: measure_postgres(
                    postgres_server, c, seconds)
            m.wrk((engine.url, engine.process.pid), script, connections, 1)
            rows.append(compare(sides, connections, rounds))
        hot = hot_key(engine, directory, seconds)
        hot["version"] = stored_version(engine, "bench.hot")
        if hot["version"] < hot["calls_per_s"] * seconds * 0.9:
            raise RuntimeError(f"the hot key lost increments: {hot}")
    names = [name for name in ("engine", "redis", "postgres") if name in rows[0]["rounds"]]
    print(f"durable writes, medians of {rounds} round(s) of {seconds} s, in turns")
    m.print_table(
        ["connections", *[f"{name} writes/s" for name in names],
         *[f"ratio to {name}" for name in names[1:]], "spread", "engine p50 / p99 us",
         *[f"CPU us per write, {name}" for name in names]],
        [[row["connections"],
          *[f"{m.median_of(row['rounds'][name], 'calls_per_s'):,.0f}" for name in names],
          *[f"{row[f'ratio_{name}']:.2f}" for name in names[1:]], f"{row['spread']:.0%}",
          f"{m.median_of(row['rounds']['engine'], 'p50_us'):.0f} / "
          f"{m.median_of(row['rounds']['engine'], 'p99_us'):.0f}",
          *[f"{m.median_of(row['rounds'][name], 'cpu_us_per_call'):.1f}" for name in names]]
         for row in rows])
    print(f"one hot key, 64 connections, increment: {hot['calls_per_s']:,.0f}/s, "
          f"p50 {hot['p50_us']:.0f} us, p99 {hot['p99_us']:.0f} us")
    m.write_report("propose", {"rounds": rounds, "seconds": seconds, "machine": facts,
                               "rows": rows, "hot_key": hot}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
