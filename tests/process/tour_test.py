#!/usr/bin/env python3
"""The README's tour, word for word: each command is run and its output compared.

The blocks are fenced as ```sh tour. A line that begins with "$ " is a command, the lines after it
its output; "..." in a line stands for any text, a line that is only "..." for any lines, and a
command whose output is not shown may print anything. What a command that ends in "&" prints is
compared at `wait`. `./dev run` means the first terminal: stop the engine there and start it again.
The commands share one shell, so that variables live on.
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import threading
import time
import unittest

import harness

README = harness.ROOT / "README.md"
# The default port, for the tour runs on a free one.
DEFAULT_PORT = re.compile(r"\b4270\b")
# What the first terminal runs; met again in the tour it means: stop it and start it again.
SERVE = ("./dev run", "state-engine serve")


def read_tour(text):
    """[(command, [expected lines])] of the fenced tour blocks."""
    steps = []
    for block in re.findall(r"^```sh tour\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif steps and steps[-1][0].endswith("\\") and not steps[-1][1]:
                steps[-1] = (steps[-1][0] + "\n" + line.removeprefix("> "), [])
            elif steps:
                steps[-1][1].append(line.rstrip())
    return steps


def pattern_of(lines):
    """A pattern for whole output: "..." is any text, alone on a line any lines."""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
            continue
        pieces = (re.escape(re.sub(r"[ \t]+", " ", piece)) for piece in line.split("..."))
        parts.append(r"[^\n]*".join(pieces).replace(r"\ ", r"[ \t]+") + r"[ \t]*\n")
    return re.compile("".join(parts))


def matches(expected, output):
    while expected and not expected[-1]:
        expected = expected[:-1]
    return pattern_of(expected).fullmatch(output.rstrip("\n") + "\n") is not None


class Parser(unittest.TestCase):
    def test_commands_and_their_output_are_told_apart(self):
        text = "x\n```sh tour\n$ one \\\n> more\nout ...\n\n$ two\n```\n```sh\n$ not this\n```\n"
        self.assertEqual(read_tour(text), [("one \\\nmore", ["out ...", ""]), ("two", [])])

    def test_wildcards(self):
        self.assertTrue(matches(["a ... c", "..."], "a b c\nd\ne"))
        self.assertTrue(matches(["KEY  VALUE"], "KEY    VALUE"))
        self.assertFalse(matches(["a"], "a\nb"))
        self.assertFalse(matches(["a ... c"], "a b\nc"))


class Shell:
    """One bash that runs commands one after another and tells their output and exit code."""

    END = "tour-step-ended"
    SECONDS = 60.0

    def __init__(self, directory, environment):
        self.background = pathlib.Path(directory) / "background.txt"
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=directory, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1,
            start_new_session=True)

    def run(self, command):
        """Returns output and exit code. What runs in the background is shown by `wait`."""
        if command.endswith("&"):
            command = f"{command[:-1]} >{shlex.quote(str(self.background))} 2>&1 &"
        self.process.stdin.write(f"{command}\necho \"\n{self.END} $? $!\"\n")
        self.process.stdin.flush()
        watchdog = threading.Timer(self.SECONDS, os.killpg, (self.process.pid, signal.SIGKILL))
        watchdog.start()
        lines = []
        for line in self.process.stdout:
            if line.startswith(self.END):
                watchdog.cancel()
                words = line.split()
                if command.endswith("&"):
                    wait_until_idle(int(words[2]))
                output = "".join(lines).removesuffix("\n")
                if command == "wait":
                    output += self.background.read_text()
                return output, int(words[1])
            lines.append(line)
        watchdog.cancel()
        raise AssertionError(f"'{command}' ended the shell, or took {self.SECONDS} s: {lines}")

    def close(self):
        if self.process.poll() is None:
            self.run("kill $(jobs -p) 2>/dev/null; wait 2>/dev/null")
            self.process.stdin.close()
            self.process.wait(20)
        self.process.stdout.close()


def wait_until_idle(pid):
    """Until `pid` waits for something: it then has used no processor time for a while, as long as
    a person needs to type the next command."""
    state = {"used": None, "since": time.monotonic()}

    def idle():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        used, now = (fields[0], fields[11], fields[12]), time.monotonic()
        if used != state["used"]:
            state.update(used=used, since=now)
        return fields[0] == "S" and now - state["since"] > 0.4

    harness.wait_until(idle, 20, "the background command to wait for something")


class Tour(harness.ProcessTest):
    def test_the_tour_works_word_for_word(self):
        if not README.exists():
            self.fail("there is no README.md")
        steps = read_tour(README.read_text())
        self.assertTrue(steps, "README.md has no ```sh tour block")
        place = self.home / "checkout"
        place.mkdir()
        (place / "examples").symlink_to(harness.EXAMPLES)
        (place / "build").symlink_to(harness.ROOT / "build")
        tools = self.home / "bin"
        tools.mkdir()
        (tools / "state-engine").symlink_to(harness.engine_binary())
        config = harness.EXAMPLES / "stream.yaml"
        server = self.new_engine("state", config=config)
        if not steps[0][0].startswith(SERVE):
            server.start()  # The reader did so in the first terminal.
        environment = harness.clean_environment({
            "STATE_ENGINE_DATA_DIR": str(server.data_dir), "HOME": str(self.home),
            "PATH": f"{tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "USER": "you"})
        shell = Shell(place, environment)
        self.addCleanup(shell.close)
        port = server.url.rsplit(":", 1)[1] if server.url else ""
        for number, (command, expected) in enumerate(steps, 1):
            with self.subTest(f"step {number}: {command}"):
                if command.startswith(SERVE):
                    if server.running():
                        self.assertEqual(server.stop(), 0)
                    server.start()
                    port = server.url.rsplit(":", 1)[1]
                    continue
                output, code = shell.run(DEFAULT_PORT.sub(port, command))
                self.assertNotEqual(code, 127, output)
                wanted = [DEFAULT_PORT.sub(port, line) for line in expected]
                if wanted:
                    self.assertTrue(matches(wanted, output), "\n".join(
                        ["expected", *wanted, f"found (exit code {code})", output]))
                else:
                    self.assertEqual(code, 0, output)


if __name__ == "__main__":
    harness.main()
