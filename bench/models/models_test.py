"""Unit tests of the benchmark: python3 -B -m unittest bench.models.models_test"""

import os
import pathlib
import sys
import tempfile
import unittest

from bench.harness import process
from bench.harness.errors import Refused
from bench.harness.usage import Size, Switches
from bench.http.servers import Paths
from bench.models import __main__ as program
from bench.models import measure, plan, report, servers
from bench.models.load import Closed, Load, LoadFailed, Paced
from bench.models.measure import Bench, Settings
from bench.models.plan import HELLO, SLOW, Scenario, Step
from bench.models.results import Peak, Results, Row

ITERATIVE, FORK, THREAD, PREFORK, *_ = servers.MODELS
PACED = Paced(200, 0, 20.0, 60.0, 90.0, 3.0, 0)


def peak(served: int = 64, rate: float = 30_000.0, failures: int = 0) -> Peak:
    return Peak(rate, 20.0, 1.5, served, failures, 1.0, 0.5)


def results() -> Results:
    found = Results("now", {"arguments": "", "server_core": 0, "client_core": 1, "rounds": 1,
                            "seconds": 1.0}, {"kernel": "Linux"}, noise=0.01)
    for step in plan.everything():
        row = Row(step.server.name, step.scenario, [peak()], [15_000.0], [PACED],
                  Size(3 << 20, 1 << 20, 65, 66))
        found.rows.append(row)
    return found


class PlanTest(unittest.TestCase):
    def test_every_model_and_backend_meets_every_point_once(self) -> None:
        found = plan.everything()
        self.assertEqual(len(set(found)), len(found))
        self.assertEqual(len(found), 9 * 2 * 2 * 5 + 5 * 2)
        names = {step.server.name for step in found}
        self.assertLessEqual({"iterative", "fork", "thread", "prefork", "reactor-select",
                              "reactor-io_uring", "prefork-select"}, names)

    def test_a_full_run_takes_less_than_twenty_minutes(self) -> None:
        options = program.parse_arguments([])
        found = program.steps(options)
        self.assertEqual(found, plan.everything())
        noise = 2 * measure.NOISE_ROUNDS * 2.0
        seconds = plan.estimate_seconds(found, options.pairs, options.seconds) + noise
        self.assertLess(seconds, 60 * options.minutes)
        self.assertLess(60 * options.minutes, 20 * 60)

    def test_a_quick_run_has_every_model_and_both_services(self) -> None:
        found = program.steps(program.parse_arguments(["--quick"]))
        models = {step.server.model for step in found}
        self.assertEqual(models, {"iterative", "fork", "thread", "prefork", "reactor"})
        self.assertEqual({step.service for step in found}, {HELLO, SLOW})
        self.assertLess(plan.estimate_seconds(found, 1, 0.2), 80)

    def test_who_is_left_waiting(self) -> None:
        def left(server: servers.Server, keep: bool, clients: int) -> int:
            return Step(server, Scenario(HELLO.name, keep, clients)).left_waiting

        self.assertEqual(left(ITERATIVE, True, 8), 7)
        self.assertEqual(left(ITERATIVE, False, 8), 0)
        self.assertEqual(left(PREFORK, True, 64), 0)
        self.assertEqual(left(PREFORK, True, 1000), 1000 - servers.PREFORK_WORKERS)
        self.assertEqual(left(FORK, True, 1000), 0)
        self.assertEqual(left(servers.REFERENCE, True, 1000), 0)

    def test_few_requests_take_longer_but_not_for_ever(self) -> None:
        self.assertEqual(plan.paced_seconds(10_000, 1), 1)
        self.assertEqual(plan.paced_seconds(100, 1), 2)
        self.assertEqual(plan.paced_seconds(1, 1), plan.MOST_PACED_SECONDS)

    def test_unknown_servers_are_refused(self) -> None:
        with self.assertRaises(SystemExit), open(os.devnull, "w") as nowhere:
            original, sys.stderr = sys.stderr, nowhere
            try:
                program.parse_arguments(["--servers", "spoon"])
            finally:
                sys.stderr = original


