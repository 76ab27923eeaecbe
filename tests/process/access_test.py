"""What is open ends when its token is withdrawn: streams, sessions and local connections.

The tokens file is edited as an operator would, then SIGHUP.
"""

import contextlib
import json
import signal
import socket
import threading
import urllib.parse

import harness

CONFIG = 'allowedKeys: ["a.*"]\n'
SECONDS = 8  # Less than a keep-alive of 15 s: the reload itself has to do it.


class Stream:
    """An HTTP answer that is read in the background; `ended` is set when the server ended it."""

    def __init__(self, url, data):
        address = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=60)
        self.text = b""
        self.ended = threading.Event()
        self.socket.sendall(data)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError):
            while chunk := self.socket.recv(65536):
                self.text += chunk
                if self.text.endswith(b"\r\n0\r\n\r\n"):  # The last chunk of an event stream.
                    break
        self.ended.set()

    def wait_for(self, words):
        harness.wait_until(lambda: words in self.text, 20, f"{words!r}, got {self.text[-500:]!r}")
        return self.text


def http_head(method, target, *fields):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


class Access(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.tokens = self.home / "tokens.json"
        self.stays = self.new_token("stays")
        self.goes = self.new_token("goes")
        self.server = self.engine(config=self.config(CONFIG), args=["--tokens", str(self.tokens)])
        self.writer = self.server.http(token=self.stays)

    def new_token(self, actor):
        done = harness.run_cli("token", "new", "--actor", actor, "--tokens", self.tokens)
        self.assertEqual(done.code, 0, done.err)
        return done.out.strip()

    def withdraw(self, actor):
        document = json.loads(self.tokens.read_text())
        self.withdrawn = [entry for entry in document["tokens"] if entry["actor"] == actor]
        document["tokens"] = [entry for entry in document["tokens"] if entry["actor"] != actor]
        self.tokens.write_text(json.dumps(document))
        self.server.signal(signal.SIGHUP)

    def give_back(self):
        document = json.loads(self.tokens.read_text())
        document["tokens"] += self.withdrawn
        self.tokens.write_text(json.dumps(document))
        self.server.signal(signal.SIGHUP)

    def stream(self, data):
        stream = Stream(self.server.url, data)
        self.addCleanup(stream.socket.close)
        return stream

    def listen(self, token):
        body = json.dumps({
            "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
            "params": {"notifications": {"resourceSubscriptions": ["state://a."]},
                       "_meta": {"io.modelcontextprotocol/protocolVersion": harness.MODERN,
                                 "io.modelcontextprotocol/clientCapabilities": {}}}}).encode()
        stream = self.stream(http_head(
            "POST", "/mcp", "Content-Type: application/json", f"Authorization: Bearer {token}",
            "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: subscriptions/listen",
            f"Content-Length: {len(body)}") + body)
        stream.wait_for(b"acknowledged")
        return stream

    def legacy(self, token, body, *fields):
        """One legacy POST; returns (status, head)."""
        data = http_head("POST", "/mcp", "Content-Type: application/json", "Connection: close",
                         f"Authorization: Bearer {token}", f"Content-Length: {len(body)}",
                         *fields) + body
        stream = self.stream(data)
        self.assertTrue(stream.ended.wait(20))
        return int(stream.text.split(b" ", 2)[1]), stream.text.split(b"\r\n\r\n")[0].decode()

    def open_session(self, token):
        body = (b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":'
                b'"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}')
        status, head = self.legacy(token, body)
        self.assertEqual(status, 200)
        return head.split("Mcp-Session-Id: ")[1].split("\r\n")[0]

    def ping(self, token, session):
        return self.legacy(token, b'{"jsonrpc":"2.0","id":2,"method":"ping"}',
                           f"Mcp-Session-Id: {session}")[0]

    def session_stream(self, token, session):
        stream = self.stream(http_head("GET", "/mcp", "Accept: text/event-stream",
                                       f"Authorization: Bearer {token}",
                                       f"Mcp-Session-Id: {session}"))
        stream.wait_for(b": open")
        return stream

    def sse(self, token):
        stream = self.stream(http_head("GET", "/sse", f"x-mcp-token: {token}"))
        stream.wait_for(b"/message?sessionId=")
        return stream

    def assert_ended(self, stream, what):
        self.assertTrue(stream.ended.wait(SECONDS), f"{what} is still open")

    def metric(self, name):
        lines = self.server.get("/metrics")[1].splitlines()
        return next(float(line.split()[1]) for line in lines
                    if line.startswith(f"state_engine_{name} "))

    # ---- Cases ----------------------------------------------------------------------------------

    def test_every_kind_of_stream_of_a_withdrawn_token_ends_and_others_stay(self):
        sessions = {token: self.open_session(token) for token in (self.goes, self.stays)}
        kept, lost = [], []
        for token, streams in ((self.goes, lost), (self.stays, kept)):
            streams += [("listen", self.listen(token)),
                        ("GET stream", self.session_stream(token, sessions[token])),
                        ("/sse", self.sse(token))]
        self.assertEqual(self.metric("mcp_listeners"), 6)
        self.assertEqual(self.metric("mcp_sessions"), 4)
        self.withdraw("goes")
        for what, stream in lost:
            self.assert_ended(stream, what)
        harness.wait_until(lambda: self.metric("mcp_listeners") == 3, what="three streams")
        harness.wait_until(lambda: self.metric("mcp_sessions") == 2, what="two sessions")
        self.assertTrue(self.writer.propose("a.x", 1).accepted)
        kept[0][1].wait_for(b"state://a.x")
        for what, stream in kept:
            self.assertFalse(stream.ended.is_set(), what)
        self.assertEqual(self.ping(self.stays, sessions[self.stays]), 200)

    def test_a_session_of_a_withdrawn_token_does_not_come_back_with_it(self):
        session = self.open_session(self.goes)
        self.assertEqual(self.ping(self.goes, session), 200)
        self.withdraw("goes")
        harness.wait_until(lambda: self.ping(self.goes, session) == 401, what="the refusal")
        self.give_back()
        harness.wait_until(lambda: self.ping(self.goes, session) == 404, what="the new token")

    def test_a_stream_that_is_never_idle_ends_too(self):
        stream = self.listen(self.goes)
        done = threading.Event()

        def keep_busy():
            busy = harness.HttpMcp(self.server.url, token=self.stays)
            count = 0
            while not done.is_set():
                count += 1
                busy.propose(f"a.k{count % 7}", count)
            busy.close()

        thread = threading.Thread(target=keep_busy)
        thread.start()
        try:
            stream.wait_for(b"state://a.k3")
            self.withdraw("goes")
            self.assert_ended(stream, "the busy listen")
        finally:
            done.set()
            thread.join()

    def test_a_local_connection_with_a_withdrawn_token_ends(self):
        lost = self.server.socket(token=self.goes, timeout=SECONDS)
        kept = self.server.socket(token=self.stays)
        self.assertTrue(lost.propose("a.x", 1).accepted)
        self.assertEqual(self.writer.snapshot("a.x")["updatedBy"], "goes")
        self.assertTrue(kept.propose("a.x", 2).accepted)
        self.withdraw("goes")
        self.assertEqual(lost._file.readline(), b"")  # pylint: disable=protected-access
        self.assertTrue(kept.propose("a.x", 3).accepted)

    def test_a_faulty_tokens_file_ends_nothing(self):
        stream = self.listen(self.goes)
        self.tokens.write_text("{broken")
        self.server.signal(signal.SIGHUP)
        harness.wait_until(lambda: "tokens not reloaded" in self.server.log_text(), what="the log")
        self.assertTrue(self.writer.propose("a.x", 1).accepted)
        stream.wait_for(b"state://a.x")
        self.assertFalse(stream.ended.is_set())


if __name__ == "__main__":
    harness.main()
