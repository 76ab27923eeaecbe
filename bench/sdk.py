#!/usr/bin/env python3
"""get_state over MCP HTTP beside the TypeScript SDK's server with a Map behind it, in one run.

    ./dev bench sdk [--quick] [--json FILE]

The SDK's server (bench/peers/sdk_server.mjs) has the same keys in a Map and answers the same
fields; it is asked in revision 2026-07-28 (SDK v2) and 2025-11-25 (SDK v1), each beside the engine
in the same revision. `wrk` sends all of them the same request over 16 connections, in turns. The
SDK builds a server for each request, as it documents for HTTP without sessions; Node has one thread
for it, the engine serves on all cores. Needs wrk and the packages of tests/node (./dev test
installs them); without these it says so and ends with 77.
"""

import contextlib
import json
import sys

import measuring as m
import peers

KEYS_STORED = 1000
CONNECTIONS = 16
# side, package, legacy
SIDES = [("v2", "@modelcontextprotocol/server", False), ("v1", "@modelcontextprotocol/sdk", True)]


def snapshot_of(url, legacy):
    """What a server answers for one key, without what differs from server to server."""
    arguments = {"keys": ["stream.state"]}
    headers = m.call_headers("get_state", legacy)
    body = m.call_body("get_state", arguments, legacy)
    answer = m.exchange(url, headers, body)
    snapshot = json.loads(answer)["result"]["structuredContent"]["snapshots"]["stream.state"]
    return sorted(snapshot), snapshot["value"], headers, body, len(answer)


# What the design took its floor from: SDK v2 on this kind of machine, once. Not run here.
RECORDED_CALLS = 271

# Node compiles what is hot while it serves: cold it does a tenth of what it does after a while.
WARM_UP_SECONDS = {True: 5, False: 12}  # by options.quick


def measure(engine, directory, side, rounds, seconds, warm_up):
    version, package, legacy = side
    with peers.sdk_server(version, KEYS_STORED) as server:
        ours = (engine.url, engine.process.pid)
        fields, value, headers, body, size = snapshot_of(ours[0], legacy)
        their_fields, their_value, _, _, their_size = snapshot_of(server[0], legacy)
        if (fields, value) != (their_fields, their_value):
            raise RuntimeError(f"the sides answer differently: {fields} and {their_fields}")
        script = m.wrk_script(directory / f"{version}.lua", headers, body)
        m.wrk(server, script, CONNECTIONS, warm_up)
        m.wrk(ours, script, CONNECTIONS, 1)
        measured = m.take_turns(
            {"engine": lambda: m.wrk(ours, script, CONNECTIONS, seconds),
             "sdk": lambda: m.wrk(server, script, CONNECTIONS, seconds)}, rounds, f"SDK {version}")
    return {"side": version, "package": f"{package} {peers.node_package(package)}",
            "revision": m.LEGACY if legacy else m.harness.MODERN,
            "response_bytes": [size, their_size], "rounds": measured,
            "ratio": m.ratio_of(measured["engine"], measured["sdk"]),
            "spread": m.spread_of(measured["engine"])}


def print_rows(rows):
    def cells(row):
        engine, sdk = row["rounds"]["engine"], row["rounds"]["sdk"]
        return (row["package"], row["revision"], f"{m.median_of(engine, 'calls_per_s'):,.0f}",
                f"{m.median_of(sdk, 'calls_per_s'):,.0f}", f"{row['ratio']:.0f}",
                f"{row['spread']:.0%}",
                *[f"{m.median_of(side, 'p50_us') / 1e3:.2f} / "
                  f"{m.median_of(side, 'p99_us') / 1e3:.2f}" for side in (engine, sdk)],
                f"{m.median_of(engine, 'cpu_us_per_call'):.1f} / "
                f"{m.median_of(sdk, 'cpu_us_per_call'):,.0f}")
    m.print_table(("beside", "revision", "engine calls/s", "SDK calls/s", "ratio", "spread",
                   "engine p50 / p99 ms", "SDK p50 / p99 ms", "CPU us per call, both"),
                  [cells(row) for row in rows], "sdk")


def main():
    options = m.arguments(__doc__)
    m.require("wrk")
    missing = [package for _, package, _ in SIDES if not peers.node_package(package)]
    if not peers.node_binary() or missing:
        print(f"SKIP: missing {', '.join(missing) or 'Node'}; ./dev bench installs the packages "
              "of tests/node", file=sys.stderr)
        return m.SKIPPED
    rounds, seconds = (1, 2) if options.quick else (5, 3)
    facts = m.machine_facts(node=[peers.node_binary(), "--version"])
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(m.scratch())
        engine = stack.enter_context(m.engine_with_state(directory / "engine", KEYS_STORED))
        rows = [measure(engine, directory, side, rounds, seconds,
                        WARM_UP_SECONDS[options.quick]) for side in SIDES]
    print(f"get_state beside the TypeScript SDK, {CONNECTIONS} connections, medians of {rounds} "
          f"round(s) of {seconds} s, in turns")
    print_rows(rows)
    ours = m.median_of(rows[0]["rounds"]["engine"], "calls_per_s")
    figures = [m.figure("the same, beside the TypeScript SDK v2 server with a Map behind it",
                        rows[0]["ratio"], "x", 100, 200),
               m.figure("the same, beside the TypeScript SDK v2 server (271/s, recorded)",
                        ours / RECORDED_CALLS, "x", 100, 200),
               m.figure("get_state beside the SDK v1 server, stateless", rows[1]["ratio"], "x")]
    m.write_report("sdk", {"rounds": rounds, "seconds": seconds, "machine": facts,
                           "figures": figures, "rows": rows}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
