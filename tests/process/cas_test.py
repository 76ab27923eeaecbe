#!/usr/bin/env python3
"""I7: sixteen writers that read, add one and compare-and-set never overwrite one another."""

import sys
import threading

import harness

WRITERS = 16
EACH = 25
KEY = "race.counter"


class Writer(threading.Thread):
    """Raises the counter EACH times; after a conflict it goes on from the answer's snapshot."""

    def __init__(self, mcp, barrier):
        super().__init__(daemon=True)
        self.mcp, self.barrier = mcp, barrier
        self.versions, self.conflicts, self.fault = [], 0, None

    def run(self):
        try:
            self.barrier.wait(30)
            for _ in range(EACH):
                self.raise_once()
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            self.mcp.close()

    def raise_once(self):
        seen = self.mcp.snapshot(KEY)
        while True:
            value, version = (seen["value"], seen["version"]) if seen else (0, 0)
            answer = self.mcp.propose(KEY, value + 1, expectedVersion=version)
            if answer.accepted:
                assert answer.structured["version"] == version + 1, answer.text
                self.versions.append(version + 1)
                return
            assert answer.code == "version_conflict", answer.text
            self.conflicts += 1
            seen = answer.data["current"]
            assert seen["version"] > version, answer.text


class CompareAndSet(harness.ProcessTest):
    def test_sixteen_writers_reach_the_exact_sum(self):
        engine = self.engine(config=self.config('allowedKeys: ["race.*"]\n'))
        barrier = threading.Barrier(WRITERS)
        writers = [Writer(engine.socket() if i % 2 else engine.http(), barrier)
                   for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(240)
            self.assertFalse(writer.is_alive(), "a writer hangs")
            if writer.fault:
                raise writer.fault
        mcp = engine.socket()
        total = WRITERS * EACH
        final = mcp.snapshot(KEY)
        self.assertEqual((final["value"], final["version"]), (total, total))
        won = sorted(version for writer in writers for version in writer.versions)
        self.assertEqual(won, list(range(1, total + 1)), "each version was won exactly once")
        conflicts = sum(writer.conflicts for writer in writers)
        self.assertGreater(conflicts, 0, "without conflicts nothing was tested")
        entries = mcp.history(key=KEY)
        self.assertEqual(self.assert_dense(entries), {KEY: total})
        rejected = [entry for entry in entries if entry["status"] == "rejected"]
        self.assertEqual(len(rejected), conflicts, "each conflict is in the log")
        mcp.close()
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)
        print(f"{total} increments, {conflicts} conflicts", file=sys.stderr)


if __name__ == "__main__":
    harness.main()
