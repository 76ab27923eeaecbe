#!/usr/bin/env python3
"""I5 under kill -9: nothing acknowledged is lost, and an unanswered id has exactly one outcome.

Eight clients load an engine that is killed again and again, half of the times at the very moment an
acknowledgement arrives. The clients write what was acknowledged to a file of their own; after each
restart a checker compares it with the log. A build that answers before its commit must be caught.

A rule derives a mutation and emits an effect for each change of one key: I8 and I10 are checked at
the end, each cause having exactly one of both.
"""

import collections
import contextlib
import json
import random
import sqlite3
import sys
import threading
import time

import harness

CYCLES = 50
CYCLES_PLANTED = 80
CLIENTS = 8
SHARED_KEYS = 3
CAUSE_KEY = "own.0"
CONFIG = """\
allowedKeys: ["own.*", "shared.*", "tx.*", mirror]
rules:
  - id: mirror
    when: {'==': [{var: key}, own.0]}
    actions:
      - {type: publishEgress, payload: {type: mirrored, n: {$logic: {var: value}}}}
      - {type: proposeMutation, key: mirror, value: {$logic: {var: value}}, reason: mirrored}
"""


class Ledger:
    """What the clients know: promises (answers received) and what is still unanswered."""

    def __init__(self, path):
        self._lock = threading.Lock()
        self._file = open(path, "a", encoding="utf-8")
        self.path = path
        self.open_questions = {}  # id -> (client number, tool, arguments)
        self.promises = []        # not yet compared with the log
        self.count = 0

    def asked(self, number, tool, arguments):
        with self._lock:
            self.open_questions[arguments["id"]] = (number, tool, arguments)

    def answered(self, mutation_id, promises):
        """Notes the promises of one answer; returns how many answers were noted in all."""
        with self._lock:
            for promise in promises:
                self._file.write(json.dumps(promise) + "\n")
            self._file.flush()
            self.promises += promises
            self.open_questions.pop(mutation_id, None)
            self.count += 1
            return self.count

    def all_promises(self):
        self._file.flush()
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def close(self):
        self._file.close()


def promises_of(tool, arguments, answer):
    """What an answer promises about the log, or None if it decided nothing."""
    data = answer.data
    if data.get("status") not in ("accepted", "rejected"):
        raise AssertionError(f"an answer without a status: {answer.text}")
    if data.get("code") in ("unavailable", "rate_limited"):
        return None
    if tool == "propose_transaction":
        if not answer.accepted:
            raise AssertionError(f"a transaction was rejected: {answer.text}")
        members = data["members"]
        return [{"id": f"{arguments['id']}:{i}", "status": "accepted", "key": member["key"],
                 "version": members[i]["version"], "value": member["value"]}
                for i, member in enumerate(arguments["mutations"])]
    return [{"id": arguments["id"], "status": data["status"], "key": arguments["key"],
             "version": data.get("version") if answer.accepted else None,
             "value": arguments["value"]}]


def door_of(engine, number):
    """Half of the clients come by HTTP, half by the socket. The door decides the actor, and the
    actor is part of what an id stands for."""
    return engine.socket() if number % 2 else engine.http()


class Client(threading.Thread):
    """Proposes until its engine is gone."""

    def __init__(self, number, cycle, engine, ledger, seed, on_answer):
        super().__init__(daemon=True)
        self.number, self.cycle, self.engine, self.ledger = number, cycle, engine, ledger
        self.random = random.Random(f"{seed}/{cycle}/{number}")
        self.on_answer = on_answer
        self.sent = 0
        self.fault = None

    def run(self):
        try:
            mcp = door_of(self.engine, self.number)
            try:
                while True:
                    self.step(mcp)
            finally:
                mcp.close()
        except harness.Gone:
            pass
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault

    def step(self, mcp):
        tool, arguments = self.choose(mcp)
        self.sent += 1
        arguments["id"] = f"c{self.cycle}-{self.number}-{self.sent}"
        arguments["reason"] = "kill -9 test"
        self.ledger.asked(self.number, tool, arguments)
        answer = mcp.call(tool, arguments)
        promises = promises_of(tool, arguments, answer)
        if promises is not None:
            self.on_answer(self.ledger.answered(arguments["id"], promises))

    def choose(self, mcp):
        own, shared = f"own.{self.number}", f"shared.{self.random.randrange(SHARED_KEYS)}"
        kind = self.random.random()
        if kind < 0.3:
            return "propose_mutation", {"key": own, "op": "increment", "value": 1}
        if kind < 0.5:
            return "propose_mutation", {"key": shared, "op": "increment",
                                        "value": self.random.randrange(1, 9)}
        if kind < 0.85:
            key = own if kind < 0.65 else shared
            before = mcp.snapshot(key)
            return "propose_mutation", {"key": key, "op": "set",
                                        "value": self.random.randrange(1_000_000),
                                        "expectedVersion": before["version"] if before else 0}
        members = [{"key": f"tx.{self.number}.{i}", "value": self.random.randrange(1_000_000)}
                   for i in range(self.random.choice((2, 8, 32)))]
        return "propose_transaction", {"mutations": members}


