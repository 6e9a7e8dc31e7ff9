"""Unit tests of the harness: python3 -B -m unittest bench.harness.harness_test"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from bench.harness import (cpu, environment, gnuplot, markdown, memory, process, summary, syscalls,
                           usage)
from bench.harness.errors import Refused


class SummaryTest(unittest.TestCase):
    def test_median_and_quartiles(self) -> None:
        self.assertEqual(
            summary.summarize([5, 1, 3, 2, 4]), summary.Summary(median=3, low=2, high=4, count=5)
        )

    def test_one_value_is_its_own_quartiles(self) -> None:
        self.assertEqual(summary.summarize([7]), summary.Summary(7, 7, 7, 1))

    def test_nothing_has_no_median(self) -> None:
        with self.assertRaises(ValueError):
            summary.summarize([])

    def test_ratios_are_taken_round_by_round(self) -> None:
        self.assertEqual(summary.ratios([2, 9], [1, 3]), [2, 3])
        with self.assertRaises(ValueError):
            summary.ratios([1], [1, 2])

    def test_noise_counts_both_directions(self) -> None:
        self.assertAlmostEqual(summary.noise([0.9, 1.0, 1.1]), 0.1)


class CpuTest(unittest.TestCase):
    def test_names_with_blanks_and_parentheses(self) -> None:
        fields = " ".join(str(number) for number in range(3, 53))
        self.assertEqual(cpu.parse_stat(f"12 (a) b) {fields}"), (14, 15))

    def test_what_ended_children_used(self) -> None:
        fields = " ".join(str(number) for number in range(3, 53))
        self.assertEqual(cpu.parse_children(f"12 (a b) {fields}"), (16, 17))

    def test_idle_and_iowait_are_not_busy(self) -> None:
        text = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu1 100 0 50 1000 200 0 50 0 0 0\n"
        self.assertEqual(cpu.parse_core(text, 1), 200 / cpu.TICKS_PER_SECOND)
        with self.assertRaises(ValueError):
            cpu.parse_core(text, 2)

    def test_own_time_grows(self) -> None:
        before = cpu.of_processes([os.getpid()])
        sum(range(2_000_000))
        spent = cpu.of_processes([os.getpid()]) - before
        self.assertGreater(spent.total_ns, 0)
        self.assertTrue(0 <= spent.system_share <= 1)

    def test_own_memory(self) -> None:
        self.assertGreater(cpu.peak_rss_bytes([os.getpid()]), 1 << 20)


class MemoryTest(unittest.TestCase):
    def test_only_written_memory_counts(self) -> None:
        text = "Rss:   9 kB\nAnonymous:           12 kB\nLazyFree: 0 kB\n"
        self.assertEqual(memory.parse_anonymous(text), 12 << 10)
        with self.assertRaises(ValueError):
            memory.parse_anonymous("Rss: 1 kB\n")

    def test_slab_is_not_one_of_its_parts(self) -> None:
        self.assertEqual(memory.parse_slab("KReclaimable: 1 kB\nSlab:  7 kB\n"), 7 << 10)

    def test_shared_pages_count_by_their_share(self) -> None:
        self.assertEqual(memory.parse_pss("Rss: 9 kB\nPss:   3 kB\nPss_Dirty: 1 kB\n"), 3 << 10)
        self.assertEqual(memory.parse_page_tables("VmPTE:\t  44 kB\n"), 44 << 10)


class UsageTest(unittest.TestCase):
    def test_switches_of_both_kinds(self) -> None:
        text = "Name:\tx\nvoluntary_ctxt_switches:\t70\nnonvoluntary_ctxt_switches:\t3\n"
        found = usage.parse_switches(text)
        self.assertEqual(found, usage.Switches(70, 3))
        self.assertEqual((found - usage.Switches(10, 1)).total, 62)

    def test_what_ended_children_used_is_in_the_tree(self) -> None:
        # Two tenths of a second in a child that has ended, and as much again in a thread that has.
        script = """
import os, sys, threading, time
def spin():
    end = time.thread_time() + 0.2
    while time.thread_time() < end:
        pass
pid = os.fork()
if pid == 0:
    spin()
    os._exit(0)
