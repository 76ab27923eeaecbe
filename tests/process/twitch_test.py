#!/usr/bin/env python3
"""The Twitch ingest inside a real engine, against the mock Twitch in a process of its own."""

import datetime
import json
import stat

import harness
import twitch_harness
from harness import wait_until


def ago(**delta):
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**delta)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Events(twitch_harness.TwitchTest):
    def test_going_live_flips_stream_state_with_id_actor_and_reason(self):
        mock = self.mock()
        engine, client = self.start(mock)
        self.assertEqual(client.value("stream.state"), "off")  # reconciled at the start
        self.assertEqual(client.value("stream.title"), "My stream")

        mock.control("stream", channel="streamer", state="on", streamId="9001", messageId="m-1")
        self.wait_value(client, "stream.state", "on")
        entry = self.writes(client, "stream.state")[-1]
        self.assertEqual(entry["id"], "twitch:m-1")
        self.assertEqual(entry["actor"], "ingress-egress:twitch")
        self.assertEqual(entry["reason"], "Twitch EventSub: stream.online")
        self.assertEqual(entry["ttl"], 21600)
        self.assertEqual(entry["metadata"]["streamId"], "9001")
        self.assertEqual(entry["metadata"]["broadcasterId"], "1001")

        mock.control("channel", channel="streamer", title="Chess <3", category="Chess",
                     language="de")
        self.wait_value(client, "stream.language", "de")
        self.assertEqual(client.value("stream.title"), "Chess <3")
        self.assertEqual(client.value("stream.category"), "Chess")
        status, health = engine.get("/health")
        self.assertEqual((status, json.loads(health)["twitch"]), (200, "up"))
        self.assert_dense(client.history())
        engine.stop()
        self.assert_verifies(engine.data_dir)

    def test_duplicates_stale_late_and_foreign_events_change_nothing(self):
        mock = self.mock()
        engine, client = self.start(mock)
        before = len(client.history())
        mock.control("stream", channel="streamer", state="on", messageId="m-1", repeat=5)
        # Sent before it, delivered after it: the stream is on.
        mock.control("event", channel="streamer", type="stream.offline", timestamp=ago(seconds=30))
        mock.control("event", channel="streamer", type="stream.offline", timestamp=ago(minutes=11))
        mock.control("event", channel="streamer", type="stream.online",
                     event={"type": "rerun", "id": "9002"})
        for text in ("no json", "{}", '{"metadata":[],"payload":{}}', "[" * 500, '"' + "x" * 70000):
            mock.control("raw", text=text)
        mock.control("channel", channel="streamer", title="after all of it")
        self.wait_value(client, "stream.title", "after all of it")
        self.assertEqual(client.value("stream.state"), "on")
        state = self.writes(client, "stream.state")
        self.assertEqual([entry["resultingValue"] for entry in state], ["off", "on"])
        # One for the state, three for the metadata, of which the title may be seen first.
        wait_until(lambda: len(client.history()) - before >= 4, 10, "the metadata")
        self.assertEqual(len(client.history()) - before, 4)
        self.assertEqual(self.metric(engine, "dropped_total", "duplicate"), 4)
        self.assertEqual(self.metric(engine, "dropped_total", "stale"), 1)
        self.assertEqual(self.metric(engine, "dropped_total", "malformed"), 5)

    def test_several_channels_have_keys_of_their_own(self):
        mock = self.mock(channels=("alice:1001", "bob:1002"))
        engine, client = self.start(mock, 6, channels='[{login: alice, keyPrefix: ""}, Bob]')
        mock.control("stream", channel="bob", state="on")
        self.wait_value(client, "twitch.bob.stream.state", "on")
        self.assertEqual(client.value("stream.state"), "off")

    def test_a_subscriptions_file_of_the_reference_works(self):
        (self.home / "subscriptions.yaml").write_text(
            "version: 1\n"
            "subscriptions:\n"
            "  stream.online: {enabled: true, version: 1, priority: critical,\n"
            "    builder: buildStreamOnline, internalType: system.stream.online,\n"
            "    description: live, mutation: {key: stream.state, value: on, ttl: 60}}\n"
            "  channel.follow: {enabled: true, version: 2, scope: 'moderator:read:followers',\n"
            "    builder: buildFollow, internalType: system.twitch.follow, description: f}\n"
            "  channel.raid: {enabled: false, version: 1, builder: b, internalType: x,\n"
            "    mutation: {key: stream.raid, valueFrom: {by: from_broadcaster_user_name,\n"
            "    viewers: viewers}, ttl: 300}}\n"
            "channelOverrides: {streamer: {channel.raid: {enabled: true}}}\n")
        mock = self.mock()
        engine, client = self.start(mock, 4, more="  subscriptionsFile: subscriptions.yaml")
        mock.control("stream", channel="streamer", state="on")
        self.wait_value(client, "stream.state", "on")
        self.assertEqual(client.snapshot("stream.state")["ttl"], 60)
        mock.control("event", channel="streamer", type="channel.raid")
        self.wait_value(client, "stream.raid", {"by": "raider", "viewers": 42})
        self.assertIn("channel.follow is enabled but has no mutation", engine.log_text())


