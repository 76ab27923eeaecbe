#!/usr/bin/env python3
"""Hostile input at each door: a clear error, the process stays up, the state stays as it was."""

import contextlib
import json
import socket
import subprocess
import urllib.parse

import harness

CONFIG = 'allowedKeys: ["a.*"]\n'
MIB = 1024 * 1024


def tool_call(arguments, request_id=1, tool="propose_mutation"):
    """A modern tools/call; `arguments` is JSON text, so that it may be wrong in any way."""
    if not isinstance(arguments, bytes):
        arguments = arguments.encode()
    meta = (b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
            b'"io.modelcontextprotocol/clientCapabilities":{}}')
    return (b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":%s,'
            b'"_meta":%s}}' % (request_id, tool.encode(), arguments, meta))


def proposal(value="1", key='"a.x"', more=""):
    return '{"key":%s,"value":%s,"reason":"hostile"%s}' % (key, value, more)


# What no parser may let through: name -> one line of bytes, valid as nothing at all.
BROKEN_TEXT = {
    "no JSON": b"hello there",
    "cut off": tool_call(proposal())[:-20],
    "trailing comma": tool_call('{"key":"a.x","value":1,"reason":"r",}'),
    "NaN": tool_call(proposal("NaN")),
    "number with a leading zero": tool_call(proposal("01")),
    "control character in a string": tool_call(proposal(b'"a\x01b"'.decode())),
    "10,000 levels deep": tool_call(proposal("[" * 10_000 + "]" * 10_000)),
    "65 levels deep": tool_call(proposal("[" * 65 + "]" * 65)),
    "10,000 levels never closed": b'{"jsonrpc":"2.0","id":1,"method":' + b"[" * 10_000,
    "too many nodes": tool_call(proposal("[" + "0," * 20_000 + "0]")),
    "duplicate key": tool_call('{"key":"a.x","key":"a.y","value":1,"reason":"r"}'),
    "duplicate key deep in a value": tool_call(proposal('{"b":{"c":1,"c":2}}')),
    "invalid UTF-8": tool_call(b'{"key":"a.x","value":"\xff\xfe","reason":"r"}'),
    "overlong UTF-8": tool_call(b'{"key":"a.x","value":"\xc0\xaf","reason":"r"}'),
    "surrogate as UTF-8": tool_call(b'{"key":"a.x","value":"\xed\xa0\x80","reason":"r"}'),
    "UTF-16": tool_call(proposal()).decode().encode("utf-16"),
}

# JSON, but no message of the protocol.
WRONG_SHAPE = {
    "a number": b"42",
    "a batch": b"[" + tool_call(proposal()) + b"]",
    "id null": tool_call(proposal()).replace(b'"id":1', b'"id":null'),
    "id an object": tool_call(proposal()).replace(b'"id":1', b'"id":{}'),
    "method a number": tool_call(proposal()).replace(b'"method":"tools/call"', b'"method":7'),
    "params a list": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
    "no jsonrpc": tool_call(proposal()).replace(b'"jsonrpc":"2.0",', b""),
}

# Messages with arguments that no tool takes: an error that a model can read.
WRONG_ARGUMENTS = {
    "key a number": proposal(key="7"),
    "key empty": proposal(key='""'),
    "key with a space": proposal(key='"a b"'),
    "key too long": proposal(key=json.dumps("a." + "k" * 600)),
    "no key": '{"value":1,"reason":"r"}',
    "no value": '{"key":"a.x","reason":"r"}',
    "no reason": '{"key":"a.x","value":1}',
    "reason a list": '{"key":"a.x","value":1,"reason":["r"]}',
    "expectedVersion text": proposal(more=',"expectedVersion":"1"'),
    "expectedVersion negative": proposal(more=',"expectedVersion":-1'),
    "expectedVersion a fraction": proposal(more=',"expectedVersion":1.5'),
    "expectedVersion beyond 64 bits": proposal(more=',"expectedVersion":1e30'),
    "unknown op": proposal(more=',"op":"destroy"'),
    "op expire": proposal(more=',"op":"expire"'),
    "ttl zero": proposal(more=',"ttl":0'),
    "ttl text": proposal(more=',"ttl":"60"'),
    "metadata a list": proposal(more=',"metadata":[]'),
    "id too long": proposal(more=',"id":"%s"' % ("i" * 200)),
    "id empty": proposal(more=',"id":""'),
    "unknown argument": proposal(more=',"force":true'),
    "value too large": proposal('"' + "v" * (256 * 1024 + 1) + '"'),
    "reason too long": '{"key":"a.x","value":1,"reason":"%s"}' % ("r" * 5000),
    "arguments a list": "[]",
}


