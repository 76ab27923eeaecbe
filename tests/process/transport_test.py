"""HTTP as attackers, proxies and bad networks speak it, against the real engine.

Whatever is sent: an answer or a closed connection, nothing smuggled is executed, and others are
served meanwhile.
"""

import contextlib
import json
import resource
import socket
import threading
import time
import urllib.parse

import harness

CONFIG = 'allowedKeys: ["a.*"]\n'
META = ('"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
        '"io.modelcontextprotocol/clientCapabilities":{}}')


def modern(method, params="", request=1):
    comma = "," if params else ""
    return (f'{{"jsonrpc":"2.0","id":{request},"method":"{method}",'
            f'"params":{{{params}{comma}{META}}}}}').encode()


def propose(key, value=1):
    return modern("tools/call", '"name":"propose_mutation","arguments":{"key":"%s","value":%s,'
                  '"reason":"r"}' % (key, value))


def head_of(*fields, method="POST", target="/mcp", version="HTTP/1.1"):
    return "\r\n".join([f"{method} {target} {version}", *fields, "", ""]).encode()


USUAL = ("Host: 127.0.0.1", "Content-Type: application/json",
         "Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2026-07-28",
         "Mcp-Method: tools/call", "Mcp-Name: propose_mutation")


def request(body, *fields):
    return head_of(*USUAL, f"Content-Length: {len(body)}", *fields) + body