class Link(twitch_harness.TwitchTest):
    def test_a_reconnect_loses_nothing_and_subscribes_nothing(self):
        mock = self.mock()
        engine, client = self.start(mock)
        made = mock.requests("POST /eventsub/subscriptions")
        for i in range(10):
            mock.control("channel", channel="streamer", title=f"before {i}")
            if i == 5:
                mock.control("reconnect")
        wait_until(lambda: mock.requests("GET /ws") == 2, 20, "the second socket")
        wait_until(lambda: len(mock.report()["sessions"]) == 1, 20, "the first one to close")
        mock.control("channel", channel="streamer", title="after")
        self.wait_value(client, "stream.title", "after")
        titles = [entry["resultingValue"] for entry in self.writes(client, "stream.title")]
        self.assertEqual(titles, ["My stream", *[f"before {i}" for i in range(10)], "after"])
        self.assertEqual(mock.requests("POST /eventsub/subscriptions"), made)

    def test_every_way_to_lose_the_link_ends_in_the_truth(self):
        mock = self.mock()
        engine, client = self.start(mock)
        losses = [("close", {"code": code}) for code in range(4000, 4008)]
        losses += [("drop", {}), ("keepalive", {"enabled": False}),
                   ("reconnect", {"url": "ws://127.0.0.1:9/ws"}),
                   ("reconnect", {"url": mock.url.replace("http", "ws") + "/ws?reconnect=no"})]
        for number, (verb, body) in enumerate(losses):
            sockets = mock.requests("GET /ws")
            # The event about this is lost; only Twitch's API knows.
            mock.control("channel", channel="streamer", title=f"truth {number}", notify=False)
            mock.control(verb, **body)
            self.wait_value(client, "stream.title", f"truth {number}")
            if verb == "keepalive":
                mock.control("keepalive", enabled=True)
            wait_until(lambda: mock.enabled() == 3, 20, f"subscriptions after {verb} {body}")
            self.assertGreater(mock.requests("GET /ws"), sockets)

    def test_a_mock_that_was_killed_and_came_back_is_reconciled(self):
        mock = self.mock()
        mock.control("stream", channel="streamer", state="on", notify=False)
        engine, client = self.start(mock)
        self.assertEqual(client.value("stream.state"), "on")
        mock.kill()
        wait_until(lambda: self.metric(engine, "up") == 0, 20, "the loss to be noticed")
        self.assertEqual(engine.get("/readyz")[0], 200)
        self.assertEqual(client.value("stream.state"), "on")
        mock.start()  # Its stream is off now, and no event said so.
        self.wait_value(client, "stream.state", "off", 40)
        entry = self.writes(client, "stream.state")[-1]
        self.assertTrue(entry["metadata"]["reconciled"])

    def test_an_engine_that_was_killed_comes_back_without_writing_twice(self):
        mock = self.mock()
        engine, client = self.start(mock)
        mock.control("stream", channel="streamer", state="on", messageId="m-1")
        self.wait_value(client, "stream.state", "on")
        entries = len(client.history())
        engine.kill()
        engine.start()
        client = engine.http()
        wait_until(lambda: self.metric(engine, "reconciled_total") >= 1, 20, "the reconcile")
        wait_until(lambda: self.metric(engine, "proposals_total", "unchanged") >= 4, 20, "4 looks")
        self.assertEqual(len(client.history()), entries)


