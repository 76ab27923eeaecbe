"""The whole platform on one machine: nats-server, the Firestore emulator, an engine, a load.

`./dev demo platform` tells what happens here, `platform_test.py` asserts it. Standard library only.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

import harness
import nats_harness as nats

PACKAGED_JAR = pathlib.Path("/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator/"
                            "cloud-firestore-emulator.jar")
EMULATOR_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
PROJECT = "demo-platform"
COUNTERS = 4
CONFIG = """\
allowedKeys: ["stream.*", "load.*"]
rules:
  - id: stream-went-on
    when: {"and": [{"==": [{"var": "key"}, "stream.state"]}, {"==": [{"var": "value"}, "on"]}]}
    actions:
      - type: publishEgress
        payload: {type: system.stream.online, scene: Live}
"""


def emulator_jar():
    return pathlib.Path(os.environ.get("FIRESTORE_EMULATOR_JAR") or PACKAGED_JAR)


def emulator_missing():
    """Why the emulator cannot run, or nothing."""
    if not emulator_jar().is_file():
        return (f"missing {emulator_jar()} (package google-cloud-cli-firestore-emulator, or set "
                "FIRESTORE_EMULATOR_JAR)")
    if shutil.which("java") is None:
        return "missing java (package default-jre-headless)"
    return ""


def need_emulator():
    """Absent: SKIP, but in CI a failure where its package is installed."""
    why = emulator_missing()
    if not why:
        return
    if nats.in_ci() and emulator_jar().is_file():
        raise AssertionError(why)
    raise unittest.SkipTest("SKIP: " + why)


class Emulator:
    """The vendor's Firestore emulator. It keeps its documents in memory, so a kill is preceded by
    save(), and the next start reads what was saved: a database that is durable, as the real one."""

    def __init__(self, heap="1g"):
        self.port = nats.free_port()
        self.process = None
        self._heap = heap
        self._saved = None

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        restored = ["--seed_from_export", str(self._saved)] if self._saved else []
        self.process = subprocess.Popen(
            ["java", f"-Xmx{self._heap}", "-XX:TieredStopAtLevel=1", "-cp", str(emulator_jar()),
             EMULATOR_CLASS, "--host", "127.0.0.1", "--port", str(self.port), *restored],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(self._answers, 90, "the Firestore emulator")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the Firestore emulator ended")
        # It listens a while before it serves.
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://{self.host}/", timeout=2) as response:
                return response.status == 200
        return False

    def save(self, directory):
        """Writes everything below `directory`, which the next start() reads."""
        name = f"save-{time.monotonic_ns()}"
        body = {"database": f"projects/{PROJECT}/databases/(default)",
                "export_directory": str(directory), "export_name": name}
        request = urllib.request.Request(
            f"http://{self.host}/emulator/v1/projects/{PROJECT}:export",
            data=json.dumps(body).encode(), method="POST",
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
        self._saved = pathlib.Path(directory) / name / f"{name}.overall_export_metadata"
        if not self._saved.is_file():
            raise AssertionError(f"the emulator saved nothing in {directory}")

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def get(self, collection, ids):
        """Those of `ids` that exist, as documents() tells them. For a few out of very many."""
        place = f"projects/{PROJECT}/databases/(default)/documents"
        found = {}
        for begin in range(0, len(ids), 500):
            names = [f"{place}/{collection}/{each}" for each in ids[begin:begin + 500]]
            request = urllib.request.Request(
                f"http://{self.host}/v1/{place}:batchGet",
                data=json.dumps({"documents": names}).encode(), method="POST",
                headers={"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as response:
                for item in json.load(response):
                    if document := item.get("found"):
                        found[document["name"].rsplit("/", 1)[1]] = {
                            name: plain(value) for name, value in document["fields"].items()}
        return found

    def documents(self, collection):
        """Every document of a collection by id, as plain Python values, over REST."""
        found, token = {}, ""
        while True:
            url = (f"http://{self.host}/v1/projects/{PROJECT}/databases/(default)/documents/"
                   f"{collection}?pageSize=300" + (f"&pageToken={token}" if token else ""))
            with urllib.request.urlopen(url, timeout=30) as response:
                page = json.load(response)
            for document in page.get("documents", []):
                fields = document.get("fields", {})
                found[document["name"].rsplit("/", 1)[1]] = {
                    name: plain(value) for name, value in fields.items()}
            token = page.get("nextPageToken", "")
            if not token:
                return found


def fake_firestore():
    """Our own fake as a program, from any build, or None."""
    found = sorted(harness.ROOT.glob("build/*/tests/fake-firestore"))
    return str(found[-1]) if found else None


class Fake:
    """Our fake where the vendor's emulator is absent: for the demo only. It speaks gRPC and nothing
    else, so its documents are read through the engine, and it cannot be saved before a kill."""

    def __init__(self):
        self.port = nats.free_port()
        self.process = None

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen([fake_firestore(), str(self.port)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if not self.process.stdout.readline().strip():
            raise AssertionError("the fake Firestore ended")
        return self

    freeze = Emulator.freeze
    thaw = Emulator.thaw
    kill = Emulator.kill


def plain(value):
    """A Firestore REST value as a Python value."""
    kind, content = next(iter(value.items()))
    if kind == "integerValue":
        return int(content)
    if kind == "mapValue":
        return {name: plain(item) for name, item in content.get("fields", {}).items()}
    if kind == "arrayValue":
        return [plain(item) for item in content.get("values", [])]
    return None if kind == "nullValue" else content


class Load(threading.Thread):
    """Publishes proposals one after the other until told to stop, each until it is stored.

    A publish whose acknowledgement is lost goes out again with the same id: what is published twice
    must be committed once.
    """

    def __init__(self, server):
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self._client = None
        self.sent = []       # proposals that the server stored, in order
        self.retries = 0
        self.fault = None

    def run(self):
        try:
            number = 0
            while not self._ended.is_set():
                self._store(self._proposal(number))
                number += 1
                time.sleep(0.005)
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            if self._client:
                self._client.close()

    @staticmethod
    def _proposal(number):
        if number % 25 == 0:
            value = "on" if number % 50 == 0 else "off"
            return nats.proposal(f"load-{number}", "stream.state", value)
        return nats.proposal(f"load-{number}", f"load.counter{number % COUNTERS}", 1,
                             op="increment")

    def _store(self, proposal):
        deadline = time.monotonic() + 60
        while True:
            try:
                if self._client is None:
                    self._client = nats.Client(self._server.port)
                self._client.store(nats.MUTATION, proposal, seconds=5)
                self.sent.append(proposal)
                return
            except (OSError, AssertionError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                self.retries += 1
                if self._client:
                    self._client.close()
                self._client = None
                time.sleep(0.1)

    def finish(self):
        self._ended.set()
        self.join(90)
        if self.fault:
            raise self.fault
        return self.sent


class Platform:
    """nats-server, emulator and engine in `home`; `say` hears what happens."""

    def __init__(self, home, say=lambda text: None, fake=False):
        self.say = say
        home = pathlib.Path(home)
        self.server = nats.Server(home / "nats")
        self.fake = fake
        self.emulator = Fake() if fake else Emulator()
        config = home / "platform.yaml"
        config.write_text(CONFIG)
        self._home = home
        self._config = config
        self.engine = None
        self._clients = []

    def start(self):
        self.server.start()
        self.say(f"nats-server with JetStream at {self.server.url}")
        self.emulator.start()
        self.say(("our fake Firestore, since the emulator is absent," if self.fake
                  else "Firestore emulator") + f" at {self.emulator.host}")
        self.start_engine()
        return self

    def start_engine(self):
        self.engine = harness.Engine(
            self._home / "data", config=self._config,
            args=["--store", "firestore", "--firestore-project", PROJECT, "--nats-url",
                  self.server.url],
            env={"FIRESTORE_EMULATOR_HOST": self.emulator.host}).start(90)
        self.say(f"state-engine at {self.engine.url}, state in Firestore, bus NATS")
        self.wait_bus("up")

    def wait_bus(self, state):
        def told():
            with contextlib.suppress(OSError):
                return json.loads(self.engine.get("/health")[1]).get("bus") == state
            return False
        harness.wait_until(told, 60, f"/health saying bus: {state}")

    def client(self):
        client = nats.Client(self.server.port)
        self._clients.append(client)
        return client

    def kill_engine(self):
        self.engine.kill()

    def stop(self):
        for client in self._clients:
            client.close()
        with contextlib.suppress(Exception):
            self.emulator.thaw()
        if self.engine is not None:
            self.engine.kill()
        self.emulator.kill()
        self.server.kill()

    def log(self):
        """What the store's log has, by id."""
        if not self.fake:
            return self.emulator.documents("mutation_log")
        return {entry["id"]: entry for entry in self.engine.http().history()}

    def state(self):
        """What the store's keys hold."""
        if not self.fake:
            return self.emulator.documents("state")
        return self.engine.http().call("get_state_prefix", {"prefix": ""}).structured["snapshots"]

    def kill_emulator(self):
        """kill -9, losing nothing that it answered: the engine stands still while all is saved, so
        that what it was told before the kill is what the next emulator knows."""
        self.engine.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)  # what is under way arrives
        self.emulator.save(self._home)
        self.emulator.kill()
        self.engine.process.send_signal(signal.SIGCONT)

    # ---- What happens --------------------------------------------------------------------------

    def under_load(self, seconds=3.0):
        """Kills each of the three while proposals keep coming, and once lets the store hang;
        returns the load."""
        load = Load(self.server)
        load.start()
        harness.wait_until(lambda: len(load.sent) > 50 or load.fault, 60, "the first proposals")
        self.say(f"{len(load.sent)} proposals published; kill -9 of the engine")
        self.kill_engine()
        time.sleep(seconds)
        self.start_engine()
        time.sleep(seconds)
        self.say(f"{len(load.sent)} published; kill -9 of nats-server")
        self.server.kill()
        self.wait_bus("down")
        self.say("/health says bus: down; MCP still answers: "
                 f"{self.engine.get('/readyz')[0]} from /readyz")
        time.sleep(seconds)
        self.server.start()
        self.wait_bus("up")
        time.sleep(seconds)
        self.say(f"{len(load.sent)} published; Firestore stops answering")
        self.emulator.freeze()
        time.sleep(seconds)
        self.emulator.thaw()
        time.sleep(seconds)
        if self.fake:
            self.say("it answers again; the fake is not killed, since it keeps nothing")
        else:
            self.say(f"it answers again; {len(load.sent)} published; kill -9 of the emulator")
            self.kill_emulator()
            time.sleep(seconds)
            self.emulator.start()
            self.say("the emulator is back, with what it had saved")
            time.sleep(seconds)
        load.finish()
        self.say(f"{len(load.sent)} proposals published in all, {load.retries} of them sent again "
                 "because no acknowledgement came")
        return load

    def wait_for_all(self, sent, seconds=180):
        """Until the log in Firestore has every proposal."""
        ids = {proposal["id"] for proposal in sent}

        def all_there():
            with contextlib.suppress(OSError, urllib.error.URLError):
                return ids <= set(self.log())
            return False
        harness.wait_until(all_there, seconds, "a log document for every proposal")

    def wait_for_results(self, sent, seconds=120):
        """Until a result of every proposal is in the stream. Returns them by id, in order."""
        client = self.client()
        ids = {proposal["id"] for proposal in sent}
        stream = stream_of(client, nats.RESULT)
        results = {}

        def all_told():
            results.clear()
            for message in stream_bodies(client, stream, nats.RESULT):
                results.setdefault(message["mutationId"], []).append(message)
            return ids <= set(results)
        harness.wait_until(all_told, seconds, "a result for every proposal")
        return results

    def wait_for_effects(self, causes, seconds=120):
        """The effects by what caused them, as text, once all of `causes` had theirs. What an engine
        committed just before it was killed another one adopts after 60 s."""
        told = {}

        def all_told():
            told.clear()
            for effect in self.effects():
                body = json.dumps(effect, sort_keys=True)
                told.setdefault(effect["correlationId"], set()).add(body)
            return causes <= set(told)
        harness.wait_until(all_told, seconds, "an effect for each cause")
        return told

    def effects(self):
        client = self.client()
        return stream_bodies(client, stream_of(client, nats.EGRESS), nats.EGRESS)


