#!/usr/bin/env python3
"""The bot in a chat over a real nats-server: as a process of its own and inside the engine."""

import datetime
import json
import subprocess
import urllib.request

import nats_harness as nats
from bot_test import CONFIG, START
from scripted_model import ScriptedModel

CHAT = "local.internal.llmbot.v1"
EGRESS = "local." + nats.EGRESS


def event(ident, text="start a giveaway", age=0.0, **more):
    sent = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    return json.dumps({
        "v": "2", "correlationId": "corr-" + ident, "type": "chat.message.v1",
        "ingress": {"ingressAt": sent.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "source": "ingress",
                    "connector": "twitch", "channel": "#pizza"},
        "identity": {"external": {"id": "42", "platform": "twitch", "displayName": "Ann"}},
        "egress": {"destination": "ingress-1", "connector": "twitch", "channel": "#pizza"},
        "message": {"id": ident, "role": "user", "text": text},
        "routing": {"stage": "reaction", "slip": [], "history": []}, **more}).encode()


class BotProcess:
    """`state-engine bot` on NATS."""

    def __init__(self, engine, server, model, config):
        self.process = subprocess.Popen(
            [nats.harness.engine_binary(), "bot", "--config", str(config),
             "--url", engine.url + "/mcp", "--nats-url", server.url, "--bus-prefix", "local.",
             "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=nats.harness.clean_environment(
                {"LLM_BASE_URL": model.url, "LLM_MODEL": "scripted"}))
        line = self.process.stdout.readline()
        if " is ready" not in line:
            raise AssertionError(line + self.process.stderr.read())
        self.url = line.split(" on ")[1].strip()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def kill(self):
        self.process.kill()
        self.close()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20)
        self.close()
        return code

    def close(self):
        self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()


