"""Answers stay small enough to be read, however large the state; and refusals say what to do."""

import json
import signal

import harness

CONFIG = 'allowedKeys: ["a.*", "stream.state"]\n'
BIG = "v" * 250_000
BYTES_MAX = 3 * 1024 * 1024  # Of one answer, which holds its data twice: as text and structured.


class Answers(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.config_file = self.config(CONFIG)
        self.server = self.engine(config=self.config_file)
        self.mcp = self.server.http(timeout=60)

    def test_reading_many_big_values_names_what_is_left_out(self):
        keys = [f"a.k{number}" for number in range(20)]
        for key in keys:
            self.assertTrue(self.mcp.propose(key, BIG).accepted)
        asked, seen, calls = list(keys), {}, 0
        while asked:
            answer = self.mcp.call("get_state", {"keys": asked})
            self.assertLess(len(answer.text), BYTES_MAX / 2)
            seen.update(answer.structured["snapshots"])
            asked = answer.structured.get("omittedKeys", [])
            calls += 1
        self.assertEqual(sorted(seen), sorted(keys))
        self.assertTrue(all(snapshot["value"] == BIG for snapshot in seen.values()))
        self.assertLess(calls, 8)

    def test_history_of_big_values_comes_in_pages(self):
        for number in range(12):
            self.assertTrue(self.mcp.propose("a.k", BIG + str(number)).accepted)
        first = self.mcp.call("get_history", {"key": "a.k", "limit": 500})
        self.assertTrue(first.structured["truncated"])
        self.assertLess(len(first.text), BYTES_MAX / 2)
        self.assertEqual(len(self.mcp.history(key="a.k")), 12)

    def test_an_explanation_of_much_says_that_it_is_cut(self):
        actions = "\n".join(
            f"      - {{type: proposeMutation, key: a.d{number}, value: {{$logic: {{var: value}}}},"
            f" reason: copied}}" for number in range(10))
        self.config_file.write_text(
            CONFIG + "rules:\n  - id: copies\n    when: {'==': [{var: key}, stream.state]}\n"
            f"    actions:\n{actions}\n")
        self.server.signal(signal.SIGHUP)
        harness.wait_until(lambda: "configuration reloaded" in self.server.log_text(), 20,
                           self.server.log_text())
        self.assertTrue(self.mcp.propose("stream.state", BIG).accepted)
        told = self.mcp.call("explain", {"key": "stream.state"})
        self.assertTrue(told.structured["truncated"])
        self.assertLess(len(told.text), BYTES_MAX * 2 / 3)  # The subject and its current value too.
        self.assertGreater(len(told.structured["consequences"]), 0)
        self.assertLess(len(told.structured["consequences"]), 10)
        small = self.mcp.call("explain", {"key": "a.d0"})
        self.assertNotIn("truncated", small.structured)

    def test_a_key_that_is_not_allowed_names_those_that_are(self):
        refused = self.mcp.propose("stream.stat", "on")
        self.assertEqual(refused.code, "key_not_allowed")
        self.assertIn("Allowed keys: a.*, stream.state.", refused.text)
        mutations = [{"key": "b", "value": 1}]
        both = self.mcp.call("propose_transaction", {"mutations": mutations, "reason": "r"})
        self.assertIn("Allowed keys: a.*", both.text)
        patterns = [f"p{number}.{'x' * 90}*" for number in range(500)]
        self.config_file.write_text("allowedKeys: " + json.dumps(patterns) + "\n")
        self.server.signal(signal.SIGHUP)
        harness.wait_until(lambda: "p0.x" in self.mcp.propose("b", 1).text, 20, "the new policy")
        text = self.mcp.propose("b", 1).text
        self.assertIn(" more.", text)
        self.assertLess(len(text), 2500)


if __name__ == "__main__":
    harness.main()
