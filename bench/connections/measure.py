"""The three measurements."""

import contextlib
import dataclasses
import sys
import time

from bench.connections.crowd import Crowd
from bench.connections.results import Memory, Pair
from bench.harness import cpu, memory
from bench.harness.errors import Refused
from bench.http import check
from bench.http.servers import Paths, Running, Server

# Before memory is counted: what a first request needs once is there, and each buffer of a ring was
# used.
WARM_UP_CONNECTIONS = 64
WARM_UP_SECONDS = 0.2
# For the kernel to free what was closed, which it does in the background.
SETTLE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Bench:
    paths: Paths
    server_core: int
    client_core: int
    pairs: int
    seconds: float

    def _crowd(self, running: Running) -> Crowd:
        check.verify(running.port)
        return Crowd(self.paths.build, running.port, self.client_core)

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def memory(self, server: Server, connections: int) -> Memory:
        with server.start(self.paths, self.server_core) as running:
            pid = running.process.pid
            with self._crowd(running) as crowd:
                crowd.open(WARM_UP_CONNECTIONS)
                crowd.ask(WARM_UP_SECONDS)
                before, kernel_before = memory.user_bytes(pid), memory.kernel_bytes()
                crowd.open(connections)
                idle, kernel_idle = memory.user_bytes(pid), memory.kernel_bytes()
                crowd.burst()
                after_burst = memory.user_bytes(pid)
                crowd.close()
                time.sleep(SETTLE_SECONDS)
                check.verify(running.port)
                after_close = memory.user_bytes(pid)
        found = Memory(
            server.name, connections, (idle - before) / connections,
            (kernel_idle - kernel_before) / connections, before, idle, after_burst, after_close,
        )
        self._say(f"{server.name}, {connections} connections: "
                  f"{found.user_per_connection:.0f} bytes each, the kernel "
                  f"{found.kernel_per_connection:.0f}")
        return found

    def idle_cost(self, server: Server, idle: int) -> Pair:
        """One active connection: with `idle` others, and on a second process without."""
        return self._compare(server, server, idle, churn=False)

    def churn(self, server: Server, floor: Server) -> Pair:
        return self._compare(server, floor, 0, churn=True)

    def _compare(self, a: Server, b: Server, idle: int, churn: bool) -> Pair:
        pair = Pair(a.name, b.name, idle)
        with contextlib.ExitStack() as stack:
            running_a = stack.enter_context(a.start(self.paths, self.server_core))
            running_b = stack.enter_context(b.start(self.paths, self.server_core))
            crowd_a = stack.enter_context(self._crowd(running_a))
            crowd_b = stack.enter_context(self._crowd(running_b))
            if idle:
                crowd_a.open(idle)
            sides = [
                (running_a, crowd_a, pair.cpu_us_a, pair.rate_a),
                (running_b, crowd_b, pair.cpu_us_b, pair.rate_b),
            ]
            for running, crowd, _, _ in sides:  # caches, and pages touched for the first time
                self._run(running, crowd, churn, min(self.seconds, 0.3))
            for number in range(self.pairs):
                for running, crowd, cpu_us, rate in sides if number % 2 == 0 else sides[::-1]:
                    spent_us, per_second = self._run(running, crowd, churn, self.seconds)
                    cpu_us.append(spent_us)
                    rate.append(per_second)
        what = "cycles" if churn else f"{idle} idle"
        self._say(f"{a.name} / {b.name}, {what}: CPU {pair.cpu_ratio().median:.3f}, "
                  f"rate {pair.rate_ratio().median:.3f}")
        return pair

    @staticmethod
    def _run(running: Running, crowd: Crowd, churn: bool, seconds: float) -> tuple[float, float]:
        """CPU microseconds per request or cycle, and how many in a second."""
        pids = running.process.pids()
        before, began = cpu.of_processes(pids), time.monotonic()
        count = crowd.churn(seconds) if churn else crowd.ask(seconds)
        spent, wall = cpu.of_processes(pids) - before, time.monotonic() - began
        if running.process.pids() != pids:
            raise Refused(f"{running.server.name}: its processes changed under load")
        return spent.total_ns / 1000 / count, count / wall
