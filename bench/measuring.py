"""What the benchmarks share: an engine with state, two clients, the facts of the machine, reports.

Figures are ratios taken in one run: the sides take turns, round by round, on the same machine, and
a ratio is the median over paired rounds. Nothing here fails for being slow. The other sides are in
peers.py. A benchmark is an executable bench/NAME.py with this form:

    options = m.arguments(__doc__)                 # --quick, --full, --json FILE
    m.print_table(header, rows, "NAME")            # Markdown, also kept in the report
    m.write_report("NAME", {"machine": m.machine_facts(), "figures": [m.figure(...)], ...},
                   options.json)                   # build/bench/NAME.json
"""

import argparse
import contextlib
import hashlib
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

SKIPPED = 77  # what a benchmark ends with if a part is missing, which it has said loudly

WRK_SCRIPT = """\
wrk.method = "POST"
wrk.path = "/mcp"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
HEADERS
REQUEST
done = function(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f,"errors":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), e.connect + e.read + e.write + e.status + e.timeout))
end
"""

META = {"io.modelcontextprotocol/protocolVersion": harness.MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}}
LEGACY = "2025-11-25"


def _stop(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


# Both end a benchmark through its `with` and `finally`, so that what it started ends as well; a
# shell that started it in the background would otherwise have it ignore SIGINT.
signal.signal(signal.SIGINT, _stop)
signal.signal(signal.SIGTERM, _stop)


def call_body(tool, arguments, legacy=False):
    """A tools/call as compact JSON text."""
    params = {"name": tool, "arguments": arguments}
    if not legacy:
        params["_meta"] = META
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
                      separators=(",", ":"))


def call_headers(tool, legacy=False):
    if legacy:
        return {"MCP-Protocol-Version": LEGACY}
    return {"MCP-Protocol-Version": harness.MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}


def wrk_script(path, headers, body=None, request=None):
    """Writes a wrk script: a fixed `body`, or Lua code that defines request()."""
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
    code = f"wrk.body = [==[{body}]==]" if request is None else request
    path.write_text(WRK_SCRIPT.replace("HEADERS", lines).replace("REQUEST", code))
    return path


def exchange(url, headers, body):
    """The answer to one request, so that what is measured is known to be right."""
    connection = harness.http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/mcp", body, {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            **headers})
        response = connection.getresponse()
        text = response.read()
    if response.status != 200:
        raise RuntimeError(f"the server answered {response.status}: {text[:300]!r}")
    return text


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for_port(port, what):
    def listens():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False
    harness.wait_until(listens, 20, f"{what} to listen")


@contextlib.contextmanager
def scratch():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="state-engine-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def arguments(doc, **more):
    """The options that every benchmark takes; `more`: --NAME=help of those with a value."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few cases, short rounds")
    parser.add_argument("--full", action="store_true", help="all cases, long rounds (the default)")
    parser.add_argument("--json", help="where the figures go (build/bench/NAME.json)")
    for name, text in more.items():
        parser.add_argument(f"--{name}", help=text)
    options = parser.parse_args()
    if options.quick and options.full:
        parser.error("--quick and --full exclude each other")
    return options


def digest(*paths):
    """Names the content of files: what was measured with other ones does not stand for these."""
    found = hashlib.sha256()
    for path in paths:
        found.update(pathlib.Path(path).read_bytes())
    return found.hexdigest()[:16]


def fill(engine, keys, log=None):
    """Stores user.fact.0 ... user.fact.<keys - 1>, 64 to a transaction."""
    mcp = engine.socket()
    for begin in range(0, keys, 64):
        mutations = [{"key": f"user.fact.{i}", "value": {"n": i, "text": "a fact"}}
                     for i in range(begin, min(begin + 64, keys))]
        answer = mcp.call("propose_transaction", {"mutations": mutations, "reason": "benchmark"})
        if answer.is_error:
            raise RuntimeError(answer.text)
        if log and begin % 65536 == 0 and begin:
            print(f"  {begin:,} of {keys:,} keys", file=log)
    mcp.close()


@contextlib.contextmanager
def engine_with_state(directory, keys=1000, rules="", args=()):
    directory.mkdir(exist_ok=True)
    config = directory / "bench.yaml"
    config.write_text('allowedKeys: ["stream.*", "user.*", "bench.*"]\n' + rules)
    engine = harness.Engine(directory / "data", config=config,
                            args=["--log-level", "warn", *args])
    with engine:
        mcp = engine.socket()
        mcp.propose("stream.state", "on", reason="benchmark")
        mcp.close()
        fill(engine, keys)
        yield engine
        engine.stop()


@contextlib.contextmanager
def child(command, stop=signal.SIGTERM, **options):
    """A competitor, stopped by its process id."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid):
    """Processor time that `pid` and its descendants that still run have used so far."""
    parents, times = {}, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            number = int(stat.parent.name)
            parents[number] = int(fields[1])
            # Own time, and that of children which ended and were waited for.
            times[number] = sum(int(field) for field in fields[11:15])
    family, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in family} - family
        grown = bool(more)
        family |= more
    return sum(times.get(number, 0) for number in family) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no VmRSS")


# The engine's threads are its stages.
STAGES = {
    "io": "requests and answers: HTTP and MCP, or messages of NATS",
    "engine": "deciding, hashing, making visible, answering",
    "store write": "SQLite: records, sync, checkpoint",
    "store read": "SQLite: have the ids been used before?",
    "other": "the client library of NATS",
}


def stage_seconds(pid):
    """Processor time of the engine's threads so far, by stage."""
    seconds = dict.fromkeys(STAGES, 0.0)
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            spent = int((task / "schedstat").read_text().split()[0])
            seconds[name if name in STAGES else "other"] += spent / 1e9
    return seconds


