#!/usr/bin/env python3
"""bench_selftest.py: what the benchmarks' runner, tables and plots could get wrong, without timing.

Fabricated benchmarks and reports; no engine is started.
"""

import ast
import contextlib
import importlib
import io
import json
import os
import pathlib
import signal
import sys
import tempfile
import threading
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench_suite as suite  # noqa: E402  pylint: disable=wrong-import-position
import peers  # noqa: E402  pylint: disable=wrong-import-position

m, plot, summary = suite.m, suite.plot, suite.summary

MACHINE = {"cpu": "Test <CPU> & Co", "cores": 2, "kernel": "6.1", "load": [0.5, 0, 0],
           "engine": "state-engine 0.1.0", "nginx": "nginx version: nginx/1.22.1",
           "date": "2026-01-31", "load_after": [1.5, 0, 0]}

# A benchmark as the runner knows it; it counts its runs and does what the file `mode` says.
PROGRAM = """\
#!/usr/bin/env python3
import json, pathlib, subprocess, sys, time
if "--help" in sys.argv:
    print("usage: [--quick] [--json FILE]")
    sys.exit(0)
here = pathlib.Path(__file__).parent
with open(here / "runs", "a") as runs:
    runs.write(pathlib.Path(__file__).stem + " " + " ".join(sys.argv[1:-2]) + "\\n")
mode = (here / "mode").read_text()
if mode == "fail":
    sys.exit(3)
if mode == "skip":
    sys.exit(77)
if mode == "silent":
    sys.exit(0)
if mode == "hang":
    child = subprocess.Popen(["sleep", "600"])
    (here / "child").write_text(str(child.pid))
    time.sleep(600)
pathlib.Path(sys.argv[-1]).write_text(json.dumps({
    "machine": {}, "figures": [{"what": "x", "value": 1, "unit": "s", "better": "lower"}]}))
"""


def report(figures=(), **more):
    return {"machine": dict(MACHINE), "figures": list(figures), **more}


