#!/usr/bin/env python3
"""The Twitch ingest by its other doors: webhooks in, and NATS out from a process of its own."""

import datetime
import hashlib
import hmac
import http.client
import json
import queue
import signal
import subprocess
import threading
import time

import harness
import nats_harness
import twitch_harness
from harness import wait_until

SECRET = "0123456789abcdef0123456789abcdef"


def stamp(**ago):
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**ago)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Webhook(twitch_harness.TwitchTest):
    def start_webhook(self, mock):
        self.port = twitch_harness.free_port()
        (self.home / "secret").write_text(SECRET + "\n")
        more = ("  transport: webhook\n"
                f"  webhook: {{callback: 'https://127.0.0.1:{self.port}/eventsub', "
                f"listen: '127.0.0.1:{self.port}', secretFile: secret}}")
        return self.start(mock, 3, more=more)

    def post(self, body, kind="notification", ident="m-1", when=None, secret=SECRET, **headers):
        """Posts as Twitch does; returns status and body."""
        when = when or stamp()
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.new(secret.encode(), ident.encode() + when.encode() + text,
                             hashlib.sha256).hexdigest()
        sent = {"Twitch-Eventsub-Message-Id": ident, "Twitch-Eventsub-Message-Timestamp": when,
                "Twitch-Eventsub-Message-Type": kind,
                "Twitch-Eventsub-Message-Signature": "sha256=" + signature, **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/eventsub", text, sent)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def test_events_arrive_signed_and_once(self):
        mock = self.mock(args=["--plain-webhooks"])
        engine, client = self.start_webhook(mock)
        mock.control("stream", channel="streamer", state="on", messageId="m-1", repeat=3)
        self.wait_value(client, "stream.state", "on")
        mock.control("channel", channel="streamer", title="By webhook")
        self.wait_value(client, "stream.title", "By webhook")
        self.assertEqual([entry["id"] for entry in self.writes(client, "stream.state")][1:],
                         ["twitch:m-1"])
        mock.control("revoke", type="stream.offline", status="notification_failures_exceeded")
        wait_until(lambda: "notification_failures_exceeded" in engine.get("/health")[1], 20,
                   "the revocation in /health")
        engine.stop()
        self.assertNotIn(SECRET, engine.log_text())

    def test_nobody_but_twitch_is_believed(self):
        mock = self.mock(args=["--plain-webhooks"])
        engine, client = self.start_webhook(mock)
        event = {"subscription": {"type": "stream.online", "status": "enabled"},
                 "event": {"id": "1", "broadcaster_user_id": "1001", "type": "live"}}
        refused = [self.post(event, secret="another-secret-here")[0],
                   self.post(event, when=stamp(minutes=11))[0],
                   self.post(event, **{"Twitch-Eventsub-Message-Signature": "sha256=00"})[0],
                   self.post(event, **{"Twitch-Eventsub-Message-Id": "m-2"})[0],
                   self.post(event, **{"Twitch-Eventsub-Message-Timestamp": stamp(seconds=1)})[0]]
        self.assertEqual(refused, [403] * 5)
        self.assertEqual(self.post(b"no json")[0], 400)
        self.assertEqual(self.post(b"x" * 300_000)[0], 413)
        self.assertEqual(client.value("stream.state"), "off")
        self.assertEqual(self.post({"challenge": "abc", "subscription": {}},
                                   kind="webhook_callback_verification"), (200, "abc"))
        self.assertEqual(self.post(event)[0], 204)
        self.wait_value(client, "stream.state", "on")
        self.assertEqual(self.post(event)[0], 204)  # again: taken, and nothing happens
        self.assertEqual(len(self.writes(client, "stream.state")), 2)


class OwnProcess(twitch_harness.TwitchTest):
    def ingress(self, config, *args):
        """A running `ingress twitch`, ended with the test."""
        log = open(self.home / "ingress.stderr", "ab")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [harness.engine_binary(), "ingress", "twitch", "--config", str(config), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            env=harness.clean_environment())

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
        self.addCleanup(end)
        lines = queue.SimpleQueue()
        threading.Thread(target=lambda: [lines.put(line) for line in process.stdout],
                         daemon=True).start()
        deadline = time.monotonic() + harness.START_SECONDS
        line = ""
        while " is ready: " not in line:
            line = lines.get(timeout=max(0.01, deadline - time.monotonic()))
        return process

    def test_proposals_go_over_nats_and_wait_while_it_is_away(self):
        nats_harness.need_server()
        server = nats_harness.Server(self.home / "nats")
        self.addCleanup(server.kill)
        server.start()
        mock = self.mock()
        engine = self.engine(config=self.config('allowedKeys: ["stream.*"]\n', "engine.yaml"),
                             args=["--nats-url", server.url])
        client = engine.http()
        process = self.ingress(self.twitch_config(mock), "--nats-url", server.url)
        self.wait_value(client, "stream.language", "en")
        mock.control("stream", channel="streamer", state="on", messageId="m-1")
        self.wait_value(client, "stream.state", "on")
        entry = self.writes(client, "stream.state")[-1]
        self.assertEqual((entry["id"], entry["actor"]), ("twitch:m-1", "ingress-egress:twitch"))

        server.kill()
        for i in range(5):
            mock.control("channel", channel="streamer", title=f"while away {i}")
        server.start()
        self.wait_value(client, "stream.title", "while away 4", 60)
        titles = [entry["resultingValue"] for entry in self.writes(client, "stream.title")]
        self.assertEqual(titles, ["My stream", *[f"while away {i}" for i in range(5)]])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)

    def test_without_a_bus_it_says_where_to_turn(self):
        mock = self.mock()
        config = self.twitch_config(mock, channels="[alice, bob]")
        outcome = harness.run_cli("ingress", "twitch", "--config", str(config))
        self.assertEqual(outcome.code, 2)
        self.assertIn("--nats-url", outcome.err)
        self.assertIn("state-engine serve", outcome.err)
        checked = harness.run_cli("ingress", "twitch", "--config", str(config), "--check")
        self.assertEqual(checked.code, 0)
        self.assertIn("set twitch.bob.stream.state", checked.out)
        empty = harness.run_cli("ingress", "twitch", "--config",
                                str(self.config("allowedKeys: [a]\n", "empty.yaml")))
        self.assertEqual(empty.code, 2)
        self.assertIn("no section twitch", empty.err)


if __name__ == "__main__":
    harness.main()
