"""The whole loop on one machine: a real OBS that streams to nginx-rtmp, whose hook tells the mock
Twitch, and from there by EventSub, rule, egress and bridge back to OBS; a bot beside it.

`./dev demo stream` tells what happens here, `stream_test.py` asserts it. Two arrangements: all in
one process on SQLite, or one process per service on NATS and Firestore.
"""

import base64
import contextlib
import json
import pathlib
import re
import shutil
import struct
import subprocess
import urllib.request
import zlib

import harness
import nats_harness as nats
import obs_rig
import platform_rig
import rtmp_rig
from scripted_model import ScriptedModel

CHANNEL = "mystreamer"
COLORS = {"Live": 0xFF00C800, "BRB": 0xFFC80000, "Start": 0xFF808080}  # ABGR
NGINX = """\
load_module {module};
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log info;
events {{ worker_connections 64; }}
rtmp {{
  server {{
    listen 127.0.0.1:{port};
    application live {{
      live on;
      on_publish {hook};
      on_publish_done {hook};
    }}
  }}
}}
"""


def missing():
    """What is not installed and can be, as a sentence; empty if all is there."""
    absent = [name for name in (obs_rig.missing(), rtmp_rig.missing()) if name]
    return "missing " + ", ".join(absent) if absent else ""


class Program:
    """A state-engine command that says " is ready" on stdout."""

    def __init__(self, home, name, *args, env=None):
        self._command = [harness.engine_binary(), *map(str, args)]
        self._env = harness.clean_environment(env)
        self._log_path = pathlib.Path(home) / f"{name}.log"
        self.name = name
        self.process = None
        self.ready_line = ""

    def start(self, seconds=60):
        with open(self._log_path, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, env=self._env)

        def ready():
            text = self.log_text()[begin:]
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended:\n{text[-2000:]}")
            self.ready_line = next((line for line in text.splitlines() if " is ready" in line), "")
            return self.ready_line
        harness.wait_until(ready, seconds, f"{self.name} to be ready")
        return self

    def log_text(self):
        return self._log_path.read_text(errors="replace")

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class MockTwitch:
    def __init__(self, home):
        self.port = nats.free_port()
        self.tokens = pathlib.Path(home) / "twitch-tokens.json"
        self._program = Program(home, "mock-twitch", "mock", "twitch", "--listen",
                                f"127.0.0.1:{self.port}", "--channel", f"{CHANNEL}:1001",
                                "--tokens-file", self.tokens, "--log-level", "warn")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self._program.start()
        return self

    def control(self, verb, **body):
        request = urllib.request.Request(f"{self.url}/control/{verb}",
                                         data=json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def report(self):
        with urllib.request.urlopen(f"{self.url}/control/report", timeout=10) as response:
            return json.load(response)

    def stop(self):
        self._program.kill()


class Rtmp:
    """nginx-rtmp: where OBS streams to; its hook tells Twitch."""

    def __init__(self, home, port, hook):
        home = pathlib.Path(home) / "rtmp"
        home.mkdir()
        config = home / "nginx.conf"
        config.write_text(NGINX.format(module=rtmp_rig.MODULE, home=home, port=port, hook=hook))
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        self.process = subprocess.Popen([nginx, "-c", str(config), "-p", str(home), "-e",
                                         str(home / "error.log")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def sample_config(home, mock, obs, without_rule=""):
    """examples/stream/stream.yaml with the addresses of this rig. `without_rule`: left out."""
    text = (harness.EXAMPLES / "stream/stream.yaml").read_text()
    password = pathlib.Path(home) / "obs-password"
    password.write_text(obs_rig.PASSWORD + "\n")
    password.chmod(0o600)
    changes = [("tokensFile: twitch-tokens.json", f"tokensFile: {mock.tokens}"),
               ("# mock: http://127.0.0.1:8080", f"mock: {mock.url}"),
               ("ws://127.0.0.1:4455", obs.url), ("passwordFile: obs-password",
                                                  f"passwordFile: {password}")]
    for old, new in changes:
        if old not in text:
            raise AssertionError(f"the sample configuration has no {old!r}")
        text = text.replace(old, new)
    if without_rule:
        text, count = re.subn(rf"  - id: {without_rule}\n(?:    .*\n|      .*\n)+\n", "", text)
        if count != 1:
            raise AssertionError(f"the sample configuration has no rule {without_rule}")
    config = pathlib.Path(home) / "stream.yaml"
    config.write_text(text)
    return config


class StreamRig:
    """`platform`: one process per service on NATS and Firestore, else one process on SQLite."""

    def __init__(self, home, platform=False, without_rule="", say=lambda text: None):
        self.say = say
        self.home = pathlib.Path(home)
        self._stack = contextlib.ExitStack()
        self._platform = platform
        self._without_rule = without_rule
        self.server = self.emulator = self.engine = None
        self.services = {}

    def start(self):
        self.mock = MockTwitch(self.home).start()
        self._stack.callback(self.mock.stop)
        self.say(f"mock Twitch at {self.mock.url}")
        rtmp_port = nats.free_port()
        rtmp = Rtmp(self.home, rtmp_port, f"{self.mock.url}/control/rtmp")
        self._stack.callback(rtmp.stop)
        # The stream key is what the mock knows the channel by.
        self.obs = obs_rig.Obs(rtmp_port=rtmp_port, stream_key=CHANNEL)
        self._stack.callback(self.obs.close)
        self.obs.start()
        self._make_scenes()
        self.say("OBS runs under Xvfb, with the scenes Start, Live and BRB")
        self.config = sample_config(self.home, self.mock, self.obs, self._without_rule)
        (self._start_platform if self._platform else self._start_alone)()
        harness.wait_until(lambda: self.value("obs.connected") is True, 60, "obs.connected")
        harness.wait_until(self._subscribed, 60, "the subscriptions at Twitch")
        self.say("the ingest has subscribed, the OBS bridge is connected")
        return self

    def _subscribed(self):
        types = {one["type"] for one in self.mock.report()["subscriptions"]
                 if one.get("status") == "enabled"}
        return {"stream.online", "stream.offline", "channel.update"} <= types

    def _make_scenes(self):
        """A colour and a label in each scene, and the text source Title in Live."""
        with self.obs.connect() as client:
            have = {scene["sceneName"] for scene in client.call("GetSceneList")["scenes"]}
            for scene, color in COLORS.items():
                if scene in have:
                    continue
                client.call("CreateScene", sceneName=scene)
                client.call("CreateInput", sceneName=scene, inputName=f"{scene} color",
                            inputKind="color_source_v3", inputSettings={
                                "color": color, "width": 320, "height": 180})
                self._add_text(client, scene, f"{scene} label", scene, 36, 8)
            if "Live" not in have:
                self._add_text(client, "Live", "Title", "(no title yet)", 20, 140)
            client.call("SetCurrentSceneTransition", transitionName="Cut")
            client.call("SetCurrentProgramScene", sceneName="Start")

    @staticmethod
    def _add_text(client, scene, name, text, size, top):
        item = client.call("CreateInput", sceneName=scene, inputName=name,
                           inputKind="text_ft2_source_v2", inputSettings={
                               "text": text, "font": {"face": "DejaVu Sans", "size": size}})
        client.call("SetSceneItemTransform", sceneName=scene, sceneItemId=item["sceneItemId"],
                    sceneItemTransform={"positionX": 12, "positionY": top})

    def _start_alone(self):
        self.engine = harness.Engine(self.home / "data", config=self.config)
        self._stack.callback(self.engine.kill)
        self.engine.start(60)
        self.say(f"state-engine at {self.engine.url}: engine, Twitch ingest and OBS bridge in one "
                 "process, state in SQLite")

    def _start_platform(self):
        self.server = nats.Server(self.home / "nats")
        self._stack.callback(self.server.kill)
        self.server.start()
        self.emulator = platform_rig.Emulator()
        self._stack.callback(self.emulator.kill)
        self.emulator.start()
        self.say(f"nats-server at {self.server.url}, Firestore emulator at {self.emulator.host}")
        engine_config = self.home / "engine.yaml"
        # The engine's file without the sections of the other services.
        engine_config.write_text(self.config.read_text().split("\ntwitch:\n")[0] + "\n")
        self.engine = harness.Engine(
            self.home / "data", config=engine_config,
            args=["--store", "firestore", "--firestore-project", platform_rig.PROJECT,
                  "--nats-url", self.server.url],
            env={"FIRESTORE_EMULATOR_HOST": self.emulator.host})
        self._stack.callback(self.engine.kill)
        self.engine.start(90)
        for name, command in [("ingress", ["ingress", "twitch"]), ("obs", ["obs"])]:
            service = Program(self.home, name, *command, "--config", self.config, "--nats-url",
                              self.server.url)
            self._stack.callback(service.kill)
            self.services[name] = service.start()
        self.say("engine, ingress and OBS bridge run as three processes")

    def stop(self):
        self._stack.close()

    # ---- What is asked and done ----------------------------------------------------------------

    def mcp(self):
        return self.engine.http()

    def value(self, key):
        try:
            return self.mcp().value(key)
        except harness.Gone:
            return None

    def await_value(self, key, value, seconds=30):
        harness.wait_until(lambda: self.value(key) == value, seconds, f"{key} = {value}")

    def press_start_streaming(self):
        with self.obs.connect() as client:
            client.call("StartStream")

    def press_stop_streaming(self):
        with self.obs.connect() as client:
            client.call("StopStream")

    def scene(self):
        with self.obs.connect() as client:
            return client.scene()

    def await_scene(self, name, seconds=30):
        harness.wait_until(lambda: self.scene() == name, seconds, f"OBS to show {name}")

    def text(self, source):
        with self.obs.connect() as client:
            return client.call("GetInputSettings", inputName=source)["inputSettings"]["text"]

    def screenshot(self, scene):
        """What OBS renders for a scene, as PNG."""
        with self.obs.connect() as client:
            shot = client.call("GetSourceScreenshot", sourceName=scene, imageFormat="png",
                               imageWidth=320, imageHeight=180)
        return base64.b64decode(shot["imageData"].split(",", 1)[1])

    def pixel(self, scene):
        """The middle pixel (r, g, b) of what OBS renders for a scene."""
        return png_middle(self.screenshot(scene))

    def ask_bot(self, text, prize="a mug"):
        """One message to the bot from the terminal; the model always wants to start a giveaway."""
        steps = [{"call": "start_giveaway", "with": {"prize": prize}}, {"say": "As you wish."}]
        with ScriptedModel(steps) as model:
            done = subprocess.run(
                [harness.engine_binary(), "bot", "--config", str(self.config), "--url",
                 self.engine.url, "--ask", text, "--user", "viewer", "--log-level", "error"],
                capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                env=harness.clean_environment({"LLM_BASE_URL": model.url, "LLM_MODEL": "scripted"}))
        return done.stdout

    def explain(self, key):
        done = subprocess.run([harness.engine_binary(), "explain", key, "--url", self.engine.url],
                              capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout


def png_middle(data):
    """The middle pixel of an 8-bit RGB or RGBA PNG without interlace."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    if depth != 8 or color not in (2, 6):
        raise AssertionError(f"unexpected PNG: depth {depth}, color type {color}")
    size = 3 if color == 2 else 4
    raw, stride = zlib.decompress(packed), width * size
    above = bytearray(stride)
    for row in range(height // 2 + 1):
        kind = raw[row * (stride + 1)]
        line = bytearray(raw[row * (stride + 1) + 1:(row + 1) * (stride + 1)])
        for i in range(stride):
            left = line[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            line[i] = (line[i] + _predict(kind, left, above[i], corner)) & 255
        above = line
    middle = (width // 2) * size
    return tuple(above[middle:middle + 3])


def _predict(kind, left, up, corner):
    if kind == 0:
        return 0
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[distances.index(min(distances))]