def stages_between(before, after, count):
    """Microseconds of processor time of each stage, for each of `count`."""
    return {name: (after[name] - before[name]) * 1e6 / count for name in STAGES}


def print_stages(rounds, name):
    """A table of the medians of stages_between(); `name` as for print_table()."""
    medians = {stage: statistics.median(one[stage] for one in rounds) for stage in STAGES}
    rows = [[STAGES[stage], f"{value:.1f}"] for stage, value in medians.items() if value >= 0.05]
    print_table(["stage", "CPU us per mutation"],
                [*rows, ["all", f"{sum(medians.values()):.1f}"]], name)


def wrk(server, script, connections, seconds):
    """One round of wrk: calls a second, latencies in microseconds, processor time of the server."""
    url, pid = server
    cpu_before = cpu_seconds(pid)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url],
        capture_output=True, text=True, check=True)
    report = json.loads(next(line for line in done.stderr.splitlines() if line.startswith("{")))
    if report["errors"]:
        raise RuntimeError(f"{report['errors']} requests failed: {done.stdout}")
    cpu = cpu_seconds(pid) - cpu_before
    return {"calls_per_s": report["requests"] * 1e6 / report["microseconds"],
            "p50_us": report["p50"], "p99_us": report["p99"], "p999_us": report["p999"],
            "cpu_us_per_call": cpu * 1e6 / max(1, report["requests"])}


def built(target):
    """A C++ part of a benchmark: the target of bench/CMakeLists.txt, built if it is not there."""
    program = ROOT / "build/release/bin" / target
    if not program.is_file():
        build = ROOT / "build/release"
        if not (build / "build.ninja").exists():
            subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True,
                           stdout=sys.stderr)
        subprocess.run(["cmake", "--build", build, "--target", target], check=True,
                       stdout=sys.stderr)
    return str(program)


def paced(server, request, rate, connections, seconds):
    """One round of bench_load: `rate` requests a second whatever the answers take; latencies count
    from the moment a request was due until the kernel has its answer."""
    url, pid = server
    cpu_before = cpu_seconds(pid)
    done = subprocess.run(
        [built("bench_load"), url.rsplit(":", 1)[1], str(request), f"{rate:.1f}",
         str(connections), str(seconds)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    report = json.loads(done.stdout)
    if report["answered"] != report["sent"]:
        raise RuntimeError(f"requests without an answer: {report}")
    return {**report, "cpu_us_per_call":
            (cpu_seconds(pid) - cpu_before) * 1e6 / max(1, report["answered"])}


def raw_request(path, headers, body):
    """Writes the request as it goes over the wire, for paced()."""
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json",
             "Accept": "application/json, text/event-stream", **headers,
             "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    path.write_bytes(f"POST /mcp HTTP/1.1\r\n{head}\r\n{body}".encode())
    return path


def take_turns(sides, rounds, label):
    """`sides`: name -> function that measures one round. Returns name -> list of rounds."""
    measured = {name: [] for name in sides}
    for number in range(rounds):
        for name, measure in sides.items():
            measured[name].append(measure())
        print(f"  {label}: round {number + 1} of {rounds}", file=sys.stderr)
    return measured


def median_of(rounds, field):
    return statistics.median(entry[field] for entry in rounds)


def ratio_of(ours, theirs, field="calls_per_s"):
    return statistics.median(a[field] / b[field] for a, b in zip(ours, theirs) if b[field])


def spread_of(rounds, field="calls_per_s"):
    """(largest - smallest) / median: how far the rounds lie apart."""
    values = [entry[field] for entry in rounds]
    return (max(values) - min(values)) / statistics.median(values)


def cpu_name():
    with contextlib.suppress(OSError, StopIteration):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file
                        if line.startswith("model name"))
    return platform.processor() or platform.machine()


def version_of(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def machine_facts(**versions):
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load": [round(value, 2) for value in os.getloadavg()],
            "engine": version_of([harness.engine_binary(), "--version"]),
            **{name: version_of(command) for name, command in versions.items()},
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def require(*tools):
    """Ends the program with what to install if a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        sys.exit(f"{' and '.join(missing)} not installed; ./dev deps installs what tests and "
                 "benchmarks need")
    try:
        harness.engine_binary()
    except FileNotFoundError as fault:
        sys.exit(str(fault))


def figure(what, value, unit, floor=None, goal=None, better="higher"):
    """One line of the summary: what a user pays for, and how far it has to go."""
    return {"what": what, "value": value, "unit": unit, "floor": floor, "goal": goal,
            "better": better}


def write_report(name, report, path=None):
    """Keeps the figures and the tables printed so far as JSON and says where."""
    target = pathlib.Path(path or ROOT / f"build/bench/{name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    report["machine"]["load_after"] = [round(value, 2) for value in os.getloadavg()]
    whole = {"benchmark": name, **report, "tables": named_tables(name)}
    # At once or not at all: the runner takes over what it finds whole.
    unfinished = target.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(whole, indent=1) + "\n")
    unfinished.replace(target)
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    print(f"figures: {target}")


PRINTED = []  # (name or None, Markdown) of each table of this run


def named_tables(benchmark):
    """The printed tables by name; those without one are NAME, NAME-2, ..."""
    tables, unnamed = {}, 0
    for name, text in PRINTED:
        if name is None:
            unnamed += 1
            name = benchmark if unnamed == 1 else f"{benchmark}-{unnamed}"
        tables[name] = text
    return tables


def markdown_table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def print_table(header, rows, name=None):
    """Prints a table and keeps it for the report; `name` is its place in docs/performance.md."""
    text = markdown_table(header, rows)
    PRINTED.append((name, text))
    print(text)
