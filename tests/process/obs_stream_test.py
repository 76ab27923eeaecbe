#!/usr/bin/env python3
"""Real streams: OBS to nginx-rtmp, started and stopped through the bridge, dropped and refused."""

import os
import pathlib
import shutil
import tempfile
import unittest

import harness
import obs_rig
import rtmp_rig


class ObsStreamTest(unittest.TestCase):
    def setUp(self):
        name = obs_rig.missing() or rtmp_rig.missing()
        if name and (os.environ.get("CI") or os.environ.get("STATE_ENGINE_CI")):
            self.fail(f"missing {name}; in CI it must be installed (tools/dev/deps.sh)")
        if name:
            self.skipTest(f"SKIP: missing {name} (apt-get install obs-studio xvfb nginx-light "
                          "libnginx-mod-rtmp)")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="se-obs-stream-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.rtmp = rtmp_rig.Rtmp()
        self.addCleanup(self.rtmp.close)
        self.obs = obs_rig.Obs(rtmp_port=self.rtmp.port, fps=10)
        self.addCleanup(self.obs.close)
        self.obs.start()
        secret = self.directory / "password"
        secret.write_text(self.obs.password)
        config = self.directory / "config.yaml"
        config.write_text("allowedKeys: [obs.*]\n"
                          f"obs: {{url: {self.obs.url}, passwordFile: {secret}}}\n")
        self.engine = harness.Engine(self.directory / "data", config).start()
        self.addCleanup(self.engine.end)
        self.mcp = self.engine.http(timeout=60)
        harness.wait_until(lambda: self.mcp.call("obs_get_status").structured["connected"], 30,
                           "the bridge to connect")

    def values(self):
        """What obs.stream was, in order."""
        return [entry["value"] for entry in self.mcp.history(key="obs.stream")]

    def await_stream(self, value, seconds=30):
        harness.wait_until(lambda: self.mcp.value("obs.stream") == value, seconds,
                           f"obs.stream = {value}")

    def start(self):
        return self.mcp.call("obs_start_stream")

    def test_a_stream_starts_survives_a_drop_and_stops(self):
        started = self.start()
        self.assertFalse(started.is_error, started.text)
        self.assertEqual(started.structured["obs"]["stream"], "live")
        self.assertEqual(self.rtmp.published, 1)
        self.await_stream("live")
        self.assertEqual(self.start().structured["outcome"], "no_change")
        self.rtmp.drop_publisher(obs_rig.STREAM_KEY)
        harness.wait_until(lambda: self.rtmp.published == 2, 30, "OBS to publish again")
        stopped = self.mcp.call("obs_stop_stream")
        self.assertFalse(stopped.is_error, stopped.text)
        self.await_stream("off")
        # Reconnecting was never "off" or "failed".
        self.assertEqual(self.values(), ["unknown", "off", "starting", "live", "stopping", "off"]
                         [-len(self.values()):])
        self.assert_key_is_nowhere(started, stopped)

    def test_a_refused_key_is_a_failed_start(self):
        self.rtmp.accepting = False
        refused = self.start()
        self.assertTrue(refused.is_error)
        self.assertTrue(refused.text.startswith("failed: "), refused.text)
        self.await_stream("failed")
        self.assertTrue(self.obs.alive())
        self.rtmp.accepting = True
        self.assertFalse(self.start().is_error)
        self.await_stream("live")
        self.assert_key_is_nowhere(refused)

    def test_obs_killed_while_live_is_unknown_and_then_off(self):
        self.assertFalse(self.start().is_error)
        self.obs.kill()
        self.await_stream("unknown")
        self.obs.start()
        self.await_stream("off", 30)
        self.assertEqual(self.mcp.value("obs.connected"), True)
        self.assertEqual(self.rtmp.published, 1)  # nobody went live by itself

    def assert_key_is_nowhere(self, *answers):
        texts = [answer.text for answer in answers]
        texts += [self.engine.log_text(), self.engine.get("/metrics")[1],
                  self.mcp.call("obs_get_status").text, str(self.mcp.history())]
        for text in texts:
            self.assertNotIn(obs_rig.STREAM_KEY, text)


if __name__ == "__main__":
    harness.main()
