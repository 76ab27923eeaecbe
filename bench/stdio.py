#!/usr/bin/env python3
"""get_state over stdio beside @modelcontextprotocol/server-memory, in one run.

    ./dev bench stdio [--quick] [--json FILE]

Three servers with 1,000 entries each, in turns: `state-engine mcp` as a bridge to a running engine,
`state-engine mcp` alone on its own data, and server-memory with its knowledge graph, asked for one
node by name (open_nodes) and by text (search_nodes), which reads its file for each call. All speak
revision 2025-11-25, the newest that server-memory knows. One client, one process: calls one at a
time, and with 16 under way. The client writes prepared lines and reads answers without parsing
them; what it can do at most is the row `client alone`, with `cat` as the server. Needs the packages
of tests/node; without them server-memory is left out, with a word.
"""

import contextlib
import json
import os
import re
import select
import subprocess
import sys
import time

import measuring as m
import peers

KEYS_STORED = 1000
DEPTHS = (1, 16)
PACKAGE = "@modelcontextprotocol/server-memory"


class Stdio:
    """A server on two pipes, one JSON text a line."""

    def __init__(self, command, env=None, behind=None):
        """`behind`: process id of an engine that does the work of this one."""
        self._processes = [behind] if behind else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=env, bufsize=0)
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._rest = b""
        self._processes.append(self.process.pid)

    def cpu_seconds(self):
        return sum(map(m.cpu_seconds, self._processes))

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def send(self, message):
        os.write(self._in, json.dumps(message).encode() + b"\n")

    def lines(self, seconds=20):
        """The lines that have come, waiting for one at least."""
        while True:
            if not select.select([self._out], [], [], seconds)[0]:
                raise RuntimeError(f"no answer within {seconds} s")
            data = os.read(self._out, 1 << 16)
            if not data:
                raise RuntimeError("the server closed its output")
            *whole, self._rest = (self._rest + data).split(b"\n")
            if whole:
                return whole

    def request(self, number, method, params):
        """One exchange, parsed; notifications of the server are passed over."""
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            for line in self.lines():
                answer = json.loads(line)
                if answer.get("id") == number:
                    if "error" in answer or answer["result"].get("isError"):
                        raise RuntimeError(f"{method}: {answer}")
                    return answer["result"]

    def initialize(self):
        self.request("init", "initialize", {
            "protocolVersion": m.LEGACY, "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def run(self, tool, arguments, depth, seconds):
        """Calls for `seconds` with `depth` under way. Answers come in any order, so a latency
        belongs to the id in the answer; each must name the key."""
        call = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "tools/call",
                           "params": {"name": tool, "arguments": arguments}}).encode() + b"\n"
        head, tail = call.split(b'"id": 0', 1)
        identity = re.compile(rb'"id": ?(\d+)')
        sent, latencies, number = {}, [], 0
        cpu_before, begin = self.cpu_seconds(), time.perf_counter()
        end = begin + seconds
        while True:
            now = time.perf_counter()
            while len(sent) < depth and now < end:
                number += 1
                sent[number] = now
                os.write(self._in, b'%s"id": %d%s' % (head, number, tail))
            if not sent:
                break
            for line in self.lines():
                if b"user.fact.7" not in line:
                    raise RuntimeError(f"not the answer: {line[:300]!r}")
                # The id is at either end of the answer.
                found = identity.findall(line[:60]) or identity.findall(line[-40:])
                latencies.append(time.perf_counter() - sent.pop(int(found[-1])))
        took = time.perf_counter() - begin
        latencies.sort()

        def at(share):
            return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1e6
        return {"calls_per_s": len(latencies) / took, "p50_us": at(0.5), "p99_us": at(0.99),
                "p999_us": at(0.999),
                "cpu_us_per_call": (self.cpu_seconds() - cpu_before) * 1e6 / len(latencies)}


def expect(server, tool, arguments, text):
    answer = server.request("check", "tools/call", {"name": tool, "arguments": arguments})
    if text not in json.dumps(answer.get("structuredContent")):
        raise RuntimeError(f"{tool} answered {answer}")


@contextlib.contextmanager
def started(command, **options):
    server = Stdio(command, **options)
    try:
        server.initialize()
        yield server
    finally:
        server.close()


def engine_command(data_dir, config):
    return [m.harness.engine_binary(), "mcp", "--data-dir", str(data_dir), "--config", str(config)]


