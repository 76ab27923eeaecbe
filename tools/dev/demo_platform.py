#!/usr/bin/env python3
"""./dev demo platform: the platform on one machine, killed part by part, and the proof after it."""

import json
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/process"))
import nats_harness as nats  # noqa: E402  pylint: disable=wrong-import-position
import platform_rig  # noqa: E402  pylint: disable=wrong-import-position

BEGIN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGIN:6.1f} s  {text}", flush=True)


def show_one(platform):
    """One proposal, and everything that comes of it."""
    client = platform.client()
    watched = {name: client.subscribe(subject) for name, subject in [
        ("result", nats.RESULT), ("change", nats.CHANGED), ("egress", nats.EGRESS)]}
    client.flush()
    proposal = nats.proposal("demo-1", "stream.state", "on", reason="stream.online of the demo")
    say(f"published on {nats.MUTATION}:\n          {json.dumps(proposal)}")
    client.store(nats.MUTATION, proposal)
    for name, sid in watched.items():
        message = client.wait(sid, 1)[0]
        say(f"{name} on {message.subject}:\n          {message.body.decode()}")
    for collection, name, documents in [("state", "stream.state", platform.state()),
                                        ("mutation_log", "demo-1", platform.log())]:
        say(f"document {collection}/{name}:\n"
            f"          {json.dumps(documents[name], sort_keys=True)}")


def main():
    missing = [] if nats.find_server() else ["missing nats-server (package nats-server)"]
    fake = bool(platform_rig.emulator_missing())
    if fake and platform_rig.fake_firestore() is None:
        missing.append(platform_rig.emulator_missing() +
                       ", and our fake is not built (./dev build release fake-firestore)")
    elif fake:
        say("SKIP: the emulator: " + platform_rig.emulator_missing())
    if missing:
        print("./dev demo platform cannot run: " + "; ".join(missing), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="state-engine-demo-") as home:
        platform = platform_rig.Platform(home, say, fake)
        try:
            platform.start()
            show_one(platform)
            load = platform.under_load()
            say("waiting until everything that was published is decided")
            for line in platform_rig.proof(platform, load):
                say("proved: " + line)
        except AssertionError as fault:
            say(f"NOT as it must be: {fault}")
            return 1
        finally:
            platform.stop()
    say("nothing was lost, nothing was doubled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
