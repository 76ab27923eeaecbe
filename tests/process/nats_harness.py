"""A real nats-server for tests, and a small client for its text protocol. Standard library only."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import unittest

import harness

MUTATION = "internal.state.mutation.v1"
RESULT = "internal.state.mutation.result.v1"
CHANGED = "internal.state.changed.v1"
EGRESS = "internal.egress.v1"
DEAD_LETTER = "internal.deadletter.v1"


def find_server():
    return shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/sbin")


def in_ci():
    return bool(os.environ.get("CI") or os.environ.get("STATE_ENGINE_CI"))


def need_server():
    """The server's path. Absent: SKIP, but in CI a failure, where it can be installed."""
    path = find_server()
    if path:
        return path
    if in_ci():
        raise AssertionError("nats-server is missing in CI: tools/dev/deps.sh must install it")
    raise unittest.SkipTest("SKIP: missing nats-server (apt-get install nats-server)")


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One nats-server with JetStream on 127.0.0.1; keeps its port and its store when restarted."""

    def __init__(self, home, extra_config="", args=()):
        self.path = need_server()
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.extra_config = extra_config
        self.args = list(args)
        self.process = None

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def start(self, seconds=20.0):
        config = self.home / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.home / "js"}" }}\n' + self.extra_config)
        with open(self.home / "nats.log", "ab") as log:
            self.process = subprocess.Popen([self.path, "-c", str(config), *self.args],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        harness.wait_until(self._listens, seconds, "nats-server listening")
        return self

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError("nats-server ended:\n" + (self.home / "nats.log").read_text())
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wipe(self):
        """Stops it and forgets every stream."""
        self.kill()
        shutil.rmtree(self.home / "js", ignore_errors=True)


class Message:
    def __init__(self, subject, reply, headers, body):
        self.subject, self.reply, self.headers, self.body = subject, reply, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def status(self):
        return self.headers.get(":status", "")


def parse_headers(block):
    lines = block.decode().split("\r\n")
    headers = {}
    first = lines[0].split(" ", 2)
    if len(first) > 1:
        headers[":status"] = first[1]
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers


class Client:
    """Publishes, subscribes and asks. Received messages wait in lists by subscription."""

    def __init__(self, port, user=None, password=None, token=None):
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._lock = threading.Lock()
        self._file = self._socket.makefile("rb")
        info = self._file.readline()
        self.info = json.loads(info[len(b"INFO "):])
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                   "lang": "python", "version": "0", "protocol": 1}
        if user is not None:
            options.update(user=user, **{"pass": password})
        if token is not None:
            options["auth_token"] = token
        self._sids = {}
        self._next = 0
        self.errors = []
        self._pongs = 0
        self._changed = threading.Condition()
        self._send(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self._inbox = f"_INBOX.test{os.getpid()}x{id(self)}"
        self._replies = []
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._reply_sid = self.subscribe(self._inbox + ".*")
        self.flush()

    def _send(self, data):
        with self._lock:
            self._socket.sendall(data)

    def _read(self):
        with contextlib.suppress(OSError, ValueError):
            while True:
                line = self._file.readline()
                if not line:
                    break
                self._handle(line)
        with self._changed:
            self._pongs = -1
            self._changed.notify_all()

    def _handle(self, line):
        words = line.decode().split()
        if words[0] == "PING":
            self._send(b"PONG\r\n")
        elif words[0] == "PONG":
            with self._changed:
                self._pongs += 1
                self._changed.notify_all()
        elif words[0] == "-ERR":
            with self._changed:
                self.errors.append(line.decode().strip())
                self._changed.notify_all()
        elif words[0] in ("MSG", "HMSG"):
            self._receive(words)

    def _receive(self, words):
        has_headers = words[0] == "HMSG"
        subject, sid = words[1], int(words[2])
        numbers = 2 if has_headers else 1
        reply = words[3] if len(words) == 4 + numbers else None
        total = int(words[-1])
        head = int(words[-2]) if has_headers else 0
        data = self._file.read(total)
        self._file.read(2)
        message = Message(subject, reply, parse_headers(data[:head]) if head else {}, data[head:])
        with self._changed:
            self._sids.setdefault(sid, []).append(message)
            self._changed.notify_all()

    def flush(self, seconds=10.0):
        with self._changed:
            goal = self._pongs + 1
        self._send(b"PING\r\n")
        with self._changed:
            if not self._changed.wait_for(lambda: self._pongs >= goal or self._pongs < 0, seconds):
                raise AssertionError("no PONG")
            if self._pongs < 0:
                raise ConnectionError("the server hung up: " + "; ".join(self.errors))

    def subscribe(self, subject, queue=""):
        self._next += 1
        sid = self._next
        with self._changed:
            self._sids[sid] = []
        self._send(f"SUB {subject} {queue} {sid}\r\n".encode())
        return sid

    def messages(self, sid):
        with self._changed:
            return list(self._sids[sid])

    def wait(self, sid, count, seconds=20.0):
        """The first `count` messages of a subscription."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._sids[sid]) >= count, seconds):
                raise AssertionError(f"{len(self._sids[sid])} of {count} messages in {seconds} s")
            return list(self._sids[sid])

    def publish(self, subject, body, headers=None, reply=""):
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        if headers:
            block = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
            head = block.encode()
            self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n".encode() +
                       head + body + b"\r\n")
        else:
            self._send(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")

    def request(self, subject, body=b"", headers=None, seconds=10.0):
        self._next += 1
        reply = f"{self._inbox}.{self._next}"
        self.publish(subject, body, headers, reply)

        def answer():
            return next((m for m in self._sids[self._reply_sid] if m.subject == reply), None)
        with self._changed:
            if not self._changed.wait_for(lambda: answer() is not None, seconds):
                raise TimeoutError(f"no answer from {subject}: {self.errors}")
            found = answer()
            self._sids[self._reply_sid].remove(found)
            return found

    def store(self, subject, body, headers=None, seconds=10.0):
        """Publishes into JetStream; returns the PubAck."""
        answer = self.request(subject, body, headers, seconds)
        if answer.status == "503":
            raise AssertionError(f"no stream takes {subject}")
        ack = answer.json()
        if "error" in ack:
            raise AssertionError(f"{subject}: {ack['error']}")
        return ack

    def api(self, verb, body=None):
        answer = self.request("$JS.API." + verb, b"" if body is None else json.dumps(body))
        return answer.json()

    def stream_messages(self, stream, subject=None):
        """Everything that a stream holds, in order."""
        info = self.api(f"STREAM.INFO.{stream}")
        if "error" in info:
            raise AssertionError(info["error"])
        out = []
        for seq in range(info["state"]["first_seq"], info["state"]["last_seq"] + 1):
            answer = self.api(f"STREAM.MSG.GET.{stream}", {"seq": seq})
            if "message" in answer and subject in (None, answer["message"]["subject"]):
                out.append(answer["message"])
        return out

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def proposal(ident, key, value=1, **more):
    """A proposal as the platform's services publish it."""
    out = {"id": ident, "op": "set", "key": key, "value": value, "actor": "ingress-egress:twitch",
           "reason": "test", "ts": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())}
    out.update(more)
    return out


class NatsTest(harness.ProcessTest):
    """A test with nats-servers and clients that end with it."""

    def nats(self, name="nats", **options):
        server = Server(self.home / name, **options)
        self.addCleanup(server.kill)
        return server.start()

    def client(self, server, **options):
        client = Client(server.port, **options)
        self.addCleanup(client.close)
        return client

    def engine_on(self, server, *args, name="data", config='allowedKeys: ["*"]\n', **options):
        return self.engine(name, args=["--nats-url", server.url, *args],
                           config=self.config(config), **options)

    def wait_bus(self, engine, state, seconds=30.0):
        harness.wait_until(lambda: json.loads(engine.get("/health")[1]).get("bus") == state,
                           seconds, f"bus {state}")

    def metric(self, engine, name):
        for line in engine.get("/metrics")[1].splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                return float(line.rsplit(" ", 1)[1])
        return 0.0
