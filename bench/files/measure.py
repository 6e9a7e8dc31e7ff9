"""The measurements: gets and puts, one after another, and a crowd."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from bench.files import servers
from bench.files.results import Crowd, CrowdRow, Row, Run
from bench.harness import process, summary, usage
from bench.harness.errors import Refused
from bench.http.servers import Paths, Running, Server

# Of one process of a client, and of one run of a load beyond its time.
PATIENCE_SECONDS = 120.0
WARM_UP_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Contestant:
    server: Server
    client: str  # "sink", "files", "curl"


@dataclasses.dataclass(frozen=True)
class Bench:
    paths: Paths
    server_core: int
    client_core: int
    rounds: int
    seconds: float
    target: pathlib.Path  # where clients write to
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)

    # ---- Gets ----

    def gets(self, size: int, contestants: Sequence[Contestant]) -> list[Row]:
        """The same file for all, warm in the page cache; who begins changes from round to round."""
        path = make_file(servers.root(self.paths), size)
        rows = [Row("get", each.server.name, each.client, size) for each in contestants]
        with contextlib.ExitStack() as stack:
            running = {
                server: stack.enter_context(server.start(self.paths, self.server_core))
                for server in dict.fromkeys(each.server for each in contestants)
            }
            sides = list(zip(contestants, rows))
            for each, _ in sides:
                self._get(each, running[each.server], path, size, WARM_UP_SECONDS)
            for number in range(self.rounds):
                for each, row in sides if number % 2 == 0 else sides[::-1]:
                    row.runs.append(
                        self._get(each, running[each.server], path, size, self.seconds)
                    )
        for row in rows:
            self._report(row)
        path.unlink()
        return rows

    def _get(self, contestant: Contestant, running: Running, path: pathlib.Path, size: int,
             seconds: float) -> Run:
        def work() -> tuple[float, int, float]:
            if contestant.client == "sink":
                return self._sink(running, path.name, size, seconds)
            target = self.target / "got"
            command = self._get_command(contestant.client, running, path.name, target)
            return self._repeat(command, target, size, seconds)

        return self._count(running, size, work)

    def _get_command(self, client: str, running: Running, name: str,
                     target: pathlib.Path) -> list[str]:
        if client == "curl":
            url = f"http://127.0.0.1:{running.port}/{name}"
            return ["curl", "--silent", "--show-error", "--fail", "--output", str(target), url]
        return [str(self.paths.build / "apps/files"), "get", f"127.0.0.1:{running.port}", name,
                str(target)]

    def _sink(self, running: Running, name: str, size: int,
              seconds: float) -> tuple[float, int, float]:
        protocol = "http" if running.server.kind == "peer" else "files"
        program = self.paths.build / "bench/files/file_sink"
        text, _ = process.run_pinned(
            [str(program), protocol, str(running.port), name, str(size), f"{seconds:g}"],
            self.client_core, seconds + PATIENCE_SECONDS,
        )
        found = json.loads(text)
        return found["seconds"], found["transfers"], found["cpu_seconds"]

    # ---- Puts ----

    def puts(self, size: int, fsync: str, backends: Sequence[str]) -> list[Row]:
        source = make_file(self.paths.scratch, size)
        rows = [Row("put", servers.files(backend).name, "files", size, fsync)
                for backend in backends]
        target = servers.root(self.paths) / "put"
        with contextlib.ExitStack() as stack:
            running = [
                stack.enter_context(
                    servers.files(backend, fsync).start(self.paths, self.server_core)
                )
                for backend in backends
            ]
            sides = list(zip(running, rows))
            for number in range(self.rounds):
                for server, row in sides if number % 2 == 0 else sides[::-1]:
                    command = [str(self.paths.build / "apps/files"), "put",
                               f"127.0.0.1:{server.port}", str(source), target.name]

                    def work() -> tuple[float, int, float]:
                        return self._repeat(command, target, size, self.seconds)

                    row.runs.append(self._count(server, size, work))
        for row in rows:
            self._report(row)
        source.unlink()
        return rows

    # ---- What both have in common ----

    def _repeat(self, command: Sequence[str], target: pathlib.Path, size: int,
                seconds: float) -> tuple[float, int, float]:
        """A process for each transfer, whose time counts from its start to its end."""
        spent = cpu = 0.0
        transfers = 0
        while spent < seconds:
            # A file that is there would have to be freed by some and be written over by others.
            target.unlink(missing_ok=True)
            began = time.monotonic()
            _, used = process.run_pinned(command, self.client_core, PATIENCE_SECONDS)
            spent += time.monotonic() - began
            cpu += used
            transfers += 1
            if target.stat().st_size != size:
                raise Refused(f"{command[0]} made a file of {target.stat().st_size} bytes")
        target.unlink()
        return spent, transfers, cpu

    @staticmethod
    def _count(running: Running, size: int, work: Callable[[], tuple[float, int, float]]) -> Run:
        before = usage.cpu_seconds(running.process.pids())
        seconds, transfers, client_cpu = work()
        cpu = usage.cpu_seconds(running.process.pids()) - before
        return Run(seconds, size * transfers, transfers, cpu, client_cpu)

    def _report(self, row: Row) -> None:
        self.say(f"{row.what} of {row.size:,} bytes, {row.server} and {row.client} {row.fsync}: "
                 f"{row.median('rate') / 2**20:,.0f} MiB/s, "
                 f"{row.median('server_cpu_per_gib'):.3f} s/GiB")

    # ---- Crowd ----

    def crowd(self, server: Server, getters: int, putters: int, size: int,
              seconds: float) -> CrowdRow:
        path = make_file(servers.root(self.paths), size)
        row = CrowdRow(server.name, getters, putters)
        program = self.paths.build / "bench/files/file_crowd"
        for _ in range(self.rounds):
            with server.start(self.paths, self.server_core) as running:
                text, _ = process.run_pinned(
                    [str(program), str(running.port), str(getters), str(putters), path.name,
                     f"{seconds:g}"],
                    self.client_core, seconds + PATIENCE_SECONDS,
                )
            row.runs.append(Crowd(**json.loads(text)))
            for left in servers.root(self.paths).glob("put-*"):
                left.unlink()
        self.say(f"{getters} getters and {putters} putters on {server.name}: lists p50 "
                 f"{row.median('p50') / 1000:.1f} ms, p99 {row.median('p99') / 1000:.1f} ms")
        path.unlink()
        return row

    # ---- Noise ----

    def noise(self, size: int) -> float:
        """Of a server's CPU time to itself."""
        server = servers.files(servers.REFERENCE_BACKEND)
        path = make_file(servers.root(self.paths), size)
        each = Contestant(server, "sink")
        a: list[float] = []
        b: list[float] = []
        with server.start(self.paths, self.server_core) as first, \
                server.start(self.paths, self.server_core) as second:
            for running in (first, second):
                self._get(each, running, path, size, WARM_UP_SECONDS)
            for number in range(max(self.rounds, 3)):
                sides = [(first, a), (second, b)]
                for running, values in sides if number % 2 == 0 else sides[::-1]:
                    run = self._get(each, running, path, size, self.seconds)
                    values.append(run.server_cpu_per_gib)
        path.unlink()
        return summary.noise(summary.ratios(a, b))


def make_file(directory: pathlib.Path, size: int) -> pathlib.Path:
    """Of random bytes, and in the page cache, since it has just been written."""
    path = directory / f"{size}-bytes"
    with path.open("wb") as file:
        left = size
        while left > 0:
            piece = os.urandom(min(left, 1 << 20))
            file.write(piece)
            left -= len(piece)
        # Its pages are not to be written out while others are measured.
        file.flush()
        os.fsync(file.fileno())
    return path


def writable_memory(need: int) -> pathlib.Path | None:
    """A directory in memory with room, so that what clients write is not the disk's speed."""
    directory = pathlib.Path("/dev/shm")
    with contextlib.suppress(OSError):
        found = os.statvfs(directory)
        if os.access(directory, os.W_OK) and found.f_bavail * found.f_frsize > need:
            return directory
    return None


def missing_program(name: str) -> str:
    try:
        subprocess.run([name, "--version"], capture_output=True, check=False)
    except FileNotFoundError:
        return f"{name} is not installed"
    return ""
