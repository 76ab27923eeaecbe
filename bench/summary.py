"""From the benchmarks' reports to one table of goals, and into the pages of docs/.

A report is the JSON of m.write_report: "figures" (lines with a floor and a goal, or without) and
"tables" (Markdown by name). GOALS is the list that the project has set itself; a goal that no
report answers is shown as not measured, so that nothing drops out unseen.
"""

import json
import re
from typing import NamedTuple

import measuring as m


class Goal(NamedTuple):
    what: str
    unit: str
    floor: float
    goal: float
    better: str
    found_by: str  # a regular expression on the figure's `what`
    benchmark: str


GOALS = [
    Goal("get_state over MCP HTTP, 16 connections, beside nginx with a fixed body", "x", 0.6, 0.95,
         "higher", r"get_state over MCP HTTP, 16 connections: calls/s beside nginx", "get_state"),
    Goal("the same, p99 at half load, beside nginx", "x", 2, 1.2, "lower",
         r"p99 at half load beside nginx", "get_state"),
    Goal("the same, beside the TypeScript SDK v2 server with a Map", "x", 100, 200, "higher",
         r"beside the TypeScript SDK v2 server", "sdk"),
    Goal("durable propose_mutation over MCP HTTP, 64 connections, beside Redis", "x", 0.3, 1,
         "higher", r"durable propose_mutation .* beside Redis", "propose"),
    Goal("draining a JetStream backlog, beside a bare consumer", "x", 0.3, 0.8, "higher",
         r"draining a JetStream backlog, beside", "drain"),
    Goal("the same beside the TypeScript reference on PostgreSQL (949/s)", "x", 20, 50, "higher",
         r"TypeScript reference on PostgreSQL", "drain"),
    Goal("the same beside the TypeScript reference on the Firestore emulator (191/s)", "x", 10, 30,
         "higher", r"Firestore emulator, NATS, .* beside the TypeScript reference", "firestore"),
    Goal("group commit: CPU per mutation in engine + store", "us", 40, 10, "lower",
         r"group commit: CPU per mutation", "propose"),
    Goal("JsonLogic, one simple rule", "M/s", 20, 40, "higher", r"JsonLogic, one simple rule$",
         "rules"),
    Goal("JsonLogic, one simple rule, beside json-logic-js", "x", 6, None, "higher",
         r"JsonLogic, one simple rule, beside json-logic-js", "rules"),
    Goal("10,000 rules loaded, one matching, per commit", "us", 2, 0.3, "lower",
         r"10,000 rules loaded, one matching", "rules"),
    Goal("start with 1,000,000 keys", "s", 5, 1, "lower", r"start with 1,000,000 keys", "growth"),
    Goal("memory per small key", "KiB", 1, 0.3, "lower", r"memory per small key", "growth"),
    Goal("replay of the log", "entries/s", 200_000, 1_000_000, "higher", r"replay of ", "growth"),
]
HEADER = ("what", "measured", "floor", "goal", "verdict", "benchmark")


def verdict(figure):
    """How far a figure got: "goal met", "floor met", "below the floor", or nothing to reach."""
    def reached(bound):
        value = figure["value"]
        return value >= bound if figure["better"] == "higher" else value <= bound
    if figure.get("goal") is not None and reached(figure["goal"]):
        return "goal met"
    if figure.get("floor") is not None:
        return "floor met" if reached(figure["floor"]) else "below the floor"
    return "not yet" if figure.get("goal") is not None else ""


def number(value, unit=""):
    """Three digits that count, thousands apart; "" for none."""
    if value is None:
        return ""
    magnitude = abs(value)
    if magnitude >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.2f}" if magnitude < 10 else f"{value:.1f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}".strip()


def row_of(figure, benchmark):
    return (figure["what"], number(figure["value"], figure["unit"]),
            number(figure.get("floor"), figure["unit"]), number(figure.get("goal"), figure["unit"]),
            verdict(figure), benchmark)


def figures_of(reports):
    return [(figure, name) for name, report in reports.items()
            for figure in report.get("figures", ())]


def goal_rows(reports):
    """Every goal with what answers it, then the other figures that have something to reach."""
    rows, used = [], []
    for goal in GOALS:
        found = [(figure, name) for figure, name in figures_of(reports)
                 if re.search(goal.found_by, figure["what"])]
        used += [figure["what"] for figure, _ in found]
        rows += [row_of(figure, name) for figure, name in found]
        if not found:
            rows.append((goal.what, "", number(goal.floor, goal.unit),
                         number(goal.goal, goal.unit), "not measured", goal.benchmark))
    rows += [row_of(figure, name) for figure, name in figures_of(reports)
             if figure["what"] not in used and (figure.get("floor") is not None
                                                or figure.get("goal") is not None)]
    return rows


def other_rows(reports):
    return [(figure["what"], number(figure["value"], figure["unit"]), name)
            for figure, name in figures_of(reports)
            if figure.get("floor") is None and figure.get("goal") is None]


def machine_line(report):
    """`Taken on ...`: when, on what, beside what load, and what was measured."""
    facts = dict(report["machine"])
    before, after = facts.pop("load", None), facts.pop("load_after", None)
    head = f"Taken on {facts.pop('date')}: {facts.pop('cpu')}, {facts.pop('cores')} cores, " \
           f"Linux {facts.pop('kernel')}"
    load = f"load average {before[0]:g} before and {after[0]:g} after" if before and after else ""
    rest = [version_words(name, value) for name, value in facts.items()]
    return ", ".join(part for part in (head, load, *rest) if part) + "."


def version_words(name, value):
    """`nginx 1.22.1` from whatever `nginx -v` prints."""
    found = re.search(r"\d+(\.\d+)+", str(value))
    label = {"engine": "state-engine"}.get(name, name)
    return f"{label} {found.group() if found else value}"


def documents(reports):
    """Marker name -> Markdown, for splice()."""
    blocks = {"summary": m.markdown_table(HEADER, goal_rows(reports)),
              "others": m.markdown_table(("what", "measured", "benchmark"), other_rows(reports))}
    for report in reports.values():
        form = report.get("run", {}).get("form", "")
        for name, table in report.get("tables", {}).items():
            words = f" Form: {form}." if form else ""
            blocks[name] = f"{table}\n\n{machine_line(report)}{words}"
    return blocks


MARKED = re.compile(r"(<!-- bench:(?P<name>[\w-]+) -->\n).*?(<!-- /bench:(?P=name) -->)", re.DOTALL)


def splice(text, blocks):
    """`text` with what lies between markers replaced; and the markers that nothing replaced."""
    left = []

    def replaced(match):
        if match["name"] not in blocks:
            left.append(match["name"])
            return match[0]
        return f"{match[1]}\n{blocks[match['name']]}\n\n{match[3]}"
    return MARKED.sub(replaced, text), left


def combined(reports, form):
    """What build/bench/summary.json holds."""
    return {"form": form, "machine": next(iter(reports.values()))["machine"] if reports else None,
            "goals": [dict(zip(HEADER, row)) for row in goal_rows(reports)],
            "figures": [{**figure, "benchmark": name, "verdict": verdict(figure)}
                        for figure, name in figures_of(reports)],
            "benchmarks": reports}


def read_reports(folder):
    """name -> report of every whole JSON in `folder`."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
