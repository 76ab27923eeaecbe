#!/usr/bin/env python3
"""The sessions of docs/rules.md, typed into a shell; and rules over time in a real process."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import harness

PAGE = harness.ROOT / "docs/rules.md"
ANY = """\
allowedKeys: ["*"]
rules:
  - {id: any, when: {'>': [{var: value}, 1]}, actions: []}
"""


def blocks():
    """(kind, text) of each fenced block of the page."""
    return [(kind, text) for kind, text in
            re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)]


def commands():
    """(command, expected output) of all sessions, in the order of the page."""
    found = []
    for kind, text in blocks():
        if kind != "console":
            continue
        for line in text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def pattern(lines):
    """A line of `...` alone stands for any lines, within a line for any text."""
    text = "".join(".*" if line == "..." else re.escape(line + "\n").replace(r"\.\.\.", ".*")
                   for line in lines)
    return re.compile(text, re.S)


class Page(harness.ProcessTest):
    def write_files(self):
        configs = [text for kind, text in blocks() if kind == "yaml config"]
        evening = next(text for text in configs if text.startswith("# file: evening.yaml"))
        self.config(next(text for text in configs if "count-scenes" in text), "count.yaml")
        lower = evening.replace("100]}", "155]}")
        lower = lower[:lower.index("  - id: quiet")]
        self.assertNotEqual(evening, lower)
        self.config(lower, "lower.yaml")
        self.config(ANY, "any.yaml")
        return self.config(evening, "evening.yaml")

    def test_every_session_prints_what_the_page_says(self):
        engine = self.engine(config=self.write_files())
        programs = self.home / "bin"
        programs.mkdir()
        (programs / "state-engine").symlink_to(harness.engine_binary())
        env = harness.clean_environment({
            "STATE_ENGINE_DATA_DIR": str(engine.data_dir),
            "PATH": f"{programs}:{os.environ['PATH']}"})
        listed = commands()
        self.assertGreaterEqual(len(listed), 15)
        for command, lines in listed:
            run = subprocess.run(["sh", "-c", command + " 2>&1"], cwd=self.home, env=env,
                                 stdout=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, f"{command}\n{run.stdout}")
            self.assertTrue(pattern(lines).fullmatch(run.stdout),
                            f"$ {command}\nprinted:\n{run.stdout}\nexpected:\n" + "\n".join(lines))
        self.assert_log_has_the_same_words(engine)
        self.assert_verifies(engine.data_dir)

    def assert_log_has_the_same_words(self, engine):
        """MCP and CLI tell the same, and the log keeps silent below debug unless a rule fails."""
        told = engine.http().call("explain", {"recent": 4}).structured
        shown = engine.cli("rules", "recent", "--limit", "4", "--json").json()
        self.assertEqual(told, shown)
        self.assertEqual(len(told["recent"]), 4)
        for evaluation in told["recent"]:
            self.assertIn(evaluation["text"], told["text"])
        self.assertNotIn("did not match", engine.log_text())

    def test_the_log_tells_it_in_the_same_words(self):
        engine = self.engine(config=self.write_files(), args=["--log-level", "debug"])
        engine.http().propose("stream.state", "off")
        engine.http().propose("stream.state", "on")
        told = engine.http().call("explain", {"recent": 2, "rule": "going-live"}).structured
        words = [json.loads(line)["msg"] if "msg" in json.loads(line) else line
                 for line in engine.log_text().splitlines() if "going-live" in line]
        for evaluation in told["recent"]:
            self.assertTrue(any(evaluation["text"] in word for word in words), words)


WAITS = """\
allowedKeys: ["*"]
rules:
  - id: idle
    on: rise
    for: %s
    when: {and: [{'==': [{var: key}, k]}, {'==': [{var: value}, off]}]}
    actions:
      - {type: proposeMutation, key: fired, op: increment, value: 1}
"""


class Waits(harness.ProcessTest):
    def firings(self, client):
        return [entry for entry in client.history() if entry["key"] == "state-engine/fired/idle"]

    def test_a_wait_survives_sigkill_and_fires_once(self):
        engine = self.engine(config=self.config(WAITS % "2s"))
        engine.http().propose("k", "off")
        engine.kill()
        time.sleep(2.2)
        engine.start()
        client = engine.http()
        harness.wait_until(lambda: client.value("fired") == 1, what="the firing")
        engine.kill()
        engine.start()
        client = engine.http()
        time.sleep(0.3)
        self.assertEqual(client.value("fired"), 1)
        firing, = self.firings(client)
        self.assertEqual(firing["actor"], "state-engine")
        self.assertEqual(firing["causationId"], client.history()[0]["id"])
        self.assert_verifies(engine.data_dir)

    def test_a_reload_moves_the_end_and_a_fault_changes_nothing(self):
        config = self.config(WAITS % "1h")
        engine = self.engine(config=config)
        client = engine.http()
        client.propose("k", "off")
        config.write_text(WAITS % "soon")
        engine.signal(signal.SIGHUP)
        harness.wait_until(lambda: "is no duration" in engine.log_text(), what="the complaint")
        self.assertIsNone(client.value("fired"))
        config.write_text(WAITS % "100ms")
        engine.signal(signal.SIGHUP)
        harness.wait_until(lambda: client.value("fired") == 1, what="the firing")

    def test_rules_without_a_key_are_warned_about(self):
        engine = self.engine(config=self.config(ANY))
        self.assertIn("run at every commit", engine.log_text())


if __name__ == "__main__":
    harness.main()