class Tokens(twitch_harness.TwitchTest):
    def test_an_expired_token_is_renewed_and_written_for_its_owner_only(self):
        mock = self.mock()
        engine, client = self.start(mock, reconcile=1)
        before = json.loads(mock.tokens.read_text())
        mock.control("expire-tokens")
        wait_until(lambda: json.loads(mock.tokens.read_text())["accessToken"] !=
                   before["accessToken"], 20, "new tokens in the file")
        after = json.loads(mock.tokens.read_text())
        self.assertNotEqual(after["refreshToken"], before["refreshToken"])
        self.assertEqual(after["clientSecret"], before["clientSecret"])
        self.assertEqual(stat.S_IMODE(mock.tokens.stat().st_mode), 0o600)
        mock.control("channel", channel="streamer", title="seen by the API", notify=False)
        self.wait_value(client, "stream.title", "seen by the API")
        engine.stop()
        for secret in ("accessToken", "refreshToken", "clientSecret"):
            self.assertNotIn(before[secret], engine.log_text())
            self.assertNotIn(after[secret], engine.log_text())

    def test_bad_tokens_and_missing_scopes_say_what_to_do(self):
        mock = self.mock()
        tokens = json.loads(mock.tokens.read_text())
        tokens["accessToken"] = "wrong"
        tokens["refreshToken"] = "wrong-too"
        mock.tokens.write_text(json.dumps(tokens))
        engine = self.engine(config=self.twitch_config(mock))

        def trouble():
            report = json.loads(engine.get("/health")[1])
            return report.get("twitch") == "trouble" and report["details"]["twitch"]
        told = wait_until(trouble, 20, "the trouble")
        self.assertIn("authorise the app again", told)
        self.assertIn("docs/twitch.md", told)
        self.assertEqual(engine.get("/readyz")[0], 200)

        # Somebody puts good tokens there, without the scope for one subscription.
        made = mock.authorize("bits:read")
        tokens.update(accessToken=made["access_token"], refreshToken=made["refresh_token"])
        mock.tokens.write_text(json.dumps(tokens))
        wait_until(lambda: mock.enabled() == 3, 60, "the subscriptions")

    def test_a_missing_scope_is_named_and_the_rest_goes_on(self):
        mock = self.mock()
        tokens = json.loads(mock.tokens.read_text())
        made = mock.authorize("bits:read")
        tokens.update(accessToken=made["access_token"], refreshToken=made["refresh_token"])
        mock.tokens.write_text(json.dumps(tokens))
        more = ("  subscriptions: {channel.subscribe: {enabled: true, "
                "mutation: {key: stream.subscriber, valueFrom: user_name}}}")
        engine, client = self.start(mock, 3, more=more)
        report = json.loads(engine.get("/health")[1])
        self.assertIn("channel:read:subscriptions", report["details"]["twitch"])
        mock.control("stream", channel="streamer", state="on")
        self.wait_value(client, "stream.state", "on")

    def test_limits_and_server_errors_are_waited_out(self):
        mock = self.mock()
        mock.control("fail", method="POST", status=429, times=2,
                     message="number of websocket transports limit exceeded")
        mock.control("fail", path="/users", status=503, times=1)
        mock.control("fail", path="/streams", status=500, times=1)
        engine, client = self.start(mock, reconcile=1)
        self.assertEqual(client.value("stream.state"), "off")


class Configuration(twitch_harness.TwitchTest):
    def test_all_faults_are_told_at_once_with_their_lines(self):
        config = self.config(
            "twitch:\n"
            "  channels: [a b, {login: x, keyPrefix: '', wrong: 1}]\n"
            "  transport: pigeon\n"
            "  subscriptions:\n"
            "    stream.online: {mutation: {value: on}}\n"
            "    some.type: {enabled: true, mutation: {key: a, value: 1, valueFrom: b}}\n")
        outcome = harness.run_cli("serve", "--config", str(config), data_dir=self.home / "d")
        self.assertEqual(outcome.code, 2)
        for part in ("yaml:2: twitch.channels[0]", "twitch.channels[1].wrong", "yaml:3: ",
                     "expected websocket or webhook", "key is missing", "exactly one of",
                     "version is missing", "tokensFile"):
            self.assertIn(part, outcome.err)

    def test_no_tokens_file_is_a_clear_refusal(self):
        config = self.config("twitch: {channels: [x], tokensFile: nowhere.json}\n")
        outcome = harness.run_cli("serve", "--config", str(config), "--listen", "127.0.0.1:0",
                                  data_dir=self.home / "d")
        self.assertEqual(outcome.code, 1)
        self.assertIn("nowhere.json", outcome.err)


if __name__ == "__main__":
    harness.main()
