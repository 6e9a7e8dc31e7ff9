"""Unit tests of the benchmark: python3 -B -m unittest bench.variants.variants_test"""

import contextlib
import io
import pathlib
import socket
import tempfile
import threading
import unittest

from bench.harness.errors import Refused
from bench.http.results import Results, Row, Sample
from bench.http.scenarios import Scenario
from bench.http.servers import Paths
from bench.variants import __main__ as program
from bench.variants import exercise, measure, plan, report, servers

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"


def row(group: str, server: str, kind: str, values: list[float], place: int) -> Row:
    samples = [Sample(1e6 / value, value, value / 4, value * 3 / 4, 0.7, 1.0, 0.0)
               for value in values]
    return Row(group, server, kind, False, Scenario(64), place, samples, [], 0.25, None, 5 << 20)


def results() -> Results:
    return Results(
        created="2000-01-01 00:00 UTC",
        options={"arguments": "", "server_core": 0, "client_core": 1, "pairs": 3, "seconds": 1},
        environment={"kernel": "Linux"},
        noise={"base at 64": 0.01},
        calls_counted_by="tracepoint",
        left_out=["napi: the kernel refuses NAPI busy polling"],
        rows=[
            row("a", "base again", "variant", [4.0, 6.0, 8.0], 0),
            row("a", "base", "variant", [4.0, 6.6, 8.0], 1),
            row("a", "floor-io_uring", "floor", [4.0, 6.6, 8.8], 2),
            row("b", "one_shot", "variant", [9.9, 9.9, 9.9], 0),
            row("b", "base", "variant", [9.0, 9.0, 9.0], 1),
            row("c", "quintet-epoll_et jemalloc", "quintet", [5.0, 5.0, 5.0], 0),
            row("c", "quintet-epoll_et", "quintet", [10.0, 10.0, 10.0], 1),
        ],
    )


class PlanTest(unittest.TestCase):
    def test_each_is_a_neighbour_of_base_and_noise_comes_first(self) -> None:
        groups = plan.ring_groups([servers.FLOOR, *servers.VARIANTS], plan.SCENARIOS)
        self.assertEqual(groups[0].again, "base again")
        self.assertTrue(all(group.again is None for group in groups[1:]))
        seen = []
        for group in groups:
            place = group.members.index("base")
            seen += [name for name in group.members if name != "base"]
            for name in group.members:
                self.assertLessEqual(abs(group.members.index(name) - place), 1)
        self.assertEqual(seen, ["base again", servers.FLOOR, *servers.VARIANTS])

    def test_allocators_meet_the_same_backend(self) -> None:
        names = [servers.hello(backend, each) for backend in servers.HELLO_BACKENDS
                 for each in servers.ALLOCATORS]
        for group in plan.allocator_groups(names, plan.ALLOCATOR_SCENARIOS):
            self.assertTrue(all(name.startswith(group.base) for name in group.members))
        self.assertEqual(plan.allocator_groups([], plan.ALLOCATOR_SCENARIOS), [])


class ServersTest(unittest.TestCase):
    PATHS = Paths(pathlib.Path("/build"), pathlib.Path("/scratch"))

    def command(self, name: str) -> list[str]:
        return servers.by_name(name).make_command(self.PATHS, 80, pathlib.Path("/"))

    def test_commands(self) -> None:
        self.assertEqual(self.command("base again"),
                         ["/build/bench/variants/ring_floor", "base", "80"])
        self.assertEqual(self.command("quintet-poll mimalloc")[0], "env")
        self.assertEqual(self.command("quintet-poll again"), self.command("quintet-poll"))
        self.assertIn("floor_io_uring", self.command(servers.FLOOR)[0])

    def test_names_the_program_knows(self) -> None:
        source = pathlib.Path(__file__).with_name("variant.h").read_text()
        for name in (servers.BASE, *servers.VARIANTS):
            self.assertIn(f'{{"{name}", Variant::', source)


class UsableTest(unittest.TestCase):
    """What the kernel refuses is left out; what fails otherwise ends the benchmark."""

    def usable(self, script: str) -> Results:
        found = results()
        found.left_out = []
        with tempfile.TemporaryDirectory() as directory:
            build = pathlib.Path(directory)
            program = build / servers.RING_FLOOR
            program.parent.mkdir(parents=True)
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            paths = Paths(build, build / "scratch")
            self.assertEqual(measure.usable(["napi"], paths, 0, 1, found), [])
        return found

    def test_refused_by_the_kernel(self) -> None:
        found = self.usable(f"echo 'ring_floor: {servers.REFUSAL} it: no' >&2; exit 77")
        self.assertEqual(found.left_out, [f"napi: ring_floor: {servers.REFUSAL} it: no"])

    def test_failed(self) -> None:
        with self.assertRaisesRegex(Refused, "bind: in use"):
            self.usable("echo 'floor: bind: in use' >&2; exit 1")


class ExerciseTest(unittest.TestCase):
    def test_a_lost_reply_is_refused(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                with listener.accept()[0] as peer:  # the first check passes
                    peer.recv(65536)
                    peer.sendall(REPLY)
                with listener.accept()[0] as peer:
                    peer.recv(65536)
                    peer.sendall(REPLY * 15)

            thread = threading.Thread(target=serve)
            thread.start()
            with self.assertRaisesRegex(Refused, "15 of 16"):
                exercise.exercise(listener.getsockname()[1], 1)
            thread.join()


class ReportTest(unittest.TestCase):
    def test_page(self) -> None:
        text = report.markdown_text(results())
        for expected in (
            "| one_shot | a receive is submitted anew for each request | 1.100 (1.10 to 1.10) |",
            "| base again | noise | 1.000 (",
            "| quintet-epoll_et jemalloc | 64 | 0.500 (",
            "| 5.00 |", "base at 64 1.0%", "napi: the kernel refuses", "70% (64)", "| 0.250 |",
        ):
            self.assertIn(expected, text)
        self.assertNotIn("too noisy", text)
        self.assertNotIn("| bundle |", text)

    def test_noisy_is_said(self) -> None:
        noisy = results()
        noisy.noisy = True
        self.assertIn("too noisy", report.markdown_text(noisy))

    def test_files(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            page, data = report.write(results(), pathlib.Path(directory) / "new" / "page.md")
            self.assertIn("one_shot", page.read_text())
            self.assertEqual(Results.from_json(data.read_text()), results())


class ArgumentsTest(unittest.TestCase):
    def test_unknown_words_are_refused(self) -> None:
        for arguments in (["--parts", "rings"], ["--variants", "base,two_shot"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                program.parse_arguments(arguments)


if __name__ == "__main__":
    unittest.main()
