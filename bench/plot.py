"""Line charts as SVG from the benchmarks' reports. No packages; readable on light and dark pages.

Colours follow the page by the media query prefers-color-scheme; the background stays transparent.
Lines also differ in dashes and markers, so that colour is not needed to tell them apart.
"""

import math
from typing import NamedTuple
from xml.sax.saxutils import escape

import measuring as m

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 78, 150, 56, 58
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; } .small { font-size: 12px; fill: #57606a; }
.grid { stroke: #d0d7de; stroke-width: 1; } .axis { stroke: #57606a; stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; }
.c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #1a7f37; } .c3 { stroke: #8250df; }
.f0 { fill: #0969da; } .f1 { fill: #bc4c00; } .f2 { fill: #1a7f37; } .f3 { fill: #8250df; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9198a1; }
  .grid { stroke: #30363d; } .axis { stroke: #9198a1; }
  .c0 { stroke: #58a6ff; } .c1 { stroke: #f0883e; }
  .c2 { stroke: #3fb950; } .c3 { stroke: #bc8cff; }
  .f0 { fill: #58a6ff; } .f1 { fill: #f0883e; }
  .f2 { fill: #3fb950; } .f3 { fill: #bc8cff; }
}
"""
DASHES = ["", "7 4", "2 4", "10 3 2 3"]


class Chart(NamedTuple):
    title: str
    note: str     # below the title: how and when it was taken
    x_label: str
    y_label: str
    series: dict  # name -> list of (x, y), x ascending
    log_y: bool = False


def ticks(largest):
    """Round numbers from 0 to at least `largest`, five or so."""
    step = 10 ** math.floor(math.log10(largest / 4))
    step = next(step * k for k in (1, 2, 2.5, 5, 10) if step * k * 5 >= largest)
    count = math.ceil(largest / step - 1e-9)
    return [step * i for i in range(count + 1)]


def log_ticks(smallest, largest):
    low, high = math.floor(math.log10(smallest)), math.ceil(math.log10(largest))
    return [10.0 ** power for power in range(low, max(high, low + 1) + 1)]


def short(value):
    """12k, 1.5M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


class Frame:
    """Where a value lies on the page. The x axis has one step for each value that occurs."""

    def __init__(self, chart):
        self.xs = sorted({x for points in chart.series.values() for x, _ in points})
        values = [y for points in chart.series.values() for _, y in points]
        self.log = chart.log_y
        self.ticks = log_ticks(min(values), max(values)) if self.log else ticks(max(values))

    def x(self, value):
        place = (self.xs.index(value) + 0.5) / len(self.xs)
        return LEFT + (WIDTH - LEFT - RIGHT) * place

    def y(self, value):
        low, high = self.ticks[0], self.ticks[-1]
        share = (math.log(value / low) / math.log(high / low) if self.log
                 else (value - low) / (high - low))
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def text(x, y, words, classes="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}" text-anchor="{anchor}">'
            f"{escape(words)}</text>")


def draw_axes(chart, frame):
    parts = []
    for tick in frame.ticks:
        y = frame.y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" '
                     f'y2="{y:.1f}"/>')
        parts.append(text(LEFT - 8, y + 4, short(tick), "small", "end"))
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}"/>')
    for value in frame.xs:
        parts.append(text(frame.x(value), base + 18, f"{value:,}", "small", "middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, chart.x_label, "", "middle"))
    middle = (TOP + base) / 2
    parts.append(f'<text transform="translate(18 {middle:.1f}) rotate(-90)" text-anchor="middle">'
                 f"{escape(chart.y_label)}</text>")
    return parts


def label_places(ends, gap=17):
    """Heights for the names at the ends of the lines, moved apart so that none covers another."""
    places, last = {}, None
    for name, y in sorted(ends.items(), key=lambda item: item[1]):
        last = y if last is None else max(y, last + gap)
        places[name] = last
    return places


def draw_lines(chart, frame):
    parts = []
    places = label_places({name: frame.y(points[-1][1]) for name, points in chart.series.items()})
    for i, (name, points) in enumerate(chart.series.items()):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
        dash = f' stroke-dasharray="{DASHES[i % 4]}"' if DASHES[i % 4] else ""
        parts.append(f'<polyline class="line c{i % 4}"{dash} points="{path}"/>')
        for x, y in points:
            tip = escape(f"{name}: {y:,.4g} at {x:,}")
            parts.append(f'<circle class="f{i % 4}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" '
                         f'r="4"><title>{tip}</title></circle>')
        parts.append(text(frame.x(points[-1][0]) + 12, places[name] + 4, name))
    return parts


def svg(chart):
    """The chart as the text of an SVG file, or None if there is nothing to draw."""
    series = {name: sorted(points) for name, points in chart.series.items() if points}
    if not series:
        return None
    chart = chart._replace(series=series)
    frame = Frame(chart)
    body = [text(LEFT, 24, chart.title, "title"), text(LEFT, 43, chart.note, "small"),
            *draw_axes(chart, frame), *draw_lines(chart, frame)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="{escape(chart.title, {chr(34): "&quot;"})}">\n'
            f"<style>{STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n")


# --- what is drawn ------------------------------------------------------------------------------


def note_of(report):
    facts = report["machine"]
    return (f"{facts['cpu']}, {facts['cores']} cores, {facts['date']}, load "
            f"{facts['load'][0]:g} to {facts['load_after'][0]:g}")


def by_connections(report, wanted, field="calls_per_s"):
    """side -> points, from rows with "connections" and "rounds"."""
    series = {}
    for row in report["rows"]:
        if wanted(row):
            for side, rounds in row["rounds"].items():
                series.setdefault(side, []).append(
                    (row["connections"], m.median_of(rounds, field)))
    return series


def reads(report):
    series = by_connections(report, lambda row: row["case"] == "1 key")
    return Chart("get_state over MCP HTTP", note_of(report), "connections", "calls/s",
                 {{"engine": "state-engine", "nginx": "nginx, fixed body"}.get(name, name): points
                  for name, points in series.items()})


def writes(report):
    names = {"engine": "state-engine", "redis": "Redis SET", "postgres": "PostgreSQL"}
    series = by_connections(report, lambda row: True)
    return Chart("Durable writes, each synced to disk", note_of(report), "connections",
                 "writes/s", {names.get(name, name): points for name, points in series.items()})


def growth(report):
    rows = [row for row in report["rows"] if row.get("keys") and row.get("case", "keys") == "keys"]
    series = {label: [(row["keys"], row[field]) for row in rows if row.get(field)]
              for label, field in (("get_state, us", "get_us"), ("propose, us", "propose_us"),
                                   ("bytes per key", "memory_bytes_per_key"))}
    return Chart("Cost as the number of keys grows", note_of(report), "keys",
                 "p50 in microseconds; bytes", series, log_y=True)


CHARTS = {"get_state": ("reads", reads), "propose": ("writes", writes),
          "growth": ("growth", growth)}


def write_plots(reports, folder):
    """Draws what the reports have figures for; returns the files."""
    written = []
    for benchmark, (name, chart_of) in CHARTS.items():
        drawing = svg(chart_of(reports[benchmark])) if benchmark in reports else None
        if drawing is not None:
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / f"performance-{name}.svg"
            target.write_text(drawing)
            written.append(target)
    return written
