"""Starts, stops and kills real engines, and talks to them as clients do. Standard library only.

Every test file ends with `harness.main()`: exit code 0 passed, 1 failed, 77 nothing could run here
(ctest shows that as skipped). What a test starts it stops, by process id; directories are
temporary.
"""

import contextlib
import http.client
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MODERN = "2026-07-28"
SKIPPED = 77
START_SECONDS = 30.0


def engine_binary():
    """The program under test: STATE_ENGINE_BIN, else what the build configured."""
    chosen = os.environ.get("STATE_ENGINE_BIN") or os.environ.get("STATE_ENGINE_DEFAULT_BIN")
    binary = pathlib.Path(chosen) if chosen else ROOT / "build/release/bin/state-engine"
    if not binary.is_file():
        raise FileNotFoundError(f"{binary} is not built; run ./dev build release")
    return str(binary.resolve())


def planted_binary():
    """The build that answers before the commit, or None if it was not built."""
    chosen = os.environ.get("STATE_ENGINE_PLANTED_BIN")
    beside = pathlib.Path(engine_binary()).parents[1] / "tests/state-engine-planted"
    candidates = [pathlib.Path(chosen)] if chosen else [beside]
    candidates += sorted((ROOT / "build").glob("*/tests/state-engine-planted"))
    return next((str(path) for path in candidates if path.is_file()), None)


def wait_until(condition, seconds=10.0, what="the condition"):
    """Polls until `condition()` is true and returns its value; fails loudly after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def clean_environment(extra=None):
    """The caller's environment without settings of ours that would change an engine."""
    ours = ("STATE_ENGINE_", "MCP_AUTH_TOKEN", "SERVICE_PORT", "LOG_LEVEL", "XDG_STATE_HOME",
            "NATS_", "BUS_PREFIX", "LLM_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env.update(extra or {})
    return env


class Gone(Exception):
    """The connection ended before an answer: the outcome is unknown."""


class RpcFault(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, error, status=None):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message", "")
        self.status = status


class Answer:
    """What a tool answered. Rejections carry their result as JSON in the first line of the text."""

    def __init__(self, result):
        self.is_error = bool(result.get("isError"))
        self.structured = result.get("structuredContent")
        self.text = result["content"][0]["text"]

    @property
    def data(self):
        if self.structured is not None:
            return self.structured
        first = self.text.split("\n", 1)[0]
        try:
            value = json.loads(first)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def accepted(self):
        return not self.is_error and self.data.get("status") == "accepted"

    @property
    def code(self):
        """The rejection code, also of arguments that never became a proposal."""
        if "code" in self.data:
            return self.data["code"]
        head = self.text.split(":", 1)[0]
        return head if head.replace("_", "").isalnum() else ""


class Mcp:
    """The calls of a client, whatever carries them. One thread at a time."""

    def __init__(self):
        self._id = 0

    def request(self, method, params=None, meta=None):
        self._id += 1
        params = dict(params or {})
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "process-test", "version": "1"},
            **(meta or {}),
        }
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        reply = self._exchange(message)
        if "error" in reply:
            raise RpcFault(reply["error"])
        return reply["result"]

    def call(self, tool, arguments=None, meta=None):
        params = {"name": tool, "arguments": arguments or {}}
        return Answer(self.request("tools/call", params, meta))

    def propose(self, key, value=None, reason="test", **more):
        arguments = {"key": key, "reason": reason, **more}
        if more.get("op") != "delete":
            arguments["value"] = value
        return self.call("propose_mutation", arguments)

    def snapshot(self, key):
        return self.call("get_state", {"keys": [key]}).structured["snapshots"][key]

    def value(self, key):
        found = self.snapshot(key)
        return None if found is None else found["value"]

    def history(self, after=0, **query):
        """All log entries after `after`, oldest first."""
        entries = []
        while True:
            page = self.call("get_history", {"afterSeq": after, "order": "oldest", "limit": 500,
                                             **query}).structured
            entries += page["entries"]
            if not page["entries"] or not page["truncated"]:
                return entries
            after = page["entries"][-1]["seq"]

    def _exchange(self, message):
        raise NotImplementedError


