"""What a listening policy does: who is woken for a connection, and who gets it."""

import dataclasses
import pathlib
import re
import signal
import socket
import struct
import time

from bench.harness import usage
from bench.harness.errors import Refused
from bench.harness.process import Process, free_port, tree

PATIENCE_SECONDS = 20.0
# Closing with a reset leaves no TIME_WAIT behind, of which ports would run out.
RESET = struct.pack("ii", 1, 0)

_COUNTERS = re.compile(
    r"worker (?P<worker>\d+) \(pid \d+\): accepted (?P<accepted>\d+), active (?P<active>\d+),"
    r".* empty accepts (?P<empty>\d+)"
)


@dataclasses.dataclass
class Worker:
    accepted: int
    active: int
    empty: int


@dataclasses.dataclass
class Case:
    backend: str
    kind: str  # thread, process
    policy: str
    workers: int

    def arguments(self, port: int) -> list[str]:
        return [
            "--backend", self.backend, "--worker-kind", self.kind, "--listen-policy", self.policy,
            "--shards", str(self.workers), "--pin=false", "--listen", f"127.0.0.1:{port}",
            "--drain-timeout", "1s",
        ]  # fmt: skip


def parse_counters(output: str, workers: int) -> list[Worker] | None:
    """The last complete set of lines that SIGUSR1 makes the server print."""
    found = list(_COUNTERS.finditer(output))[-workers:]
    if [int(each["worker"]) for each in found] != list(range(workers)):
        return None
    return [Worker(int(m["accepted"]), int(m["active"]), int(m["empty"])) for m in found]


class Herd:
    """One server with clients that hold on to their connections."""

    def __init__(self, hello: pathlib.Path, case: Case, log: pathlib.Path) -> None:
        self.case = case
        self.port = free_port()
        command = [str(hello), *case.arguments(self.port)]
        self.process = Process(command, None, log)
        self.clients: list[socket.socket] = []

    def __enter__(self) -> "Herd":
        self.process.wait_for("listening on", "that it serves", PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()
        self.process.finish()

    def connect(self, count: int, pause: float = 0.0) -> None:
        for _ in range(count):
            self.clients.append(socket.create_connection(("127.0.0.1", self.port)))
            if pause > 0:
                time.sleep(pause)

    def drop(self) -> None:
        for client in self.clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
        self.clients.clear()

    def counters(self) -> list[Worker]:
        """As of now."""
        before = len(_COUNTERS.findall(self.process.output()))
        self.process.signal(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(_COUNTERS.findall(self.process.output())) < before + self.case.workers:
            if time.monotonic() > deadline:
                raise Refused("hello does not print its counters")
            time.sleep(0.005)
        found = parse_counters(self.process.output(), self.case.workers)
        if found is None:
            raise Refused(f"not the counters of {self.case.workers} workers")
        return found

    def settle(self, active: int) -> list[Worker]:
        """The counters once so many connections are with the workers."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self.counters()
            if sum(each.active for each in found) == active:
                return found
            if time.monotonic() > deadline:
                raise Refused(f"{active} connections were expected, {found} came")
            time.sleep(0.02)


@dataclasses.dataclass
class Wakes:
    per_connection: float
    empty: int


def wakes(herd: Herd, connections: int, pause: float) -> Wakes:
    """Of connections that come one by one, each when all workers sleep again."""
    herd.settle(0)
    empty = sum(each.empty for each in herd.counters())
    before = usage.switches(tree(herd.process.pid)).voluntary
    herd.connect(connections, pause)
    slept = usage.switches(tree(herd.process.pid)).voluntary - before
    found = herd.settle(connections)
    herd.drop()
    herd.settle(0)
    return Wakes(slept / connections, sum(each.empty for each in found) - empty)


def spread(herd: Herd, connections: int) -> list[int]:
    """How many of so many long connections each worker has, in order."""
    herd.connect(connections)
    found = herd.settle(connections)
    herd.drop()
    herd.settle(0)
    return [each.active for each in found]