class NotesTest(unittest.TestCase):
    def _notes(self, server: servers.Server, scenario: Scenario, **changes: object) -> str:
        row = Row(server.name, scenario, [peak(**changes)], [1.0], [PACED])  # type: ignore
        return "; ".join(measure.notes(Step(server, scenario), row, 1.0))

    def test_a_model_that_cannot_take_a_point_says_so(self) -> None:
        text = self._notes(ITERATIVE, Scenario("slow", True, 1000), served=1)
        self.assertIn("one connection at a time, and 999 of 1000 clients wait", text)
        text = self._notes(PREFORK, Scenario("hello", True, 256), served=64)
        self.assertIn("64 connections at a time, and 192 of 256 clients wait", text)

    def test_slow_is_another_thing_than_cannot(self) -> None:
        text = self._notes(servers.REFERENCE, Scenario("slow", True, 1000), served=100)
        self.assertEqual(text, "too slow: 900 of 1000 clients had no reply in the 1 s")
        self.assertEqual(self._notes(FORK, Scenario("hello", True, 64)), "")

    def test_failures_and_missing_replies_are_told(self) -> None:
        self.assertIn("no request was answered in the 1 s",
                      self._notes(FORK, Scenario("hello", True, 64), rate=0.0))
        self.assertIn("3 connections failed",
                      self._notes(FORK, Scenario("hello", True, 64), failures=3))
        scenario = Scenario("hello", False, 64)
        row = Row("fork", scenario, [peak()], [1.0], [Paced(10, 2, 1, 1, 1, 1, 0)])
        self.assertIn("2 requests without a reply",
                      measure.notes(Step(FORK, scenario), row, 1.0)[0])
        self.assertIsNone(row.late("p99"))


