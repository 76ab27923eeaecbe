#!/usr/bin/env python3
"""The TypeScript types hold for what a running engine really emits: an evening is played through
it, and its answers, log and state are type-checked beside the recorded samples.

Arguments: those of check_types.sh before the sample files."""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "process"))
import harness  # noqa: E402  (the path must be set first)

CHECK = sys.argv[1:5]
del sys.argv[1:5]


class LiveSamples(harness.ProcessTest):
    def test_answers_log_and_state_have_their_types(self):
        engine = self.engine(config=harness.EXAMPLES / "stream.yaml")
        played = engine.cli("propose", "--jsonl", str(harness.EXAMPLES / "evening.jsonl"), "--json")
        answers = [line for line in played.json_lines() if "mutationId" in line]
        for answer in answers:
            answer.pop("line")  # the command line's own
        samples = [("MutationResult", answer) for answer in answers]
        samples += [("MutationLogEntry", line)
                    for line in engine.cli("export", "--what", "log").json_lines()]
        samples += [("StateSnapshot", line)
                    for line in engine.cli("export", "--what", "state").json_lines()]
        kinds = {kind for kind, _ in samples}
        self.assertEqual(kinds, {"MutationResult", "MutationLogEntry", "StateSnapshot"})
        self.assertGreater(len(samples), 150)
        file = self.home / "samples.jsonl"
        file.write_text("".join(
            json.dumps({"type": kind, "value": value}) + "\n" for kind, value in samples))
        checked = subprocess.run([str(HERE / "check_types.sh"), *CHECK, str(file)],
                                 capture_output=True, text=True, timeout=240, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        count = int(checked.stdout.split()[0])
        self.assertGreaterEqual(count, len(samples))


harness.main()
