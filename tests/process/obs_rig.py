"""A real OBS under Xvfb, and a connection to it that checks what OBS itself says.

Everything lives in a temporary directory and ends with the rig: OBS by SIGKILL if it must, Xvfb by
its process id. No graphics card, sound or desktop is needed.
"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import harness

PASSWORD = "a test's password"
STREAM_KEY = "live_SECRET_KEY_of_the_test"


def missing():
    """The name of the first program that is not installed, or None."""
    return next((name for name in ("obs", "Xvfb") if shutil.which(name) is None), None)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Display:
    """An Xvfb of our own, on a number that it chooses."""

    def __init__(self, directory):
        reader, writer = os.pipe()
        self._log = open(pathlib.Path(directory) / "xvfb.log", "wb")
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x720x24", "-nolisten", "tcp"],
            pass_fds=[writer], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start")
        self.name = ":" + number

    def close(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


class Obs:
    """One OBS installation with its settings; it can be started, killed, stopped and resumed."""

    def __init__(self, password=PASSWORD, rtmp_port=9, fps=30, stream_key=STREAM_KEY):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="se-obs-"))
        self.port = free_port()
        self.password = password
        self._process = None
        self._display = Display(self.directory)
        runtime = self.directory / "runtime"
        runtime.mkdir(mode=0o700)
        self._write_settings(rtmp_port, fps, stream_key)

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def _write_settings(self, rtmp_port, fps, stream_key):
        home = self.directory / ".config/obs-studio"
        profile = home / "basic/profiles/ci"
        profile.mkdir(parents=True)
        (home / "global.ini").write_text(
            "[General]\nFirstRun=true\n\n"
            "[Basic]\nProfile=ci\nProfileDir=ci\nSceneCollection=ci\nSceneCollectionFile=ci\n\n"
            "[OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nAlertsEnabled=false\n"
            f"ServerPort={self.port}\nAuthRequired={'true' if self.password else 'false'}\n"
            f"ServerPassword={self.password}\n")
        (profile / "basic.ini").write_text(
            "[General]\nName=ci\n\n"
            "[Video]\nBaseCX=320\nBaseCY=180\nOutputCX=320\nOutputCY=180\n"
            f"FPSType=0\nFPSCommon={fps}\n\n"
            "[Output]\nMode=Simple\n\n"
            f"[SimpleOutput]\nFilePath={self.directory}\nRecFormat=mkv\nRecQuality=Small\n"
            "RecEncoder=x264\nVBitrate=200\nABitrate=64\n")
        (profile / "service.json").write_text(json.dumps({
            "type": "rtmp_custom",
            "settings": {"server": f"rtmp://127.0.0.1:{rtmp_port}/live", "key": stream_key,
                         "use_auth": False}}))

    def start(self):
        harness.wait_until(lambda: not self._listens(), 10, "the port of the last OBS to close")
        environment = {
            **os.environ, "HOME": str(self.directory), "DISPLAY": self._display.name,
            "XDG_RUNTIME_DIR": str(self.directory / "runtime"),
            "XDG_CONFIG_HOME": str(self.directory / ".config"), "LIBGL_ALWAYS_SOFTWARE": "1",
            "QT_QPA_PLATFORM": "xcb"}
        with open(self.directory / "obs.log", "ab") as log:
            self._process = subprocess.Popen(
                ["obs", "--multi", "--minimize-to-tray", "--disable-updater",
                 "--disable-missing-files-check"],
                cwd=self.directory, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        harness.wait_until(lambda: self._listens() or not self.alive(), 60, "OBS to listen")
        if not self.alive():
            raise RuntimeError("OBS ended at once:\n" + self.log()[-2000:])
        return self

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def alive(self):
        return self._process is not None and self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        if self.alive():
            self._process.kill()
        if self._process is not None:
            self._process.wait()

    def stop(self):
        """As a person closes it: settings and scenes are saved."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def log(self):
        return (self.directory / "obs.log").read_text(errors="replace")

    def connect(self):
        return ObsClient(self.port, self.password)

    def close(self):
        self.kill()
        self._display.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class ObsClient:
    """A plain obs-websocket client: what OBS itself says, not what our bridge says."""

    def __init__(self, port, password):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._count = 0
        self._socket.sendall(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: obswebsocket.json\r\n\r\n")
        while b"\r\n\r\n" not in self._buffer:
            self._read_more()
        self._buffer = self._buffer.split(b"\r\n\r\n", 1)[1]
        hello = self._receive()["d"]
        identify = {"rpcVersion": 1, "eventSubscriptions": 0}
        if "authentication" in hello:
            secret = _digest(password + hello["authentication"]["salt"])
            identify["authentication"] = _digest(secret + hello["authentication"]["challenge"])
        self._send({"op": 1, "d": identify})
        if self._receive()["op"] != 2:
            raise RuntimeError("OBS did not take the password")

    def call(self, request, **data):
        self._count += 1
        self._send({"op": 6, "d": {"requestType": request, "requestId": str(self._count),
                                   "requestData": data}})
        while True:
            message = self._receive()
            if message["op"] == 7 and message["d"]["requestId"] == str(self._count):
                status = message["d"]["requestStatus"]
                if not status["result"]:
                    raise RuntimeError(f"{request}: {status}")
                return message["d"].get("responseData", {})

    def scene(self):
        return self.call("GetCurrentProgramScene")["currentProgramSceneName"]

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read_more(self):
        more = self._socket.recv(65536)
        if not more:
            raise ConnectionError("OBS closed the connection")
        self._buffer += more

    def _take(self, count):
        while len(self._buffer) < count:
            self._read_more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _send(self, message):
        body = json.dumps(message).encode()
        mask = b"\x01\x02\x03\x04"
        head = b"\x81" + (struct.pack("!B", 0x80 | len(body)) if len(body) < 126
                          else struct.pack("!BH", 0x80 | 126, len(body)))
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
        self._socket.sendall(head + mask + masked)

    def _receive(self):
        while True:
            first, second = self._take(2)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack("!H", self._take(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self._take(8))[0]
            body = self._take(length)
            if first & 0x0F == 8:
                raise ConnectionError(f"OBS closed the connection: {body[2:].decode()}")
            if first & 0x0F == 1:
                return json.loads(body)


def make_input(client, name, kind):
    """Creates the input in the scene Live unless it is there."""
    known = {one["inputName"] for one in client.call("GetInputList")["inputs"]}
    if name not in known:
        client.call("CreateInput", sceneName="Live", inputName=name, inputKind=kind,
                    inputSettings={})


def make_scenes(obs, names, transition=None):
    """Creates scenes and, if asked, makes the transition the one named (Cut: at once)."""
    with obs.connect() as client:
        existing = {scene["sceneName"] for scene in client.call("GetSceneList")["scenes"]}
        for name in names:
            if name not in existing:
                client.call("CreateScene", sceneName=name)
        if transition:
            client.call("SetCurrentSceneTransition", transitionName=transition)
