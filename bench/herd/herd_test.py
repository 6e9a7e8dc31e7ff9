"""Unit tests of the harness: python3 -B -m unittest bench.herd.herd_test"""

import argparse
import json
import unittest

from bench.herd import __main__ as program
from bench.herd import measure, report

LINES = """hello: listening on 127.0.0.1:1; model reactor
hello: worker 0 (pid 7): accepted 1, active 0, bytes in 0, bytes out 0, refused 0, empty accepts 9, stalls 0
hello: worker 1 (pid 8): accepted 1, active 0, bytes in 0, bytes out 0, refused 0, empty accepts 9, stalls 0
hello: worker 0 (pid 7): accepted 5, active 3, bytes in 0, bytes out 0, refused 0, empty accepts 2, stalls 0
hello: worker 1 (pid 8): accepted 6, active 4, bytes in 0, bytes out 0, refused 0, empty accepts 1, stalls 0
"""  # noqa: E501


class CountersTest(unittest.TestCase):
    def test_the_last_complete_set_counts(self) -> None:
        found = measure.parse_counters(LINES, 2)
        self.assertEqual(found, [measure.Worker(5, 3, 2), measure.Worker(6, 4, 1)])
        self.assertIsNone(measure.parse_counters(LINES + LINES.splitlines()[1], 2))
        self.assertIsNone(measure.parse_counters("", 2))


class CasesTest(unittest.TestCase):
    def test_every_combination_is_there_once(self) -> None:
        cases = program.cases(program.parse_arguments([]))
        self.assertEqual(len(cases), 3 * 2 * 4 * 2)
        self.assertEqual(len({str(case) for case in cases}), len(cases))

    def test_limits_bring_counts_down(self) -> None:
        options = argparse.Namespace(quick=False)
        case = measure.Case("select", "thread", "shared", 4)
        self.assertEqual(program.spreads(case, options, 20000), [12, 100, 800])
        case = measure.Case("poll", "thread", "shared", 4)
        self.assertEqual(program.spreads(case, options, 1024), [12, 100, 524])


class ReportTest(unittest.TestCase):
    def test_page_and_json_hold_everything(self) -> None:
        case = measure.Case("select", "process", "shared", 4)
        row = report.Row(case, measure.Wakes(15.5, 77), {12: [3, 3, 3, 3], 100: [25] * 16})
        # select cannot have as many.
        other = report.Row(case, measure.Wakes(1, 0), {12: [3, 3, 3, 3], 800: [200] * 4})
        results = report.Results("now", {"arguments": ""}, {"kernel": "Linux"}, [row, other])
        text = report.markdown_text(results)
        for expected in ("15.50", "77", "3/3/3/3", "25 to 25", "200/200/200/200", "| - |", "4 process",
                         "`./dev bench herd`"):
            self.assertIn(expected, text)
        self.assertEqual(json.loads(results.to_json())["rows"][0]["case"]["policy"], "shared")


if __name__ == "__main__":
    unittest.main()