class HttpMcp(Mcp):
    def __init__(self, url, token=None, timeout=20.0, tls=None):
        """`tls`: an ssl.SSLContext, for https."""
        super().__init__()
        self._netloc = urllib.parse.urlsplit(url).netloc
        self._tls = tls
        self._token = token
        self._timeout = timeout
        self._connection = None

    def _exchange(self, message):
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN,
            "Mcp-Method": message["method"],
        }
        name = message["params"].get("name") or message["params"].get("uri")
        if name:
            headers["Mcp-Name"] = name
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        body = json.dumps(message).encode()
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request("POST", "/mcp", body, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            raise Gone(str(fault)) from fault
        try:
            reply = json.loads(text)
        except ValueError as fault:
            raise RpcFault({"code": None, "message": text.decode(errors="replace")},
                           response.status) from fault
        if "error" in reply:
            raise RpcFault(reply["error"], response.status)
        return reply

    def _connect(self):
        if self._tls is None:
            return http.client.HTTPConnection(self._netloc, timeout=self._timeout)
        return http.client.HTTPSConnection(self._netloc, timeout=self._timeout, context=self._tls)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SocketMcp(Mcp):
    """MCP as lines over the engine's Unix socket; the actor is cli:<user>."""

    def __init__(self, path, token=None, timeout=20.0):
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as fault:
            self._socket.close()
            raise Gone(str(fault)) from fault
        self._file = self._socket.makefile("rb")
        if token:
            hello = {"stateEngineHello": {"client": "mcp", "token": token}}
            self._socket.sendall(json.dumps(hello).encode() + b"\n")

    def _exchange(self, message):
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            while True:
                line = self._file.readline()
                if not line.endswith(b"\n"):
                    raise Gone("the engine closed the socket")
                reply = json.loads(line)
                if reply.get("id") == message["id"]:
                    return reply
        except OSError as fault:
            raise Gone(str(fault)) from fault

    def close(self):
        self._file.close()
        self._socket.close()


class StdioMcp(Mcp):
    """MCP over `state-engine mcp`: a bridge to the engine on `data_dir`, or the engine itself."""

    def __init__(self, data_dir, *args, env=None):
        super().__init__()
        self.process = subprocess.Popen(
            [engine_binary(), "mcp", "--data-dir", str(data_dir), *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment(env))

    def _exchange(self, message):
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as fault:
            raise Gone("the process ended") from fault
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise Gone("the process ended")
        return json.loads(line)

    def end_input(self, seconds=15.0):
        """Closes its input; returns the exit code and what it wrote to stderr."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait(seconds)
        return code, self.process.stderr.read().decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class Engine:
    """One `state-engine serve` on a free port. Use as a context manager."""

    def __init__(self, data_dir, config=None, args=(), env=None, binary=None):
        self.data_dir = pathlib.Path(data_dir)
        self.config = config
        self.args = list(args)
        self.env = env
        self.binary = binary or engine_binary()
        self.process = None
        self.url = None
        self._clients = []
        self.logs = self.data_dir.parent / (self.data_dir.name + ".stderr")

    def command(self):
        command = [self.binary, "serve", "--data-dir", str(self.data_dir)]
        if "--listen" not in self.args:
            command += ["--listen", "127.0.0.1:0"]
        if self.config is not None:
            command += ["--config", str(self.config)]
        return command + self.args

    def launch(self):
        """Starts the process without waiting for it to be ready."""
        self._lines = queue.SimpleQueue()
        self.stdout = []
        with open(self.logs, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env=clean_environment(self.env), text=True)
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        return self

    def start(self, seconds=START_SECONDS):
        self.launch()
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise AssertionError(f"not ready within {seconds} s:\n{self.log_text()}") from None
            if line is None:
                code = self.process.wait()
                self._release()
                raise AssertionError(f"ended with {code} instead of starting:\n{self.log_text()}")
            if " is ready: " in line:
                self.url = line.split(" is ready: ", 1)[1].split("/mcp", 1)[0]
                return self

    def _read(self, stream):
        for line in stream:
            self.stdout.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _release(self):
        self._reader.join(5)
        self.process.stdout.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=20.0):
        """SIGTERM; returns the exit code."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not end it within {seconds} s") from None
        self._release()
        return code

    def kill(self):
        """SIGKILL, as a power button."""
        if self.process is None:
            return
        if self.running():
            self.process.kill()
        self.process.wait()
        self._release()

    def end(self):
        """Kills what still runs and closes the clients."""
        self.kill()
        while self._clients:
            self._clients.pop().close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    def http(self, **options):
        """A client over HTTP, closed at the end of the test at the latest."""
        return self._keep(HttpMcp(self.url, **options))

    @property
    def socket_path(self):
        return self.data_dir / "engine.sock"

    def socket(self, **options):
        """A client over the Unix socket, closed at the end of the test at the latest."""
        return self._keep(SocketMcp(self.socket_path, **options))

    def _keep(self, client):
        self._clients.append(client)
        return client

    def get(self, path, headers=None):
        """GET `path`; returns (status, text)."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def log_text(self):
        return self.logs.read_text(errors="replace") if self.logs.exists() else ""

    def cli(self, *args, **options):
        return run_cli(*args, data_dir=self.data_dir, binary=self.binary, **options)


class CliOutcome:
    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr

    def json(self):
        return json.loads(self.out)

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


def run_cli(*args, data_dir=None, binary=None, stdin="", env=None, seconds=60.0):
    """Runs a command to its end. `data_dir` becomes STATE_ENGINE_DATA_DIR."""
    extra = dict(env or {})
    if data_dir is not None:
        extra["STATE_ENGINE_DATA_DIR"] = str(data_dir)
    as_bytes = isinstance(stdin, bytes)
    completed = subprocess.run(
        [binary or engine_binary(), *map(str, args)], env=clean_environment(extra), input=stdin,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, text=not as_bytes)
    return CliOutcome(completed)


class ProcessTest(unittest.TestCase):
    """A test with a temporary directory and engines that end with it."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="state-engine-test-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def engine(self, name="data", **options):
        """A started engine, killed at the end of the test if it still runs then."""
        engine = self.new_engine(name, **options)
        return engine.start()

    def new_engine(self, name="data", **options):
        engine = Engine(self.home / name, **options)
        self.addCleanup(engine.end)
        return engine

    def config(self, text, name="config.yaml"):
        path = self.home / name
        path.write_text(text)
        return path

    def assert_verifies(self, data_dir):
        outcome = run_cli("verify", "--json", data_dir=data_dir)
        self.assertEqual(outcome.code, 0, outcome.out + outcome.err)
        report = outcome.json()
        self.assertTrue(report["ok"], report)
        return report

    def assert_dense(self, entries):
        """I1: over the accepted entries, versions of a key grow by one from one, seq grows."""
        versions = {}
        last_seq = 0
        for entry in entries:
            self.assertGreater(entry["seq"], last_seq)
            last_seq = entry["seq"]
            if entry["status"] != "accepted":
                continue
            expected = versions.get(entry["key"], 0) + 1
            self.assertEqual(entry["resultingVersion"], expected, entry)
            versions[entry["key"]] = expected
        return versions


def main():
    """Runs the tests of the calling file; 77 if every one of them was skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    if result.testsRun == 0:
        print("no test ran", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
