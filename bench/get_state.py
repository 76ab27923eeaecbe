#!/usr/bin/env python3
"""get_state over MCP HTTP beside nginx answering a fixed body of the same size, in the same run.

    bench/get_state.py [--quick] [--json FILE]

Both servers run on this machine and get the same requests from `wrk`, in turns: engine, nginx,
engine, nginx, ... at 1 and at 16 connections. The ratio is the median over paired rounds. nginx
parses no JSON, looks nothing up and checks no version: it is the ceiling, not a competitor.

Needs wrk and nginx (Debian packages). It is no test: nothing fails for being slow.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/process"))
import harness  # noqa: E402  pylint: disable=wrong-import-position

CONNECTIONS = (1, 16)
KEYS_STORED = 1000

WRK_SCRIPT = """\
wrk.method = "POST"
wrk.path = "/mcp"
wrk.body = [==[BODY]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2026-07-28"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "get_state"
done = function(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%.1f,"p99":%.1f,"errors":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""

NGINX_CONFIG = """\
daemon off;
worker_processes {cores};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 "{body}"; }}
  }}
}}
"""


def request_body():
    return json.dumps({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "get_state", "arguments": {"keys": ["stream.state"]},
            "_meta": {"io.modelcontextprotocol/protocolVersion": harness.MODERN,
                      "io.modelcontextprotocol/clientCapabilities": {},
                      "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}}},
    }, separators=(",", ":"))


def response_of(url, body):
    """The engine's answer to the very request that is measured."""
    connection = harness.http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/mcp", body, {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": harness.MODERN, "Mcp-Method": "tools/call",
            "Mcp-Name": "get_state"})
        response = connection.getresponse()
        text = response.read()
    reply = json.loads(text)
    value = reply["result"]["structuredContent"]["snapshots"]["stream.state"]["value"]
    assert response.status == 200 and value == "on", text
    return text


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def engine_with_state(directory):
    config = directory / "bench.yaml"
    config.write_text('allowedKeys: ["stream.*", "user.*"]\n')
    engine = harness.Engine(directory / "data", config=config, args=["--log-level", "warn"])
    with engine:
        mcp = engine.socket()
        mcp.propose("stream.state", "on", reason="benchmark")
        for begin in range(0, KEYS_STORED, 50):
            mutations = [{"key": f"user.fact.{i}", "value": {"n": i, "text": "a fact"}}
                         for i in range(begin, begin + 50)]
            mcp.call("propose_transaction", {"mutations": mutations, "reason": "benchmark"})
        mcp.close()
        yield engine
        engine.stop()


@contextlib.contextmanager
def nginx_with_body(directory, size):
    port = free_port()
    home = directory / "nginx"
    home.mkdir()
    config = home / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(cores=os.cpu_count(), directory=home, port=port,
                                          body="x" * size))
    process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(home)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False
        harness.wait_until(listens, 10, "nginx to listen")
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)


def cpu_seconds(pid):
    """Processor time that `pid` and its children have used so far."""
    total = 0.0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if pid in (int(stat.parent.name), int(fields[1])):
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(server, script, connections, seconds):
    """One round of wrk: calls a second, latencies in microseconds, processor time of the server."""
    url, pid = server
    cpu_before = cpu_seconds(pid)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url],
        capture_output=True, text=True, check=True)
    line = next(line for line in done.stderr.splitlines() if line.startswith("{"))
    report = json.loads(line)
    if report["errors"]:
        raise RuntimeError(f"{report['errors']} requests failed: {done.stdout}")
    cpu = cpu_seconds(pid) - cpu_before
    return {"calls_per_s": report["requests"] * 1e6 / report["microseconds"],
            "p50_us": report["p50"], "p99_us": report["p99"],
            "cpu_us_per_call": cpu * 1e6 / report["requests"]}


def cpu_name():
    with contextlib.suppress(OSError, StopIteration):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file
                        if line.startswith("model name"))
    return platform.processor() or platform.machine()


def version_of(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def machine_facts():
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load_before": [round(value, 2) for value in os.getloadavg()],
            "engine": version_of([harness.engine_binary(), "--version"]),
            "nginx": version_of(["nginx", "-v"]), "wrk": version_of(["wrk", "-v"]),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def median_of(rounds, name):
    return statistics.median(entry[name] for entry in rounds)


def compare(engine, nginx, script, rounds, seconds):
    """Rows of figures; `engine` and `nginx` are (URL, process id)."""
    servers = {"engine": engine, "nginx": nginx}
    rows = []
    for connections in CONNECTIONS:
        measured = {"engine": [], "nginx": []}
        for server in servers.values():
            measure(server, script, connections, 1)  # Warms up, not counted.
        for number in range(rounds):
            for name, server in servers.items():
                measured[name].append(measure(server, script, connections, seconds))
            print(f"  {connections} connections, round {number + 1} of {rounds}", file=sys.stderr)
        pairs = list(zip(measured["engine"], measured["nginx"]))
        rows.append({
            "connections": connections,
            **{name: {field: median_of(entries, field)
                      for field in ("calls_per_s", "p50_us", "p99_us", "cpu_us_per_call")}
               for name, entries in measured.items()},
            "ratio": statistics.median(a["calls_per_s"] / b["calls_per_s"] for a, b in pairs),
            "p99_ratio": statistics.median(a["p99_us"] / b["p99_us"] for a, b in pairs),
            "rounds": measured})
    return rows


def table_of(rows):
    lines = ["| connections | engine calls/s | nginx calls/s | ratio | engine p50 / p99 | "
             "nginx p50 / p99 | CPU per call, engine / nginx |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        engine, nginx = row["engine"], row["nginx"]
        lines.append(
            f"| {row['connections']} | {engine['calls_per_s']:,.0f} | {nginx['calls_per_s']:,.0f} "
            f"| {row['ratio']:.2f} | {engine['p50_us']:.0f} / {engine['p99_us']:.0f} us "
            f"| {nginx['p50_us']:.0f} / {nginx['p99_us']:.0f} us "
            f"| {engine['cpu_us_per_call']:.1f} / {nginx['cpu_us_per_call']:.1f} us |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round each")
    parser.add_argument("--json", default=str(ROOT / "build/bench/get_state.json"),
                        help="where the figures go")
    options = parser.parse_args()
    missing = [tool for tool in ("wrk", "nginx") if shutil.which(tool) is None]
    if missing:
        print(f"get_state: {' and '.join(missing)} not installed; apt-get install "
              f"{' '.join(missing)}", file=sys.stderr)
        return 1
    try:
        harness.engine_binary()
    except FileNotFoundError as fault:
        print(f"get_state: {fault}", file=sys.stderr)
        return 1
    rounds, seconds = (1, 2) if options.quick else (3, 8)
    facts = machine_facts()
    body = request_body()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="state-engine-bench-"))
    try:
        script = directory / "request.lua"
        script.write_text(WRK_SCRIPT.replace("BODY", body))
        with engine_with_state(directory) as engine:
            size = len(response_of(engine.url, body))
            with nginx_with_body(directory, size) as nginx:
                rows = compare((engine.url, engine.process.pid), nginx, script, rounds, seconds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    facts["load_after"] = [round(value, 2) for value in os.getloadavg()]
    report = {"benchmark": "get_state", "request_bytes": len(body), "response_bytes": size,
              "rounds": rounds, "seconds": seconds, "machine": facts, "rows": rows}
    target = pathlib.Path(options.json)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")
    print(f"get_state over MCP HTTP (request {len(body)} bytes, response {size} bytes), median of "
          f"{rounds} round(s) of {seconds} s each")
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(table_of(rows))
    print(f"figures: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
