"""Unit tests of the benchmark: python3 -B -m unittest bench.http.http_test"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from unittest import mock

from bench.harness import process
from bench.harness.errors import Refused
from bench.http import __main__ as program
from bench.http import check, paced, plan, report, servers, targets, wrk
from bench.http.measure import Bench, Settings
from bench.http.results import Results, Row, Sample
from bench.http.scenarios import ALL, PIPELINED, TAILS, VARIED, Scenario

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"
WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  73914 requests in 1.10s, 8.11MB read
Requests/sec:  67194.00
"""
LATENCIES = paced.Latencies(1000, 20.0, 30.0, 60.0, 90.0, 120.0, 3.0, 0)


@contextlib.contextmanager
def recording() -> Iterator[tuple[int, list[bytes]]]:
    """A server that keeps what it was asked, in the order in which it came."""
    heads: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            with contextlib.suppress(ConnectionError):
                for line in self.rfile:
                    head += line
                    if line == b"\r\n":
                        heads.append(head)
                        head = b""
                        self.wfile.write(REPLY)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Threads(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], heads
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """Says this once to the first who connects, whatever is asked, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


class CheckTest(unittest.TestCase):
    def test_right_replies_pass(self) -> None:
        with answering(REPLY) as port:
            self.assertEqual(check.verify(port), REPLY)
        with answering(REPLY * 16) as port:
            check.verify(port, 16)

    def test_wrong_replies_are_refused(self) -> None:
        wrong = {
            "body": REPLY.replace(b"World", b"world"),
            "wrong answer": REPLY.replace(b"200 OK", b"404 Not Found"),
            "Content-Length": REPLY.replace(b"Content-Length", b"X-Length"),
            "ended after 0": REPLY[:-1],
            "behind the last": REPLY + b"!",
        }
        for reason, reply in wrong.items():
            with self.subTest(reason), answering(reply) as port:
                with self.assertRaisesRegex(Refused, reason):
                    check.verify(port)

    def test_a_missing_pipelined_reply_is_refused(self) -> None:
        with answering(REPLY * 15) as port, self.assertRaisesRegex(Refused, "15 of 16"):
            check.verify(port, 16)


    def test_varied_requests_differ(self) -> None:
        with recording() as (port, heads):
            check.verify(port, 3)
            check.verify(port, 3, varied=True)
        self.assertEqual(len(set(heads[:3])), 1)
        self.assertEqual(len(set(heads[3:])), 3)


class WrkTest(unittest.TestCase):
    def test_varied_heads_are_equally_long_and_never_repeat_the_one_before(self) -> None:
        if shutil.which("wrk") is None:
            self.skipTest("wrk is not installed")
        core = min(os.sched_getaffinity(0))
        with recording() as (port, heads):
            wrk.run(port, Scenario(4, varied=True), 1, core)
        self.assertGreater(len(heads), 100)
        self.assertEqual(len({len(head) for head in heads}), 1)
        self.assertGreater(len(set(heads)), 64)
        self.assertFalse(any(one == next_one for one, next_one in zip(heads, heads[1:])))
        with recording() as (port, heads):
            wrk.run(port, Scenario(4), 1, core)
        self.assertEqual(len(set(heads)), 1)

    def test_counts(self) -> None:
        self.assertEqual(wrk.parse(WRK), (73914, 1.10))

    def test_errors_are_refused(self) -> None:
        for line in (
            "  Socket errors: connect 0, read 0, write 0, timeout 3",
            "  Non-2xx or 3xx responses: 5",
        ):
            with self.subTest(line), self.assertRaisesRegex(Refused, line.strip()):
                wrk.parse(WRK + line + "\n")
        with self.assertRaises(Refused):
            wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")
        with self.assertRaises(Refused):
            wrk.parse("  0 requests in 1.10s, 0.00B read\n")


class PlanTest(unittest.TestCase):
    def test_each_backend_meets_its_floor_and_each_peer_meets_ours(self) -> None:
        everything = servers.everything()
        found = {ratio for group in plan.groups(everything, False) for ratio in group.ratios()}
        for backend in servers.BACKENDS:
            self.assertIn((f"quintet-{backend}", f"floor-{backend}"), found)
        self.assertIn(("quintet-io_uring", "quintet-epoll_et"), found)
        for server in everything:
            if server.kind == "peer":
                self.assertIn(("quintet-io_uring", server.name), found)

    def test_what_meets_nobody_is_measured_alone(self) -> None:
        groups = plan.groups([servers.by_name("nginx")], False)
        self.assertEqual([group.members for group in groups], [("nginx",)])
        pair = [servers.by_name("nginx"), servers.by_name("quintet-epoll_et")]
        self.assertEqual(
            [group.members for group in plan.groups(pair, False)], [("quintet-epoll_et", "nginx")]
        )

    def test_peers_share_a_measurement_of_ours(self) -> None:
        peers = [server for server in servers.everything() if server.kind == "peer"]
        ours = [servers.by_name(name) for name in plan.COMPARED]
        names = [peer.name for peer in peers]
        found = [group.members for group in plan.groups([*ours, *peers[:4]], True)]
        self.assertIn((names[1], plan.COMPARED[0], names[0], plan.COMPARED[1], names[2]), found)
        self.assertIn((plan.COMPARED[0], names[3], plan.COMPARED[1]), found)

    def test_what_is_not_compared_is_measured_once(self) -> None:
        everything = servers.everything()
        steps = plan.steps(plan.groups(everything, False), ALL)
        for scenario in ALL:
            taken = [step for step in steps if step.scenario == scenario]
            for server in everything:
                with self.subTest(scenario.name, server=server.name):
                    timed = sum(server.name in step.timed for step in taken)
                    again = scenario == TAILS and server.name in plan.COMPARED
                    self.assertEqual(timed, 4 if again else scenario.at_fixed_rate)
                    for seccomp in (False, True):
                        counted = sum(
                            server.name in step.counted
                            for step in taken
                            if step.group.seccomp == seccomp
                        )
                        ran = any(
                            server.name in step.group.members
                            for step in taken
                            if step.group.seccomp == seccomp
                        )
                        self.assertEqual(counted, ran)

    def test_targets_need_the_compared_latencies_only(self) -> None:
        groups = plan.groups(servers.everything(), False)
        for step in plan.steps(groups, program.TARGET_SCENARIOS, targets_only=True):
            kinds = {servers.by_name(name).kind for name in step.group.members}
            compared = step.scenario == TAILS and "peer" in kinds
            self.assertEqual(step.timed, frozenset(step.group.members if compared else ()))

    def test_latencies_are_taken_also_where_all_is_under_seccomp(self) -> None:
        steps = plan.steps(plan.groups(servers.everything(), True), [Scenario(64)])
        self.assertTrue(all(step.timed == step.counted for step in steps))

    def test_a_full_run_takes_three_quarters_of_an_hour(self) -> None:
        options = program.parse_arguments([])
        chosen, wanted = program.prepare(options)
        self.assertEqual(options.pairs, 7)
        nowhere = servers.Paths(pathlib.Path("/nonexistent"), pathlib.Path("/nonexistent"))
        settings = Settings(
            nowhere, 0, 1, options.pairs, options.seconds, options.latency_seconds, options.rate,
            count_calls=False, warm_up=True,
        )
        steps = plan.steps(plan.groups(chosen, False), wanted)
        seconds = Bench(settings, results()).estimate_seconds(steps, noise=True)
        self.assertLess(seconds, 45 * 60)
        self.assertGreater(seconds, 30 * 60)

    def test_all_under_seccomp(self) -> None:
        groups = plan.groups(servers.everything(), True)
        self.assertTrue(all(group.seccomp for group in groups))


class ServersTest(unittest.TestCase):
    def test_a_silent_fallback_is_refused(self) -> None:
        class Started(process.Process):
            def __init__(self) -> None:
                pass

            def output(self) -> str:
                return "hello: listening on 127.0.0.1:7; model x; backend epoll_et; shards 1\n"

        started = Started()
        self.assertEqual(servers.by_name("quintet-epoll_et").read_start_line(started), 7)
        with self.assertRaisesRegex(Refused, "asked for io_uring and runs on epoll_et"):
            servers.by_name("quintet-io_uring").read_start_line(started)

    def test_a_port_that_was_taken_meanwhile_is_chosen_again(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            free = process.free_port()
            with self._choosing(taken, taken, free), self._listener() as running:
                self.assertEqual(running.port, free)
            with self._choosing(taken, taken, taken), self.assertRaises(Refused):
                self._listener().__enter__()

    def test_a_server_that_crashed_is_refused(self) -> None:
        for number, reason in ((signal.SIGSEGV, "status -11"), (signal.SIGTERM, "by itself")):
            with self.subTest(number), self.assertRaisesRegex(Refused, reason):
                with self._listener() as running:
                    os.kill(running.process.pid, number)
                    while running.process.running():
                        pass

    def test_only_a_missing_io_uring_is_left_out(self) -> None:
        core = min(os.sched_getaffinity(0))
        with tempfile.TemporaryDirectory() as directory:
            paths = servers.Paths(pathlib.Path("/nonexistent"), pathlib.Path(directory))

            def ending(backend: str, words: str) -> servers.Server:
                command = ["sh", "-c", words]
                return servers.Server("it", "quintet", lambda *_: command, "sh", backend)

            left_out = ending("io_uring", "echo no ring; exit 1").try_out(paths, core)
            self.assertIn("no ring", left_out)
            for server in (ending("io_uring", "kill -SEGV $$"), ending("poll", "exit 1")):
                with self.assertRaises(Refused):
                    server.try_out(paths, core)

    def test_a_server_that_does_not_end_well_is_refused(self) -> None:
        handler = "import os, signal; signal.signal(signal.SIGTERM, lambda *_: {});"
        with self._listener(handler.format("sys.exit(0)")):
            pass
        with self.assertRaisesRegex(Refused, "ended with 3 after SIGTERM"):
            with self._listener(handler.format("sys.exit(3)")):
                pass
        with self._listener(handler.format("sys.exit(3)"), kind="peer"):
            pass
        with self.assertRaisesRegex(Refused, "ended with -6 after SIGTERM"):
            with self._listener(handler.format("os.abort()"), kind="peer"):
                pass
        failing = handler.format("sys.exit(3)")
        with self.assertRaisesRegex(ValueError, "of the first"), self._listener(failing):
            raise ValueError("the reason of the first is told")

    def _listener(self, first: str = "", kind: str = "quintet") -> servers.Running:
        """A server that only listens, after `first`."""
        # Sleeps in pieces: Python runs a handler between two of them only, so one long sleep that
        # begins just behind the signal would be slept to its end.
        script = (
            f"import socket, sys, time; {first} "
            "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
            "[time.sleep(0.01) for _ in range(6000)]"
        )

        def command(_: servers.Paths, port: int, __: pathlib.Path) -> list[str]:
            return [sys.executable, "-c", script, str(port)]

        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        paths = servers.Paths(pathlib.Path("/nonexistent"), pathlib.Path(directory.name))
        server = servers.Server("listener", kind, command, sys.executable.rpartition("/")[2])
        return server.start(paths, min(os.sched_getaffinity(0)))

    @staticmethod
    def _choosing(*ports: int) -> contextlib.AbstractContextManager[object]:
        return mock.patch.object(process, "free_port", side_effect=ports)

    def test_what_is_not_there_is_told(self) -> None:
        nowhere = servers.Paths(pathlib.Path("/nonexistent"), pathlib.Path("/nonexistent"))
        self.assertIn("not built", servers.by_name("floor-poll").missing(nowhere))


def sample(cpu_us: float, server_busy: float = 1.0, client_busy: float = 0.8) -> Sample:
    return Sample(1e6 / cpu_us, cpu_us, cpu_us / 4, cpu_us * 3 / 4, server_busy, client_busy, 0.0)


def row(group: str, server: str, kind: str, values: list[float], place: int) -> Row:
    return Row(group, server, kind, False, Scenario(64), place, [sample(value) for value in values],
               [LATENCIES] * len(values), 2.02, 50.0, 5 << 20)


def results() -> Results:
    return Results(
        created="2000-01-01 00:00 UTC",
        options={"arguments": "", "server_core": 0, "client_core": 1, "pairs": 3, "seconds": 1},
        environment={"kernel": "Linux"},
        noise={"before": 0.01},
        calls_counted_by="strace",
        rates={"64": 1000.0},
        rows=[
            row("a", "floor-epoll_et", "floor", [4.0, 6.0, 8.0], 0),
            row("a", "quintet-epoll_et", "quintet", [4.2, 6.6, 8.16], 1),
            row("b", "quintet-epoll_et", "quintet", [9.0, 9.0, 9.0], 0),
            row("b", "nginx", "peer", [10.0, 10.0, 12.0], 1),
        ],
    )


class ResultsTest(unittest.TestCase):
    def test_ratios_stay_inside_a_group(self) -> None:
        ratio = results().cpu_ratio("quintet-epoll_et", "floor-epoll_et", Scenario(64))
        assert ratio is not None
        self.assertAlmostEqual(ratio.median, 1.05)
        self.assertEqual(ratio.count, 3)
        self.assertIsNone(results().cpu_ratio("floor-epoll_et", "nginx", Scenario(64)))

    def test_ratios_are_of_those_who_ran_closest(self) -> None:
        several = results()
        several.rows.append(row("c", "quintet-epoll_et", "quintet", [1.0, 1.0, 1.0], 2))
        several.rows.append(row("c", "floor-epoll_et", "floor", [2.0, 2.0, 2.0], 0))
        ratio = several.cpu_ratio("quintet-epoll_et", "floor-epoll_et", Scenario(64))
        assert ratio is not None
        self.assertAlmostEqual(ratio.median, 1.05)

    def test_json_keeps_everything(self) -> None:
        self.assertEqual(Results.from_json(results().to_json()), results())

    def test_the_limit_is_told(self) -> None:
        self.assertTrue(sample(5, server_busy=0.6, client_busy=0.99).client_was_limit)
        self.assertFalse(sample(5, server_busy=0.99, client_busy=0.99).client_was_limit)

    def test_targets(self) -> None:
        found = {each.what: each.reached for each in targets.measured(results())}
        self.assertEqual(
            found,
            {
                "CPU per request, epoll_et / its floor": False,
                "CPU per request, quintet-epoll_et / nginx": True,
            },
        )


class ReportTest(unittest.TestCase):
    def test_varied_heads_are_shown_beside_equal_ones(self) -> None:
        both = results()
        for each in results().rows:
            each.scenario = VARIED
            both.rows.append(each)
        self.assertEqual(Results.from_json(both.to_json()), both)
        self.assertEqual(
            [each.what for each in targets.measured(both)],
            [each.what for each in targets.measured(results())],
        )
        text = report.markdown_text(both, "http")
        self.assertIn("| CPU per request | 64 | 64 varied |", text)
        self.assertIn("### 64 connections, varied heads\n", text)
        self.assertIn("no head equals the one before", text)
        self.assertNotIn("no head equals the one before", report.markdown_text(results(), "http"))
        scripts = [script(pathlib.Path("plot.svg")) for _, _, script in report._plots(both)]
        self.assertEqual(sum("64 varied" in script for script in scripts), 2)
        self.assertEqual(sum("varied heads" in script for script in scripts), 1)

    def test_a_run_under_seccomp_has_the_same_tables_and_plots(self) -> None:
        plain, filtered = results(), results()
        filtered.options["seccomp"] = True
        for each in filtered.rows:
            each.seccomp = True
        self.assertEqual(
            [each.what for each in targets.measured(filtered)],
            [each.what for each in targets.measured(plain)],
        )
        text = report.markdown_text(filtered, "http-seccomp")
        self.assertIn("All servers ran under a seccomp filter", text)
        self.assertIn("http-seccomp-peers.svg", text)

    def test_markdown(self) -> None:
        text = report.markdown_text(results(), "http")
        self.assertIn("| quintet-epoll_et / floor-epoll_et | 1.050 (1.04 to 1.07) |", text)
        self.assertIn("before 1.0%", text)
        self.assertNotIn("too noisy", text)

    def test_noise_and_limits_are_marked(self) -> None:
        noisy = results()
        noisy.noisy = True
        noisy.rows[3].samples = [sample(10, server_busy=0.5, client_busy=1.0)]
        noisy.rows[3].latencies = [None]
        text = report.markdown_text(noisy, "http")
        self.assertIn("too noisy", text)
        self.assertIn("the load generator was the limit, the server 50% idle", text)
        self.assertIn("did not keep up", text)

    def test_files(self) -> None:
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not installed")
        with tempfile.TemporaryDirectory() as directory:
            written = report.write(results(), pathlib.Path(directory), "http")
            for path in written:
                self.assertGreater(path.stat().st_size, 100)
            self.assertIn("http-floors.svg", {path.name for path in written})


class ArgumentsTest(unittest.TestCase):
    def test_scenarios(self) -> None:
        self.assertEqual(
            program.parse_scenarios("1,64x16,64varied"), [Scenario(1), PIPELINED, VARIED]
        )
        for wrong in ("0", "varied", "64x16varied"):
            with self.subTest(wrong), self.assertRaises(ValueError):
                program.parse_scenarios(wrong)

    def test_servers_by_kind_and_name(self) -> None:
        names = {server.name for server in program.choose_servers("floor,nginx")}
        self.assertEqual(names, {*(f"floor-{each}" for each in servers.BACKENDS), "nginx"})
        with self.assertRaisesRegex(ValueError, "apache"):
            program.choose_servers("apache")


if __name__ == "__main__":
    unittest.main()