def is_clear_error(reply):
    """True if a JSON-RPC reply says in words that something is wrong."""
    if "error" in reply:
        return isinstance(reply["error"]["code"], int) and len(reply["error"]["message"]) > 5
    result = reply.get("result", {})
    return result.get("isError") is True and len(result["content"][0]["text"]) > 10


class Hostile(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.config_file = self.config(CONFIG)

    def serve(self):
        self.server = self.engine(config=self.config_file)
        self.mcp = self.server.http()
        self.assertTrue(self.mcp.propose("a.kept", {"n": 1}).accepted)
        self.before = self.state()

    def state(self):
        page = self.mcp.call("get_state_prefix", {"prefix": ""}).structured
        return page["snapshots"]

    def assert_unharmed(self):
        self.assertTrue(self.server.running(), self.server.log_text())
        self.assertEqual(self.state(), self.before)
        self.assertEqual(self.server.get("/readyz")[0], 200)

    # ---- HTTP -----------------------------------------------------------------------------------

    def connect(self):
        address = urllib.parse.urlsplit(self.server.url)
        return socket.create_connection((address.hostname, address.port), timeout=15)

    def post(self, body, headers=(), method="tools/call", content_type="application/json"):
        """POST /mcp as raw bytes; returns (status, reply or None)."""
        lines = ["POST /mcp HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}",
                 "Accept: application/json, text/event-stream", "Connection: close",
                 "MCP-Protocol-Version: 2026-07-28", f"Mcp-Method: {method}",
                 "Mcp-Name: propose_mutation",
                 f"Content-Length: {len(body)}", *headers, "", ""]
        with contextlib.closing(self.connect()) as link:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                link.sendall("\r\n".join(lines).encode() + body)
            return self.read_response(link)

    @staticmethod
    def read_response(link):
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := link.recv(65536):
                data += chunk
        if not data:
            return None, None
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        with contextlib.suppress(ValueError):
            return status, json.loads(body)
        return status, None

    def test_http_refuses_broken_text_and_shapes(self):
        self.serve()
        for name, body in {**BROKEN_TEXT, **WRONG_SHAPE}.items():
            with self.subTest(name):
                status, reply = self.post(body)
                self.assertEqual(status, 400, reply)
                self.assertTrue(is_clear_error(reply), reply)
        self.assert_unharmed()

    def test_http_explains_wrong_arguments(self):
        self.serve()
        for name, arguments in WRONG_ARGUMENTS.items():
            with self.subTest(name):
                status, reply = self.post(tool_call(arguments))
                self.assertIn(status, (200, 400), reply)
                self.assertTrue(is_clear_error(reply), reply)
        self.assert_unharmed()

    def test_http_refuses_what_is_too_big(self):
        self.serve()
        huge = tool_call(proposal('"' + "v" * (MIB + 1) + '"'))
        self.assertEqual(self.post(huge)[0], 413)
        with contextlib.closing(self.connect()) as link:  # Refused by its length, before any body.
            link.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                         b"Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n")
            self.assertEqual(self.read_response(link)[0], 413)
        with contextlib.closing(self.connect()) as link:  # Chunks without an end.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                link.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                             b"Content-Type: application/json\r\n"
                             b"Transfer-Encoding: chunked\r\n\r\n")
                for _ in range(24):
                    link.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            self.assertIn(self.read_response(link)[0], (413, None))
        headers = [f"X-Filler-{i}: {'y' * 1000}" for i in range(40)]
        self.assertIn(self.post(b"{}", headers)[0], (400, 431))
        self.assert_unharmed()

    def test_http_survives_half_requests(self):
        self.serve()
        whole = tool_call(proposal())
        head = (b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(whole))
        for cut in (b"", b"POST", b"POST /mcp HTTP/1.1\r\nHos", head, head + whole[:50],
                    b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n"):
            with self.subTest(cut[:30]):
                with contextlib.closing(self.connect()) as link:
                    link.sendall(cut)
        with contextlib.closing(self.connect()) as link:  # The half that closes only its sending.
            link.sendall(head + whole[:50])
            link.shutdown(socket.SHUT_WR)
            self.assertIn(self.read_response(link)[0], (400, 408, None))
        self.assert_unharmed()

    def test_http_refuses_other_methods_and_types(self):
        self.serve()
        body = tool_call(proposal())
        self.assertEqual(self.post(body, content_type="text/plain")[0], 415)
        status, _ = self.post(body, method="tools/list")
        self.assertEqual(status, 400, "the header must agree with the body")
        self.assertEqual(self.server.get("/mcp")[0], 405)
        self.assertEqual(self.server.get("/nothing-here")[0], 404)
        self.assert_unharmed()

    # ---- Lines: Unix socket and stdio -----------------------------------------------------------

    def converse(self, send, receive):
        """Sends each hostile line, each followed by a good request that must be answered."""
        cases = {**BROKEN_TEXT, **WRONG_SHAPE}
        cases.update({name: tool_call(text) for name, text in WRONG_ARGUMENTS.items()})
        cases["a line over the limit"] = tool_call(proposal('"' + "v" * (MIB + 1) + '"'))
        cases.pop("UTF-16")  # Holds newline bytes: it is not one line.
        request = 1000
        for name, line in cases.items():
            request += 1
            with self.subTest(name):
                send(line + b"\n" + tool_call('{"keys":["a.kept"]}', request, "get_state") + b"\n")
                replies = []
                while not replies or replies[-1].get("id") != request:
                    replies.append(receive())
                errors = [reply for reply in replies if reply.get("id") != request]
                # An answer to a request may come after the next one's; a fault of the line cannot.
                if not errors:
                    errors.append(receive())
                self.assertEqual(len(errors), 1, errors)
                self.assertTrue(is_clear_error(errors[0]), errors[0])
                self.assertEqual(replies[-1]["result"]["structuredContent"]["snapshots"]["a.kept"]
                                 ["value"] if replies[-1].get("id") == request else {"n": 1},
                                 {"n": 1})

    def test_unix_socket_answers_every_hostile_line(self):
        self.serve()
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(15)
        link.connect(str(self.server.socket_path))
        with contextlib.closing(link), link.makefile("rb") as lines:
            link.sendall(tool_call('{"keys":[]}', 999, "get_state") + b"\n")
            self.assertEqual(json.loads(lines.readline())["id"], 999)
            self.converse(link.sendall, lambda: json.loads(lines.readline()))
        self.assert_unharmed()

    def test_unix_socket_survives_half_lines_and_strange_hellos(self):
        self.serve()
        for text in (b"", b"{", b'{"stateEngineHello":{}}', b'{"stateEngineHello":7}\n',
                     b'{"stateEngineHello":{"client":{},"token":[]}}\n{"half', b"\n\n\n\0\0\0\n"):
            with self.subTest(text):
                link = socket.socket(socket.AF_UNIX)
                link.connect(str(self.server.socket_path))
                link.sendall(text)
                link.close()
        self.assert_unharmed()

    def stdio(self, *args):
        process = subprocess.Popen(
            [harness.engine_binary(), "mcp", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=harness.clean_environment())
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def hold_stdio_conversation(self, process):
        def send(data):
            process.stdin.write(data)
            process.stdin.flush()

        def receive():
            line = process.stdout.readline()
            self.assertTrue(line.endswith(b"\n"), "the process ended early")
            return json.loads(line)

        send(tool_call('{"keys":[]}', 999, "get_state") + b"\n")
        self.assertEqual(receive()["id"], 999)
        self.converse(send, receive)
        send(b'{"half a line')
        process.stdin.close()
        self.assertEqual(process.wait(15), 0)

    def test_stdio_bridge_answers_every_hostile_line(self):
        self.serve()
        self.hold_stdio_conversation(self.stdio("--data-dir", str(self.server.data_dir)))
        self.assert_unharmed()

    def test_stdio_without_a_daemon_answers_every_hostile_line(self):
        self.serve()
        self.assertEqual(self.server.stop(), 0)
        self.hold_stdio_conversation(self.stdio("--data-dir", str(self.server.data_dir),
                                                "--config", str(self.config_file)))
        self.server.start()
        self.mcp = self.server.http()
        self.assert_unharmed()

    # ---- Files ----------------------------------------------------------------------------------

    def test_propose_jsonl_names_each_hostile_line(self):
        self.serve()
        lines = [b'{"id":"x","op":"set","key":"a.x","value":1,"reason"',
                 b'["a list"]',
                 b'{"id":"d","op":"set","key":"a.x","key":"a.y","value":1,"reason":"r"}',
                 b'{"id":"u","op":"set","key":"a.x","value":"\xff","reason":"r"}',
                 b'{"id":"e","op":"set","key":"a.x","value":' + b"[" * 500 + b"]" * 500 +
                 b',"reason":"r"}',
                 b'{"id":"h","op":"set","key":"a.x","value":"' + b"v" * (2 * MIB) +
                 b'","reason":"r"}',
                 b'{"id":"t","op":7,"key":"a.x","value":1,"reason":"r"}',
                 b'{"id":"k","op":"set","key":{},"value":1,"reason":"r"}']
        file = self.home / "hostile.jsonl"
        file.write_bytes(b"\n".join(lines) + b"\n")
        outcome = self.server.cli("propose", "--jsonl", file, "--json")
        self.assertEqual(outcome.code, 0, outcome.err)
        results = outcome.json_lines()
        self.assertEqual([result["line"] for result in results], list(range(1, len(lines) + 1)))
        for result in results:
            self.assertEqual(result["status"], "rejected", result)
            self.assertIn(result["code"], ("invalid_proposal", "too_large"), result)
            self.assertGreater(len(result["error"]), 5, result)
        strict = self.server.cli("propose", "--jsonl", file, "--strict")
        self.assertEqual(strict.code, 2, strict.err)
        for number in range(1, len(lines) + 1):
            self.assertIn(f"line {number}: ", strict.err)
        self.assert_unharmed()

    def test_a_hostile_config_file_is_refused_with_its_line(self):
        cases = {
            "not YAML": b"allowedKeys: [a\nrules: }{",
            "invalid UTF-8": b'allowedKeys: ["\xff\xfe"]\n',
            "duplicate key": b"allowedKeys: [a]\nallowedKeys: [b]\n",
            "deep": b"rules: " + b"[" * 5000 + b"]" * 5000,
            "wrong types": b"allowedKeys: 7\npolicy: yes\nrules: {a: b}\n",
            "a list": b"- a\n- b\n",
            "aliases that multiply": b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
                b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 10))
                for i in range(9)),
            "huge": b"allowedKeys: [a]\n# " + b"x" * (17 * MIB) + b"\n",
        }
        for name, text in cases.items():
            with self.subTest(name):
                file = self.home / "hostile.yaml"
                file.write_bytes(text)
                outcome = harness.run_cli("serve", "--listen", "127.0.0.1:0", "--config", file,
                                          data_dir=self.home / "unused", seconds=30)
                self.assertEqual(outcome.code, 2, outcome.err[:2000])
                self.assertIn("hostile.yaml", outcome.err)
                self.assertEqual(outcome.out, "")
        self.assertFalse((self.home / "unused" / "state.db").exists())


if __name__ == "__main__":
    harness.main()
