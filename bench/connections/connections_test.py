"""Unit tests of the harness: python3 -B -m unittest bench.connections.connections_test"""

import json
import unittest

from bench.connections import __main__ as program
from bench.connections import report
from bench.connections.results import Memory, Pair, Results


def some_results() -> Results:
    results = Results("now", {"arguments": "", "server_core": 0, "client_core": 1, "pairs": 2,
                              "seconds": 1}, {"kernel": "Linux"})
    for backend, user in (("poll", 401.0), ("io_uring", 399.6), ("select", 500.0)):
        results.memory.append(Memory(f"quintet-{backend}", 1000, user, 2500, 1 << 20, 2 << 20,
                                     3 << 20, 2 << 20))
    results.idle_cost = [
        Pair("quintet-poll", "quintet-poll", 1000, [20, 22], [10, 11]),
        Pair("quintet-io_uring", "quintet-io_uring", 1000, [10.4, 10.4], [10, 10]),
    ]
    results.churn = [Pair("quintet-poll", "floor-poll", 0, [20, 20], [18, 18], [9, 9], [10, 10])]
    return results


class CountsTest(unittest.TestCase):
    def test_limit_takes_the_place_of_what_is_above(self) -> None:
        self.assertEqual(program.idle_counts([100000, 1000, 10000], 5000), [1000, 5000])

    def test_select_has_its_own_limit(self) -> None:
        self.assertEqual(program.counts_for("select", [100, 5000, 10000]), [100, 900])
        self.assertEqual(program.counts_for("poll", [100, 5000]), [100, 5000])


class ReportTest(unittest.TestCase):
    def test_targets(self) -> None:
        reached = {row[0]: row[-1] for row in report.targets(some_results())}
        self.assertEqual(reached, {
            "user-space bytes per idle connection, quintet-poll": "**no**",
            "user-space bytes per idle connection, quintet-io_uring": "yes",
            "one active among idle ones against none, quintet-io_uring": "yes",
            "accept-request-close cycles, quintet-poll / floor-poll": "**no**",
        })

    def test_page_and_json_hold_everything(self) -> None:
        results = some_results()
        text = report.markdown_text(results, "plot.svg")
        for expected in ("quintet-select", "2.000", "plot.svg", "0.900"):
            self.assertIn(expected, text)
        self.assertEqual(len(json.loads(results.to_json())["memory"]), 3)

    def test_plot_begins_without_idle_ones(self) -> None:
        places, lines = report.plot_lines(some_results())
        self.assertEqual(places, [0, 1000])
        self.assertEqual([list(line.values) for line in lines], [[1.0, 2.0], [1.0, 1.04]])


if __name__ == "__main__":
    unittest.main()
