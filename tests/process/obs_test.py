#!/usr/bin/env python3
"""The OBS bridge against a real OBS: what OBS itself says after effects, tools, crashes, abuse."""

import json
import os
import pathlib
import shutil
import signal
import socket
import tempfile
import threading
import unittest

import harness
import obs_rig

CONFIG = """
allowedKeys: [stream.state, stream.title, obs.*, go.*]
rules:
  - id: live-scene
    on: change
    when: {and: [{"==": [{var: key}, stream.state]}, {"==": [{var: value}, "on"]}]}
    actions:
      - type: publishEgress
        payload: {type: obs.switch_scene, egress: {connector: obs}, scene: Live}
  - id: brb-scene
    on: change
    when: {and: [{"==": [{var: key}, stream.state]}, {"==": [{var: value}, "off"]}]}
    actions:
      - type: publishEgress
        payload: {type: system.stream.offline}
  - id: go-live
    when: {"==": [{var: key}, go.live]}
    actions:
      - {type: publishEgress, payload: {type: obs.start_stream, egress: {connector: obs}}}
      - {type: publishEgress, payload: {type: obs.start_stream, egress: {connector: obs}}}
      - {type: publishEgress, payload: {type: obs.start_stream, egress: {connector: obs}}}
  - id: title
    on: change
    when: {"==": [{var: key}, stream.title]}
    actions:
      - type: publishEgress
        payload: {type: title.changed, title: {"$logic": {var: value}}}
obs:
  url: URL
  passwordFile: FILE
  effects:
    - type: system.stream.offline
      do: [{action: switch_scene, scene: BRB}]
    - type: title.changed
      do: [{action: set_text, input: Title, text: "Now: ${payload.title}"}]
"""


SCENES = ["Live", "BRB", "Chat"]


