#!/usr/bin/env python3
"""The command line as a contract: help, --json, exit codes, completion, rules, the evening."""

import collections
import contextlib
import json
import re
import shutil
import sqlite3
import subprocess

import harness

CONFIG = """\
allowedKeys: ["a.*", "slow.*", "guarded.*"]
policy:
  - keys: ["slow.*"]
    rate: {perSecond: 0.01, burst: 1}
  - keys: ["guarded.*"]
    writers: [nobody]
"""


class Help(harness.ProcessTest):
    def verbs(self, *path):
        """The verbs below `path`, as --help lists them."""
        text = harness.run_cli(*path, "--help").out
        _, _, listed = text.partition("Subcommands:")
        return [(*path, line.split()[0]) for line in listed.splitlines()
                if line.startswith("  ") and line.strip() and not line.startswith("    ")]

    def test_every_verb_has_help_with_an_example(self):
        verbs = self.verbs()
        names = {verb[0] for verb in verbs}
        self.assertLessEqual({"serve", "mcp", "get", "ls", "propose", "delete", "tx", "history",
                              "watch", "explain", "rules", "verify", "backup", "export", "replay",
                              "token", "completion", "errors"}, names)
        for verb in verbs:
            below = self.verbs(*verb)
            for path in below or [verb]:
                with self.subTest(" ".join(path)):
                    outcome = harness.run_cli(*path, "--help")
                    self.assertEqual(outcome.code, 0, outcome.err)
                    self.assertIn("Example", outcome.out)
                    self.assertIn("state-engine " + " ".join(path), outcome.out)

    def test_version_and_mistakes(self):
        self.assertRegex(harness.run_cli("--version").out, r"^state-engine \d+\.\d+")
        for args in ([], ["frobnicate"], ["get"], ["get", "--no-such-flag", "a"], ["rules"],
                     ["propose", "a.x"], ["propose", "a.x", "1"], ["explain"],
                     ["history", "--limit", "0"], ["completion", "tcsh"]):
            with self.subTest(args):
                outcome = harness.run_cli(*args, data_dir=self.home)
                self.assertEqual(outcome.code, 2, outcome.out)
                self.assertTrue(outcome.out or outcome.err, "silence")

    def test_completion_scripts_parse(self):
        for shell in ("bash", "zsh", "fish"):
            outcome = harness.run_cli("completion", shell)
            self.assertEqual(outcome.code, 0)
            self.assertIn("propose", outcome.out)
            if shutil.which(shell) is None:
                continue
            file = self.home / f"completion.{shell}"
            file.write_text(outcome.out)
            parsed = subprocess.run([shell, "-n", str(file)], capture_output=True, text=True,
                                    check=False)
            self.assertEqual(parsed.returncode, 0, parsed.stderr)

    def test_bash_completion_completes_verbs_options_and_keys(self):
        engine = self.engine(config=self.config(CONFIG))
        engine.cli("propose", "a.first", "1", "--reason", "r")
        script = self.home / "completion.bash"
        script.write_text(harness.run_cli("completion", "bash").out)
        function = next(line.split("-F ")[1].split()[0] for line in script.read_text().splitlines()
                        if line.startswith("complete "))
        directory = str(self.home / "bin")
        (self.home / "bin").mkdir()
        (self.home / "bin/state-engine").symlink_to(harness.engine_binary())

        def complete(*words):
            quoted = " ".join(f"'{word}'" for word in words)
            code = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
                    f"COMP_LINE='{' '.join(words)}'; COMP_POINT=${{#COMP_LINE}}; "
                    f"{function} state-engine '{words[-1]}' '{words[-2]}'; "
                    'printf "%s\\n" "${COMPREPLY[@]}"')
            environment = harness.clean_environment(
                {"STATE_ENGINE_DATA_DIR": str(engine.data_dir)})
            environment["PATH"] = directory + ":" + environment["PATH"]
            done = subprocess.run(["bash", "-c", code], env=environment, capture_output=True,
                                  text=True, check=False, timeout=30)
            self.assertEqual(done.stderr, "")
            return [word.strip() for word in done.stdout.split()]

        self.assertIn("propose", complete("state-engine", "pro"))
        self.assertIn("--json", complete("state-engine", "get", "--j"))
        self.assertIn("a.first", complete("state-engine", "get", "a."))


