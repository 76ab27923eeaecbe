#!/usr/bin/env python3
"""The OBS bridge as a process of its own: real OBS, real nats-server, engine elsewhere."""

import subprocess

import nats_harness as nats
import obs_rig

harness = nats.harness

RULES = """allowedKeys: ["*"]
rules:
  - id: live-scene
    when: {"==": [{"var": "key"}, "stream.state"]}
    actions:
      - type: publishEgress
        payload: {type: obs.switch_scene, egress: {connector: obs}, scene: {"$logic": {var: value}}}
"""


class Bridge:
    """One `state-engine obs`."""

    def __init__(self, directory, obs, server, *args):
        secret = directory / "obs-password"
        secret.write_text(obs.password)
        config = directory / "obs.yaml"
        config.write_text(f"obs: {{url: {obs.url}, passwordFile: {secret}}}\n")
        self._log = open(directory / "bridge.stderr", "ab")
        self._process = subprocess.Popen(
            [harness.engine_binary(), "obs", "--config", str(config), "--nats-url", server.url,
             "--listen", "127.0.0.1:0", *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env=harness.clean_environment())
        line = self._process.stdout.readline()
        if " is ready: " not in line:
            raise AssertionError("the bridge did not start: "
                                 + (directory / "bridge.stderr").read_text())
        self.mcp = harness.HttpMcp(line.rsplit(" at ", 1)[1].strip())

    def stop(self):
        self._process.terminate()
        code = self._process.wait(20)
        self._release()
        return code

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._release()

    def _release(self):
        self.mcp.close()
        self._process.stdout.close()
        self._log.close()


class ObsNatsTest(nats.NatsTest):
    def setUp(self):
        super().setUp()
        name = obs_rig.missing()
        if name and nats.in_ci():
            self.fail(f"missing {name}; in CI it must be installed (tools/dev/deps.sh)")
        if name:
            self.skipTest(f"SKIP: missing {name} (apt-get install obs-studio xvfb)")
        self.obs = obs_rig.Obs()
        self.addCleanup(self.obs.close)
        self.obs.start()
        obs_rig.make_scenes(self.obs, ["Live", "BRB", "Old"], "Cut")

    def bridge(self, server, *args):
        bridge = Bridge(self.home, self.obs, server, *args)
        self.addCleanup(bridge.kill)
        harness.wait_until(lambda: bridge.mcp.call("obs_get_status").structured["connected"], 20,
                           "the bridge to connect")
        return bridge

    def scene(self):
        with self.obs.connect() as client:
            return client.scene()

    def test_effects_arrive_and_reports_return_over_nats(self):
        server = self.nats()
        engine = self.engine_on(server, "--bus-prefix", "local.", config=RULES)
        self.wait_bus(engine, "up")
        mcp = engine.socket()
        # History that a new bridge must not carry out.
        for _ in range(20):
            mcp.propose("stream.state", "Old")
        harness.wait_until(lambda: self.metric(engine, "state_engine_outbox_waiting") == 0, 20,
                           "the effects to be published")
        bridge = self.bridge(server, "--bus-prefix", "local.")
        harness.wait_until(lambda: mcp.value("obs.scene") == "Scene", 20, "the first report")
        self.assertEqual(self.scene(), "Scene")
        mcp.propose("stream.state", "Live")
        harness.wait_until(lambda: self.scene() == "Live", 20, "the scene")
        harness.wait_until(lambda: mcp.value("obs.scene") == "Live", 20, "the report")
        self.assertEqual(mcp.snapshot("obs.scene")["updatedBy"], "obs-bridge")
        self.assertFalse(bridge.mcp.call("obs_switch_scene", {"scene": "BRB"}).is_error)
        harness.wait_until(lambda: mcp.value("obs.scene") == "BRB", 20, "the report")
        self.assertEqual(bridge.stop(), 0)
        harness.wait_until(lambda: mcp.value("obs.connected") is False, 20, "the goodbye")

    def test_a_bridge_that_was_away_does_what_is_not_yet_old(self):
        server = self.nats()
        engine = self.engine_on(server, config=RULES)
        self.wait_bus(engine, "up")
        mcp = engine.socket()
        first = self.bridge(server)
        harness.wait_until(lambda: mcp.value("obs.connected") is True, 20, "the first report")
        first.kill()
        mcp.propose("stream.state", "Live")
        self.bridge(server)
        harness.wait_until(lambda: self.scene() == "Live", 30, "the scene")

    def test_without_nats_it_says_where_the_bridge_belongs(self):
        outcome = harness.run_cli("obs", env={"NATS_URL": ""})
        self.assertEqual(outcome.code, 2)
        self.assertIn("section obs", outcome.err)


if __name__ == "__main__":
    harness.main()
