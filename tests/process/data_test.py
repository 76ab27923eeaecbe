#!/usr/bin/env python3
"""What is kept on disk, and what people see of it: watch, expiry, backup, replay, verify."""

import contextlib
import datetime
import json
import pathlib
import shutil
import sqlite3
import subprocess
import threading
import time

import harness

CONFIG = 'allowedKeys: ["a.*", "b.*"]\n'


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Watch(harness.ProcessTest):
    def start_watch(self, server, *args):
        """A running `watch --json`; what it shows is appended to the returned list."""
        process = subprocess.Popen(
            [harness.engine_binary(), "watch", "--json", *args,
             "--data-dir", str(server.data_dir)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=harness.clean_environment())
        shown = []

        def read():
            for line in process.stdout:
                shown.append(json.loads(line))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()

        def end():
            process.kill()
            process.wait()
            reader.join(5)
            process.stdout.close()
            process.stderr.close()

        self.addCleanup(end)
        return process, shown

    def attach(self, mcp, shown):
        """Proposes until the watch shows something: from then on nothing may be missed."""
        def seen():
            mcp.propose("a.sync", time.monotonic())
            return bool(shown)
        harness.wait_until(seen, 20, "the watch to attach")

    def test_each_change_is_shown_exactly_once_across_bursts(self):
        server = self.engine(config=self.config(CONFIG))
        mcp = server.socket()
        _, shown = self.start_watch(server, "a.")
        self.attach(mcp, shown)

        def burst(number):
            client = server.socket()
            for i in range(40):
                client.propose(f"a.{number}.{i % 5}", i)
                client.propose("b.elsewhere", i)
                client.propose("forbidden", i)
            client.close()

        for _ in range(3):
            writers = [threading.Thread(target=burst, args=(n,)) for n in range(6)]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
        changes = [entry["seq"] for entry in mcp.history(prefix="a.")
                   if entry["status"] == "accepted"]
        changes = [seq for seq in changes if seq >= shown[0]["seq"]]
        harness.wait_until(lambda: len(shown) >= len(changes), 20, "all changes to be shown")
        mcp.propose("a.last", 1)
        harness.wait_until(lambda: shown[-1]["key"] == "a.last", 20, "the last change")
        self.assertEqual([entry["seq"] for entry in shown[:-1]], changes)

    def test_a_watch_outlives_a_restart_of_the_engine_and_misses_nothing(self):
        server = self.engine(config=self.config(CONFIG))
        mcp = server.socket()
        process, shown = self.start_watch(server)
        self.attach(mcp, shown)
        first = shown[0]["seq"]
        server.kill()
        server.start()
        mcp = server.socket()
        for i in range(20):
            mcp.propose("a.after", i)
        seqs = [entry["seq"] for entry in mcp.history() if entry["seq"] >= first]
        harness.wait_until(lambda: len(shown) >= len(seqs), 30, "what was missed")
        self.assertEqual([entry["seq"] for entry in shown], seqs)
        self.assertIsNone(process.poll())

    def test_exec_runs_a_command_for_each_change(self):
        server = self.engine(config=self.config(CONFIG))
        mcp = server.socket()
        mcp.propose("a.x", 1)
        mcp.propose("a.quoted", "$(touch owned); 'x'")
        names, inputs = self.home / "names", self.home / "inputs"
        command = f'echo "$STATE_KEY v$STATE_VERSION $STATE_OP" >>{names}; cat >>{inputs}'
        outcome = server.cli("watch", "--after", "0", "--count", "2", "--exec", command)
        self.assertEqual(outcome.code, 0, outcome.err)
        self.assertEqual(names.read_text(), "a.x v1 set\na.quoted v1 set\n")
        values = [json.loads(line)["value"] for line in inputs.read_text().splitlines()]
        self.assertEqual(values, [1, "$(touch owned); 'x'"])

    def test_count_ends_it_and_text_tells_old_and_new(self):
        server = self.engine(config=self.config(CONFIG))
        mcp = server.socket()
        mcp.propose("a.x", "old")
        mcp.propose("a.x", "new", reason="because")
        outcome = server.cli("watch", "--after", "1", "--count", "1")
        self.assertEqual(outcome.code, 0, outcome.err)
        for part in ("a.x", "v2", '"new"', "because"):
            self.assertIn(part, outcome.out)


class Expiry(harness.ProcessTest):
    def expire_entry(self, mcp, key):
        entries = mcp.history(key=key)
        return next((entry for entry in entries if entry["op"] == "expire"), None)

    def test_a_ttl_ends_within_a_second_and_is_logged(self):
        server = self.engine(config=self.config(CONFIG))
        accepted = server.cli("propose", "a.x", "soon gone", "--ttl", "0.5", "--reason", "r",
                              "--json")
        self.assertEqual(accepted.code, 0, accepted.err)
        mcp = server.socket()
        snapshot = mcp.snapshot("a.x")
        self.assertIsNotNone(snapshot)
        deadline = when(snapshot["expiresAt"])
        entry = harness.wait_until(lambda: self.expire_entry(mcp, "a.x"), 5, "the expiry")
        self.assertEqual((entry["actor"], entry["resultingVersion"]), ("state-engine", 2))
        late = (when(entry["committedAt"]) - deadline).total_seconds()
        self.assertGreaterEqual(late, 0.0)
        self.assertLess(late, 1.0)
        self.assertIsNone(mcp.snapshot("a.x"))
        again = mcp.propose("a.x", "back", expectedVersion=0)
        self.assertEqual(again.structured["version"], 3, "an expired key counts as absent")

    def test_no_read_ever_returns_an_expired_value(self):
        server = self.engine(config=self.config(CONFIG))
        mcp = server.socket()
        mcp.propose("a.x", 1, ttl=0.3)
        expires = when(mcp.snapshot("a.x")["expiresAt"])
        while True:
            asked = datetime.datetime.now(datetime.timezone.utc)
            found = mcp.snapshot("a.x")
            if found is None:
                break
            self.assertLess(asked, expires, "read after its end")

    def test_an_expiry_that_fell_due_while_stopped_happens_at_start(self):
        server = self.engine(config=self.config(CONFIG))
        mcp = server.socket()
        mcp.propose("a.x", "gone by then", ttl=0.4)
        mcp.propose("a.y", "stays")
        expires = when(mcp.snapshot("a.x")["expiresAt"])
        server.kill()
        harness.wait_until(
            lambda: datetime.datetime.now(datetime.timezone.utc) > expires, 5, "the deadline")
        server.start()
        mcp = server.socket()
        self.assertIsNone(mcp.snapshot("a.x"))
        self.assertEqual(mcp.value("a.y"), "stays")
        harness.wait_until(lambda: self.expire_entry(mcp, "a.x"), 1.0, "the logged expiry")
        self.assertEqual(server.stop(), 0)
        self.assert_verifies(server.data_dir)

    def test_an_expiry_still_to_come_survives_a_restart(self):
        server = self.engine(config=self.config(CONFIG))
        server.socket().propose("a.x", "later", ttl=2)
        server.kill()
        server.start()
        mcp = server.socket()
        self.assertEqual(mcp.value("a.x"), "later")
        entry = harness.wait_until(lambda: self.expire_entry(mcp, "a.x"), 6, "the expiry")
        self.assertEqual(entry["actor"], "state-engine")


class Files(harness.ProcessTest):
    """A directory with a little history, and what the offline verbs make of it."""

    def setUp(self):
        super().setUp()
        self.server = self.engine(config=self.config(CONFIG))
        mcp = self.server.socket()
        for i in range(120):
            mcp.propose(f"a.{i:03}", {"i": i, "text": "ä€😀"})
        for i in range(30):
            mcp.propose("b.count", 1, op="increment")
            mcp.propose("b.list", i, op="push")
            mcp.propose("b.object", {f"k{i % 4}": i if i % 3 else None}, op="merge")
        for i in range(0, 120, 7):
            mcp.propose(f"a.{i:03}", op="delete")
        mcp.propose("a.refused", 1, expectedVersion=9)
        mcp.call("propose_transaction", {"reason": "tx", "mutations": [
            {"key": "b.count", "op": "increment", "value": 0.5},
            {"key": "a.000", "value": "back"}]})
        mcp.propose("b.short", 1, ttl=0.05)
        harness.wait_until(lambda: any(entry["op"] == "expire"
                                       for entry in mcp.history(key="b.short")), 5, "the expiry")
        self.mcp = mcp

    def listing(self, mcp):
        """Every snapshot, through small pages of one revision."""
        snapshots, cursor = {}, None
        while True:
            arguments = {"prefix": "", "limit": 17, **({"cursor": cursor} if cursor else {})}
            page = mcp.call("get_state_prefix", arguments).structured
            self.assertFalse(snapshots.keys() & page["snapshots"].keys(), "a key on two pages")
            snapshots.update(page["snapshots"])
            self.assertEqual(page["count"], len(page["snapshots"]))
            if not page["truncated"]:
                return snapshots
            cursor = page["nextCursor"]

    def test_export_and_replay_equal_the_listing(self):
        listing = self.listing(self.mcp)
        self.assertGreater(len(listing), 100)
        exported = {item["key"]: item
                    for item in self.server.cli("export", "--what", "state").json_lines()}
        self.assertEqual(exported, listing)
        replayed = self.server.cli("replay", "--json").json()
        self.assertEqual(replayed["snapshots"],
                         {key: {"value": item["value"], "version": item["version"]}
                          for key, item in listing.items()})
        log = self.server.cli("export").json_lines()
        self.assertEqual(log, self.mcp.history())
        self.assertEqual(replayed["asOfSeq"], log[-1]["seq"])
        self.assert_dense(log)

    def test_pages_of_large_values_stay_small_and_complete(self):
        for i in range(40):
            self.assertTrue(self.mcp.propose("a.big", f"{i}" + "v" * 200_000).accepted)
        oldest, after = [], 0
        while True:
            answer = self.mcp.call("get_history", {"key": "a.big", "afterSeq": after, "limit": 500})
            self.assertLess(len(answer.text), 3 * 1024 * 1024, "a reply must stay readable")
            page = answer.structured
            oldest += [entry["seq"] for entry in page["entries"]]
            if not page["truncated"]:
                break
            after = page["nextAfterSeq"]
        self.assertEqual(len(oldest), 40)
        newest, before = [], {}
        while True:
            page = self.mcp.call("get_history", {"key": "a.big", "limit": 500, **before}).structured
            newest += [entry["seq"] for entry in page["entries"]]
            if not page["truncated"]:
                break
            before = {"beforeSeq": page["nextBeforeSeq"]}
        self.assertEqual(newest, oldest[::-1])

    def test_replay_shows_the_past(self):
        entry = next(entry for entry in self.mcp.history(key="b.count")
                     if entry["resultingVersion"] == 10)
        for args in (["--until", entry["seq"]], ["--at", entry["committedAt"]]):
            past = self.server.cli("replay", *args, "--prefix", "b.", "--json").json()
            self.assertEqual(past["snapshots"]["b.count"], {"value": 10, "version": 10}, args)

    def test_a_backup_taken_under_load_restores_to_a_state_that_was(self):
        stop = threading.Event()

        def load():
            client = self.server.socket()
            while not stop.is_set():
                client.propose("b.count", 1, op="increment")
            client.close()

        loader = threading.Thread(target=load)
        loader.start()
        try:
            taken = self.server.cli("backup", self.home / "copy.db", "--json")
        finally:
            stop.set()
            loader.join()
        self.assertEqual(taken.code, 0, taken.err)
        self.assertEqual(harness.run_cli("verify", "--file", self.home / "copy.db").code, 0)
        self.assertEqual(self.server.cli("backup", self.home / "copy.db").code, 1,
                         "never overwrites a file")
        restored = self.new_engine("restored", config=self.server.config)
        restored.data_dir.mkdir(mode=0o700)
        shutil.copy(self.home / "copy.db", restored.data_dir / "state.db")
        restored.start()
        then = self.server.cli("replay", "--until", taken.json()["headSeq"], "--json").json()
        now = {key: {"value": item["value"], "version": item["version"]}
               for key, item in self.listing(restored.socket()).items()}
        self.assertEqual(now, then["snapshots"])

    def test_verify_runs_beside_the_engine_and_finds_every_damage(self):
        self.assert_verifies(self.server.data_dir)
        self.server.stop()
        damages = {
            "a value changed": "UPDATE folded_state SET value = '1000' WHERE key = 'b.count'",
            "a version changed":
                "UPDATE folded_state SET version = version + 1 WHERE key = 'b.count'",
            "a snapshot gone": "DELETE FROM folded_state WHERE key = 'a.001'",
            "a snapshot from nowhere":
                "INSERT INTO folded_state SELECT 'a.forged', value, version, updated_at, "
                "updated_by, ttl_ms, expires_at, seq, mutation_id, reason, metadata, deleted "
                "FROM folded_state WHERE key = 'a.001'",
            "a logged value changed": "UPDATE mutation_log SET value = '99' WHERE seq = 125",
            "a logged reason changed": "UPDATE mutation_log SET reason = 'forged' WHERE seq = 60",
            "a logged actor changed": "UPDATE mutation_log SET actor = 'forged' WHERE seq = 60",
            "an entry gone": "DELETE FROM mutation_log WHERE seq = 100",
            "the last entry gone":
                "DELETE FROM mutation_log WHERE seq = (SELECT max(seq) FROM mutation_log)",
            "a rejection made an acceptance":
                "UPDATE mutation_log SET status = 'accepted' WHERE status = 'rejected'",
        }
        for name, statement in damages.items():
            with self.subTest(name):
                copy = self.home / "damaged"
                shutil.copytree(self.server.data_dir, copy, ignore=shutil.ignore_patterns("*.sock"))
                self.addCleanup(shutil.rmtree, copy, ignore_errors=True)
                with contextlib.closing(sqlite3.connect(copy / "state.db")) as database:
                    self.assertEqual(database.execute(statement).rowcount, 1)
                    database.commit()
                outcome = harness.run_cli("verify", "--json", data_dir=copy)
                self.assertEqual(outcome.code, 7, outcome.out + outcome.err)
                report = outcome.json()
                self.assertFalse(report["ok"])
                self.assertGreater(report["problemCount"], 0)
                shutil.rmtree(copy)

    def test_a_file_overwritten_in_the_middle_is_found(self):
        self.server.stop()
        file = pathlib.Path(self.server.data_dir) / "state.db"
        data = bytearray(file.read_bytes())
        middle = len(data) // 2
        data[middle:middle + 4096] = b"\xa5" * 4096
        file.write_bytes(data)
        outcome = harness.run_cli("verify", data_dir=self.server.data_dir)
        self.assertIn(outcome.code, (1, 7), outcome.out + outcome.err)
        self.assertTrue(outcome.err or "PROBLEM" in outcome.out)


if __name__ == "__main__":
    harness.main()
