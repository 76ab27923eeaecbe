#!/usr/bin/env python3
"""The engine on a real nats-server: proposals in, results, changes and effects out."""

import hashlib
import json

import nats_harness as nats

RULES = """allowedKeys: ["*"]
rules:
  - id: online
    when: {"==": [{"var": "key"}, "stream.state"]}
    actions:
      - type: publishEgress
        payload: {type: system.stream.online, message: "Stream detected online"}
"""


class Proposals(nats.NatsTest):
    def test_a_proposal_becomes_result_change_and_egress(self):
        server = self.nats()
        engine = self.engine_on(server, "--bus-prefix", "local.", config=RULES)
        self.wait_bus(engine, "up")
        client = self.client(server)
        results = client.subscribe("local." + nats.RESULT)
        changes = client.subscribe("local." + nats.CHANGED)
        egress = client.subscribe("local." + nats.EGRESS)
        client.flush()
        client.store("local." + nats.MUTATION, nats.proposal("m1", "stream.state", "on"))
        result = client.wait(results, 1)[0]
        self.assertEqual(result.json()["mutationId"], "m1")
        self.assertEqual(result.json()["status"], "accepted")
        self.assertFalse(result.json()["duplicate"])
        change = client.wait(changes, 1)[0].json()
        self.assertEqual((change["key"], change["value"], change["prev"], change["version"]),
                         ("stream.state", "on", None, 1))
        event = client.wait(egress, 1)[0]
        self.assertEqual(event.json()["type"], "system.stream.online")
        self.assertTrue(event.headers["nats-msg-id"].startswith("fx-"))
        entry = engine.socket().history(key="stream.state")[0]
        self.assertEqual(result.headers["nats-msg-id"], f"{entry['engineId']}:{entry['seq']}")
        self.assertEqual((entry["principal"], entry["actorVerified"]), ("nats", False))
        info = client.api("CONSUMER.INFO.BITBRAT."
                          "local-internal-state-mutation-v1-state-engine-durable")
        self.assertEqual(info["config"]["deliver_group"], "state-engine")
        self.assertEqual(info["config"]["deliver_policy"], "all")
        self.assertEqual(info["config"]["filter_subject"], "local." + nats.MUTATION)
        nats.harness.wait_until(lambda: client.api(
            "CONSUMER.INFO.BITBRAT.local-internal-state-mutation-v1-state-engine-durable")
            ["num_ack_pending"] == 0, 10, "the ack")
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)

    def test_without_a_prefix_streams_cover_what_the_platform_lacks(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        for subject, stream in ((nats.MUTATION, "internal-state"), (nats.EGRESS, "internal-egress"),
                                (nats.DEAD_LETTER, "internal-deadletter"),
                                ("internal.llmbot.v1", "internal-llmbot"),
                                ("internal.mcp.registration.v1", "internal-mcp")):
            nats.harness.wait_until(
                lambda s=subject: client.api("STREAM.NAMES", {"subject": s}).get("streams"),
                10, subject)
            names = client.api("STREAM.NAMES", {"subject": subject})["streams"]
            self.assertEqual(names, [stream])
        client.store(nats.MUTATION, nats.proposal("m1", "k"))
        mcp = engine.socket()
        nats.harness.wait_until(lambda: mcp.value("k") == 1, 10, "the proposal")

    def test_what_is_no_proposal_is_recorded_and_harmless(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        results = client.subscribe(nats.RESULT)
        dead = client.subscribe(nats.DEAD_LETTER)
        client.flush()
        bodies = [b"hello", b"\xff\xfe\x00", b"[]",
                  b'{"v":"2","correlationId":"c","routing":{"slip":[]},"identity":{}}',
                  b'{"mutations":[{"type":"set","key":"k","value":1}]}',
                  json.dumps(nats.proposal("bad-1", 7)).encode(),
                  json.dumps({"id": "bad-2", "op": "fly", "key": "k"}).encode()]
        for body in bodies:
            client.store(nats.MUTATION, body)
        client.store(nats.MUTATION, nats.proposal("good", "k", 5),
                     {"CorrelationId": "c-1", "TYPE": "x"})
        found = [m.json() for m in client.wait(results, len(bodies) + 1)]
        codes = [r.get("code") for r in found]
        self.assertEqual(codes, ["dead_letter"] * 3 + ["invalid_proposal"] * 4 + [None])
        digest = hashlib.sha256(b"hello").hexdigest()[:32]
        self.assertEqual(found[0]["mutationId"], "dead-" + digest)
        self.assertEqual(found[5]["mutationId"], "bad-1")
        letters = [m.json() for m in client.wait(dead, 3)]
        self.assertEqual(letters[0]["payload"]["body"], "hello")
        self.assertEqual(letters[1]["payload"]["bodyBase64"], "//4A")
        self.assertEqual(letters[0]["payload"]["error"]["code"], "dead_letter")
        self.assertEqual(engine.socket().value("k"), 5)
        durable = "internal-state-mutation-v1-state-engine-durable"
        nats.harness.wait_until(
            lambda: client.api(f"CONSUMER.INFO.internal-state.{durable}")["num_ack_pending"] == 0,
            10, "everything settled")
        self.assertEqual(self.metric(engine, "state_engine_bus_dead_letters_total"), 3)
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)

    def test_replaying_the_whole_stream_changes_nothing(self):
        server = self.nats()
        engine = self.engine_on(server, config=RULES)
        self.wait_bus(engine, "up")
        client = self.client(server)
        for i in range(50):
            client.store(nats.MUTATION, nats.proposal(f"m{i}", f"k{i % 5}", 1, op="increment"))
        client.store(nats.MUTATION, b"not json")
        mcp = engine.socket()
        nats.harness.wait_until(lambda: len(mcp.history()) == 51, 20, "all decided")
        before = mcp.history()
        client.api("CONSUMER.DELETE.internal-state."
                   "internal-state-mutation-v1-state-engine-durable")

        def settled():
            info = client.api("CONSUMER.INFO.internal-state."
                              "internal-state-mutation-v1-state-engine-durable")
            return "error" not in info and info["num_pending"] == 0 and \
                info["num_ack_pending"] == 0 and info["delivered"]["consumer_seq"] >= 51
        nats.harness.wait_until(settled, 30, "the durable made again and all seen again")
        self.assertEqual(mcp.history(), before)
        self.assertGreaterEqual(self.metric(engine, "state_engine_duplicates_total"), 51)
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)


if __name__ == "__main__":
    nats.harness.main()