class BlackHole:
    """An RTMP server that takes connections and says nothing: a stream stays at `starting`."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self._open.append(self._listener.accept()[0])
            except OSError:
                return

    @property
    def connections(self):
        return len(self._open)

    def hang_up(self):
        while self._open:
            self._open.pop().close()

    def close(self):
        self._listener.close()
        self.hang_up()


class ObsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rtmp = BlackHole()
        cls.obs = obs_rig.Obs(rtmp_port=cls.rtmp.port)
        cls.obs.start()
        obs_rig.make_scenes(cls.obs, SCENES, "Cut")
        cls.obs.stop()  # which saves the scenes: tests kill it later
        cls.obs.start()

    @classmethod
    def tearDownClass(cls):
        cls.obs.close()
        cls.rtmp.close()

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="se-obs-test-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        if not self.obs.alive():
            self.obs.start()
        obs_rig.make_scenes(self.obs, SCENES, "Cut")

    def engine(self, url=None, password=obs_rig.PASSWORD, connected=True):
        secret = self.directory / "obs-password"
        secret.write_text(password + "\n")
        config = self.directory / "config.yaml"
        config.write_text(CONFIG.replace("URL", url or self.obs.url).replace("FILE", str(secret)))
        engine = harness.Engine(self.directory / "data", config).start()
        self.addCleanup(engine.end)
        self.addCleanup(self.check_secrets, engine)
        self.mcp = engine.http()
        if connected:
            harness.wait_until(lambda: self.status()["connected"], 20, "the bridge to connect")
        return engine

    def check_secrets(self, engine):
        for secret in (obs_rig.PASSWORD, obs_rig.STREAM_KEY):
            self.assertNotIn(secret, engine.log_text())

    def status(self):
        return self.mcp.call("obs_get_status").structured

    def await_scene(self, name):
        with self.obs.connect() as client:
            harness.wait_until(lambda: client.scene() == name, 10, f"OBS to show {name}")

    def await_value(self, key, value, seconds=15):
        harness.wait_until(lambda: self.mcp.value(key) == value, seconds, f"{key} = {value}")

    def test_a_rule_switches_the_scene_and_the_scene_comes_back(self):
        self.engine()
        self.mcp.call("obs_switch_scene", {"scene": "Scene"})
        self.await_value("obs.connected", True)
        self.await_value("obs.scene", "Scene")
        self.assertTrue(self.mcp.propose("stream.state", "on").accepted)
        self.await_scene("Live")
        self.await_value("obs.scene", "Live")
        entry = self.mcp.history(key="obs.scene")[-1]
        self.assertEqual(entry["actor"], "obs-bridge")
        self.mcp.propose("stream.state", "off")
        self.await_scene("BRB")

    def test_what_a_person_does_in_obs_is_reported(self):
        self.engine()
        with self.obs.connect() as client:
            client.call("SetCurrentProgramScene", sceneName="Chat")
            self.await_value("obs.scene", "Chat")
            client.call("SetCurrentProgramScene", sceneName="Live")
            self.await_value("obs.scene", "Live")

    def test_tools_tell_the_outcome(self):
        self.engine()
        answer = self.mcp.call("obs_switch_scene", {"scene": "Chat"})
        self.assertFalse(answer.is_error, answer.text)
        self.assertEqual(answer.structured["obs"]["scene"], "Chat")
        again = self.mcp.call("obs_switch_scene", {"scene": "Chat"})
        self.assertEqual(again.structured["outcome"], "no_change")
        wrong = self.mcp.call("obs_switch_scene", {"scene": "Nowhere"})
        self.assertTrue(wrong.is_error)
        self.assertIn("BRB", wrong.text)
        self.assertTrue(self.mcp.call("obs_switch_scene", {}).is_error)
        self.assertTrue(self.mcp.call("obs_switch_scene", {"scene": "Chat", "x": 1}).is_error)

    def test_sources_text_and_mute(self):
        self.engine()
        with self.obs.connect() as client:
            obs_rig.make_input(client, "Title", "text_ft2_source_v2")
            self.mcp.propose("stream.title", "Speedrun")
            harness.wait_until(
                lambda: client.call("GetInputSettings", inputName="Title")["inputSettings"].get(
                    "text") == "Now: Speedrun", 10, "OBS to take the text")
            self.assertFalse(self.mcp.call(
                "obs_set_source_visible", {"scene": "Live", "source": "Title", "visible": False}
            ).is_error)
            item = client.call("GetSceneItemId", sceneName="Live", sourceName="Title")
            enabled = client.call("GetSceneItemEnabled", sceneName="Live", **item)
            self.assertFalse(enabled["sceneItemEnabled"])
            self.assertTrue(self.mcp.call(
                "obs_set_source_visible", {"source": "Nothing", "visible": True}).is_error)
            obs_rig.make_input(client, "Film", "ffmpeg_source")
            self.assertFalse(self.mcp.call(
                "obs_set_mute", {"input": "Film", "muted": True}).is_error)
            self.assertTrue(client.call("GetInputMute", inputName="Film")["inputMuted"])
            wrong = self.mcp.call("obs_set_mute", {"input": "No such input", "muted": True})
            self.assertTrue(wrong.is_error)

    def test_a_recording_is_made_and_paused(self):
        self.engine()
        self.assertFalse(self.mcp.call("obs_start_record").is_error)
        self.assertEqual(self.mcp.call("obs_start_record").structured["outcome"], "no_change")
        self.await_value("obs.recording", "on")
        self.assertFalse(self.mcp.call("obs_pause_record").is_error)
        self.await_value("obs.recording", "paused")
        self.assertFalse(self.mcp.call("obs_resume_record").is_error)
        stopped = self.mcp.call("obs_stop_record")
        self.assertFalse(stopped.is_error, stopped.text)
        self.assertTrue(pathlib.Path(stopped.structured["outputPath"]).stat().st_size > 0)
        self.await_value("obs.recording", "off")
        self.assertTrue(self.mcp.call("obs_pause_record").is_error)

    def test_repeated_starts_do_not_crash_obs(self):
        engine = self.engine()
        answers = []
        self.mcp.propose("go.live", 1)  # three start effects at once
        self.await_value("obs.stream", "starting")
        for _ in range(5):
            self.mcp.propose("go.live", 1)
        threads = [threading.Thread(target=self.start_stream, args=(engine, answers))
                   for _ in range(3)]
        for thread in threads:
            thread.start()
        harness.wait_until(lambda: self.rtmp.connections > 0, 10, "OBS to connect")
        self.rtmp.hang_up()
        for thread in threads:
            thread.join(60)
        self.await_value("obs.stream", "failed", 60)
        self.assertTrue(self.obs.alive(), "OBS has crashed")
        self.assertTrue(self.status()["connected"])
        self.assertEqual([answer.is_error for answer in answers], [True] * 3)

    def start_stream(self, engine, answers):
        client = harness.HttpMcp(engine.url, timeout=60)
        try:
            answers.append(client.call("obs_start_stream"))
        finally:
            client.close()

    def test_a_killed_obs_is_found_again(self):
        self.engine()
        self.mcp.call("obs_switch_scene", {"scene": "Live"})
        self.obs.kill()
        self.await_value("obs.connected", False)
        self.await_value("obs.stream", "unknown")
        refused = self.mcp.call("obs_switch_scene", {"scene": "BRB"})
        self.assertTrue(refused.is_error)
        self.assertTrue(refused.text.startswith("unavailable"), refused.text)
        self.mcp.propose("stream.state", "other")
        self.obs.start()
        self.await_value("obs.connected", True, 20)
        self.await_scene("Live")  # what we had put on air comes back
        self.await_value("obs.stream", "off")

    def test_an_effect_waits_for_obs(self):
        self.engine()
        self.mcp.call("obs_switch_scene", {"scene": "Chat"})
        self.obs.kill()
        self.await_value("obs.connected", False)
        self.mcp.propose("stream.state", "on")
        self.obs.start()
        self.await_scene("Live")

    def test_a_hanging_obs_is_noticed_and_found_again(self):
        self.engine()
        self.obs.signal(signal.SIGSTOP)
        try:
            answer = self.mcp.call("obs_switch_scene", {"scene": "BRB"})
            self.assertTrue(answer.is_error)
            self.await_value("obs.connected", False, 30)
        finally:
            self.obs.signal(signal.SIGCONT)
        self.await_value("obs.connected", True, 30)

    def test_a_wrong_password_is_said_plainly(self):
        engine = self.engine(password="wrong", connected=False)
        harness.wait_until(lambda: "password" in self.status()["detail"], 10, "the complaint")
        report = json.loads(engine.get("/health")[1])
        self.assertEqual(report["obs"], "down")
        self.assertIn("password", report["details"]["obs"])
        self.assertEqual(engine.get("/readyz")[0], 200)
        self.assertNotIn("wrong\"", engine.log_text())

    def test_metrics_tell_what_happened(self):
        engine = self.engine()
        self.mcp.call("obs_switch_scene", {"scene": "Chat"})
        self.mcp.call("obs_switch_scene", {"scene": "Live"})
        text = engine.get("/metrics")[1]
        self.assertIn("state_engine_obs_connected 1", text)
        done = 'state_engine_obs_commands_total{command="switch_scene",outcome="done"}'
        self.assertTrue(done in text, "no metric " + done)
        self.assertIn('state_engine_obs_request_seconds_bucket{request="SetCurrentProgramScene"',
                      text)


def load_tests(loader, tests, _):
    name = obs_rig.missing()
    if name is None:
        return tests
    if os.environ.get("CI") or os.environ.get("STATE_ENGINE_CI"):
        raise RuntimeError(f"missing {name}; in CI it must be installed (tools/dev/deps.sh)")

    class Missing(unittest.TestCase):
        @unittest.skip(f"SKIP: missing {name} (apt-get install obs-studio xvfb)")
        def test_obs(self):
            pass

    return loader.loadTestsFromTestCase(Missing)


if __name__ == "__main__":
    harness.main()