class Chat(nats.NatsTest):
    def setUp(self):
        super().setUp()
        self.server = self.nats()
        self.bot_config = self.config(CONFIG.replace("STREAM", "true"), "bot.yaml")

    def model(self, *steps, **options):
        model = ScriptedModel(steps, **options)
        self.addCleanup(model.stop)
        return model.start()

    def start(self, model):
        engine = self.engine_on(self.server, "--bus-prefix", "local.",
                                config=self.bot_config.read_text())
        self.wait_bus(engine, "up")
        bot = BotProcess(engine, self.server, model, self.bot_config)
        self.addCleanup(bot.process.kill)
        client = self.client(self.server)
        answers = client.subscribe(EGRESS)
        client.flush()
        return engine, bot, client, answers

    @staticmethod
    def chat_answers(client, answers):
        """The texts on egress that are the bot's, not an effect of a rule."""
        bodies = [message.json() for message in client.messages(answers)]
        return [body["candidates"][-1]["text"] for body in bodies
                if body["candidates"] and body["candidates"][-1]["source"] == "robo"]

    def wait_answers(self, client, answers, count):
        nats.harness.wait_until(lambda: len(self.chat_answers(client, answers)) >= count, 20,
                                f"{count} answers")
        return self.chat_answers(client, answers)

    def test_a_chat_message_is_answered_and_acted_upon_once(self):
        model = self.model(START, {"say": "Off we go!"}, START, {"say": "Sorry."})
        engine, bot, client, answers = self.start(model)
        mcp = engine.http()
        self.assertTrue(mcp.propose("stream.state", "on").accepted)
        client.store(CHAT, event("m1"))
        self.assertIn("start_giveaway: done", self.wait_answers(client, answers, 1)[0])
        # An effect of the rule has the same correlation id.
        answer = next(message for message in client.messages(answers)
                      if message.json()["correlationId"] == "corr-m1" and
                      [item["source"] for item in message.json()["candidates"]] == ["robo"])
        body = answer.json()
        self.assertEqual(body["egress"], {"destination": "ingress-1", "connector": "twitch",
                                          "channel": "#pizza"})
        self.assertEqual(body["routing"]["stage"], "response")
        self.assertEqual(mcp.snapshot("giveaway.current")["value"]["by"], "Ann")

        client.store(CHAT, event("m1"))  # delivered twice
        client.store(CHAT, b"no JSON")
        client.store(CHAT, event("old", age=600))
        self.assertTrue(mcp.propose("stream.state", "off").accepted)
        client.store(CHAT, event("m2"))
        texts = self.wait_answers(client, answers, 2)
        self.assertIn("stream.state is off, and must be on", texts[1])
        self.assertEqual(len(model.requests), 4)

        metrics = bot.get("/metrics")
        for line in ('state_engine_bot_messages_total{end="answered"} 2',
                     'state_engine_bot_messages_total{end="duplicate"} 1',
                     'state_engine_bot_messages_total{end="malformed"} 1',
                     'state_engine_bot_tool_calls_total{end="refused",tool="start_giveaway"} 1'):
            name, _, value = line.rpartition(" ")
            label = name.split("{")[1].rstrip("}").split(",")
            found = [text for text in metrics.splitlines() if text.startswith(name.split("{")[0])
                     and all(part in text for part in label) and text.endswith(" " + value)]
            self.assertTrue(found, line + "\n" + metrics)
        self.assertEqual(json.loads(bot.get("/health"))["bot"], "up")
        self.assertEqual(bot.stop(), 0)

    def test_a_bot_killed_in_the_middle_leaves_its_message_on_the_bus(self):
        killed = []

        def kill(request):
            # The action is done, its result is told to the model; now the bot dies.
            if not killed and request["messages"][-1]["role"] == "tool":
                killed.append(True)
                bots[0].kill()

        model = self.model(START, {"say": "lost"}, on_request=kill)
        bots = []
        engine, bot, client, answers = self.start(model)
        bots.append(bot)
        mcp = engine.http()
        self.assertTrue(mcp.propose("stream.state", "on").accepted)
        client.store(CHAT, event("m1"))
        nats.harness.wait_until(lambda: killed and bot.process.poll() is not None, 20, "the kill")
        info = client.api("CONSUMER.INFO.BITBRAT.local-internal-llmbot-v1-llm-bot-durable")
        self.assertEqual(info["num_ack_pending"], 1, "the message is not settled")
        self.assertEqual(len(mcp.history(key="giveaway.current")), 1)

    def test_an_old_conversation_is_not_replayed_to_a_new_bot(self):
        client = self.client(self.server)
        engine = self.engine_on(self.server, "--bus-prefix", "local.",
                                config=self.bot_config.read_text())
        self.wait_bus(engine, "up")
        nats.harness.wait_until(
            lambda: client.api("STREAM.NAMES", {"subject": CHAT}).get("streams"), 10, "the stream")
        for i in range(5):
            client.store(CHAT, event(f"history-{i}"))
        model = self.model()
        bot = BotProcess(engine, self.server, model, self.bot_config)
        self.addCleanup(bot.process.kill)
        answers = client.subscribe(EGRESS)
        client.flush()
        nats.harness.wait_until(
            lambda: "config" in client.api(
                "CONSUMER.INFO.BITBRAT.local-internal-llmbot-v1-llm-bot-durable"),
            20, "the durable")
        client.store(CHAT, event("now"))
        self.assertEqual(len(self.wait_answers(client, answers, 1)), 1)
        self.assertEqual(len(model.requests), 1)
        self.assertEqual(bot.stop(), 0)

    def test_inside_the_engine_too(self):
        model = self.model(START, {"say": "Here we go."})
        config = CONFIG.replace("STREAM", "true").replace("bot:\n", "bot:\n  inProcess: true\n")
        engine = self.engine_on(
            self.server, "--bus-prefix", "local.", config=config,
            env={"LLM_BASE_URL": model.url, "LLM_MODEL": "scripted", "MCP_AUTH_TOKEN": "shared"})
        self.wait_bus(engine, "up")
        mcp = engine.socket()
        self.assertTrue(mcp.propose("stream.state", "on").accepted)
        client = self.client(self.server)
        answers = client.subscribe(EGRESS)
        client.flush()
        client.store(CHAT, event("m1"))
        self.assertIn("start_giveaway: done", self.wait_answers(client, answers, 1)[0])
        self.assertEqual(mcp.snapshot("giveaway.current")["updatedBy"], "llm-bot")
        status, health = engine.get("/health")
        self.assertEqual((status, json.loads(health)["bot"]), (200, "up"))
        self.assertEqual(engine.stop(), 0)


if __name__ == "__main__":
    nats.harness.main()
