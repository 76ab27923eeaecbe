#!/usr/bin/env python3
"""What the reference service fails: servers, streams and engines that come and go under load."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time

import nats_harness as nats
from disk_full_test import fill

DURABLE = "internal-state-mutation-v1-state-engine-durable"
SOON = 30.0  # far below AckWait, generous on a busy machine
RULES = """allowedKeys: ["*"]
rules:
  - id: seen
    when: {"==": [{"var": "key"}, "watched"]}
    actions:
      - type: publishEgress
        payload: {type: watched.changed, value: {"$logic": {"var": "value"}}}
"""


class Publisher(threading.Thread):
    """Publishes numbered proposals until told to stop; remembers what a stream confirmed."""

    def __init__(self, client, keys, op="set"):
        super().__init__(daemon=True)
        self.client, self.keys, self.op = client, keys, op
        self.confirmed, self.fault = [], None
        self._enough = threading.Event()

    def run(self):
        try:
            i = 0
            while not self._enough.is_set():
                key = self.keys[i % len(self.keys)]
                value = 1 if self.op == "increment" else i
                self.client.store(nats.MUTATION, nats.proposal(f"p{i}", key, value, op=self.op))
                self.confirmed.append((f"p{i}", key, value))
                i += 1
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault

    def stop(self):
        self._enough.set()
        self.join(30)
        if self.fault:
            raise self.fault


class Drill(nats.NatsTest):
    def settled(self, client, durable=DURABLE, stream="internal-state"):
        info = client.api(f"CONSUMER.INFO.{stream}.{durable}")
        return "error" not in info and info["num_pending"] == 0 and info["num_ack_pending"] == 0

    def wait_settled(self, client, seconds=SOON, **names):
        nats.harness.wait_until(lambda: self.settled(client, **names), seconds, "all settled")

    def assert_in_order(self, mcp, published, start=0):
        """Every published one is decided once, and per key in the order of publishing."""
        entries = [e for e in mcp.history() if e["seq"] > start]
        ids = [e["id"] for e in entries]
        self.assertEqual(len(ids), len(set(ids)), "an id was decided twice")
        self.assertLessEqual({ident for ident, _, _ in published}, set(ids), "something is lost")
        for key in {key for _, key, _ in published}:
            wanted = [ident for ident, of, _ in published if of == key]
            decided = [e["id"] for e in entries if e["key"] == key and e["id"] in set(wanted)]
            self.assertEqual(decided, wanted, f"order of {key}")
        return entries


class ServerAway(Drill):
    def test_mcp_goes_on_and_effects_wait(self):
        server = self.nats()
        engine = self.engine_on(server, config=RULES)
        self.wait_bus(engine, "up")
        server.kill()
        self.wait_bus(engine, "down")
        self.assertEqual(engine.get("/readyz")[0], 200)
        mcp = engine.socket()
        for i in range(20):
            self.assertTrue(mcp.propose("watched", i).accepted)
        server.start()
        self.wait_bus(engine, "up")
        client = self.client(server)

        def egress():
            return client.stream_messages("internal-egress", nats.EGRESS)
        nats.harness.wait_until(lambda: len(egress()) >= 20, SOON, "the effects")
        time.sleep(0.5)
        self.assertEqual(len(egress()), 20, "each effect once")
        results = client.stream_messages("internal-state", nats.RESULT)
        self.assertEqual(len(results), 20)
        self.assertEqual(len(client.stream_messages("internal-state", nats.CHANGED)), 20)
        self.assertGreaterEqual(self.metric(engine, "state_engine_bus_reconnects_total"), 1)
        client.store(nats.MUTATION, nats.proposal("after", "k"))
        nats.harness.wait_until(lambda: mcp.value("k") == 1, SOON, "a proposal after the return")

    def test_an_engine_starts_without_its_server(self):
        server = self.nats()
        server.kill()
        engine = self.engine_on(server)
        self.assertEqual(json.loads(engine.get("/health")[1])["bus"], "down")
        self.assertTrue(engine.socket().propose("k", 1).accepted)
        server.start()
        self.wait_bus(engine, "up")
        client = self.client(server)
        nats.harness.wait_until(
            lambda: "error" not in client.api("STREAM.INFO.internal-state") and
            len(client.stream_messages("internal-state", nats.RESULT)) == 1, SOON, "the result")

    def test_a_wiped_server_is_set_up_again(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        client.store(nats.MUTATION, nats.proposal("one", "k", 1))
        mcp = engine.socket()
        nats.harness.wait_until(lambda: mcp.value("k") == 1, SOON, "the first")
        server.wipe()
        server.start()
        self.wait_bus(engine, "up")
        client = self.client(server)
        nats.harness.wait_until(lambda: "error" not in client.api(
            f"CONSUMER.INFO.internal-state.{DURABLE}"), SOON, "the durable")
        # Sequence 1 again: it is the id that counts.
        client.store(nats.MUTATION, nats.proposal("two", "k", 2))
        nats.harness.wait_until(lambda: mcp.value("k") == 2, SOON, "the second")

    def test_a_deleted_stream_is_made_again_while_running(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        client.store(nats.MUTATION, nats.proposal("one", "k", 1))
        mcp = engine.socket()
        nats.harness.wait_until(lambda: mcp.value("k") == 1, SOON, "the first")
        self.assertTrue(client.api("STREAM.DELETE.internal-state")["success"])
        nats.harness.wait_until(lambda: "error" not in client.api(
            f"CONSUMER.INFO.internal-state.{DURABLE}"), SOON, "stream and durable")
        client.store(nats.MUTATION, nats.proposal("two", "k", 2))
        nats.harness.wait_until(lambda: mcp.value("k") == 2, SOON, "the second")


class EngineDies(Drill):
    def test_pending_messages_come_at_once_and_before_newer_ones(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        client.store(nats.MUTATION, nats.proposal("first", "k0", 0))
        self.wait_settled(client)
        engine.signal(signal.SIGSTOP)
        published = []
        for i in range(300):
            key = f"k{i % 7}"
            client.store(nats.MUTATION, nats.proposal(f"m{i}", key, i))
            published.append((f"m{i}", key, i))
        info = client.api(f"CONSUMER.INFO.internal-state.{DURABLE}")
        self.assertGreater(info["num_ack_pending"], 0, "without pending ones nothing is tested")
        engine.kill()
        for i in range(300, 330):
            key = f"k{i % 7}"
            client.store(nats.MUTATION, nats.proposal(f"m{i}", key, i))
            published.append((f"m{i}", key, i))
        began = time.monotonic()
        engine.start()
        self.wait_settled(client)
        self.assertLess(time.monotonic() - began, SOON, "no stall of an AckWait")
        mcp = engine.socket()
        self.assert_in_order(mcp, published)
        for r in range(7):
            self.assertEqual(mcp.value(f"k{r}"), max(i for i in range(330) if i % 7 == r))
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)

    def test_killed_again_and_again_under_load(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        publisher = Publisher(self.client(server), ["a", "b", "c"], op="increment")
        publisher.start()
        for _ in range(3):
            time.sleep(0.4)
            engine.kill()
            engine.start()
        publisher.stop()
        client = self.client(server)
        self.wait_settled(client, 60)
        mcp = engine.socket()
        self.assert_in_order(mcp, publisher.confirmed)
        for key in "abc":
            count = sum(1 for _, of, _ in publisher.confirmed if of == key)
            self.assertEqual(mcp.value(key), count, "each increment once")
        results = client.stream_messages("internal-state", nats.RESULT)
        ids = [m["hdrs"] for m in results]
        nats.harness.wait_until(
            lambda: len(client.stream_messages("internal-state", nats.RESULT)) >=
            len(publisher.confirmed), SOON, "all results")
        self.assertEqual(len(set(ids)), len(ids), "a result was published twice")

    def test_sigterm_under_load_ends_in_seconds(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        publisher = Publisher(self.client(server), ["a"], op="increment")
        publisher.start()
        time.sleep(0.7)
        began = time.monotonic()
        self.assertEqual(engine.stop(), 0)
        took = time.monotonic() - began
        self.assertLess(took, 15, "SIGTERM took too long")
        publisher.stop()
        engine.start()
        self.wait_settled(self.client(server))
        self.assertEqual(engine.socket().value("a"), len(publisher.confirmed))

    def test_a_slow_consumer_is_cut_off_and_comes_back(self):
        server = self.nats(
            extra_config='max_payload: 131072\nmax_pending: 262144\nwrite_deadline: "500ms"\n')
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        self.wait_settled(client)
        engine.signal(signal.SIGSTOP)
        published = []
        log = server.home / "nats.log"
        for i in range(900):  # what the sockets between them can hold is not known
            key = f"k{i % 3}"
            client.store(nats.MUTATION, nats.proposal(f"m{i}", key, f"{i} " + "x" * 100_000))
            published.append((f"m{i}", key, i))
            if i % 50 == 49 and "Slow Consumer" in log.read_text():
                break
        nats.harness.wait_until(lambda: "Slow Consumer" in log.read_text(), SOON,
                                "the server to cut the engine off")
        engine.signal(signal.SIGCONT)
        self.wait_settled(client, 60)
        self.assert_in_order(engine.socket(), published)
        self.assertGreaterEqual(self.metric(engine, "state_engine_bus_reconnects_total"), 1)


class StoreAway(Drill):
    def test_nothing_is_acked_and_the_order_is_kept(self):
        mount = self.home / "small"
        mount.mkdir()
        if os.geteuid() != 0:
            self.skipTest("SKIP: mounting a small tmpfs needs root")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"SKIP: no small tmpfs here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(mount)], check=True)
        server = self.nats()
        engine = self.engine_on(server, name="small/data")
        engine.logs = self.home / "engine.stderr"
        self.wait_bus(engine, "up")
        client = self.client(server)
        client.store(nats.MUTATION, nats.proposal("before", "k0", "x"))
        self.wait_settled(client)
        fill(mount / "ballast")
        published = []
        for i in range(120):
            key = f"k{i % 5}"
            client.store(nats.MUTATION, nats.proposal(f"m{i}", key, f"{i} " + "v" * 2000))
            published.append((f"m{i}", key, i))
        time.sleep(3)
        info = client.api(f"CONSUMER.INFO.internal-state.{DURABLE}")
        mcp = engine.socket()
        decided = [e["id"] for e in mcp.history() if e["id"].startswith("m")]
        waiting = info["num_ack_pending"] + info["num_pending"]
        self.assertGreater(waiting, 0, "the disk is full and everything was accepted")
        self.assertLessEqual(120 - len(decided), waiting, "something undecided was settled")
        (mount / "ballast").unlink()
        self.wait_settled(client, 60)
        self.assert_in_order(mcp, published)
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)


class Limits(Drill):
    def test_a_rate_limit_delays_its_key_in_order_and_no_other(self):
        server = self.nats()
        config = ('allowedKeys: ["*"]\npolicy:\n'
                  '  - keys: [slow.*]\n    rate: {perSecond: 20, burst: 3}\n')
        engine = self.engine_on(server, config=config)
        self.wait_bus(engine, "up")
        client = self.client(server)
        published = []
        for i in range(40):
            key = "slow.k" if i % 2 else f"free.{i}"
            client.store(nats.MUTATION, nats.proposal(f"m{i}", key, i))
            published.append((f"m{i}", key, i))
        self.wait_settled(client, 60)
        mcp = engine.socket()
        entries = self.assert_in_order(mcp, published)
        self.assertTrue(all(e["status"] == "accepted" for e in entries))
        self.assertEqual(mcp.value("slow.k"), 39)


class Takeover(Drill):
    """A durable that the reference service left behind."""

    def prepare(self, client):
        client.api("STREAM.CREATE.BITBRAT", {"name": "BITBRAT", "subjects": ["local.>"]})
        durable = "local-internal-state-mutation-v1-state-engine-durable"
        config = {"durable_name": durable, "deliver_subject": "_INBOX.left.behind",
                  "deliver_group": "state-engine", "deliver_policy": "all",
                  "filter_subject": "local." + nats.MUTATION, "ack_policy": "explicit",
                  "ack_wait": 60_000_000_000, "max_deliver": -1, "max_ack_pending": 1000}
        made = client.api(f"CONSUMER.DURABLE.CREATE.BITBRAT.{durable}",
                          {"stream_name": "BITBRAT", "config": config})
        self.assertNotIn("error", made)
        return durable

    def test_its_backlog_is_taken_over_without_a_change(self):
        server = self.nats()
        client = self.client(server)
        durable = self.prepare(client)
        for i in range(10):
            client.store("local." + nats.MUTATION, nats.proposal(f"m{i}", "k", i))
        engine = self.engine_on(server, "--bus-prefix", "local.")
        self.wait_settled(client, durable=durable, stream="BITBRAT")
        self.assertEqual(engine.socket().value("k"), 9)
        info = client.api(f"CONSUMER.INFO.BITBRAT.{durable}")
        self.assertEqual(info["config"]["deliver_subject"], "_INBOX.left.behind")

    def test_what_it_had_in_hand_comes_first(self):
        server = self.nats()
        reference = self.client(server)
        durable = self.prepare(reference)
        sid = reference.subscribe("_INBOX.left.behind", "state-engine")
        client = self.client(server)
        for i in range(10):
            client.store("local." + nats.MUTATION, nats.proposal(f"m{i}", "k", i))
        reference.wait(sid, 10)
        reference.close()
        for i in range(10, 15):
            client.store("local." + nats.MUTATION, nats.proposal(f"m{i}", "k", i))
        engine = self.engine_on(server, "--bus-prefix", "local.")
        self.wait_settled(client, durable=durable, stream="BITBRAT")
        mcp = engine.socket()
        self.assertEqual(mcp.value("k"), 14)
        self.assert_in_order(mcp, [(f"m{i}", "k", i) for i in range(15)])

    def test_a_shadow_engine_reads_all_beside_it(self):
        server = self.nats()
        client = self.client(server)
        first = self.engine_on(server, name="first")
        shadow = self.engine_on(server, "--nats-queue", "shadow", name="second")
        for i in range(20):
            client.store(nats.MUTATION, nats.proposal(f"m{i}", f"k{i}", i))
        for engine in (first, shadow):
            mcp = engine.socket()
            with contextlib.suppress(AssertionError):
                nats.harness.wait_until(lambda m=mcp: len(m.history()) >= 20, SOON)
            self.assertEqual(len(mcp.history()), 20)


if __name__ == "__main__":
    nats.harness.main()
