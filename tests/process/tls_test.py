"""The engine with a certificate of its own: https for every client, reload, and clear refusals.

The certificates are made here, with the openssl program.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import unittest
import urllib.parse

import harness

CONFIG = 'allowedKeys: ["a.*"]\n'


def make_certificate(directory, name, alt_names="DNS:localhost,IP:127.0.0.1"):
    """NAME.crt and NAME.key in `directory`; returns their paths."""
    crt, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={alt_names}",
         "-keyout", str(key), "-out", str(crt)], check=True, capture_output=True)
    return crt, key


def missing_openssl():
    if shutil.which("openssl"):
        return None
    if os.environ.get("CI"):
        raise AssertionError("openssl is missing; ./dev deps installs it")
    return "SKIP: missing openssl"


@unittest.skipIf(missing_openssl(), "missing openssl")
class Tls(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.crt, self.key = make_certificate(self.home, "engine")
        self.config_file = self.config(CONFIG)

    def serve(self, *args, **options):
        more = ["--tls-cert", str(self.crt), "--tls-key", str(self.key), *args]
        return self.engine(config=self.config_file, args=more, **options)

    def trusting(self, *files):
        context = ssl.create_default_context()
        for file in files or (self.crt,):
            context.load_verify_locations(file)
        return context

    def address(self, engine):
        parts = urllib.parse.urlsplit(engine.url)
        return parts.hostname, parts.port

    def connect(self, engine, context=None):
        link = socket.create_connection(self.address(engine), timeout=15)
        return (context or self.trusting()).wrap_socket(link, server_hostname="localhost")

    # ---- Clients --------------------------------------------------------------------------------

    def test_the_ready_line_names_https_and_clients_work(self):
        engine = self.serve("--show-clients")
        self.assertTrue(engine.url.startswith("https://127.0.0.1:"), engine.url)
        snippets = "".join(engine.stdout)
        self.assertIn(f'"url":"{engine.url}/mcp"', snippets.replace(" ", ""))
        self.assertNotIn("http://", snippets)
        mcp = engine.http(tls=self.trusting())
        self.assertTrue(mcp.propose("a.x", {"n": 1}).accepted)
        self.assertEqual(mcp.value("a.x"), {"n": 1})

    def test_the_command_line_speaks_https_with_its_own_authority(self):
        engine = self.serve()
        url = engine.url + "/mcp"
        done = harness.run_cli("propose", "a.x", "1", "--reason", "test", "--url", url, "--ca",
                               self.crt)
        self.assertEqual(done.code, 0, done.err)
        named = url.replace("127.0.0.1", "localhost")
        env = {"STATE_ENGINE_CA": str(self.crt), "STATE_ENGINE_URL": named}
        self.assertEqual(harness.run_cli("get", "--value", "a.x", env=env).out, "1\n")
        watch = subprocess.Popen(
            [harness.engine_binary(), "watch", "--json", "--count", "1", "--after", "1", "--url",
             url, "--ca", str(self.crt)], stdout=subprocess.PIPE, env=harness.clean_environment())
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.kill)
        engine.http(tls=self.trusting()).propose("a.x", 2)
        self.assertEqual(json.loads(watch.communicate(timeout=30)[0])["value"], 2)
        strange = harness.run_cli("get", "a.x", "--url", url)
        self.assertEqual(strange.code, 1)
        self.assertIn("--ca FILE", strange.err)
        broken = harness.run_cli("get", "a.x", "--url", url, "--ca", self.config_file)
        self.assertIn("config.yaml", broken.err)

    def test_curl_and_older_and_newer_tls(self):
        engine = self.serve()
        if shutil.which("curl"):
            done = subprocess.run(["curl", "-sS", "--cacert", str(self.crt),
                                   engine.url + "/healthz"], capture_output=True, text=True)
            self.assertEqual(json.loads(done.stdout)["status"], "ok", done.stderr)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.trusting()
            context.minimum_version = context.maximum_version = version
            with contextlib.closing(self.connect(engine, context)) as link:
                self.assertEqual(link.version(), version.name.replace("_", "."))
        old = self.trusting()
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            self.connect(engine, old)

    def test_the_protocol_is_negotiated_as_http_1_1(self):
        engine = self.serve()
        context = self.trusting()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with contextlib.closing(self.connect(engine, context)) as link:
            self.assertEqual(link.selected_alpn_protocol(), "http/1.1")
        only_h2 = self.trusting()
        only_h2.set_alpn_protocols(["h2"])
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            self.connect(engine, only_h2)

    def test_metadata_and_challenges_name_https(self):
        keys = self.home / "keys.json"
        keys.write_text('{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig",'
                        '"kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}')
        engine = self.serve("--jwks", str(keys), "--jwt-issuer", "https://issuer.example",
                            "--jwt-audience", "state")
        host, port = self.address(engine)
        link = http.client.HTTPSConnection(host, port, timeout=10, context=self.trusting())
        with contextlib.closing(link):
            link.request("GET", "/.well-known/oauth-protected-resource/mcp")
            document = json.loads(link.getresponse().read())
            self.assertEqual(document["resource"], f"{engine.url}/mcp")
            link.request("POST", "/mcp", b"{}", {"Content-Type": "application/json"})
            refused = link.getresponse()
            refused.read()
            self.assertEqual(refused.status, 401)
            self.assertIn(f'resource_metadata="{engine.url}/', refused.headers["WWW-Authenticate"])

    # ---- Peers that do it wrong -----------------------------------------------------------------

    def test_plain_http_is_told_to_use_https(self):
        engine = self.serve()
        host, port = self.address(engine)
        link = http.client.HTTPConnection(host, port, timeout=10)
        with contextlib.closing(link):
            link.request("GET", "/healthz")
            answer = link.getresponse()
            self.assertEqual(answer.status, 400)
            self.assertIn(b"https://", answer.read())

    def test_silent_and_half_handshakes_hold_nobody_up(self):
        engine = self.serve()
        idle = [socket.create_connection(self.address(engine), timeout=15) for _ in range(50)]
        for number, link in enumerate(idle):
            self.addCleanup(link.close)
            starts = (b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
            link.sendall(starts[number % 3])
        mcp = engine.http(tls=self.trusting())
        self.assertTrue(mcp.propose("a.x", 1).accepted)
        for link in idle:  # The server ends each of them by itself.
            with contextlib.suppress(ConnectionResetError):
                while link.recv(4096):
                    pass
        self.assertTrue(mcp.propose("a.x", 2).accepted)

    def test_noise_and_broken_off_records_harm_nobody(self):
        engine = self.serve()
        for noise in (b"\x00" * 100, b"\x16\x03\x03\xff\xff" + b"x" * 70000, os.urandom(4096),
                      b"\x15\x03\x03\x00\x02\x02\x28", b"SSH-2.0-x\r\n", b"\x80\x2e\x01\x00\x02"):
            with contextlib.closing(socket.create_connection(self.address(engine), 15)) as link:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    link.sendall(noise)
                    # The engine may have hung up already.
                    with contextlib.suppress(OSError):
                        link.shutdown(socket.SHUT_WR)
                    while link.recv(4096):
                        pass
        link = self.connect(engine)  # A good handshake, then rubbish below TLS.
        raw = socket.socket(fileno=os.dup(link.fileno()))
        with contextlib.closing(link), contextlib.closing(raw):
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)
            with contextlib.suppress(ssl.SSLError, OSError):
                self.assertEqual(link.recv(1), b"")
        self.assertTrue(engine.http(tls=self.trusting()).propose("a.x", 1).accepted)
        self.assertEqual(engine.stop(), 0)

    # ---- Files ----------------------------------------------------------------------------------

    def test_sighup_takes_a_new_certificate_and_keeps_the_old_one_if_it_is_faulty(self):
        engine = self.serve()
        old = engine.http(tls=self.trusting())
        self.assertTrue(old.propose("a.x", 1).accepted)
        new_crt, new_key = make_certificate(self.home, "renewed")
        trusted = self.trusting(new_crt)
        kept = self.home / "old.crt"
        shutil.copy(self.crt, kept)

        shutil.copy(new_crt, self.crt)  # The key does not fit yet.
        engine.signal(signal.SIGHUP)
        harness.wait_until(lambda: "certificate not reloaded" in engine.log_text(), what="refusal")
        self.assertIn("does not belong to", engine.log_text())
        self.connect(engine, self.trusting(kept)).close()

        shutil.copy(new_key, self.key)
        engine.signal(signal.SIGHUP)

        def renewed():
            with contextlib.suppress(ssl.SSLError):
                self.connect(engine, trusted).close()
                return True
            return False
        harness.wait_until(renewed, what="the new certificate")
        self.assertEqual(old.value("a.x"), 1)  # On the connection that was open all the time.

    def test_wrong_files_and_half_an_option_are_refused_before_anything_else(self):
        _, strange_key = make_certificate(self.home, "strange")
        empty = self.home / "empty.pem"
        empty.write_text("")
        cases = [
            (["--tls-cert", self.crt], 2, "--tls-key FILE"),
            (["--tls-key", self.key], 2, "--tls-cert FILE"),
            (["--tls-cert", self.home / "none.crt", "--tls-key", self.key], 1, "none.crt"),
            (["--tls-cert", self.crt, "--tls-key", self.home / "none.key"], 1, "none.key"),
            (["--tls-cert", empty, "--tls-key", self.key], 1, "it is empty"),
            (["--tls-cert", self.key, "--tls-key", self.key], 1, "no usable certificate"),
            (["--tls-cert", self.crt, "--tls-key", self.crt], 1, "no usable key"),
            (["--tls-cert", self.crt, "--tls-key", strange_key], 1, "does not belong to"),
        ]
        for args, code, words in cases:
            with self.subTest(words):
                done = harness.run_cli("serve", "--listen", "127.0.0.1:0", "--store", "memory",
                                       *args, data_dir=self.home / "unused", seconds=30)
                self.assertEqual(done.code, code, done.err)
                self.assertIn(words, done.err)
        env = {"STATE_ENGINE_TLS_CERT": str(self.crt), "STATE_ENGINE_TLS_KEY": str(self.key)}
        engine = self.engine("by-environment", config=self.config_file, env=env)
        self.assertTrue(engine.url.startswith("https://"), engine.url)

    # ---- Load -----------------------------------------------------------------------------------

    def test_many_clients_at_once_and_a_stream_among_them(self):
        engine = self.serve()
        listen = json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
            "params": {"notifications": {"resourceSubscriptions": ["state://a."]},
                       "_meta": {"io.modelcontextprotocol/protocolVersion": harness.MODERN,
                                 "io.modelcontextprotocol/clientCapabilities": {}}}}).encode()
        with contextlib.closing(self.connect(engine)) as stream:
            stream.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Type: application/json\r\nAccept: text/event-stream\r\n"
                           b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen"
                           b"\r\nContent-Length: %d\r\n\r\n" % len(listen) + listen)
            faults = []

            def work(number):
                try:
                    mcp = harness.HttpMcp(engine.url, tls=self.trusting())
                    for count in range(10):
                        if not mcp.propose(f"a.k{number}", "v" * 5000 * count).accepted:
                            faults.append(number)
                    mcp.close()
                except Exception as fault:  # pylint: disable=broad-except
                    faults.append(fault)

            threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(faults, [])
            heard = b""
            while not all(b"state://a.k%d" % number in heard for number in range(16)):
                chunk = stream.recv(65536)
                self.assertTrue(chunk, heard)
                heard += chunk
        self.assertEqual(engine.stop(), 0)


if __name__ == "__main__":
    harness.main()
