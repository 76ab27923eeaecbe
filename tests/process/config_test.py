#!/usr/bin/env python3
"""Configuration, credentials and the life of the process: start, reload, refuse, stop."""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import threading
import time

import harness

BASE = 'allowedKeys: ["a.*"]\n'
CANARY = "canary-7f3a-value-that-no-log-may-hold"


class Start(harness.ProcessTest):
    def refused(self, *args, name="refused", env=None, code=None):
        """Starts an engine that must end by itself; returns its outcome."""
        outcome = harness.run_cli("serve", *args, data_dir=self.home / name, env=env, seconds=30)
        if code is not None:
            self.assertEqual(outcome.code, code, outcome.err)
        self.assertNotEqual(outcome.code, 0)
        self.assertNotIn("is ready", outcome.out)
        return outcome

    def test_every_error_is_reported_at_once_with_its_line(self):
        file = self.config("\n".join([
            'allowedKeys: ["a.*", 7]',             # line 1
            "policy:",
            "  - keys: [a.x]",
            "    ops: [set, destroy]",             # line 4
            "  - writers: [b]",                    # line 5: no keys
            "    ttlDefault: -1",                  # line 6
            "rules:",
            "  - id: one",
            "    when: {nonsense: [1]}",           # line 9
            "    actions: [{type: teleport}]",     # line 10
            "surprise: true",                      # line 11
            ""]))
        outcome = self.refused("--config", file, "--listen", "127.0.0.1:0", code=2)
        for line in (1, 4, 5, 6, 9, 10, 11):
            self.assertIn(f"{file}:{line}: ", outcome.err, f"line {line} is missing")
        self.assertIn("destroy", outcome.err)
        self.assertIn("nonsense", outcome.err)

    def test_a_missing_config_file_is_named(self):
        outcome = self.refused("--config", self.home / "absent.yaml", "--listen", "127.0.0.1:0",
                               code=2)
        self.assertIn("absent.yaml", outcome.err)

    def test_bad_flags_are_usage_errors(self):
        for args in (["--listen", "nowhere"], ["--listen", "127.0.0.1:99999"],
                     ["--log-level", "loud"], ["--store", "paper"], ["--no-such-flag"]):
            with self.subTest(args):
                self.refused(*args, code=2)

    def test_without_config_the_default_keys_are_announced(self):
        engine = self.engine()
        warnings = [line for line in engine.log_text().splitlines() if '"warn"' in line]
        self.assertTrue(any("stream.state" in line and "--config" in line for line in warnings),
                        engine.log_text())
        mcp = engine.http()
        self.assertTrue(mcp.propose("stream.state", "on").accepted)
        self.assertEqual(mcp.propose("other.key", 1).code, "key_not_allowed")

    def test_the_reference_file_loads_unchanged_and_its_rules_fire(self):
        engine = self.engine(config=harness.EXAMPLES / "reference.yaml")
        mcp = engine.http()
        answer = mcp.propose("stream.state", "on", reason="went live")
        self.assertTrue(answer.accepted, answer.text)
        story = mcp.call("explain", {"key": "stream.state"}).structured
        effects = story["subject"]["effects"]
        self.assertEqual([effect["effect"]["ruleId"] for effect in effects], ["announce-online"])
        self.assertEqual(effects[0]["effect"]["payload"]["type"], "system.stream.online")
        self.assertEqual(mcp.propose("stream.viewers", 1).code, "key_not_allowed")

    def test_a_taken_port_is_named_with_a_way_out(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            outcome = self.refused("--listen", f"127.0.0.1:{port}", code=1)
        self.assertIn(str(port), outcome.err)
        self.assertIn("--listen", outcome.err)

    def test_a_second_engine_on_one_directory_is_refused(self):
        engine = self.engine()
        outcome = harness.run_cli("serve", "--listen", "127.0.0.1:0", data_dir=engine.data_dir)
        self.assertEqual(outcome.code, 1)
        self.assertIn(str(engine.data_dir), outcome.err)
        self.assertIn(str(engine.process.pid), outcome.err)
        self.assertTrue(engine.http().propose("stream.state", "on").accepted, "the first goes on")

    def test_a_bind_beyond_this_machine_needs_tokens(self):
        outcome = self.refused("--listen", "0.0.0.0:0", code=1)
        self.assertIn("token", outcome.err)
        self.assertIn("127.0.0.1", outcome.err)
        tokens = self.home / "tokens.json"
        made = harness.run_cli("token", "new", "--actor", "bot", "--tokens", tokens)
        engine = self.engine(args=["--listen", "0.0.0.0:0", "--tokens", str(tokens)])
        engine.url = engine.url.replace("0.0.0.0", "127.0.0.1")
        self.assertTrue(engine.http(token=made.out.strip()).propose("stream.state", "on").accepted)

    def test_each_loopback_name_is_served_without_tokens(self):
        for number, listen in enumerate(("127.0.0.1:0", "localhost:0", "[::1]:0")):
            with self.subTest(listen):
                if listen.startswith("[") and not socket.has_dualstack_ipv6():
                    continue
                engine = self.engine(f"data-{number}", args=["--listen", listen])
                self.assertTrue(engine.http().propose("stream.state", "on").accepted)
                self.assertEqual(engine.get("/mcp", {"Host": "evil.example"})[0], 403)

    def test_what_it_cannot_work_with_is_named(self):
        (self.home / "file").write_text("")
        (self.home / "no-database").mkdir()
        (self.home / "no-database/state.db").write_text("something else entirely")
        for name in ("file", "no-database", "x" * 120):
            with self.subTest(name):
                outcome = self.refused("--listen", "127.0.0.1:0", name=name, code=1)
                self.assertIn(name, outcome.err.splitlines()[-1])

    def test_environment_variables_stand_in_for_flags(self):
        file = self.config(BASE)
        engine = self.engine(env={"STATE_ENGINE_CONFIG_PATH": str(file), "LOG_LEVEL": "error"})
        self.assertTrue(engine.http().propose("a.x", 1).accepted)
        self.assertEqual(engine.log_text(), "")

    def test_show_clients_prints_configurations_that_name_this_engine(self):
        engine = self.new_engine(args=["--show-clients"])
        relative = pathlib.Path(os.path.relpath(engine.data_dir))
        engine.data_dir, absolute = relative, engine.data_dir
        engine.start()
        engine.data_dir = absolute
        text = "".join(engine.stdout)
        for name in ("Claude Code", "Cursor", "VS Code"):
            self.assertIn(name, text)
        self.assertIn(f"claude mcp add --transport http state {engine.url}/mcp", text)
        files = [json.loads(line) for line in text.splitlines() if line.lstrip().startswith("{")]
        self.assertEqual(len(files), 4)
        for file in files:
            server = (file.get("mcpServers") or file["servers"])["state"]
            if "url" in server:
                self.assertEqual(server["url"], engine.url + "/mcp")
            else:
                self.assertEqual(server["args"], ["mcp", "--data-dir", str(engine.data_dir)],
                                 "absolute, wherever the client starts it")
                self.assertTrue(os.access(server["command"], os.X_OK))


class Reload(harness.ProcessTest):
    def reload(self, engine, text, expected):
        """Writes the file, sends SIGHUP, waits for `expected` in the log after it."""
        engine.config.write_text(text)
        before = len(engine.log_text())
        engine.signal(signal.SIGHUP)
        harness.wait_until(lambda: expected in engine.log_text()[before:], 10, f"'{expected}'")
        return engine.log_text()[before:]

    def test_a_valid_file_is_in_force_at_once(self):
        engine = self.engine(config=self.config(BASE))
        mcp = engine.http()
        self.assertEqual(mcp.propose("b.x", 1).code, "key_not_allowed")
        self.reload(engine, 'allowedKeys: ["a.*", "b.*"]\n', "configuration reloaded")
        self.assertTrue(mcp.propose("b.x", 1).accepted)
        entries = mcp.history(key="b.x")
        self.assertEqual([entry["status"] for entry in entries], ["rejected", "accepted"])
        revisions = {entry["policyRevision"] for entry in entries}
        self.assertEqual(len(revisions), 2, "each entry names the policy that decided (I14)")

    def test_an_invalid_file_changes_nothing_and_is_explained(self):
        engine = self.engine(config=self.config(BASE))
        mcp = engine.http()
        for bad in ("allowedKeys: [b.*]\nsurprise: 1\n", "allowedKeys: [b.*\nrules: x\n"):
            logged = self.reload(engine, bad, "the old one stays in force")
            self.assertRegex(logged, re.escape(str(engine.config)) + r":[12]: ")
        self.assertTrue(mcp.propose("a.x", 1).accepted)
        self.assertEqual(mcp.propose("b.x", 1).code, "key_not_allowed")
        refused = re.compile(r'^state_engine_\w*reload\w*\{[^}]*\} 2$', re.MULTILINE)
        harness.wait_until(lambda: refused.search(engine.get("/metrics")[1]), 10, "the counter")

    def test_reloads_under_load_are_atomic(self):
        both = (BASE, BASE + "rules:\n  - {id: echo, when: {'==': [{var: key}, a.x]}, actions: "
                "[{type: proposeMutation, key: a.echo, value: {$logic: {var: value}}}]}\n")
        engine = self.engine(config=self.config(BASE))
        stop, faults = threading.Event(), []

        def load():
            mcp = engine.socket()
            try:
                while not stop.is_set():
                    answer = mcp.propose("a.x", 1, op="increment")
                    if not answer.accepted:
                        faults.append(answer.text)
            except Exception as fault:  # pylint: disable=broad-except
                faults.append(repr(fault))

        clients = [threading.Thread(target=load, daemon=True) for _ in range(4)]
        for client in clients:
            client.start()
        for number in range(1, 21):
            self.reload(engine, both[number % 2], "configuration reloaded")
        stop.set()
        for client in clients:
            client.join(15)
        self.assertEqual(faults, [])
        entries = engine.socket().history()
        causes = {entry["causationId"] for entry in entries if entry["key"] == "a.echo"}
        revisions = {}
        for entry in entries:
            if entry["key"] == "a.x":
                revisions.setdefault(entry["ruleRevision"], set()).add(entry["id"] in causes)
        self.assertEqual(sorted(map(sorted, revisions.values())), [[False], [True]],
                         "the rule revision that an entry names is the one that decided it")
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)

    def test_a_vanished_file_changes_nothing(self):
        engine = self.engine(config=self.config(BASE))
        engine.config.unlink()
        engine.signal(signal.SIGHUP)
        harness.wait_until(lambda: "the old one stays in force" in engine.log_text(), 10)
        self.assertTrue(engine.http().propose("a.x", 1).accepted)

    def test_new_tokens_are_taken_over(self):
        tokens = self.home / "tokens.json"
        first = harness.run_cli("token", "new", "--actor", "one", "--tokens", tokens).out.strip()
        engine = self.engine(config=self.config(BASE), args=["--tokens", str(tokens)])
        second = harness.run_cli("token", "new", "--actor", "two", "--tokens", tokens).out.strip()
        with self.assertRaises(harness.RpcFault) as refused:
            engine.http(token=second).propose("a.x", 1)
        self.assertEqual(refused.exception.status, 401)
        self.reload(engine, BASE, "configuration reloaded")
        self.assertTrue(engine.http(token=second).propose("a.x", 1).accepted)
        self.assertTrue(engine.http(token=first).propose("a.x", 2).accepted)
        tokens.write_text("{broken")
        self.reload(engine, BASE, "tokens not reloaded")
        self.assertTrue(engine.http(token=first).propose("a.x", 3).accepted)


