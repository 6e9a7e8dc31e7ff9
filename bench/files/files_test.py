"""Unit tests of the benchmark: python3 -B -m unittest bench.files.files_test"""

import json
import os
import pathlib
import sys
import tempfile
import unittest

from bench.files import __main__ as program
from bench.files import measure, report, servers
from bench.files.measure import Bench
from bench.files.results import GIB, Crowd, CrowdRow, Results, Row, Run
from bench.harness.errors import Refused
from bench.http.servers import Paths


def run(rate: float, cpu: float = 0.5) -> Run:
    """A GiB at so many GiB in a second."""
    return Run(1 / rate, GIB, 1, cpu, 0.25)


def some_results() -> Results:
    found = Results("now", {"arguments": "", "server_core": 0, "client_core": 1, "pairs": 2,
                            "seconds": 1, "crowd_seconds": 5}, {"kernel": "Linux"})
    found.rows = [
        Row("get", "files-poll", "sink", GIB, "", [run(2), run(4)]),
        Row("get", "nginx", "sink", GIB, "", [run(1), run(4)]),
        Row("get", "nginx", "curl", GIB, "", [run(2), run(2)]),
        Row("get", "files-poll", "files", GIB, "", [run(1), run(1.5)]),
        Row("put", "files-poll", "files", GIB, "none", [run(0.5), run(0.5)]),
    ]
    found.crowds = [CrowdRow("files-poll", 150, 50,
                             [Crowd(5, 10, 5, GIB, GIB // 2, 500, 900, 51_000, 60_000)])]
    return found


class ResultsTest(unittest.TestCase):
    def test_figures_follow_from_what_was_counted(self) -> None:
        found = Run(seconds=2, bytes=GIB // 2, transfers=4, server_cpu=0.1, client_cpu=0.3)
        self.assertEqual(found.rate, GIB / 4)
        self.assertAlmostEqual(found.server_cpu_per_gib, 0.2)
        self.assertAlmostEqual(found.client_cpu_per_gib, 0.6)

    def test_ratios_are_of_the_same_round(self) -> None:
        results = some_results()
        ratio = results.rows[0].ratio("rate", results.rows[1])
        self.assertEqual((ratio.median, ratio.low, ratio.high), (1.5, 1.25, 1.75))


class ReportTest(unittest.TestCase):
    def test_targets_know_their_reference(self) -> None:
        reached = {row[0]: row[-1] for row in report.targets(some_results())}
        self.assertEqual(reached, {
            "get of 1 GiB, files-poll against nginx, the same client": "yes",
            "get of 1 GiB, files-poll and files get against nginx and curl": "**no**",
            "lists beside 200 transfers, files-poll, p99": "**no**",
        })

    def test_page_and_json_hold_everything(self) -> None:
        results = some_results()
        text = report.markdown_text(results)
        for expected in ("1 GiB | files-poll | none | 512", "| nginx | curl |", "| 0.900 | 51.0 ",
                         "0.625 (0.56 to 0.69)"):
            self.assertIn(expected, text)
        self.assertEqual(len(json.loads(results.to_json())["rows"]), 5)

    def test_without_nginx_there_is_nothing_to_compare(self) -> None:
        results = some_results()
        results.rows = [row for row in results.rows if row.server != "nginx"]
        self.assertEqual(len(report.targets(results)), 1)
        self.assertIn("files-poll", report.markdown_text(results))

    def test_sizes(self) -> None:
        self.assertEqual([report.size_text(size) for size in (5, 64 << 10, 256 << 20, GIB)],
                         ["5 B", "64 KiB", "256 MiB", "1 GiB"])


class PlanTest(unittest.TestCase):
    def test_every_backend_meets_the_reference_at_every_size(self) -> None:
        options = program.parse_arguments([])
        self.assertEqual(options.sizes, [64 << 10, 1 << 20, 256 << 20, GIB])
        found = program.contestants(options.backends, True, True)
        names = {(each.server.name, each.client) for each in found}
        self.assertEqual(len(names), len(found))
        self.assertLessEqual({("nginx", "sink"), ("nginx", "curl"), ("files-select", "sink"),
                              ("files-io_uring", "files")}, names)
        self.assertEqual(sum(options.crowd[:2]), 200)

    def test_what_is_missing_is_left_out(self) -> None:
        found = program.contestants(["poll"], False, True)
        self.assertEqual([(each.server.name, each.client) for each in found],
                         [("files-poll", "sink")])

    def test_unknown_backends_are_refused(self) -> None:
        with self.assertRaises(SystemExit), open(os.devnull, "w") as nowhere:
            original, sys.stderr = sys.stderr, nowhere
            try:
                program.parse_arguments(["--backends", "spoon"])
            finally:
                sys.stderr = original


class MeasureTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        core = min(os.sched_getaffinity(0))
        self.bench = Bench(Paths(self.directory, self.directory), core, core, 1, 0.1,
                           self.directory, say=lambda _: None)

    def test_files_have_their_size(self) -> None:
        for size in (0, 5, (1 << 20) + 1):
            self.assertEqual(measure.make_file(self.directory, size).stat().st_size, size)

    def test_a_transfer_that_falls_short_is_refused(self) -> None:
        target = self.directory / "got"
        command = ["sh", "-c", f"printf abc > {target}"]
        seconds, transfers, _ = self.bench._repeat(command, target, 3, 0.01)
        self.assertGreaterEqual(seconds, 0.01)
        self.assertGreaterEqual(transfers, 1)
        self.assertFalse(target.exists())
        with self.assertRaisesRegex(Refused, "a file of 3 bytes"):
            self.bench._repeat(command, target, 4, 0.01)

    def test_nginx_serves_the_root(self) -> None:
        made = servers.REFERENCE.make_command(self.bench.paths, 7, self.directory)
        text = pathlib.Path(made[-1]).read_text()
        self.assertIn("sendfile on;", text)
        self.assertIn("listen 127.0.0.1:7;", text)
        self.assertIn(f"root {self.directory / 'root'};", text)


if __name__ == "__main__":
    unittest.main()
