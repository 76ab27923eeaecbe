#!/usr/bin/env python3
"""How long a scene switch takes with a real OBS under Xvfb, beside a plain client in the same run.

    ./dev bench obs [--quick] [--json FILE]

Three sides take turns: the bridge inside an engine (its histogram of OBS's answers to
SetCurrentProgramScene, which takes effect before it is answered), and a plain client that listens
to events, with and without prompt acknowledgements (TCP_QUICKACK). The last one shows what the
bridge avoids. `tool` is a whole MCP call until OBS has shown the scene (transition: Cut), which
includes waiting for OBS's next frame. Needs obs-studio and xvfb; without these it says so and ends
with 77.
"""

import re
import socket
import statistics
import sys
import time

import measuring as m  # Puts the test helpers in reach.
import harness
import obs_rig

CONFIG = "allowedKeys: [obs.*]\nobs: {{url: {url}, passwordFile: {file}}}\n"
BUCKET = re.compile(r'state_engine_obs_request_seconds_bucket'
                    r'\{request="SetCurrentProgramScene",le="([^"]+)"\} (\d+)')


class Listener(obs_rig.ObsClient):
    """A client that gets events as the bridge does."""

    def __init__(self, port, password, quick):
        self._quick = quick
        super().__init__(port, password)

    def _send(self, message):
        if message["op"] == 1:
            message["d"]["eventSubscriptions"] = 1095
        super()._send(message)

    def _read_more(self):
        if self._quick:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        super()._read_more()


def plain(obs, quick, count):
    """Milliseconds per switch, back to back."""
    times = []
    with Listener(obs.port, obs.password, quick) as client:
        for i in range(count):
            begin = time.perf_counter()
            client.call("SetCurrentProgramScene", sceneName=("Live", "BRB")[i % 2])
            times.append((time.perf_counter() - begin) * 1000)
    return times


def buckets(engine):
    found = {bound: int(count) for bound, count in BUCKET.findall(engine.get("/metrics")[1])}
    return {float("inf") if bound == "+Inf" else float(bound): n for bound, n in found.items()}


def quantile_ms(before, after, share):
    """The upper bound of the bucket that holds the quantile, in milliseconds."""
    counts = {bound: n - before.get(bound, 0) for bound, n in after.items()}
    total = max(counts.values())
    return next(bound * 1000 for bound in sorted(counts) if counts[bound] >= share * total)


def bridge(engine, client, count):
    before = buckets(engine)
    times = []
    for i in range(count):
        begin = time.perf_counter()
        answer = client.call("obs_switch_scene", {"scene": ("Live", "BRB")[i % 2]})
        times.append((time.perf_counter() - begin) * 1000)
        if answer.is_error:
            raise RuntimeError(answer.text)
    after = buckets(engine)
    return times, quantile_ms(before, after, 0.5), quantile_ms(before, after, 0.99)


def summary(times):
    ordered = sorted(times)
    return {"p50_ms": round(statistics.median(ordered), 2),
            "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2)}


def measure(directory, count, rounds):
    sides = {"plain": [], "plain_quickack": [], "tool": []}
    p50 = []
    p99 = []
    with obs_rig.Obs() as obs:
        obs.start()
        obs_rig.make_scenes(obs, ["Live", "BRB"], "Cut")
        secret = directory / "password"
        secret.write_text(obs.password)
        config = directory / "config.yaml"
        config.write_text(CONFIG.format(url=obs.url, file=secret))
        with harness.Engine(directory / "data", config, ["--log-level", "warn"]) as engine:
            client = engine.http()
            harness.wait_until(
                lambda: client.call("obs_get_status").structured["connected"], 20, "OBS")
            for number in range(rounds):
                sides["plain"] += plain(obs, False, count)
                sides["plain_quickack"] += plain(obs, True, count)
                times, half, most = bridge(engine, client, count)
                sides["tool"] += times
                p50.append(half)
                p99.append(most)
                print(f"  scene switches: round {number + 1} of {rounds}", file=sys.stderr)
    result = {name: summary(times) for name, times in sides.items()}
    result["bridge_request"] = {"p50_at_most_ms": statistics.median(p50),
                                "p99_at_most_ms": statistics.median(p99)}
    result["switches"] = count * rounds
    return result


def print_rows(result):
    request = result["bridge_request"]
    rows = [("bridge, until OBS has taken it", f"<= {request['p50_at_most_ms']:g} ms",
             f"<= {request['p99_at_most_ms']:g} ms")]
    for name, what in (("plain_quickack", "plain client, TCP_QUICKACK"),
                       ("plain", "plain client, as the kernel is"),
                       ("tool", "`obs_switch_scene` until it shows")):
        rows.append((what, f"{result[name]['p50_ms']} ms", f"{result[name]['p99_ms']} ms"))
    m.print_table(("scene switch", "p50", "p99"), rows, "obs")


def main():
    options = m.arguments(__doc__)
    m.require()
    if name := obs_rig.missing():
        print(f"SKIP: missing {name}: apt-get install obs-studio xvfb", file=sys.stderr)
        return m.SKIPPED
    facts = m.machine_facts()
    with m.scratch() as directory:
        result = measure(directory, *((50, 1) if options.quick else (200, 5)))
    print(f"Scene switches, {result['switches']} a side, real OBS; the goal is 10 ms at p99")
    print_rows(result)
    figures = [m.figure("scene switch by the OBS bridge, p99 (at most)",
                        result["bridge_request"]["p99_at_most_ms"], "ms", None, 10, "lower")]
    m.write_report("obs", {"machine": facts, "figures": figures, **result}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