class Credentials(harness.ProcessTest):
    def make_token(self, actor, *scopes):
        args = [part for scope in scopes for part in ("--scope", scope)]
        made = harness.run_cli("token", "new", "--actor", actor, "--tokens", self.tokens, *args)
        self.assertEqual(made.code, 0, made.err)
        return made.out.strip()

    def setUp(self):
        super().setUp()
        self.tokens = self.home / "tokens.json"

    def last_entry(self, mcp, key):
        return mcp.history(key=key)[-1]

    def test_the_actor_comes_from_the_token_and_scopes_hold(self):
        writer = self.make_token("stream-bot")
        reader = self.make_token("dashboard", "state:read")
        self.assertEqual(stat.S_IMODE(self.tokens.stat().st_mode), 0o600)
        self.assertNotIn(writer, self.tokens.read_text(), "the file holds digests only")
        engine = self.engine(config=self.config(BASE), args=["--tokens", str(self.tokens)])
        mcp = engine.http(token=writer)
        self.assertTrue(mcp.propose("a.x", 1).accepted)
        entry = self.last_entry(mcp, "a.x")
        self.assertEqual(entry["actor"], "stream-bot")
        self.assertTrue(entry["principal"].startswith("token:"), entry)

        limited = engine.http(token=reader)
        self.assertEqual(limited.value("a.x"), 1)
        try:
            answer = limited.propose("a.x", 2)
            self.assertTrue(answer.is_error)
            self.assertIn("state:write", answer.text)
        except harness.RpcFault as fault:
            self.assertIn("state:write", fault.message)
        self.assertEqual(mcp.value("a.x"), 1)

    def test_without_a_known_token_nothing_is_served(self):
        self.make_token("stream-bot")
        engine = self.engine(config=self.config(BASE), args=["--tokens", str(self.tokens)])
        for token in (None, "guess", "x" * 5000):
            with self.subTest(token):
                with self.assertRaises(harness.RpcFault) as refused:
                    engine.http(token=token).propose("a.x", 1)
                self.assertEqual(refused.exception.status, 401)
        self.assertEqual(engine.get("/healthz")[0], 200, "probes need no token")
        mcp = engine.socket()
        self.assertTrue(mcp.propose("a.x", 1).accepted, "the socket has its own credential")
        self.assertTrue(self.last_entry(mcp, "a.x")["actor"].startswith("cli:"))

    def test_loopback_without_tokens_is_anonymous(self):
        engine = self.engine(config=self.config(BASE))
        mcp = engine.http()
        mcp.call("propose_mutation", {"key": "a.x", "value": 1, "reason": "r",
                                      "metadata": {"actor": "rule:x"}})
        entry = self.last_entry(mcp, "a.x")
        self.assertEqual((entry["actor"], entry["principal"]), ("anonymous", "anonymous"))

    def test_the_shared_token_speaks_for_the_bot_and_its_users(self):
        engine = self.engine(config=self.config(BASE), env={"MCP_AUTH_TOKEN": "sesame-123"})
        mcp = engine.http(token="sesame-123")
        self.assertTrue(mcp.propose("a.x", 1).accepted)
        self.assertEqual(self.last_entry(mcp, "a.x")["actor"], "llm-bot")
        arguments = {"key": "a.x", "value": 2, "reason": "asked"}
        self.assertTrue(mcp.call("propose_mutation", arguments, {"userId": "ada"}).accepted)
        self.assertEqual(self.last_entry(mcp, "a.x")["actor"], "llm-bot:ada")
        with self.assertRaises(harness.RpcFault) as refused:
            engine.http().propose("a.x", 1)
        self.assertEqual(refused.exception.status, 401)

    def test_the_socket_is_private_and_tells_bridges_from_people(self):
        engine = self.engine(config=self.config(BASE))
        self.assertEqual(stat.S_IMODE(engine.socket_path.stat().st_mode), 0o600)
        engine.cli("propose", "a.x", "1", "--reason", "r")
        self.assertRegex(self.last_entry(engine.http(), "a.x")["actor"], r"^cli:\w+")

    def stdio(self, data_dir, *args, **options):
        client = harness.StdioMcp(data_dir, *args, **options)
        self.addCleanup(client.close)
        return client

    def test_a_stdio_bridge_forwards_its_token(self):
        writer = self.make_token("stream-bot")
        engine = self.engine(config=self.config(BASE), args=["--tokens", str(self.tokens)])
        with_token = self.stdio(engine.data_dir, env={"STATE_ENGINE_TOKEN": writer})
        self.assertTrue(with_token.propose("a.x", 1).accepted)
        without = self.stdio(engine.data_dir)
        self.assertTrue(without.propose("a.x", 2).accepted)
        actors = [entry["actor"] for entry in without.history(key="a.x")]
        self.assertEqual(actors[0], "stream-bot")
        self.assertRegex(actors[1], r"^mcp:\w+")
        wrong = self.stdio(engine.data_dir, env={"STATE_ENGINE_TOKEN": "wrong"})
        with self.assertRaises((harness.RpcFault, harness.Gone)):
            wrong.propose("a.x", 3)
        for client in (with_token, without):
            self.assertEqual(client.end_input(), (0, ""))
        self.assertEqual(engine.http(token=writer).value("a.x"), 2)

    def test_two_stdio_processes_never_open_one_directory(self):
        file = self.config(BASE)
        first = self.stdio(self.home / "alone", "--config", file)
        self.assertTrue(first.propose("a.x", 1).accepted)
        second = self.stdio(self.home / "alone", "--config", file)
        with self.assertRaises(harness.Gone):
            second.propose("a.x", 2)
        code, complaint = second.end_input()
        self.assertEqual(code, 1)
        self.assertIn(str(first.process.pid), complaint)
        self.assertEqual(first.value("a.x"), 1)
        self.assertEqual(first.end_input()[0], 0)

    def test_reserved_actors_are_refused(self):
        for actor in ("rule:x", "state-engine"):
            with self.subTest(actor):
                made = harness.run_cli("token", "new", "--actor", actor, "--tokens", self.tokens)
                self.assertNotEqual(made.code, 0)
                self.assertIn("reserved", made.err)
                self.tokens.write_text(json.dumps(
                    {"tokens": [{"sha256": "0" * 64, "actor": actor}]}))
                outcome = harness.run_cli("serve", "--listen", "127.0.0.1:0", "--tokens",
                                          self.tokens, data_dir=self.home / "data")
                self.assertEqual(outcome.code, 1, outcome.err)
                self.assertIn("tokens[0]", outcome.err)
                self.tokens.unlink()

    def test_foreign_hosts_and_origins_are_refused(self):
        engine = self.engine(config=self.config(BASE),
                             args=["--allow-origin", "https://console.example"])
        port = engine.url.rsplit(":", 1)[1]
        self.assertEqual(engine.get("/mcp", {"Host": f"localhost:{port}"})[0], 405)
        self.assertEqual(engine.get("/mcp", {"Origin": "https://console.example"})[0], 405)
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{port}"},
                        {"Origin": "https://evil.example"}, {"Origin": "null"},
                        {"Origin": "https://console.example.evil.example"}):
            with self.subTest(headers):
                self.assertEqual(engine.get("/mcp", headers)[0], 403)