class Transport(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        self.server = self.engine(config=self.config(CONFIG))
        self.mcp = self.server.http()
        self.assertTrue(self.mcp.propose("a.kept", 1).accepted)

    def connect(self, seconds=20):
        address = urllib.parse.urlsplit(self.server.url)
        link = socket.create_connection((address.hostname, address.port), timeout=seconds)
        self.addCleanup(link.close)
        return link

    @staticmethod
    def read_all(link):
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := link.recv(65536):
                data += chunk
        return data

    def send(self, data):
        """What comes back for `data` followed by the end of input."""
        link = self.connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
        answer = self.read_all(link)
        link.close()
        return answer

    @staticmethod
    def statuses(answer):
        """The status of each HTTP answer in `answer`."""
        found = []
        while answer:
            head, _, rest = answer.partition(b"\r\n\r\n")
            found.append(int(head.split(b" ", 2)[1]))
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            answer = rest[length:]
        return found

    def assert_unharmed(self):
        self.assertTrue(self.server.running(), self.server.log_text())
        page = self.mcp.call("get_state_prefix", {"prefix": "", "keysOnly": True}).structured
        self.assertNotIn("a.smuggled", page["keys"])
        self.assertEqual(self.mcp.value("a.kept"), 1)

    # ---- Smuggling ------------------------------------------------------------------------------

    def test_nothing_that_two_parsers_read_differently_is_executed(self):
        smuggled = request(propose("a.smuggled"))
        chunk = b"0\r\n\r\n"
        length = f"Content-Length: {len(chunk + smuggled)}"
        cases = {
            "length and chunks": head_of(*USUAL, length, "Transfer-Encoding: chunked") + chunk,
            "chunks and length": head_of(*USUAL, "Transfer-Encoding: chunked", length) + chunk,
            "two lengths": head_of(*USUAL, "Content-Length: 0", length) + chunk,
            "a list of lengths": head_of(*USUAL, "Content-Length: 0, 5") + chunk,
            "length with a sign": head_of(*USUAL, "Content-Length: +0") + chunk,
            "length in hex": head_of(*USUAL, "Content-Length: 0x0") + chunk,
            "negative length": head_of(*USUAL, "Content-Length: -1") + chunk,
            "length of nothing": head_of(*USUAL, "Content-Length:") + chunk,
            "length beyond 64 bits": head_of(*USUAL, "Content-Length: 18446744073709551616"),
            "unknown coding": head_of(*USUAL, "Transfer-Encoding: xchunked"),
            "identity": head_of(*USUAL, "Transfer-Encoding: identity"),
            "chunked not last": head_of(*USUAL, "Transfer-Encoding: chunked, identity"),
            "two codings": head_of(*USUAL, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked")
            + chunk,
            "chunks in HTTP/1.0": head_of(*USUAL, "Transfer-Encoding: chunked",
                                          version="HTTP/1.0") + chunk,
            "space before the colon": head_of(*USUAL, "Transfer-Encoding : chunked") + chunk,
            "space in a name": head_of(*USUAL, "Content Length: 5") + chunk,
            "NUL in a value": head_of(*USUAL, "X-A: b\0c") + chunk,
            "CR in a value": head_of(*USUAL, "X-A: b\rContent-Length: 5") + chunk,
            "line feeds only": head_of(*USUAL, "X-A: b").replace(b"\r\n", b"\n") + chunk,
            "two hosts": head_of("Host: evil.example", *USUAL, "Content-Length: 0"),
        }
        for name, data in cases.items():
            with self.subTest(name):
                statuses = self.statuses(self.send(data + smuggled))
                self.assertLessEqual(len(statuses), 1, statuses)
                self.assertTrue(all(400 <= status < 600 for status in statuses), statuses)
        self.assert_unharmed()

    def test_equal_lengths_in_two_fields_cannot_hide_a_request(self):
        body = propose("a.same")
        same = f"Content-Length: {len(body)}"
        answer = self.send(head_of(*USUAL, same, same) + body)
        self.assertIn(self.statuses(answer), ([200], [400]))
        self.assert_unharmed()

    def test_bad_chunks_are_refused(self):
        head = head_of(*USUAL, "Transfer-Encoding: chunked")
        body = propose("a.smuggled")
        size = b"%x" % len(body)
        cases = {
            "no size": b"\r\n" + body + b"\r\n0\r\n\r\n",
            "size is no number": b"zz\r\n" + body + b"\r\n0\r\n\r\n",
            "negative size": b"-1\r\n" + body + b"\r\n0\r\n\r\n",
            "size with 0x": b"0x" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
            "size beyond 64 bits": b"1" + b"0" * 17 + b"\r\n" + body + b"\r\n0\r\n\r\n",
            "longer than its size": b"5\r\n" + body + b"\r\n0\r\n\r\n",
            "line feed after the size": size + b"\n" + body + b"\r\n0\r\n\r\n",
            "no end": size + b"\r\n" + body + b"\r\n",
            "shorter than its size": b"ffff\r\n" + body,
            "a length after the body": size + b"\r\n" + body + b"\r\n0\r\nContent-Length: 3"
            b"\r\n\r\n",
        }
        for name, data in cases.items():
            with self.subTest(name):
                statuses = self.statuses(self.send(head + data))
                self.assertTrue(all(status in (400, 408, 413) for status in statuses), statuses)
        self.assert_unharmed()

    def test_good_chunks_extensions_and_trailers_are_one_request(self):
        body = propose("a.chunked")
        data = head_of(*USUAL, "Transfer-Encoding: chunked")
        for begin in range(0, len(body), 7):
            part = body[begin:begin + 7]
            data += b"%x;note=1\r\n" % len(part) + part + b"\r\n"
        data += b"0\r\nX-Trailer: yes\r\n\r\n"
        self.assertEqual(self.statuses(self.send(data)), [200])
        self.assertEqual(self.mcp.value("a.chunked"), 1)

    # ---- Pipelining and shapes ------------------------------------------------------------------

    def test_pipelined_requests_are_answered_in_order_and_each_once(self):
        count = 200
        data = b"".join(request(propose("a.piped", number)) for number in range(count))
        link = self.connect()
        sender = threading.Thread(target=link.sendall, args=(data,))
        sender.start()
        answer = b""
        while answer.count(b"HTTP/1.1 200") < count or answer.count(b'"jsonrpc"') < count:
            chunk = link.recv(65536)
            self.assertTrue(chunk, answer[-500:])
            answer += chunk
        sender.join()
        versions = [json.loads(part.partition(b"\r\n\r\n")[2].split(b"HTTP/1.1")[0])
                    ["result"]["structuredContent"]["version"]
                    for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
        self.assertEqual(versions, list(range(1, count + 1)))
        self.assertEqual(self.mcp.snapshot("a.piped")["version"], count)

    def test_a_refused_request_ends_what_was_pipelined_behind_it(self):
        answer = self.send(b"BROKEN\r\n\r\n" + request(propose("a.smuggled")))
        self.assertEqual(self.statuses(answer), [400])
        self.assert_unharmed()

    def test_bytes_one_at_a_time_are_one_request(self):
        link = self.connect()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(propose("a.slowly"), "Connection: close"):
            link.sendall(bytes([byte]))
        self.assertEqual(self.statuses(self.read_all(link)), [200])

    def test_head_options_and_other_methods_say_what_is_allowed(self):
        cases = [("HEAD", "/mcp", 405, b"Allow: "), ("OPTIONS", "/mcp", 204, b"Allow: "),
                 ("PUT", "/mcp", 405, b"Allow: "), ("PATCH", "/mcp", 405, b"Allow: "),
                 ("TRACE", "/mcp", 405, b"Allow: "), ("GET", "/mcp", 405, b"Allow: POST"),
                 ("DELETE", "/mcp", 405, b"Allow: POST"), ("HEAD", "/healthz", 200, b""),
                 ("OPTIONS", "/healthz", 204, b"Allow: GET, HEAD"),
                 ("POST", "/healthz", 405, b"Allow: GET, HEAD"), ("GET", "/none", 404, b""),
                 ("get", "/healthz", 405, b"")]
        for method, target, status, words in cases:
            with self.subTest(f"{method} {target}"):
                answer = self.send(head_of("Host: 127.0.0.1", "Content-Length: 0", method=method,
                                           target=target))
                head, _, body = answer.partition(b"\r\n\r\n")
                self.assertEqual(int(head.split(b" ", 2)[1]), status, answer)
                self.assertIn(words, head)
                self.assertNotIn(b"Access-Control-Allow-Origin", head)
                if method in ("HEAD", "OPTIONS"):
                    self.assertEqual(body, b"")
        connect = self.send(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertTrue(400 <= self.statuses(connect)[0] < 500, connect)

    def test_headers_over_the_limit_are_431_and_targets_too(self):
        for name, data in {
            "one field": head_of(*USUAL, "X-Big: " + "b" * 20_000),
            "many fields": head_of(*USUAL, *(f"X-{i}: {'v' * 100}" for i in range(300))),
            "a long name": head_of(*USUAL, "X" * 20_000 + ": v"),
            "a long target": head_of(*USUAL, target="/mcp?" + "q" * 20_000),
            "a field without an end": b"POST /mcp HTTP/1.1\r\nX: " + b"x" * 100_000,
        }.items():
            with self.subTest(name):
                self.assertEqual(self.statuses(self.send(data)), [431])
        self.assert_unharmed()

    # ---- Slow and idle peers --------------------------------------------------------------------

    def trickle(self, first, drop, outcome):
        """Sends `first`, then a byte at a time until the server had enough of it."""
        link = self.connect(seconds=60)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            link.sendall(first)
            link.settimeout(0.3)
            while time.monotonic() - began < 45:
                link.sendall(drop)
                with contextlib.suppress(TimeoutError):
                    outcome.append(link.recv(65536))
                    break
        outcome.append(time.monotonic() - began)

    def test_trickled_headers_and_bodies_are_cut_off_while_others_are_served(self):
        body_head = head_of(*USUAL, "Content-Length: 100000")
        chunk_head = head_of(*USUAL, "Transfer-Encoding: chunked")
        starts = {"header": (b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"x"),
                  "body": (body_head, b" "), "chunks": (chunk_head, b"1\r\n \r\n")}
        outcomes = {name: [] for name in starts}
        threads = [threading.Thread(target=self.trickle, args=(*start, outcomes[name]))
                   for name, start in starts.items()]
        for thread in threads:
            thread.start()
        for number in range(20):
            self.assertTrue(self.mcp.propose("a.meanwhile", number).accepted)
        for thread in threads:
            thread.join()
        for name, outcome in outcomes.items():
            with self.subTest(name):
                self.assertEqual(len(outcome), 2, "the server never answered")
                self.assertTrue(outcome[0].startswith(b"HTTP/1.1 408"), outcome)
        self.assert_unharmed()

    def test_half_open_and_idle_connections_leave_room_for_others(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = 1500
        if hard != resource.RLIM_INFINITY and hard < count + 200:
            self.skipTest(f"only {hard} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
        self.server.stop()
        self.server.start()  # With the new limit.
        self.mcp = self.server.http()
        idle = [self.connect() for _ in range(count)]
        for number, link in enumerate(idle):
            if number % 2:
                link.sendall(b"POST /mcp HTTP/1.1\r\nHo")
        self.assertTrue(self.mcp.propose("a.meanwhile", 1).accepted)
        half = self.connect()  # Its sending side is closed: it still gets its answer.
        half.sendall(request(propose("a.half")))
        half.shutdown(socket.SHUT_WR)
        self.assertEqual(self.statuses(self.read_all(half)), [200])
        for link in idle:
            link.close()
        self.assert_unharmed()

    def test_a_client_that_never_reads_its_answers_stops_only_itself(self):
        self.mcp.propose("a.big", "v" * 200_000)
        body = modern("tools/call", '"name":"get_state","arguments":{"keys":["a.big"]}')
        ask = head_of("Host: 127.0.0.1", "Content-Type: application/json",
                      "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call",
                      "Mcp-Name: get_state", f"Content-Length: {len(body)}") + body
        greedy = self.connect()
        greedy.settimeout(2)
        with contextlib.suppress(TimeoutError, OSError):
            for _ in range(500):
                greedy.sendall(ask * 20)
        for number in range(20):
            self.assertTrue(self.mcp.propose("a.meanwhile", number).accepted)
        greedy.close()
        self.assertEqual(self.server.stop(), 0)

    def test_a_departure_never_undoes_a_proposal_that_arrived(self):
        count = 60
        for number in range(count):
            link = self.connect()
            link.sendall(request(propose(f"a.gone{number}")))
            link.close()

        def committed():
            page = self.mcp.call("get_state_prefix", {"prefix": "a.gone", "keysOnly": True})
            return page.structured["count"] == count
        harness.wait_until(committed, 20, "the proposals of those who left")

    # ---- Headers of both eras -------------------------------------------------------------------

    def ask(self, body, *fields, method="POST", target="/mcp"):
        """Status, error code (or None) and whether the answer keeps its id."""
        data = head_of("Host: 127.0.0.1", "Content-Type: application/json",
                       "Accept: application/json, text/event-stream", "Connection: close",
                       f"Content-Length: {len(body)}", *fields, method=method, target=target)
        head, _, text = self.send(data + body).partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        reply = {}
        with contextlib.suppress(ValueError):
            reply = json.loads(text)
        self.assertIn(reply.get("id", 1), (1,), "an id that nobody sent")
        return status, reply.get("error", {}).get("code")

    def test_headers_of_the_modern_era_must_agree_with_the_body(self):
        version = "MCP-Protocol-Version: 2026-07-28"
        call = modern("tools/call", '"name":"get_state","arguments":{"keys":["a.kept"]}')
        listing = modern("tools/list")
        named = ("Mcp-Method: tools/call", "Mcp-Name: get_state")
        unknown = listing.replace(b"2026-07-28", b"2099-01-01")
        cases = {
            "as it should be": (call, (version, *named), (200, None)),
            "encoded name": (call, (version, "mcp-method:  tools/call  ",
                                    "MCP-NAME: =?base64?Z2V0X3N0YXRl?="), (200, None)),
            "no version": (call, named, (400, -32020)),
            "another version": (call, ("MCP-Protocol-Version: 2025-11-25", *named), (400, -32020)),
            "no method": (listing, (version,), (400, -32020)),
            "another method": (listing, (version, "Mcp-Method: tools/call"), (400, -32020)),
            "another case of the method": (listing, (version, "Mcp-Method: Tools/List"),
                                           (400, -32020)),
            "no name": (call, (version, "Mcp-Method: tools/call"), (400, -32020)),
            "another name": (call, (version, "Mcp-Method: tools/call", "Mcp-Name: explain"),
                             (400, -32020)),
            "broken base64": (call, (version, "Mcp-Method: tools/call", "Mcp-Name: =?base64?!?="),
                              (400, -32020)),
            "a version nobody knows": (unknown, ("MCP-Protocol-Version: 2099-01-01",
                                                 "Mcp-Method: tools/list"), (400, -32022)),
            "no _meta": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
                         (version, "Mcp-Method: tools/list"), (400, -32602)),
            "a method nobody knows": (modern("tools/none"), (version, "Mcp-Method: tools/none"),
                                      (404, -32601)),
        }
        for name, (body, fields, expected) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.ask(body, *fields), expected)

    def test_headers_of_the_legacy_era(self):
        ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        cases = {
            "no header at all": (ping, (), (200, None)),
            "each older version": (ping, ("MCP-Protocol-Version: 2025-03-26",), (200, None)),
            "a version nobody knows": (ping, ("MCP-Protocol-Version: 1999-01-01",), (400, None)),
            "a session nobody knows": (ping, ("Mcp-Session-Id: none",), (404, None)),
        }
        for name, (body, fields, (status, code)) in cases.items():
            with self.subTest(name):
                got = self.ask(body, *fields)
                self.assertEqual(got[0], status, got)
                if code is None and status == 200:
                    self.assertIsNone(got[1])
        self.assertEqual(self.ask(b"", "Mcp-Session-Id: none", method="DELETE")[0], 404)
        self.assertEqual(self.ask(b"", method="DELETE")[0], 405)

    def test_hosts_and_origins_of_others_are_403_in_both_eras(self):
        ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        listing = modern("tools/list")
        for origin in ("http://evil.example", "null", "https://localhost.evil.example",
                       "http://localhost@evil.example", "file://"):
            with self.subTest(origin):
                self.assertEqual(self.ask(ping, f"Origin: {origin}")[0], 403)
                self.assertEqual(self.ask(listing, f"Origin: {origin}", "Mcp-Method: tools/list",
                                          "MCP-Protocol-Version: 2026-07-28")[0], 403)
        self.assertEqual(self.ask(ping, "Origin: http://localhost:8080")[0], 200)
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost:80:80", "[::1"):
            with self.subTest(host):
                data = head_of(f"Host: {host}", "Content-Type: application/json",
                               f"Content-Length: {len(ping)}") + ping
                self.assertEqual(self.statuses(self.send(data)), [403])


if __name__ == "__main__":
    harness.main()
