"""A `state-engine mock twitch` for process tests, and what can be done to it."""

import http.client
import json
import queue
import socket
import subprocess
import threading
import time

import harness
from harness import wait_until

CONFIG = """
allowedKeys: ["stream.*", "twitch.*"]
twitch:
  tokensFile: twitch-tokens.json
  channels: %(channels)s
  mock: %(mock)s
  keepaliveSeconds: 1
  reconcileSeconds: %(reconcile)d
%(more)s
"""


def free_port():
    """A port that nobody uses now, for a mock that has to come back at the same address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MockTwitch:
    """Use as a context manager. `tokens` is its tokens file, kept over restarts."""

    def __init__(self, home, args=(), channels=("streamer:1001",)):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tokens = home / "twitch-tokens.json"
        self.logs = home / "mock.stderr"
        self.args = list(args)
        self.channels = channels
        self.process = None

    def start(self):
        command = [harness.engine_binary(), "mock", "twitch", "--listen", f"127.0.0.1:{self.port}",
                   "--tokens-file", str(self.tokens), "--keepalive-min", "1",
                   "--log-level", "warn", *self.args]
        for channel in self.channels:
            command += ["--channel", channel]
        with open(self.logs, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            env=harness.clean_environment())
        lines = queue.SimpleQueue()
        threading.Thread(target=lambda: [lines.put(line) for line in self.process.stdout],
                         daemon=True).start()
        deadline = time.monotonic() + harness.START_SECONDS
        while " is ready: " not in lines.get(timeout=max(0.01, deadline - time.monotonic())):
            pass
        return self

    def kill(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def control(self, verb, **body):
        status, text = self.request("POST", f"/control/{verb}", json.dumps(body))
        answer = json.loads(text)
        assert status == 200 and answer["ok"], text
        return answer

    def authorize(self, scope):
        """New tokens of the first channel's user, with that scope only."""
        client = json.loads(self.tokens.read_text())["clientId"]
        status, text = self.request(
            "POST", f"/auth/authorize?client_id={client}&user_id=1001&scope={scope}")
        assert status == 200, text
        return json.loads(text)

    def report(self):
        return json.loads(self.request("GET", "/control/report")[1])

    def requests(self, what):
        return self.report()["requests"].get(what, 0)

    def enabled(self):
        return sum(one["status"] == "enabled" for one in self.report()["subscriptions"])


class TwitchTest(harness.ProcessTest):
    """Engines with an ingest, and their mocks."""

    def mock(self, **options):
        mock = MockTwitch(self.home, **options).start()
        self.addCleanup(mock.kill)
        return mock

    def twitch_config(self, mock, channels="[streamer]", reconcile=600, more=""):
        return self.config(CONFIG % {"mock": mock.url, "channels": channels,
                                     "reconcile": reconcile, "more": more})

    def start(self, mock, subscriptions=3, **settings):
        """A running engine whose ingest is live and has reconciled once."""
        engine = self.engine(config=self.twitch_config(mock, **settings))
        client = engine.http()
        wait_until(lambda: mock.enabled() == subscriptions, 20, "every subscription")
        wait_until(lambda: self.metric(engine, "reconciled_total") >= 1, 20, "the first reconcile")
        wait_until(lambda: self.metric(engine, "waiting") == 0, 20, "its proposals")
        return engine, client

    @staticmethod
    def metric(engine, name, label=""):
        """The sum of a metric's values, of the lines that hold `label`."""
        _, text = engine.get("/metrics")
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines()
                  if line.startswith(f"state_engine_twitch_{name}") and label in line]
        return sum(float(value) for value in values)

    def wait_value(self, client, key, value, seconds=20):
        wait_until(lambda: client.value(key) == value, seconds, f"{key} = {value}")

    def writes(self, client, key):
        return [entry for entry in client.history(key=key) if entry["status"] == "accepted"]
