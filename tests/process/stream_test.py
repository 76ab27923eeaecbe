"""From OBS's own stream to its scene switch, through everything between, with every part real that
can be: see stream_rig. What `./dev demo stream` shows."""

import time
import unittest

import harness
import nats_harness as nats
import platform_rig
import stream_rig


class StreamTest(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        why = stream_rig.missing()
        if why and nats.in_ci():
            raise AssertionError(why + ": tools/dev/deps.sh must install it")
        if why:
            raise unittest.SkipTest("SKIP: " + why)

    def rig(self, **options):
        rig = stream_rig.StreamRig(self.home, **options)
        self.addCleanup(rig.stop)
        return rig.start()

    def assert_loop(self, rig):
        """Going live switches the scene, as OBS and its pixels say; stopping switches it back."""
        rig.press_start_streaming()
        rig.await_value("stream.state", "on")
        rig.await_scene("Live")
        red, green, blue = rig.pixel("Live")
        self.assertTrue(green > 150 and red < 60 and blue < 60, (red, green, blue))
        rig.await_value("obs.scene", "Live")
        rig.await_value("obs.stream", "live")

    def assert_bot(self, rig):
        self.assertIn("done", rig.ask_bot("give a mug away"))
        self.assertEqual(rig.value("giveaway.current")["prize"], "a mug")

    def assert_bot_declines(self, rig):
        self.assertIn("not done", rig.ask_bot("give another mug away", prize="a pot"))
        current = rig.value("giveaway.current")
        self.assertTrue(current is None or current["prize"] != "a pot")


class OneProcess(StreamTest):
    def test_the_loop_closes_and_survives_its_parts(self):
        rig = self.rig()
        self.assert_bot_declines(rig)
        self.assert_loop(rig)
        self.assert_bot(rig)
        story = rig.explain("obs.scene")
        self.assertIn("obs-bridge", story)
        chain = rig.explain("giveaway.current")
        self.assertIn("viewer asked for a giveaway of a mug", chain)
        rig.mock.control("channel", channel=stream_rig.CHANNEL, title="Baking bread")
        rig.await_value("stream.title", "Baking bread")
        harness.wait_until(lambda: rig.text("Title") == "Baking bread", 20, "the text source")
        # OBS dies: so does its stream. It comes back and is brought to what is wanted.
        rig.obs.kill()
        rig.await_value("obs.connected", False)
        rig.await_value("stream.state", "off", 60)
        rig.obs.start()
        rig.await_value("obs.connected", True, 60)
        rig.await_scene("BRB", 60)
        self.assert_bot_declines(rig)
        # The engine dies while the stream comes back: it is told on its return.
        rig.engine.kill()
        rig.press_start_streaming()
        time.sleep(1)
        rig.engine.start(60)
        rig.await_value("stream.state", "on", 60)
        rig.await_scene("Live", 60)
        rig.press_stop_streaming()
        rig.await_value("stream.state", "off", 60)
        rig.await_scene("BRB", 60)
        self.assertEqual(rig.engine.stop(), 0)
        self.assert_verifies(rig.engine.data_dir)

    def test_without_the_rule_no_scene_is_switched(self):
        rig = self.rig(without_rule="live-scene")
        rig.press_start_streaming()
        rig.await_value("stream.state", "on")
        rig.await_value("obs.stream", "live")
        time.sleep(2)
        self.assertNotEqual(rig.scene(), "Live")


class Platform(StreamTest):
    def test_the_loop_closes_over_nats_and_firestore(self):
        nats.need_server()
        platform_rig.need_emulator()
        rig = self.rig(platform=True)
        self.assert_bot_declines(rig)
        self.assert_loop(rig)
        self.assert_bot(rig)
        documents = rig.emulator.documents("state")
        self.assertEqual(documents["stream.state"]["value"], "on")
        self.assertEqual(documents["obs.scene"]["value"], "Live")
        # nats-server dies while the stream ends: nothing of it is lost.
        rig.server.kill()
        rig.press_stop_streaming()
        time.sleep(1)
        rig.server.start()
        rig.await_value("stream.state", "off", 90)
        rig.await_scene("BRB", 90)
        self.assert_bot_declines(rig)


if __name__ == "__main__":
    harness.main()