class Checker:
    """Compares the clients' file with the log, a cycle at a time."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.problems = []
        self.lost = 0
        self.entries = {}   # id -> log entry
        self.versions = {}  # key -> version of the folded log
        self.values = {}
        self.seq = 0

    def problem(self, text):
        self.problems.append(text)

    def take_log(self, mcp):
        """Reads what is new in the log: ids once, versions dense, values folded."""
        for entry in mcp.history(after=self.seq):
            if entry["seq"] <= self.seq:
                self.problem(f"seq {entry['seq']} after {self.seq}")
            self.seq = entry["seq"]
            if entry["id"] in self.entries:
                self.problem(f"{entry['id']} has a second entry, seq {entry['seq']}")
            self.entries[entry["id"]] = entry
            if entry["status"] == "accepted":
                self.fold(entry)

    def fold(self, entry):
        key = entry["key"]
        expected = self.versions.get(key, 0) + 1
        if entry["resultingVersion"] != expected:
            self.problem(f"{key}: version {entry['resultingVersion']} where {expected} was due")
        self.versions[key] = entry["resultingVersion"]
        increment = entry["op"] == "increment"
        self.values[key] = (self.values.get(key, 0) if increment else 0) + entry["value"]

    def check_promise(self, promise):
        entry = self.entries.get(promise["id"])
        if entry is None:
            self.lost += 1
            self.problem(f"LOST: {promise} was answered and is not in the log")
            return
        found = {"id": entry["id"], "status": entry["status"], "key": entry["key"],
                 "version": entry.get("resultingVersion"), "value": entry["value"]}
        if found != promise:
            self.problem(f"answered {promise}, logged {found}")

    def check_promises(self):
        for promise in self.ledger.promises:
            self.check_promise(promise)
        self.ledger.promises.clear()

    def settle_open_questions(self, engine):
        """I15: the same id again gives the one outcome, old or new."""
        doors = [door_of(engine, number) for number in (0, 1)]
        for mutation_id, (number, tool, arguments) in list(self.ledger.open_questions.items()):
            first = mutation_id + (":0" if tool == "propose_transaction" else "")
            known = self.entries.get(first)
            answer = doors[number % 2].call(tool, arguments)
            if answer.data.get("duplicate", False) != (known is not None):
                self.problem(f"{mutation_id}: in the log: {known is not None}, {answer.text}")
            promises = promises_of(tool, arguments, answer)
            if promises is None:
                self.problem(f"{mutation_id} was not decided after the restart: {answer.text}")
                continue
            self.ledger.answered(mutation_id, promises)

    def check_values(self, mcp):
        keys = sorted(self.values)
        for begin in range(0, len(keys), 100):
            page = keys[begin:begin + 100]
            snapshots = mcp.call("get_state", {"keys": page}).structured["snapshots"]
            for key in page:
                found = snapshots[key] and (snapshots[key]["value"], snapshots[key]["version"])
                if found != (self.values[key], self.versions[key]):
                    self.problem(f"{key}: the log folds to {self.values[key]} at version "
                                 f"{self.versions[key]}, the state says {found}")

    def after_restart(self, engine):
        mcp = engine.socket()
        self.take_log(mcp)
        self.check_promises()
        self.settle_open_questions(engine)
        self.take_log(mcp)
        self.check_promises()
        self.check_values(mcp)


class Kill9(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.seed = random.randrange(2**32)
        print(f"seed {self.seed}", file=sys.stderr)
        self.random = random.Random(self.seed)
        self.ledger = Ledger(self.home / "acknowledged.jsonl")
        self.addCleanup(self.ledger.close)
        self.checker = Checker(self.ledger)

    def load_and_kill(self, engine, cycle):
        """Loads the engine and kills it in the middle: at a random time, or at an answer."""
        dead = threading.Event()
        at_answer = self.ledger.count + self.random.randrange(1, 120) if cycle % 2 else None

        def on_answer(count):
            if at_answer is not None and count >= at_answer and not dead.is_set():
                engine.process.kill()
                dead.set()

        clients = [Client(number, cycle, engine, self.ledger, self.seed, on_answer)
                   for number in range(CLIENTS)]
        for client in clients:
            client.start()
        if at_answer is None:
            dead.wait(self.random.uniform(0.05, 0.25))
        elif not dead.wait(5.0):
            print(f"cycle {cycle}: wanted answer {at_answer}, have {self.ledger.count}, alive "
                  f"{[client.number for client in clients if client.is_alive()]}", file=sys.stderr)
        engine.kill()
        for client in clients:
            client.join(30)
            self.assertFalse(client.is_alive(), "a client hangs")
            if client.fault:
                raise client.fault

    def cycle(self, engine, number):
        engine.start()
        self.checker.after_restart(engine)
        if not self.checker.problems:
            self.load_and_kill(engine, number)

    def check_causes(self, engine):
        """I8, I10: each change of CAUSE_KEY has one derived mutation and one effect, none has two,
        and neither exists without its cause."""
        entries = self.checker.entries.values()
        causes = collections.Counter(entry["id"] for entry in entries if
                                     entry["key"] == CAUSE_KEY and entry["status"] == "accepted")
        derived = collections.Counter(entry["causationId"] for entry in entries
                                      if entry["actor"] == "rule:mirror")
        with contextlib.closing(sqlite3.connect(engine.data_dir / "state.db")) as database:
            effects = collections.Counter(
                cause for (cause,) in database.execute("SELECT cause_id FROM outbox"))
        self.assertGreater(len(causes), 0)
        self.assertEqual(derived, causes)
        self.assertEqual(effects, causes)

    def test_nothing_acknowledged_is_lost(self):
        engine = self.new_engine(config=self.config(CONFIG))
        slowest = 0.0
        for number in range(CYCLES):
            begin = time.monotonic()
            self.cycle(engine, number)
            self.assertEqual(self.checker.problems, [], f"in cycle {number}")
            slowest = max(slowest, time.monotonic() - begin)
        engine.start()
        self.checker.after_restart(engine)
        self.assertEqual(engine.stop(), 0)
        promises = self.ledger.all_promises()
        for promise in promises:
            self.checker.check_promise(promise)
        self.assertEqual(self.checker.problems, [])
        self.assertGreater(len(promises), CYCLES, "there was hardly any load")
        self.check_causes(engine)
        report = self.assert_verifies(engine.data_dir)
        self.assertEqual(report["headSeq"], self.checker.seq)
        print(f"{CYCLES} kills, {len(promises)} promises kept, {len(self.checker.entries)} log "
              f"entries, slowest cycle {slowest:.2f} s", file=sys.stderr)


class Planted(Kill9):
    """The checker itself is tested: a build that answers before the commit must be caught."""

    test_nothing_acknowledged_is_lost = None

    def test_an_answer_before_the_commit_is_caught(self):
        binary = harness.planted_binary()
        if binary is None:
            self.fail("state-engine-planted is not built: ./dev build release state-engine-planted")
        engine = self.new_engine(config=self.config(CONFIG), binary=binary)
        for number in range(CYCLES_PLANTED):
            self.cycle(engine, number)
            if self.checker.problems:
                break
        self.assertGreater(self.checker.lost, 0,
                           f"{CYCLES_PLANTED} kills of a build that answers too early, and the "
                           f"checker saw no loss; it saw {self.checker.problems}")
        print(f"caught in cycle {number}: {self.checker.problems[0]}", file=sys.stderr)


if __name__ == "__main__":
    harness.main()