class MeasureTest(unittest.TestCase):
    def test_what_is_answered_late_has_its_cpu_time_too(self) -> None:
        closed = Closed(seconds=2.0, requests=80, answered=100, served=5, failures=0,
                        cpu_seconds=1.0)
        found = Bench._judge(closed, 0.5, Switches(150, 50))
        self.assertEqual(found.requests_per_second, 40)
        self.assertAlmostEqual(found.cpu_us, 5000)
        self.assertEqual(found.switches, 2)
        self.assertAlmostEqual(found.server_busy, 0.2)
        self.assertIsNone(found.empty_accepts)
        self.assertEqual(Bench._judge(closed, 0.5, Switches(), 300).empty_accepts, 3)

    def test_a_server_that_fails_is_a_row_and_a_load_that_fails_is_the_end(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            build = pathlib.Path(directory)
            (build / "apps").mkdir()
            (build / "apps/hello").write_text("#!/bin/sh\necho no such model >&2\nexit 2\n")
            (build / "apps/hello").chmod(0o755)
            core = min(os.sched_getaffinity(0))
            found = results()
            found.rows.clear()
            settings = Settings(Paths(build, build), core, core, 1, 0.1, float("inf"),
                                say=lambda _: None)
            bench = Bench(settings, found)
            step = Step(FORK, Scenario("hello", True, 8))
            bench.run(step)
            self.assertIn("no such model", found.rows[0].notes[0])
            self.assertIn("fork, hello, keep, 8 connections", found.failures[0])

            def fail(_: Step) -> None:
                raise LoadFailed("a reply has the wrong body")

            bench.peak = fail  # type: ignore
            with self.assertRaises(LoadFailed):
                bench.run(step)

    def test_what_does_not_begin_in_time_says_so(self) -> None:
        nowhere = pathlib.Path("/nonexistent")
        found = results()
        found.rows.clear()
        bench = Bench(Settings(Paths(nowhere, nowhere), 0, 1, 1, 1, deadline=0), found)
        bench.run(Step(FORK, Scenario("hello", True, 8)))
        self.assertIn("not measured", found.rows[0].notes[0])
        self.assertEqual(found.failures, [])


class ServersTest(unittest.TestCase):
    def test_the_start_line_names_model_and_backend(self) -> None:
        class Started(process.Process):
            def __init__(self, line: str) -> None:
                self.line = line

            def output(self) -> str:
                return self.line

        reactor = Started("hello: listening on 127.0.0.1:7; model reactor; backend poll; shards\n")
        forks = Started("hello: listening on 127.0.0.1:8; model fork; at most 9 children\n")
        self.assertEqual(FORK.port(forks), 8)
        with self.assertRaisesRegex(Refused, "iterative runs as model fork"):
            ITERATIVE.port(forks)
        with self.assertRaisesRegex(Refused, "backend poll"):
            servers.REFERENCE.port(reactor)


    def test_counters_come_from_the_log(self) -> None:
        script = "trap 'echo x: model prefork: accepted 9, empty accepts 12, pauses 0' USR1;" \
                 "echo up; while :; do sleep 0.05; done"
        with tempfile.TemporaryDirectory() as directory:
            log = pathlib.Path(directory) / "log"
            with process.Process(["sh", "-c", script], None, log) as started:
                started.wait_for("up", "that it is up")
                self.assertEqual(measure.empty_accepts(servers.Running(started, 1)), 12)


class LoadTest(unittest.TestCase):
    def test_a_load_that_dies_is_told_with_its_words(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            load = pathlib.Path(directory) / "load"
            core = min(os.sched_getaffinity(0))
            load.write_text("#!/bin/sh\necho the wrong body >&2\nexit 1\n")
            load.chmod(0o755)
            with self.assertRaisesRegex(LoadFailed, "the wrong body"):
                Load(load, 1, 1, True, 0, 1, core)
            line = '{"requests": 9, "unanswered": 0, "p50": 20, "p99": 60, "max": 90, ' \
                   '"lag_p99": 3, "held_back": 0}'
            load.write_text(f"#!/bin/sh\necho ready\nread go\necho '{line}'\nread end\n")
            with Load(load, 1, 1, True, 5, 1, core) as running:
                running.begin()
                self.assertEqual(running.paced().p99, 60)


class ReportTest(unittest.TestCase):
    def test_every_row_is_in_a_table(self) -> None:
        found = results()
        found.rows[0].peaks.clear()
        found.rows[0].notes.append("cannot: it | is one")
        text = report.markdown_text(found)
        rows = [line for line in text.splitlines() if line.count("|") > 9]
        self.assertEqual(text.count("| connections | server |"), 4)
        self.assertEqual(text.count("| connections | workers wait in |"), 1)
        self.assertEqual(len(rows), len(found.rows) + 2 * 5)
        for expected in ("30,000", "15,000", "65/66", "cannot: it \\| is one",
                         "`./dev bench models`"):
            self.assertIn(expected, text)

    def test_json_comes_back(self) -> None:
        found = results()
        self.assertEqual(Results.from_json(found.to_json()), found)

    def test_plots_have_a_line_for_each_model_and_no_zero(self) -> None:
        found = results()
        plots = report.plots(found)
        self.assertEqual(len({plot.file for plot in plots}), len(plots))
        first = next(plot for plot in plots if plot.name == "rate")
        row = found.find("fork", Scenario("hello", True, 8))
        assert row is not None
        row.peaks = [peak(rate=0.0)]
        script = report.script(found, first, pathlib.Path("x.svg"))
        for server in report.COMPARED:
            self.assertIn(f'"{server}"', script)
        self.assertIn("set logscale y", script)
        self.assertNotIn("1 0.0\n", script)
        for plot in plots:
            self.assertIn(f"]({plot.file})", report.markdown_text(found))


if __name__ == "__main__":
    unittest.main()
