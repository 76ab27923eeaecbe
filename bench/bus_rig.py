"""What the benchmarks of the platform side share: a nats-server with a backlog of proposals.

The proposals are those of the platform's services: JSON with id, op, key, value, actor, reason, ts.
"""

import contextlib
import json
import subprocess
import sys
import time

import measuring as m

import nats_harness as nats

QUEUE = "state-engine"
DURABLE = "internal-state-mutation-v1-state-engine-durable"
STREAM = "internal-state"
CONFIG = 'allowedKeys: ["bench.*"]\n'
KEYS = 1000


def need_server():
    """The server's path, or nothing, said loudly."""
    path = nats.find_server()
    if path is None:
        print("SKIP: missing nats-server (apt-get install nats-server)", file=sys.stderr)
    return path


def build(target):
    """Builds a counterpart; `./dev bench` has configured already."""
    folder = m.ROOT / "build/release"
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=m.ROOT, check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", folder, "--target", target], check=True,
                   stdout=sys.stderr)
    return str(folder / "bin" / target)


@contextlib.contextmanager
def server(home, extra_config=""):
    """A nats-server with file storage whose streams the engine's own command has made."""
    running = nats.Server(home, extra_config=extra_config)
    try:
        running.start()
        # It listens a moment before JetStream does.
        m.harness.wait_until(lambda: _has_jetstream(running), 20, "JetStream")
        subprocess.run([m.harness.engine_binary(), "provision", "nats", "--apply", "--nats-url",
                        running.url], check=True, stdout=subprocess.DEVNULL)
        yield running
    finally:
        running.kill()


def _has_jetstream(running):
    client = nats.Client(running.port)
    with contextlib.closing(client):
        return "error" not in client.api("INFO")


def fresh_stream(client):
    """The stream of proposals, empty, as it was made."""
    config = client.api(f"STREAM.INFO.{STREAM}")["config"]
    client.api(f"STREAM.DELETE.{STREAM}")
    # 2.9 still removes the files of a stream that was just deleted.
    time.sleep(0.5)
    made = client.api(f"STREAM.CREATE.{STREAM}", config)
    if "error" in made:
        raise RuntimeError(made["error"])


def durable(client, name=DURABLE):
    """The engine's durable, made before anybody consumes; returns its deliver subject."""
    subject = f"_INBOX.bench.{name}"
    config = {"durable_name": name, "deliver_group": QUEUE, "deliver_subject": subject,
              "filter_subject": nats.MUTATION, "deliver_policy": "all", "ack_policy": "explicit",
              "ack_wait": 60_000_000_000, "max_deliver": -1, "max_ack_pending": 1000,
              "replay_policy": "instant"}
    made = client.api(f"CONSUMER.DURABLE.CREATE.{STREAM}.{name}",
                      {"stream_name": STREAM, "config": config})
    if "error" in made:
        raise RuntimeError(made["error"])
    return subject


def proposal_text(number, prefix="bench-"):
    return json.dumps(nats.proposal(f"{prefix}{number}", f"bench.k{number % KEYS}",
                                    {"n": number, "text": "a fact"}), separators=(",", ":"))


def publish_backlog(client, count, prefix="bench-"):
    """Stores `count` proposals and makes sure that the stream has them."""
    for number in range(count):
        client.publish(nats.MUTATION, proposal_text(number, prefix))
        if number % 1000 == 999:
            client.flush(60)

    def stored():
        return client.api(f"STREAM.INFO.{STREAM}")["state"]["messages"] == count
    m.harness.wait_until(stored, 60, f"{count} messages in the stream")


def backlog_left(client, name=DURABLE):
    """(delivered, not yet settled) of a durable."""
    info = client.api(f"CONSUMER.INFO.{STREAM}.{name}")
    if "error" in info:
        raise RuntimeError(info["error"])
    return info["delivered"]["consumer_seq"], info["num_pending"] + info["num_ack_pending"]


def poll(condition, seconds, what, pause=0.005):
    """As wait_until, at an even pace; returns the time at which it became true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(pause)
    return time.monotonic()