os.waitpid(pid, 0)
thread = threading.Thread(target=spin)
thread.start()
thread.join()
print("done", flush=True)
sys.stdin.read()
"""
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as running:
            self.assertEqual(running.stdout.readline(), "done\n")
            self.assertGreater(usage.cpu_seconds(process.tree(running.pid)), 0.38)
            # A thread that was joined may still be on its way out of the kernel.
            deadline = time.monotonic() + 20
            while usage.size([running.pid]).threads > 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(usage.size([running.pid]).threads, 1)
            before = usage.reaped_switches()
            running.stdin.close()
            running.wait()
        self.assertGreater((usage.reaped_switches() - before).voluntary, 1)

    def test_size_of_this_process(self) -> None:
        found = usage.size([os.getpid(), 1 << 30])
        self.assertEqual(found.processes, 1)
        self.assertGreater(found.pss_bytes, 1 << 20)
        self.assertGreater(found.page_table_bytes, 0)


class ProcessTest(unittest.TestCase):
    def setUp(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.addCleanup(self._directory.cleanup)
        self.log = pathlib.Path(self._directory.name) / "log"
        self.core = min(os.sched_getaffinity(0))

    def test_the_tree_is_found_and_ended(self) -> None:
        script = "import subprocess, sys; subprocess.run(['sleep', '60'])"
        with process.Process([sys.executable, "-c", script], self.core, self.log) as running:
            while len(running.pids()) < 2:
                pass
            child = running.pids()[1]
            leader = running.pid
            self.assertLessEqual({leader, child}, set(process.group(leader)))
        self.assertFalse(running.running())
        self.assertEqual(process.group(leader), [])

    def test_who_does_not_listen_to_sigterm_is_killed(self) -> None:
        original, process.STOP_SECONDS = process.STOP_SECONDS, 1.0
        self.addCleanup(setattr, process, "STOP_SECONDS", original)
        with process.Process(["sh", "-c", "trap '' TERM; echo up; sleep 60; sleep 60"], self.core,
                             self.log) as running:
            while "up" not in running.output():
                pass
        self.assertFalse(running.running())

    def test_an_end_of_its_own_is_refused_with_its_words(self) -> None:
        with process.Process(["sh", "-c", "echo why"], self.core, self.log) as running:
            with self.assertRaisesRegex(Refused, "why"):
                running.wait_until_listening(process.free_port())

    def test_failure_of_a_tool_is_refused(self) -> None:
        with self.assertRaisesRegex(Refused, "because"):
            process.run_pinned(["sh", "-c", "echo because >&2; exit 3"], self.core, 10)
        self.assertEqual(process.run_pinned(["echo", "yes"], self.core, 10)[0], "yes\n")


class SyscallsTest(unittest.TestCase):
    def test_table_of_strace(self) -> None:
        text = (
            "% time     seconds  usecs/call     calls    errors syscall\n"
            "------ ----------- ----------- --------- --------- ----------------\n"
            " 72.18    0.127502           8     15936           sendto\n"
            " 26.36    0.058752           3     16001        12 recvfrom\n"
            "  1.46    0.002773          10       254         1 pselect6\n"
            "------ ----------- ----------- --------- --------- ----------------\n"
            "100.00    0.189027           5     32191        13 total\n"
        )
        self.assertEqual(syscalls.parse_strace(text), syscalls.Counts(calls=32191, waits=254))

    def test_tracepoint_counts_a_wait(self) -> None:
        if not syscalls.Tracepoint.available():
            self.skipTest("the tracepoint cannot be read here")
        import select

        counter = syscalls.Tracepoint([os.getpid()])
        self.addCleanup(counter.close)
        before = counter.read()
        select.select([], [], [], 0)
        after = counter.read()
        self.assertEqual(after.waits - before.waits, 1)
        self.assertGreaterEqual(after.calls - before.calls, 1)


class WritersTest(unittest.TestCase):
    def test_table(self) -> None:
        self.assertEqual(
            markdown.table(["a", "b"], [["1|2", "3"]]), "| a | b |\n|---|---|\n| 1\\|2 | 3 |\n"
        )
        with self.assertRaises(ValueError):
            markdown.table(["a"], [["1", "2"]])

    def test_figures(self) -> None:
        values = [0.0312, 1.234, 12.34, 1234.5, float("nan")]
        self.assertEqual([markdown.figure(v) for v in values], ["0.031", "1.23", "12.3", "1,234",
                                                                "-"])

    def test_holes_in_a_line_are_left_out(self) -> None:
        script = gnuplot.lines_script(
            pathlib.Path("x.svg"), 'a "title"', "y", "x", ["1", "64"],
            [gnuplot.Line("one", [None, 2.5])], reference=1.0,
        )
        self.assertIn("1 2.5\ne\n", script)
        self.assertNotIn("None", script)
        self.assertIn('\\"title\\"', script)

    def test_environment_names_the_kernel(self) -> None:
        dump = environment.dump({"shell": ["sh", "-c", "echo 1.0"], "none": ["no-such-program"]})
        self.assertIn(os.uname().release, dump["kernel"])
        self.assertEqual((dump["shell"], dump["none"]), ("1.0", "not found"))


if __name__ == "__main__":
    unittest.main()