def alive(pid):
    """Whether `pid` runs; a zombie does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


class Runner(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.home = pathlib.Path(holder.name)
        binary = self.home / "engine"
        binary.write_text("one")
        os.environ["STATE_ENGINE_BIN"] = str(binary)
        self.addCleanup(os.environ.pop, "STATE_ENGINE_BIN", None)
        self.chosen = {name: self.program(name) for name in ("first", "second")}
        self.mode("run")

    def program(self, name):
        path = self.home / f"{name}.py"
        path.write_text(PROGRAM)
        path.chmod(0o755)
        return path

    def mode(self, text):
        (self.home / "mode").write_text(text)

    def child(self):
        """The process id that a hanging benchmark has noted, or None."""
        file = self.home / "child"
        return int(file.read_text()) if file.exists() and file.read_text() else None

    def assert_child_ended(self):
        m.harness.wait_until(lambda: not alive(self.child()), 10, "the end of the child")

    def run_all(self, form="quick", fresh=False):
        folder = self.home / form
        folder.mkdir(exist_ok=True)
        with contextlib.redirect_stderr(io.StringIO()) as told:
            result = suite.run_all(self.chosen, form, folder, fresh)
        return (*result, told.getvalue())

    def runs(self):
        file = self.home / "runs"
        return file.read_text().splitlines() if file.exists() else []

    def test_a_report_of_the_same_run_is_taken_over(self):
        self.run_all()
        reports, absent, whole, told = self.run_all()
        self.assertEqual(self.runs(), ["first --quick", "second --quick"])
        self.assertEqual((sorted(reports), absent, whole), (["first", "second"], {}, True))
        self.assertEqual(told.count("taken over"), 2)

    def test_only_programs_of_the_common_form_are_benchmarks(self):
        for name, text, mode in (("helper", '"--json"', 0o644), ("alone", "no option", 0o755),
                                 ("growth", 'add("--json")', 0o755),
                                 ("zoo", "m.arguments(__doc__)", 0o755)):
            path = self.home / f"{name}.py"
            path.write_text(text)
            path.chmod(mode)
        for program in self.chosen.values():
            program.unlink()
        self.assertEqual(list(suite.benchmarks(self.home)), ["zoo", "growth"])
        names = {path.name for path in suite.shared_code()}
        self.assertLessEqual({"measuring.py", "peers.py", "sdk_server.mjs"}, names)
        self.assertFalse(names & {"get_state.py", "plot.py"})

    def test_fresh_measures_again(self):
        self.run_all()
        self.run_all(fresh=True)
        self.assertEqual(len(self.runs()), 4)

    def test_another_binary_is_measured_again(self):
        self.run_all()
        (self.home / "engine").write_text("two")
        self.run_all()
        self.assertEqual(len(self.runs()), 4)

    def test_another_form_has_its_own_report(self):
        self.run_all()
        self.run_all(form="full")
        # This program does not know --full, which is then its default.
        self.assertEqual(self.runs()[2:], ["first ", "second "])

    def test_changed_benchmark_code_is_measured_again(self):
        self.run_all()
        self.chosen["first"].write_text(PROGRAM + "# changed\n")
        self.run_all()
        self.assertEqual(self.runs()[2:], ["first --quick"])

    def test_a_damaged_or_unsealed_report_is_measured_again(self):
        self.run_all()
        (self.home / "quick/first.json").write_text('{"run": ')
        (self.home / "quick/second.json").write_text(json.dumps(report()))
        self.run_all()
        self.assertEqual(len(self.runs()), 4)

    def test_a_failure_is_told_and_does_not_stop_the_others(self):
        self.run_all()
        self.mode("fail")
        self.chosen["first"].write_text(PROGRAM + "# changed\n")
        reports, absent, whole, _ = self.run_all()
        self.assertEqual(sorted(reports), ["second"])
        self.assertTrue(absent["first"].startswith("FAILED with exit code 3"), absent)
        self.assertTrue(whole)
        self.assertFalse((self.home / "quick/first.json").exists())

    def test_what_is_missing_is_left_out_and_not_a_failure(self):
        for mode in ("skip", "silent"):
            self.mode(mode)
            reports, absent, _, _ = self.run_all()
            self.assertEqual(reports, {})
            self.assertFalse(any(why.startswith("FAILED") for why in absent.values()), absent)

    def test_time_that_is_over_leaves_the_rest_for_the_next_run(self):
        limits = suite.LIMITS
        self.addCleanup(setattr, suite, "LIMITS", limits)
        suite.LIMITS = {"quick": (100, -1)}
        _, absent, _, _ = self.run_all()
        self.assertEqual(sorted(absent), ["first", "second"])
        self.assertEqual(self.runs(), [])

    def test_a_limit_ends_the_program_and_its_children(self):
        self.mode("hang")
        self.assertIsNone(suite.run_program([str(self.chosen["first"]), "--json", "x"], 3))
        self.assert_child_ended()

    def test_ctrl_c_ends_the_children_and_keeps_what_is_finished(self):
        self.run_all()
        self.mode("hang")
        self.chosen["second"].write_text(PROGRAM + "# changed\n")

        def press():
            m.harness.wait_until(self.child, 60, "a child")
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        presser = threading.Thread(target=press)
        presser.start()
        reports, _, whole, told = self.run_all()
        presser.join()
        self.assertFalse(whole)
        self.assertEqual(sorted(reports), ["first"])
        self.assertTrue((self.home / "quick/first.json").exists())
        self.assertIn("stopped in second", told)
        self.assert_child_ended()


def used_of_modules(path, modules):
    """(module, attribute, line) for each `alias.attribute` of an imported one of `modules`."""
    tree = ast.parse(path.read_text())
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {name.asname or name.name: name.name for name in node.names
                        if name.name in modules}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) \
                and node.value.id in aliases:
            yield aliases[node.value.id], node.attr, node.lineno
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            for name in node.names:
                yield node.module, name.name, node.lineno


class Programs(unittest.TestCase):
    """No test runs the benchmarks, so that what moves between files could break them unseen."""

    def test_they_use_only_what_the_shared_modules_have(self):
        folder = suite.ROOT / "bench"
        modules = {path.stem: importlib.import_module(path.stem)
                   for path in folder.glob("*.py")}
        lost, seen = [], 0
        for path in folder.glob("*.py"):
            for module, name, line in used_of_modules(path, modules):
                seen += 1
                if not hasattr(modules[module], name):
                    lost.append(f"{path.name}:{line}: {module}.{name}")
        self.assertEqual(lost, [])
        self.assertGreater(seen, 100)

    def test_a_name_that_moved_is_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.py"
            path.write_text("import peers as p\nfrom measuring import gone\np.moved()\n")
            self.assertEqual(set(used_of_modules(path, {"peers": 0, "measuring": 0})),
                             {("peers", "moved", 3), ("measuring", "gone", 2)})


class Tables(unittest.TestCase):
    def test_verdicts_in_both_directions(self):
        for value, better, expected in ((0.5, "higher", "below the floor"),
                                        (0.6, "higher", "floor met"), (0.95, "higher", "goal met"),
                                        (0.95, "lower", "floor met"), (2, "lower", "below the "
                                                                       "floor"),
                                        (0.5, "lower", "goal met")):
            low, high = (0.6, 0.95) if better == "higher" else (1, 0.6)
            told = summary.verdict(m.figure("x", value, "x", low, high, better))
            self.assertEqual(told, expected, (value, better))

    def test_verdicts_where_a_bound_is_missing(self):
        self.assertEqual(summary.verdict(m.figure("x", 1, "x")), "")
        self.assertEqual(summary.verdict(m.figure("x", 9, "ms", None, 5, "lower")), "not yet")
        self.assertEqual(summary.verdict(m.figure("x", 7, "x", 6, None)), "floor met")

    def test_a_goal_without_a_figure_is_shown_as_not_measured(self):
        rows = summary.goal_rows({})
        self.assertEqual(len(rows), len(summary.GOALS))
        self.assertEqual({row[4] for row in rows}, {"not measured"})

    def test_a_figure_stands_in_its_goals_row_and_only_there(self):
        figure = m.figure("replay of 1,000,000 entries", 5e5, "entries/s", 200_000, 1_000_000)
        extra = m.figure("of nobody's list", 1, "x", 2)
        plain = m.figure("without a bound", 3, "ms")
        reports = {"growth": report([figure, extra, plain])}
        rows = summary.goal_rows(reports)
        self.assertEqual(len(rows), len(summary.GOALS) + 1)
        self.assertIn((figure["what"], "500,000 entries/s", "200,000 entries/s",
                       "1,000,000 entries/s", "floor met", "growth"), rows)
        self.assertEqual(rows[-1][0], "of nobody's list")
        self.assertEqual(summary.other_rows(reports), [("without a bound", "3 ms", "growth")])

    def test_each_goal_is_found_by_at_most_its_own_words(self):
        for goal in summary.GOALS:
            matching = [other for other in summary.GOALS
                        if summary.re.search(goal.found_by, other.what)]
            self.assertLessEqual(len(matching), 1, goal)

    def test_numbers(self):
        for value, text in ((None, ""), (0.6, "0.6"), (2, "2"), (48.93, "48.9"), (100, "100"),
                            (200000, "200,000"), (0, "0"), (0.371, "0.37"), (10, "10")):
            self.assertEqual(summary.number(value), text)

    def test_printed_tables_get_names(self):
        printed = list(m.PRINTED)
        self.addCleanup(m.PRINTED.extend, printed)
        m.PRINTED.clear()
        with contextlib.redirect_stdout(io.StringIO()):
            for name in (None, "own", None):
                m.print_table(("a", "b"), [(1, 2)], name)
        self.assertEqual(sorted(m.named_tables("bench")), ["bench", "bench-2", "own"])
        self.assertEqual(m.PRINTED[0][1], "| a | b |\n| --- | --- |\n| 1 | 2 |")
        m.PRINTED.clear()

    def test_splicing_replaces_what_is_marked_and_says_what_is_left(self):
        page = ("# Page\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nkept\n"
                "<!-- bench:two -->\nold two\n<!-- /bench:two -->\n")
        blocks = summary.documents({"one": report(tables={"one": "| \\1 new |"},
                                                  run={"form": "full"})})
        text, left = summary.splice(page, blocks)
        self.assertIn("| \\1 new |\n\nTaken on 2026-01-31: Test <CPU> & Co, 2 cores, Linux 6.1, "
                      "load average 0.5 before and 1.5 after, state-engine 0.1.0, nginx 1.22.1. "
                      "Form: full.", text)
        self.assertNotIn("old\n<!-- /bench:one", text)
        self.assertIn("kept\n<!-- bench:two -->\nold two\n", text)
        self.assertEqual(left, ["two"])
        self.assertEqual(summary.splice(text, blocks), (text, ["two"]))

    def test_the_page_has_a_place_for_every_marker_in_pairs(self):
        for name in suite.DOCUMENTS:
            page = (suite.ROOT / name).read_text()
            opened = summary.re.findall(r"<!-- bench:([\w-]+) -->", page)
            self.assertEqual(sorted(opened), sorted(set(opened)))
            self.assertEqual(len(summary.MARKED.findall(page)), len(opened), name)

    def test_the_nginx_body_has_the_size_that_was_asked_for(self):
        for size in (1, 4000, 4001, 30_000):
            text = peers.nginx_config(pathlib.Path("somewhere"), 1, size)
            words = summary.re.findall(r'"([^"$]+)"', text)
            self.assertEqual(sum(len(word) for word in words), size)
            self.assertLess(max(map(len, words)), 4096)


class Plots(unittest.TestCase):
    def chart(self, **more):
        return plot.Chart(**{"title": "a < b & \"c\"", "note": "<&>", "x_label": "x",
                             "y_label": "y", "series": {"<s> & t": [(16, 2.0), (1, 1.0)]},
                             **more})

    def test_words_are_escaped(self):
        root = xml.fromstring(plot.svg(self.chart()))
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(words[:2], ["a < b & \"c\"", "<&>"])
        self.assertIn("<s> & t", words)
        self.assertEqual(root.get("aria-label"), "a < b & \"c\"")

    def test_both_colour_schemes_are_there_and_nothing_is_loaded(self):
        drawing = plot.svg(self.chart())
        self.assertIn("prefers-color-scheme: dark", drawing)
        self.assertNotIn("href", drawing)
        self.assertNotIn("url(", drawing)

    def test_points_go_from_left_to_right_and_stay_inside(self):
        drawing = plot.svg(self.chart())
        points = summary.re.search(r'points="([^"]+)"', drawing)[1].split()
        places = [tuple(map(float, point.split(","))) for point in points]
        self.assertLess(places[0][0], places[1][0])
        self.assertGreater(places[0][1], places[1][1])  # More is higher.
        for x, y in places:
            self.assertTrue(plot.LEFT <= x <= plot.WIDTH - plot.RIGHT, x)
            self.assertTrue(plot.TOP <= y <= plot.HEIGHT - plot.BOTTOM, y)

    def test_nothing_to_draw_is_no_file(self):
        self.assertIsNone(plot.svg(self.chart(series={"a": []})))

    def test_ticks_reach_the_largest_value(self):
        for largest in (0.7, 1, 9.9, 10, 66_279, 100_000, 123_456):
            found = plot.ticks(largest)
            self.assertGreaterEqual(found[-1], largest * (1 - 1e-9))
            self.assertTrue(2 <= len(found) <= 7, (largest, found))

    def test_a_logarithmic_axis_holds_one_value_and_many(self):
        for points in ([(1, 5.0)], [(1, 5.0), (10, 70_000.0)]):
            xml.fromstring(plot.svg(self.chart(series={"a": points}, log_y=True)))

    def test_names_do_not_cover_each_other(self):
        places = plot.label_places({"a": 100.0, "b": 101.0, "c": 99.0})
        ordered = sorted(places.values())
        self.assertTrue(all(b - a >= 17 for a, b in zip(ordered, ordered[1:])), places)

    def test_reports_without_a_part_are_drawn_without_it(self):
        rows = [{"keys": 1000, "get_us": 50.0}, {"keys": 1_000_000, "get_us": 55.0}]
        with tempfile.TemporaryDirectory() as folder:
            written = plot.write_plots({"growth": report(rows=rows)}, pathlib.Path(folder))
            self.assertEqual([path.name for path in written], ["performance-growth.svg"])
            root = xml.parse(written[0]).getroot()
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("get_state, us", words)
        self.assertNotIn("propose, us", words)


if __name__ == "__main__":
    unittest.main()
