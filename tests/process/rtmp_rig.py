"""A real RTMP server: nginx with its rtmp module, and a hook that lets publishers in or not."""

import http.server
import pathlib
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

import harness
from obs_rig import free_port

MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")

CONFIG = """\
load_module {module};
daemon off;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 64; }}
rtmp {{
  server {{
    listen 127.0.0.1:{rtmp};
    application live {{
      live on;
      on_publish http://127.0.0.1:{hook}/publish;
      on_publish_done http://127.0.0.1:{hook}/done;
    }}
  }}
}}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{http};
    location /control {{ rtmp_control all; }}
  }}
}}
"""


def missing():
    """What is not installed, or None."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        return "nginx"
    return None if MODULE.is_file() else "libnginx-mod-rtmp"


class Rtmp:
    """Use as a context manager. `accepting` decides about the next publisher."""

    def __init__(self):
        self.accepting = True
        self.published = 0
        self.ended = 0
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="se-rtmp-"))
        self.port = free_port()
        self._http = free_port()
        self._hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._hook.serve_forever, daemon=True).start()
        config = self.home / "nginx.conf"
        config.write_text(CONFIG.format(module=MODULE, home=self.home, rtmp=self.port,
                                        http=self._http, hook=self._hook.server_address[1]))
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        self._process = subprocess.Popen(
            [nginx, "-c", str(config), "-p", str(self.home), "-e", str(self.home / "error.log")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(self._answers, 20, "nginx to answer")

    def _handler(self):
        rig = self

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/done":
                    rig.ended += 1
                elif rig.accepting:
                    rig.published += 1
                good = self.path == "/done" or rig.accepting
                self.send_response(200 if good else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Hook

    def _answers(self):
        if self._process.poll() is not None:
            raise RuntimeError("nginx ended: " + (self.home / "error.log").read_text())
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self._http}/control", timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def drop_publisher(self, key):
        """Cuts the connection of the publisher, as a network does."""
        urllib.request.urlopen(
            f"http://127.0.0.1:{self._http}/control/drop/publisher?app=live&name={key}",
            timeout=5).close()

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        self._hook.shutdown()
        self._hook.server_close()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
