#!/usr/bin/env python3
"""A full disk: a clear answer instead of a crash, reads go on, and space brings writes back."""

import contextlib
import json
import os
import subprocess

import harness

SIZE_MIB = 12
FILLING_PROPOSALS = 200


def fill(path):
    """Writes until the file system has no byte left; returns the bytes written."""
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for block in (b"x" * 65536, b"x" * 512, b"x"):
            with contextlib.suppress(OSError):
                while True:
                    written += os.write(descriptor, block)
    finally:
        os.close(descriptor)
    return written


class DiskFull(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.mount = self.home / "small"
        self.mount.mkdir()
        if os.geteuid() != 0:
            self.skipTest("SKIP: mounting a small tmpfs needs root")
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(self.mount)],
            capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"SKIP: no small tmpfs here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.mount)], check=True)

    def propose_until_refused(self, mcp, accepted):
        for i in range(FILLING_PROPOSALS):
            value = f"{i}-" + "v" * 100_000
            arguments = {"key": f"big.{i}", "id": f"big-{i}", "value": value, "reason": "filling"}
            answer = mcp.call("propose_mutation", arguments)
            if not answer.accepted:
                return arguments, answer
            accepted[arguments["key"]] = (value, answer.structured["version"])
        raise AssertionError("the disk is full and everything was accepted")

    def assert_kept(self, mcp, accepted):
        for key, (value, version) in accepted.items():
            found = mcp.snapshot(key)
            self.assertIsNotNone(found, f"{key} was acknowledged and is lost")
            self.assertEqual((found["value"], found["version"]), (value, version), key)

    def test_a_full_disk_degrades_and_recovers(self):
        engine = self.new_engine("small/data", config=self.config('allowedKeys: ["big.*"]\n'))
        engine.logs = self.home / "engine.stderr"
        engine.start()
        mcp = engine.http()
        accepted = {}
        first = mcp.propose("big.first", "before the disk is full")
        accepted["big.first"] = ("before the disk is full", first.structured["version"])
        filler = self.mount / "filler"
        self.assertGreater(fill(filler), 0)

        refused, answer = self.propose_until_refused(mcp, accepted)
        self.assertEqual(answer.code, "unavailable", answer.text[:500])
        self.assertIn("retryAfterMs", answer.data)
        self.assertTrue(engine.running(), engine.log_text())
        status, report = engine.get("/readyz")
        self.assertEqual(status, 503, report)
        status, report = engine.get("/health")
        self.assertEqual(json.loads(report)["status"], "degraded", report)
        self.assertIn("disk full", report)
        self.assertEqual(engine.get("/livez")[0], 200)
        self.assertIn("disk full", engine.log_text())
        self.assert_kept(mcp, accepted)
        self.assertIsNone(mcp.snapshot(refused["key"]), "refused and yet visible")
        self.assertTrue(mcp.history(limit=10), "the log stays readable")

        engine.kill()  # A crash does not make it worse: it starts and reads on the full disk.
        engine.start()
        mcp = engine.http()
        self.assert_kept(mcp, accepted)
        self.assertEqual(mcp.call("propose_mutation", refused).code, "unavailable")

        filler.unlink()
        again = harness.wait_until(
            lambda: (lambda reply: reply if reply.accepted else None)(
                mcp.call("propose_mutation", refused)), 20, "a write after space came back")
        self.assertFalse(again.structured["duplicate"])
        accepted[refused["key"]] = (refused["value"], again.structured["version"])
        self.assertEqual(engine.get("/readyz")[0], 200)
        self.assertEqual(json.loads(engine.get("/health")[1])["status"], "ok")
        self.assert_kept(mcp, accepted)
        mcp.close()
        self.assertEqual(engine.stop(), 0)
        engine.start()
        self.assert_kept(engine.socket(), accepted)
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)


if __name__ == "__main__":
    harness.main()
