"""Update notifications of a real engine: 1,000 listeners, order, coalescing, slow readers.

Nothing here is timed but by generous deadlines; the figures come from ./dev bench updates.
"""

import json
import resource
import selectors
import socket
import time
import urllib.parse

import harness

LISTENERS = 1000
CONFIG = 'allowedKeys: ["*"]\n'
SECONDS = 60


class Listener:
    """One subscriptions/listen on a raw socket; `heard` are the URIs in the order of arrival."""

    def __init__(self, url, uris, number, receive_bytes=0):
        address = urllib.parse.urlsplit(url)
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        if receive_bytes:  # Only before it is connected.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((address.hostname, address.port))
        self.acknowledged = False
        self.heard = []
        self._rest = b""
        body = json.dumps({
            "jsonrpc": "2.0", "id": number, "method": "subscriptions/listen",
            "params": {"notifications": {"resourceSubscriptions": uris},
                       "_meta": {"io.modelcontextprotocol/protocolVersion": harness.MODERN,
                                 "io.modelcontextprotocol/clientCapabilities": {}}}}).encode()
        self.socket.sendall(
            b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Accept: text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            b"Mcp-Method: subscriptions/listen\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def read(self):
        """Takes what is there; False at the end of the stream."""
        chunk = self.socket.recv(1 << 16)
        self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            if not line.startswith(b"data: "):
                continue
            message = json.loads(line[6:])
            if message.get("method") == "notifications/subscriptions/acknowledged":
                self.acknowledged = True
            elif message.get("method") == "notifications/resources/updated":
                self.heard.append(message["params"]["uri"])
        return bool(chunk)


class Crowd:
    """Many listeners, read by one thread."""

    def __init__(self, url, count, uris, **options):
        self.listeners = [Listener(url, uris, number, **options) for number in range(count)]
        self._selector = selectors.DefaultSelector()
        for listener in self.listeners:
            self._selector.register(listener.socket, selectors.EVENT_READ, listener)

    def read_until(self, condition, what):
        deadline = time.monotonic() + SECONDS
        while not all(condition(listener) for listener in self.listeners):
            if time.monotonic() > deadline:
                left = sum(not condition(listener) for listener in self.listeners)
                raise AssertionError(f"{what}: {left} listeners did not within {SECONDS} s")
            for key, _ in self._selector.select(1):
                if not key.data.read():
                    raise AssertionError(f"{what}: a stream ended")

    def close(self):
        self._selector.close()
        for listener in self.listeners:
            listener.socket.close()


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Listeners(harness.ProcessTest):
    def setUp(self):
        super().setUp()
        # The engine inherits the limit.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = LISTENERS * 2 + 200
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"only {hard} descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.server = self.engine(config=self.config(CONFIG))
        self.mcp = self.server.http()

    def crowd(self, count, uris, **options):
        crowd = Crowd(self.server.url, count, uris, **options)
        self.addCleanup(crowd.close)
        crowd.read_until(lambda listener: listener.acknowledged, "to be acknowledged")
        return crowd

    def commit(self, keys, value=1):
        """One transaction; returns when it is durable."""
        mutations = [{"key": key, "value": value} for key in keys]
        answer = self.mcp.call("propose_transaction", {"mutations": mutations, "reason": "test"})
        self.assertFalse(answer.is_error, answer.text)

    def test_a_thousand_listeners_hear_of_every_change_in_order(self):
        crowd = self.crowd(LISTENERS, ["state://a."])
        expected = []
        for number in range(20):
            self.assertTrue(self.mcp.propose(f"a.k{number}", number).accepted)
            expected.append(f"state://a.k{number}")
        self.mcp.propose("b.unheard", 1)
        crowd.read_until(lambda listener: len(listener.heard) >= len(expected), "to hear all")
        for listener in crowd.listeners:
            self.assertEqual(listener.heard, expected)
        self.mcp.propose("a.last", 1)
        crowd.read_until(lambda listener: listener.heard[-1] == "state://a.last", "to hear the end")
        for listener in crowd.listeners:
            self.assertEqual(listener.heard[len(expected):], ["state://a.last"])

    def test_whoever_hears_reads_at_least_that_version(self):
        crowd = self.crowd(1, ["state://a.x"])
        reader = crowd.listeners[0]
        for version in range(1, 60):
            self.assertTrue(self.mcp.propose("a.x", version).accepted)
            if version % 3:
                continue  # Several commits may be told by one update, never none.
            count = len(reader.heard)
            crowd.read_until(lambda listener, count=count: len(listener.heard) > count, "to hear")
        self.assertLessEqual(len(reader.heard), 59)
        self.assertEqual(set(reader.heard), {"state://a.x"})
        self.assertEqual(self.mcp.snapshot("a.x")["version"], 59)

    def test_updates_of_a_reader_that_pauses_are_coalesced_and_none_is_lost(self):
        # What the kernel takes on the way (a few MB) counts as told.
        crowd = self.crowd(3, ["state://a.", "state://b.x"], receive_bytes=4096)
        keys = [f"a.k{number}" for number in range(64)]
        padding = ["a." + "p" * 480 + str(number) for number in range(64)]
        rounds = 150
        for count in range(rounds):
            self.commit(keys, count)
            self.commit(padding, count)
        self.mcp.propose("b.x", 1)
        crowd.read_until(lambda listener: "state://b.x" in listener.heard, "to hear the end")
        for listener in crowd.listeners:
            told = set(listener.heard)
            self.assertTrue(told.issuperset(f"state://{key}" for key in keys), told)
            self.assertLess(len(listener.heard), rounds * 128, "one update for each commit and key")

    def test_those_who_never_read_delay_neither_commits_nor_the_others(self):
        stuck = Crowd(self.server.url, LISTENERS // 2, ["state://a."])
        self.addCleanup(stuck.close)
        stuck.read_until(lambda listener: listener.acknowledged, "to be acknowledged")
        crowd = self.crowd(LISTENERS // 2, ["state://done"])
        before = resident_kib(self.server.process.pid)
        keys = ["a." + "x" * 480 + str(number) for number in range(640)]
        for count in range(5):
            for begin in range(0, len(keys), 64):
                self.commit(keys[begin:begin + 64], count)
        self.assertTrue(self.mcp.propose("done", 1).accepted)
        crowd.read_until(lambda listener: listener.heard == ["state://done"], "to hear the end")
        grown = resident_kib(self.server.process.pid) - before
        # At most 256 URIs of 512 bytes wait for each, however many changed.
        self.assertLess(grown, 512 * LISTENERS // 2, "KiB of growth")
        page = self.mcp.call("get_state_prefix", {"prefix": "a.", "limit": 1}).structured
        self.assertEqual(next(iter(page["snapshots"].values()))["version"], 5)
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    harness.main()