class Verbs(harness.ProcessTest):
    def serve(self):
        self.server = self.engine(config=self.config(CONFIG))
        return self.server

    def propose(self, *args, code=0):
        outcome = self.server.cli("propose", *args, "--reason", "cli test")
        self.assertEqual(outcome.code, code, outcome.out + outcome.err)
        return outcome

    def test_every_json_output_parses(self):
        server = self.serve()
        file = self.home / "tx.json"
        file.write_text('[{"key":"a.t1","value":1},{"key":"a.t2","value":{"b":[null]}}]')
        wanted = self.propose("a.x", '{"n":1}', "--json", "--id", "one").json()
        self.assertEqual((wanted["status"], wanted["version"]), ("accepted", 1))
        for args in (["get", "a.x"], ["ls"], ["ls", "--keys-only"], ["history"], ["history", "a.x"],
                     ["explain", "a.x"], ["explain", "--id", "one"], ["verify"], ["errors"],
                     ["tx", file, "--reason", "r"], ["delete", "a.x", "--reason", "r"],
                     ["replay"], ["backup", self.home / "copy.db"],
                     ["rules", "check", harness.EXAMPLES / "stream.yaml"],
                     ["rules", "eval", '{"+":[1,2]}']):
            with self.subTest(args[:2]):
                outcome = server.cli(*args, "--json")
                self.assertEqual(outcome.code, 0, outcome.err)
                self.assertEqual(len(outcome.out.splitlines()), 1, "one line")
                self.assertIsInstance(outcome.json(), dict)
        for args in (["export"], ["export", "--what", "state"]):
            lines = server.cli(*args).json_lines()
            self.assertTrue(lines)
            self.assertTrue(all("key" in line for line in lines))

    def test_each_exit_code_is_what_the_contract_says(self):
        server = self.serve()
        self.propose("a.x", "1", code=0)
        self.propose("a.x", "text", "--op", "increment", code=1)
        self.propose("a.x", "1", "--expect", "-1", code=2)
        self.propose("forbidden.key", "1", code=3)
        self.propose("guarded.key", "1", code=3)
        self.propose("a.x", "2", "--expect", "7", code=4)
        self.assertEqual(server.cli("get", "a.nothing").code, 5)
        self.assertEqual(server.cli("delete", "a.nothing", "--reason", "r").code, 5)
        self.assertEqual(server.cli("explain", "a.never").code, 5)
        self.propose("slow.x", "1", code=0)
        throttled = self.propose("slow.x", "2", "--json", code=6)
        self.assertGreater(throttled.json()["retryAfterMs"], 0)
        server.stop()
        outcome = server.cli("get", "a.x")
        self.assertEqual(outcome.code, 1)
        self.assertIn("state-engine serve", outcome.err, "no engine: say how to start one")
        self.assertEqual(harness.run_cli("verify", data_dir=self.home / "nowhere").code, 1)

    def test_a_conflict_shows_what_is_true_now(self):
        self.serve()
        self.propose("a.x", "first")
        self.propose("a.x", "second")
        outcome = self.propose("a.x", "third", "--expect", "1", code=4)
        self.assertIn("Version mismatch: expected 1, found 2", outcome.err)
        self.assertIn("second", outcome.err)

    def test_get_forms(self):
        server = self.serve()
        self.propose("a.text", "on")
        self.propose("a.number", "4.50")
        self.assertEqual(server.cli("get", "--value", "a.text").out, "on\n")
        self.assertEqual(server.cli("get", "--value", "a.number").out, "4.5\n")
        self.assertIn("did you mean a.text", server.cli("get", "a.texd").err)
        self.assertEqual(server.cli("ls", "--keys-only", "a.t").out, "a.text\n")

    def test_verbs_work_over_http_too(self):
        server = self.serve()
        outcome = server.cli("propose", "a.x", "1", "--reason", "r", "--url", server.url + "/mcp",
                             "--json")
        self.assertEqual(outcome.code, 0, outcome.err)
        outcome = server.cli("history", "a.x", "--url", server.url + "/", "--json")
        self.assertEqual(outcome.json()["entries"][0]["actor"], "anonymous")

    def test_explain_tells_actor_reason_policy_rule_and_effect(self):
        server = self.engine(config=harness.EXAMPLES / "stream.yaml")
        outcome = server.cli("propose", "stream.state", "on", "--reason", "the show begins")
        self.assertEqual(outcome.code, 0, outcome.err)
        story = server.cli("explain", "stream.state").out
        for part in ("by cli:", "why: the show begins", "policy ", "'stream.state'",
                     "rule 'stream-online' matched", "effect system.stream.online",
                     "which caused:", "obs.scene.wanted", "rule:stream-online"):
            self.assertIn(part, story)
        caused = server.cli("explain", "obs.scene.wanted").out
        self.assertLess(caused.index("stream.state"), caused.index("caused:"))

    def test_rules_eval_forms(self):
        outcome = harness.run_cli("rules", "eval", '{"==":[{"var":"a"},"on"]}', '{"a":"on"}')
        self.assertEqual((outcome.code, outcome.out), (0, "true\n"))
        lines = "\n".join(['{"rule":{"+":[1,"2"]},"data":null}', '{"rule":{"nope":[1]}}',
                           '{"rule":{"/":[1,0]}}', '{"rule":{"var":"x"},"data":{"x":[]}}', "{"])
        outcome = harness.run_cli("rules", "eval", "--jsonl", stdin=lines + "\n")
        self.assertEqual(outcome.code, 1, "a line that is no input fails the whole")
        results = outcome.json_lines()
        self.assertEqual(results[0], {"result": 3, "truthy": True})
        self.assertEqual(results[1]["error"], "unrecognized_operation")
        self.assertEqual((results[2]["result"], results[2]["special"]), (None, "Infinity"))
        self.assertEqual(results[3], {"result": [], "truthy": False})
        self.assertEqual(results[4]["error"], "invalid_input")
        explained = harness.run_cli("rules", "eval", '{"<":[1,2]}', "--explain")
        self.assertEqual(explained.code, 0)
        self.assertIn("true", explained.out)

    def test_rules_check_and_graph(self):
        self.assertEqual(harness.run_cli("rules", "check",
                                         harness.EXAMPLES / "reference.yaml").code, 0)
        bad = self.config("rules: [{id: x, when: {huh: 1}, actions: []}]\n", "bad.yaml")
        outcome = harness.run_cli("rules", "check", bad)
        self.assertEqual(outcome.code, 1)
        self.assertIn(f"{bad}:1", outcome.err)
        for style in ("text", "json", "dot", "mermaid"):
            outcome = harness.run_cli("rules", "graph", harness.EXAMPLES / "stream.yaml",
                                      "--format", style)
            self.assertEqual(outcome.code, 0, outcome.err)
            self.assertIn("stream-online", outcome.out)

    def test_output_is_harmless_on_a_terminal(self):
        server = self.serve()
        server.http().propose("a.x", "\x1b]0;owned\x07", reason="\x1b[2J")
        for args in (["get", "a.x"], ["ls"], ["history"], ["explain", "a.x"]):
            with self.subTest(args):
                self.assertNotIn("\x1b", server.cli(*args).out)