def stream_of(client, subject):
    names = client.api("STREAM.NAMES", {"subject": subject}).get("streams") or []
    if len(names) != 1:
        raise AssertionError(f"{subject} is taken by {names}")
    return names[0]


def stream_bodies(client, stream, subject):
    """The bodies of a subject in one stream, by an ephemeral pull consumer, in order."""
    created = client.api(f"CONSUMER.CREATE.{stream}", {
        "stream_name": stream, "config": {"filter_subject": subject, "ack_policy": "none",
                                          "deliver_policy": "all", "replay_policy": "instant"}})
    if "error" in created:
        raise AssertionError(created["error"])
    pending, name, bodies = created["num_pending"], created["name"], []
    inbox = f"_INBOX.rig{os.getpid()}x{time.monotonic_ns()}"
    sid = client.subscribe(inbox)
    while pending > 0:
        batch = min(pending, 500)
        have = len(client.messages(sid))
        client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", {"batch": batch}, reply=inbox)
        bodies += [message.json() for message in client.wait(sid, have + batch, 60)[have:]]
        pending -= batch
    client.api(f"CONSUMER.DELETE.{stream}.{name}")
    return bodies


def proof(platform, load):
    """Checks that nothing was lost or doubled. Returns what was found, as lines for people."""
    sent = load.sent
    platform.wait_for_all(sent)
    results = platform.wait_for_results(sent)
    log, state = platform.log(), platform.state()
    ids = [proposal["id"] for proposal in sent]
    assert len(ids) == len(set(ids))
    refused = [i for i in ids if log[i].get("status") != "accepted"]
    assert not refused, f"not accepted: {refused[:5]}"
    lines = [f"{len(ids)} proposals: {len(ids)} accepted log documents, none lost, none twice"]
    for number in range(COUNTERS):
        key = f"load.counter{number}"
        expected = sum(proposal["key"] == key for proposal in sent)
        assert state[key]["value"] == expected, (key, state[key]["value"], expected)
        versions = sorted(log[i]["resultingVersion"] for i in ids if log[i]["key"] == key)
        assert versions == list(range(1, expected + 1)), f"{key}: versions are not dense"
        lines.append(f"{key} = {state[key]['value']}, version {state[key]['version']}: "
                     f"exactly the {expected} increments, versions dense")
    last = [proposal for proposal in sent if proposal["key"] == "stream.state"][-1]
    assert state["stream.state"]["value"] == last["value"], (state["stream.state"], last)
    lines.append(f"stream.state = {last['value']}: the last one published")
    for mutation_id in ids:
        told = {json.dumps(result, sort_keys=True) for result in results[mutation_id]}
        accepted = {(result["status"], result["version"]) for result in results[mutation_id]}
        assert len(accepted) == 1, f"{mutation_id} was answered in two ways: {told}"
    lines.append(f"{sum(map(len, results.values()))} results for {len(ids)} proposals, never two "
                 "that disagree")
    ons = {p["id"] for p in sent if p["key"] == "stream.state" and p["value"] == "on"}
    told = platform.wait_for_effects(ons)
    caused = {cause: bodies for cause, bodies in told.items() if cause in set(ids)}
    assert set(caused) == ons, f"effects without a cause or the reverse: {set(caused) ^ ons}"
    assert all(len(bodies) == 1 for bodies in caused.values()), "an effect was sent in two ways"
    lines.append(f"{len(ons)} times on: one effect each on {nats.EGRESS}")
    return lines
