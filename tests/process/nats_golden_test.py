#!/usr/bin/env python3
"""Every message shape of the platform, in and out, as golden files: tests/testdata/platform.

What is different on each run (times, the engine's id, hashes that follow from them) is replaced by
its name. STATE_ENGINE_UPDATE_GOLDEN=1 writes the files anew; look at the difference before you
commit it.
"""

import json
import os
import re

import nats_harness as nats

GOLDEN = nats.harness.ROOT / "tests/testdata/platform"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UPDATE = bool(os.environ.get("STATE_ENGINE_UPDATE_GOLDEN"))


class Golden(nats.NatsTest):
    maxDiff = None

    def plain(self, value, engine_id):
        """`value` without what no two runs have in common."""
        text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
        kept = {"2025-11-22T12:00:0"}
        text = TIME.sub(lambda m: m[0] if any(m[0].startswith(k) for k in kept) else "<time>", text)
        text = text.replace(engine_id, "<engine>")
        text = re.sub(r'"streamSequence": \d+', '"streamSequence": "<seq>"', text)
        return re.sub(r"reg-state-engine-\d+", "reg-state-engine-<ms>", text) + "\n"

    def compare(self, name, value, engine_id):
        path = GOLDEN / "out" / name
        found = self.plain(value, engine_id)
        if UPDATE:
            path.write_text(found)
        self.assertEqual(path.read_text(), found, f"{path.name} is not what the engine sends")

    def test_messages_are_as_recorded(self):
        server = self.nats()
        engine = self.engine("data", config=nats.harness.EXAMPLES / "reference.yaml", args=[
            "--nats-url", server.url, "--bus-prefix", "local.",
            "--register-url", "http://state-engine.bitbrat.local:3000/sse"])
        self.wait_bus(engine, "up")
        client = self.client(server)
        streams = {name: client.subscribe("local." + subject) for name, subject in (
            ("results", nats.RESULT), ("changes", nats.CHANGED), ("egress", nats.EGRESS),
            ("dead-letters", nats.DEAD_LETTER))}
        client.flush()
        inputs = sorted((GOLDEN / "in").iterdir())
        self.assertGreaterEqual(len(inputs), 10)
        for done, path in enumerate(inputs):
            client.wait(streams["results"], done)
            headers = None
            if "disposition" in path.name:  # the only producer that sends headers
                headers = {"correlationid": "c-7781", "type": "internal.state.mutation.v1"}
            client.store("local." + nats.MUTATION, path.read_bytes(), headers)
        client.wait(streams["results"], len(inputs))
        client.wait(streams["changes"], 4)
        client.wait(streams["egress"], 2)
        client.wait(streams["dead-letters"], 1)
        engine_id = engine.socket().history()[0]["engineId"]
        for name, sid in streams.items():
            messages = [{"subject": m.subject, "headers": m.headers, "body": m.json()}
                        for m in client.messages(sid)]
            for message in messages:
                message["headers"].pop(":status", None)
            # A repeated answer comes when it comes.
            messages.sort(key=lambda m: (m["body"].get("duplicate", False)))
            self.compare(name + ".json", messages, engine_id)
        registration = nats.harness.wait_until(lambda: client.stream_messages(
            "BITBRAT", "local.internal.mcp.registration.v1"), 20, "the registration")
        import base64  # pylint: disable=import-outside-toplevel
        self.compare("registration.json", json.loads(base64.b64decode(registration[0]["data"])),
                     engine_id)
        durable = client.api("CONSUMER.INFO.BITBRAT."
                             "local-internal-state-mutation-v1-state-engine-durable")
        config = durable["config"]
        config["deliver_subject"] = "<inbox>"
        self.compare("durable.json", config, engine_id)
        stream = client.api("STREAM.INFO.BITBRAT")["config"]
        self.compare("stream.json", stream, engine_id)
        self.assertEqual(engine.stop(), 0)


if __name__ == "__main__":
    nats.harness.main()
