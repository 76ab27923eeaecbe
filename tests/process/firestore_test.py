#!/usr/bin/env python3
"""The engine on Firestore as a process: kill -9 under load, two engines, migration there and back.

Uses the vendor's emulator where it is installed (FIRESTORE_EMULATOR_JAR, or where the package puts
it) and our own fake elsewhere, and says which.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.request

import harness

JAR = "/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
CONFIG = """\
allowedKeys: ["*"]
rules:
  - id: announce
    when: {'==': [{var: key}, stream.state]}
    actions:
      - {type: publishEgress, payload: {type: announced}}
"""


def fake_binary():
    found = sorted(harness.ROOT.glob("build/*/tests/fake-firestore"))
    return str(found[0]) if found else None


def emulator_answers(address):
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(f"http://{address}/", timeout=2) as reply:
            return reply.status == 200
    return False


class Firestore:
    """A Firestore of this test's own: the emulator, or the fake."""

    def __init__(self):
        jar = os.environ.get("FIRESTORE_EMULATOR_JAR", JAR)
        if os.path.exists(jar):
            if shutil.which("java") is None:
                print("SKIP: missing java (package default-jre-headless)")
                raise SystemExit(harness.SKIPPED)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.address = f"127.0.0.1:{probe.getsockname()[1]}"
            self.process = subprocess.Popen(
                ["java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-cp", jar, CLASS, "--host",
                 "127.0.0.1", "--port", self.address.split(":")[1]],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            print("on the emulator", jar, flush=True)
            harness.wait_until(lambda: emulator_answers(self.address), 90, "the emulator")
            return
        fake = fake_binary()
        if fake is None:
            print(f"SKIP: no Firestore emulator at {jar}, and fake-firestore is not built")
            raise SystemExit(harness.SKIPPED)
        print(f"no emulator at {jar}: on our fake", flush=True)
        self.process = subprocess.Popen([fake], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        text=True)
        self.address = self.process.stdout.readline().strip()

    def stop(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class FirestoreTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.firestore = Firestore()
        cls.addClassCleanup(cls.firestore.stop)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "config.yaml"
        self.config.write_text(CONFIG, encoding="utf-8")
        self.project = "se-" + self.folder.name.lower().replace("_", "-")
        self.env = {"FIRESTORE_EMULATOR_HOST": self.firestore.address}

    def engine(self, name):
        return harness.Engine(self.folder / name, self.config,
                              ["--store", "firestore", "--firestore-project", self.project],
                              self.env)

    def run_command(self, *args):
        return subprocess.run([harness.engine_binary(), *map(str, args)], check=False,
                              capture_output=True, text=True, timeout=120,
                              env=harness.clean_environment(self.env))

    def test_kill9_loses_nothing_acknowledged(self):
        acknowledged = {}
        done = threading.Event()

        def load(client, number):
            count = 0
            with contextlib.suppress(harness.Gone, harness.RpcFault):
                while not done.is_set():
                    count += 1
                    answer = client.propose(f"own.{number}", count, id=f"k-{number}-{kill}-{count}")
                    if answer.accepted:
                        version = answer.data["version"]
                        acknowledged[f"k-{number}-{kill}-{count}"] = (number, version)

        for kill in range(3):
            with self.engine("killed") as engine:
                done.clear()
                clients = [harness.HttpMcp(engine.url) for _ in range(3)]
                before = len(acknowledged)
                threads = [threading.Thread(target=load, args=(client, number))
                           for number, client in enumerate(clients)]
                for thread in threads:
                    thread.start()
                harness.wait_until(lambda b=before: len(acknowledged) >= b + 30, 60, "30 answers")
                os.kill(engine.process.pid, signal.SIGKILL)
                done.set()
                for thread in threads:
                    thread.join()
                for client in clients:
                    client.close()
        with self.engine("after") as engine:
            client = harness.HttpMcp(engine.url)
            self.addCleanup(client.close)
            for number in range(3):
                log = client.history(key=f"own.{number}")
                versions = [entry["resultingVersion"] for entry in log
                            if entry["status"] == "accepted"]
                self.assertEqual(versions, list(range(1, len(versions) + 1)), "dense")
                recorded = {entry["id"]: entry["resultingVersion"] for entry in log}
                promised = {id: version for id, (of, version) in acknowledged.items()
                            if of == number}
                self.assertTrue(promised)
                for mutation, version in promised.items():
                    self.assertEqual(recorded.get(mutation), version, mutation)
                self.assertEqual(client.snapshot(f"own.{number}")["version"], len(versions))

    def test_two_engines_share_what_they_know(self):
        with self.engine("one") as one, self.engine("two") as two:
            first, second = harness.HttpMcp(one.url), harness.HttpMcp(two.url)
            self.addCleanup(first.close)
            self.addCleanup(second.close)
            self.assertTrue(first.propose("stream.state", "on", expectedVersion=0).accepted)
            self.assertEqual(second.value("stream.state"), "on")
            lost = second.propose("stream.state", "off", expectedVersion=0)
            self.assertEqual(lost.code, "version_conflict")
            self.assertEqual(lost.data["current"]["version"], 1)
            self.assertTrue(second.propose("stream.state", "off", expectedVersion=1).accepted)
            listing = first.call("get_state_prefix", {"prefix": "stream."}).structured
            self.assertEqual(listing["snapshots"]["stream.state"]["value"], "off")
            for number in range(5):
                second.propose(f"page.{number}", number)
            page = first.call("get_state_prefix", {"prefix": "page.", "limit": 2}).structured
            seen = list(page["snapshots"])
            second.propose("page.4", "changed")
            while page["truncated"]:
                page = first.call("get_state_prefix", {"prefix": "page.", "limit": 2,
                                                       "cursor": page["nextCursor"]}).structured
                seen += list(page["snapshots"])
                last = page["snapshots"]
            self.assertEqual(seen, [f"page.{number}" for number in range(5)])
            self.assertEqual(last["page.4"]["value"], 4, "as of the first page")

    def test_migration_there_and_back(self):
        data = self.folder / "embedded"
        with harness.Engine(data, self.config) as engine:
            client = harness.HttpMcp(engine.url)
            for number in range(40):
                client.propose(f"key/{number % 5}", {"n": [number]})
            client.propose("key/0", op="delete")
            client.close()
        there = self.run_command("migrate", "--from", f"sqlite:{data}", "--to",
                                 f"firestore:{self.project}", "--json")
        self.assertEqual(there.returncode, 0, there.stderr + there.stdout)
        report = json.loads(there.stdout)
        self.assertEqual((report["entries"], report["keys"], report["chainKept"]), (41, 5, True))
        with self.engine("shared") as engine:
            client = harness.HttpMcp(engine.url)
            self.assertEqual(client.snapshot("key/4")["version"], 8)
            self.assertTrue(client.propose("key/4", "moved", expectedVersion=8).accepted)
            client.close()
        back = self.run_command("migrate", "--from", f"firestore:{self.project}", "--to",
                                f"sqlite:{self.folder / 'back'}")
        self.assertEqual(back.returncode, 0, back.stderr + back.stdout)
        self.assertIn("both sides are equal", back.stdout)
        verified = self.run_command("verify", "--data-dir", self.folder / "back")
        self.assertEqual(verified.returncode, 0, verified.stdout)

    def test_provision_says_first_and_does_then(self):
        indexes = self.folder / "firestore.indexes.json"
        command = ["provision", "firestore", "--project", self.project, "--indexes", indexes]
        said = self.run_command(*command)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("Would be done with --apply", said.stdout)
        self.assertFalse(indexes.exists())
        done = self.run_command(*command, "--apply")
        self.assertEqual(done.returncode, 0, done.stderr)
        overrides = json.loads(indexes.read_text())["fieldOverrides"]
        self.assertIn({"collectionGroup": "state", "fieldPath": "value", "indexes": []}, overrides)

    def test_an_absent_service_is_named(self):
        self.env = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}
        started = self.run_command("serve", "--store", "firestore", "--firestore-project", "p",
                                   "--data-dir", self.folder / "x", "--listen", "127.0.0.1:0")
        self.assertEqual(started.returncode, 1)
        self.assertIn("Firestore project p, emulator 127.0.0.1:1 cannot be used", started.stderr)


if __name__ == "__main__":
    harness.main()
