#!/usr/bin/env python3
"""./dev demo stream: from OBS going live to the scene that it shows, and a bot that asks first."""

import argparse
import pathlib
import sys
import tempfile
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))
import nats_harness as nats  # noqa: E402  pylint: disable=wrong-import-position
import platform_rig  # noqa: E402  pylint: disable=wrong-import-position
import stream_rig  # noqa: E402  pylint: disable=wrong-import-position

BEGIN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGIN:6.1f} s  {text}", flush=True)


def quote(text):
    print(textwrap.indent(text.rstrip(), " " * 12), flush=True)


def play(rig, shots):
    rig.start()
    say("a viewer asks the bot for a giveaway before the stream is on:")
    quote(rig.ask_bot("please give a mug away"))
    say("OBS starts to stream to nginx-rtmp; its hook tells Twitch, Twitch tells us")
    pressed = time.monotonic()
    rig.press_start_streaming()
    rig.await_value("stream.state", "on")
    say(f"stream.state = on, {time.monotonic() - pressed:.1f} s after the button")
    rig.await_scene("Live")
    say(f"OBS shows \"Live\", {time.monotonic() - pressed:.1f} s after the button; the middle "
        f"pixel of its picture is {rig.pixel('Live')}")
    rig.await_value("obs.scene", "Live")
    say("obs.scene = Live: OBS itself said so")
    say("the viewer asks the bot again:")
    quote(rig.ask_bot("please give a mug away"))
    rig.mock.control("channel", channel=stream_rig.CHANNEL, title="Baking bread, day 2")
    rig.await_value("stream.title", "Baking bread, day 2")
    platform_rig.harness.wait_until(lambda: rig.text("Title") == "Baking bread, day 2", 30,
                                    "the text source Title")
    say("the title changed at Twitch, and OBS's text source with it: Baking bread, day 2")
    if shots:
        (shots / "obs-live.png").write_bytes(rig.screenshot("Live"))
    say("state-engine explain stream.state:")
    quote(rig.explain("stream.state"))
    if rig.server is not None:
        say("kill -9 of nats-server, while the streamer stops the stream")
        rig.server.kill()
        rig.press_stop_streaming()
        time.sleep(1)
        rig.server.start()
    else:
        say("kill -9 of the engine, while the streamer stops the stream")
        rig.engine.kill()
        rig.press_stop_streaming()
        time.sleep(1)
        rig.engine.start(60)
    rig.await_value("stream.state", "off", 90)
    rig.await_scene("BRB", 90)
    say("it came back: stream.state = off, OBS shows \"BRB\"")
    if shots:
        (shots / "obs-brb.png").write_bytes(rig.screenshot("BRB"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=pathlib.Path, help="keep OBS's pictures in this directory")
    shots = parser.parse_args().shots
    missing = [stream_rig.missing()] if stream_rig.missing() else []
    if missing:
        print("./dev demo stream cannot run: " + "; ".join(missing), file=sys.stderr)
        return 1
    arrangements = [("one process, SQLite", False)]
    if nats.find_server() and not platform_rig.emulator_missing():
        arrangements.append(("one process per service, NATS and Firestore", True))
    else:
        say("the second arrangement is left out: " +
            (platform_rig.emulator_missing() or "missing nats-server"))
    for name, platform in arrangements:
        say(f"=== {name} ===")
        with tempfile.TemporaryDirectory(prefix="state-engine-demo-") as home:
            rig = stream_rig.StreamRig(home, platform=platform, say=say)
            try:
                play(rig, shots)
            except AssertionError as fault:
                say(f"NOT as it must be: {fault}")
                return 1
            finally:
                rig.stop()
    say("the loop is closed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