class Life(harness.ProcessTest):
    def test_sigterm_under_load_ends_cleanly_and_loses_nothing(self):
        engine = self.engine(config=self.config(BASE))
        acknowledged, faults = [], []

        def load(number):
            mcp = engine.http() if number % 2 else engine.socket()
            try:
                for i in range(1_000_000):
                    answer = mcp.propose("a.counter", 1, op="increment", id=f"{number}-{i}")
                    if answer.accepted:
                        acknowledged.append((f"{number}-{i}", answer.structured["version"]))
                    elif answer.code != "unavailable":
                        faults.append(answer.text)
            except (harness.Gone, harness.RpcFault):
                pass  # Stopping: this client's last proposal has no answer.
            except Exception as fault:  # pylint: disable=broad-except
                faults.append(repr(fault))
            finally:
                mcp.close()

        clients = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(8)]
        for client in clients:
            client.start()
        harness.wait_until(lambda: len(acknowledged) > 100, 30, "load")
        begin = time.monotonic()
        self.assertEqual(engine.stop(seconds=15), 0)
        took = time.monotonic() - begin
        for client in clients:
            client.join(15)
            self.assertFalse(client.is_alive())
        self.assertLess(took, 8.0, "the grace is 5 seconds")
        self.assertEqual(faults, [])
        self.assertFalse(engine.socket_path.exists(), "a clean end removes its socket")
        engine.start()
        versions = {entry["id"]: entry["resultingVersion"]
                    for entry in engine.http().history(key="a.counter")}
        for mutation_id, version in acknowledged:
            self.assertEqual(versions.get(mutation_id), version, mutation_id)
        self.assertEqual(engine.stop(), 0)
        self.assert_verifies(engine.data_dir)

    def test_sigint_and_an_idle_connection_end_within_seconds(self):
        engine = self.engine(config=self.config(BASE))
        mcp = engine.http()
        mcp.propose("a.x", 1)  # Its connection stays open.
        begin = time.monotonic()
        engine.signal(signal.SIGINT)
        self.assertEqual(engine.process.wait(15), 0)
        self.assertLess(time.monotonic() - begin, 8.0)
        mcp.close()

    def test_probes_and_metrics_tell_the_truth(self):
        engine = self.engine(config=self.config(BASE))
        for path in ("/healthz", "/livez", "/readyz", "/health"):
            status, text = engine.get(path)
            self.assertEqual((status, json.loads(text)["status"]), (200, "ok"), path)
        mcp = engine.http()
        mcp.propose("a.x", 1)
        mcp.propose("b.x", 1)
        _, text = engine.get("/metrics")
        names = {line.split("{")[0].split(" ")[0] for line in text.splitlines()
                 if line and not line.startswith("#")}
        self.assertTrue(names)
        self.assertTrue(all(name.startswith("state_engine_") for name in names), names)
        self.assertRegex(text, r'state_engine_\w+\{[^}]*key_not_allowed[^}]*\} 1')

    def test_logs_are_json_and_hold_neither_values_nor_tokens(self):
        tokens = self.home / "tokens.json"
        token = harness.run_cli("token", "new", "--actor", "bot", "--tokens", tokens).out.strip()
        engine = self.engine(config=self.config(BASE),
                             args=["--tokens", str(tokens), "--log-level", "debug"],
                             env={"MCP_AUTH_TOKEN": CANARY + "-shared"})
        mcp = engine.http(token=token)
        self.assertTrue(mcp.propose("a.x", CANARY, id="once", reason="r").accepted)
        self.assertEqual(mcp.propose("a.x", CANARY + "2", id="once").code, "id_reused")
        mcp.propose("b.x", CANARY)
        mcp.propose("a.x", CANARY, op="increment")
        mcp.call("propose_mutation", {"key": "a.x", "value": CANARY})
        for wrong in (CANARY + "-guess", "x"):
            with self.assertRaises(harness.RpcFault):
                engine.http(token=wrong).propose("a.x", CANARY)
        engine.http(token=CANARY + "-shared").propose("a.x", CANARY)
        engine.signal(signal.SIGHUP)
        harness.wait_until(lambda: "reloaded" in engine.log_text(), 10)
        self.assertEqual(engine.stop(), 0)
        lines = engine.log_text().splitlines()
        self.assertTrue(lines)
        for line in lines:
            entry = json.loads(line)
            for field in ("ts", "level", "service", "msg"):
                self.assertIn(field, entry)
        self.assertNotIn(CANARY, engine.log_text())
        self.assertNotIn(token, engine.log_text())
        self.assertNotIn(CANARY, "".join(engine.stdout))

    def test_state_survives_a_restart(self):
        engine = self.engine(config=self.config(BASE))
        first = engine.http().propose("a.x", {"deep": [1, 2.5, "drei"]}, id="kept")
        engine.stop()
        engine.start()
        mcp = engine.http()
        self.assertEqual(mcp.value("a.x"), {"deep": [1, 2.5, "drei"]})
        again = mcp.propose("a.x", {"deep": [1, 2.5, "drei"]}, id="kept")
        self.assertTrue(again.structured["duplicate"])
        self.assertEqual(again.structured["version"], first.structured["version"])


if __name__ == "__main__":
    harness.main()