class Evening(harness.ProcessTest):
    def test_the_sample_evening_ends_exactly_as_expected(self):
        expected = json.loads((harness.EXAMPLES / "evening.expected.json").read_text())
        server = self.engine(config=harness.ROOT / expected["config"])
        played = server.cli("propose", "--jsonl", harness.EXAMPLES / "evening.jsonl", "--json")
        self.assertEqual(played.code, 0, played.err)
        results = played.json_lines()
        # Arguments that never became a proposal are answered without an id: by their line.
        ids = [(re.findall(r'^\{"id":"([^"]*)"', line) or [None])[0] for line in
               (harness.EXAMPLES / "evening.jsonl").read_text().splitlines()]
        seen = []
        for result, line in zip(results, expected["lines"]):
            row = {"line": result["line"],
                   "id": result.get("mutationId", ids[result["line"] - 1]),
                   "status": result["status"], "code": result.get("code"),
                   "duplicate": result.get("duplicate", False)}
            seen.append({name: row[name] for name in line})
        self.assertEqual(seen, expected["lines"])
        self.assertEqual(len(results), len(expected["lines"]))

        snapshots = server.cli("ls", "--json").json()["snapshots"]
        state = {key: {"value": item["value"], "version": item["version"]}
                 for key, item in snapshots.items()}
        self.assertEqual(state, expected["finalState"])

        server.stop()
        self.assert_verifies(server.data_dir)
        with contextlib.closing(sqlite3.connect(server.data_dir / "state.db")) as database:
            effects = dict(database.execute(
                "SELECT rule_id, count(*) FROM outbox GROUP BY rule_id"))
            derived = database.execute(
                "SELECT count(*) FROM mutation_log WHERE actor LIKE 'rule:%' AND "
                "status = 'accepted'").fetchone()[0]
        self.assertEqual(effects, expected["effectsByRule"])
        self.assertEqual(derived, expected["derivedMutations"])

    def test_playing_it_twice_changes_nothing(self):
        expected = json.loads((harness.EXAMPLES / "evening.expected.json").read_text())
        server = self.engine(config=harness.ROOT / expected["config"])
        file = harness.EXAMPLES / "evening.jsonl"
        table = server.cli("propose", "--jsonl", file).out
        counted = {line.split()[0]: int(line.split()[1]) for line in table.splitlines()[1:]}
        self.assertEqual(counted.pop("total"), len(expected["lines"]))
        self.assertEqual(counted, expected["totals"])
        before = server.cli("ls", "--json").json()["snapshots"]
        again = server.cli("propose", "--jsonl", file, "--json").json_lines()
        repeated = collections.Counter(
            result["duplicate"] for result in again if result["status"] == "accepted")
        self.assertEqual(set(repeated), {True})
        self.assertEqual(server.cli("ls", "--json").json()["snapshots"], before)


if __name__ == "__main__":
    harness.main()