def memory_file(path):
    """The graph as server-memory keeps it: one entity for each key of the engine."""
    path.write_text("\n".join(json.dumps({
        "type": "entity", "name": f"user.fact.{i}", "entityType": "fact",
        "observations": [json.dumps({"n": i, "text": "a fact"})]}) for i in range(KEYS_STORED)))
    return path


def sides_of(stack, directory):
    """name -> (server, tool, arguments); the engine as a bridge comes first."""
    ours = ("get_state", {"keys": ["user.fact.7"]})
    engine = stack.enter_context(m.engine_with_state(directory / "engine", KEYS_STORED))
    sides = {"bridge": (stack.enter_context(started(
        engine_command(engine.data_dir, engine.config), behind=engine.process.pid)), *ours)}
    alone = directory / "alone"
    with m.engine_with_state(alone, KEYS_STORED) as other:
        data_dir, config = other.data_dir, other.config
    sides["alone"] = (stack.enter_context(started(engine_command(data_dir, config))), *ours)
    if peers.node_binary() and peers.node_package(PACKAGE):
        script = m.ROOT / "tests/node/node_modules" / PACKAGE / "dist/index.js"
        memory = stack.enter_context(started(
            [peers.node_binary(), str(script)],
            env={**os.environ,
                 "MEMORY_FILE_PATH": str(memory_file(directory / "memory.jsonl"))}))
        sides["open_nodes"] = (memory, "open_nodes", {"names": ["user.fact.7"]})
        sides["search_nodes"] = (memory, "search_nodes", {"query": "user.fact.77"})
    else:
        print(f"stdio: {PACKAGE} is not installed, so it is left out; ./dev bench installs the "
              "packages of tests/node", file=sys.stderr)
    for server, tool, arguments in sides.values():
        expect(server, tool, arguments, "user.fact.7")
    echo = Stdio(["cat"])
    stack.callback(echo.close)
    sides["client alone"] = (echo, *ours)
    return sides


NAMES = {"bridge": "state-engine mcp, bridge to a running engine",
         "alone": "state-engine mcp alone", "open_nodes": "server-memory, open_nodes",
         "search_nodes": "server-memory, search_nodes",
         "client alone": "client alone (`cat` as the server)"}


def print_rows(rows):
    def cells(row, name, rounds):
        ratio = row["ratios"].get(name)
        return (NAMES[name], row["depth"], f"{m.median_of(rounds, 'calls_per_s'):,.0f}",
                "" if ratio is None else f"{ratio:.0f}", f"{m.spread_of(rounds):.0%}",
                f"{m.median_of(rounds, 'p50_us'):,.0f} / {m.median_of(rounds, 'p99_us'):,.0f}",
                f"{m.median_of(rounds, 'cpu_us_per_call'):,.1f}")
    m.print_table(("server", "under way", "calls/s", "x open_nodes", "spread", "p50 / p99 us",
                   "CPU us per call"),
                  [cells(row, name, rounds) for row in rows
                   for name, rounds in row["rounds"].items()], "stdio")


def main():
    options = m.arguments(__doc__)
    m.require()
    rounds, seconds = (1, 1) if options.quick else (5, 2)
    facts = m.machine_facts()
    if version := peers.node_package(PACKAGE):
        facts["server-memory"] = version
    rows = []
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(m.scratch())
        sides = sides_of(stack, directory)
        for depth in DEPTHS:
            measures = {name: lambda s=side, d=depth: s[0].run(s[1], s[2], d, seconds)
                        for name, side in sides.items()}
            for measure in measures.values():
                measure()  # Warms up, not counted.
            measured = m.take_turns(measures, rounds, f"stdio, {depth} under way")
            rows.append({"depth": depth, "rounds": measured, "ratios": {
                name: m.ratio_of(measured[name], measured["open_nodes"])
                for name in ("bridge", "alone") if "open_nodes" in measured}})
    print(f"One key over stdio, medians of {rounds} round(s) of {seconds} s, in turns")
    print_rows(rows)
    figures = [m.figure(f"get_state over stdio (bridge), {row['depth']} under way",
                        m.median_of(row["rounds"]["bridge"], "calls_per_s"), "calls/s")
               for row in rows]
    figures += [m.figure("get_state over stdio (bridge) beside server-memory, one at a time",
                         rows[0]["ratios"]["bridge"], "x")] if rows[0]["ratios"] else []
    m.write_report("stdio", {"rounds": rounds, "seconds": seconds, "machine": facts,
                             "figures": figures, "rows": rows}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
