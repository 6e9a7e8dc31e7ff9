"""What is measured, in which order, and how long it takes."""

import dataclasses
from collections.abc import Iterator, Sequence

from bench.models.servers import HERD, MODELS, Server

CONNECTIONS = (1, 8, 64, 256, 1000)
QUICK_CONNECTIONS = (8,)
HERD_CONNECTIONS = (1, 64)

# Latencies are taken at half of what the same row reached, for long enough to have so many of them,
# if that is not too long.
RATE_SHARE = 0.5
ENOUGH_REQUESTS = 200
MOST_PACED_SECONDS = 4.0
# While the memory of a tree is looked at whose processes come and go.
MEMORY_SECONDS = 0.6

# For the estimate; the first three are what load.cc and process.py have.
_SETTLE_SECONDS = 1.5
_QUIET_SECONDS = 0.3
_GRACE_SECONDS = 2.0
_START_AND_STOP_SECONDS = 0.3


@dataclasses.dataclass(frozen=True)
class Service:
    name: str
    program: str  # below the build directory
    handler_seconds: float  # for which it blocks
    title: str
    short: str


HELLO = Service("hello", "apps/hello", 0.0, "hello", "hello")
SLOW = Service("slow", "bench/models/slow_hello", 0.010, "hello that blocks for 10 ms",
               "hello with 10 ms")
SERVICES = (HELLO, SLOW)


@dataclasses.dataclass(frozen=True)
class Scenario:
    service: str
    keep: bool  # one connection a client, else one a request
    connections: int

    @property
    def mode(self) -> str:
        return "keep" if self.keep else "close"


@dataclasses.dataclass(frozen=True)
class Step:
    server: Server
    scenario: Scenario

    @property
    def service(self) -> Service:
        return next(each for each in SERVICES if each.name == self.scenario.service)

    @property
    def one_at_a_time(self) -> bool:
        """A handler that blocks blocks all clients."""
        return self.server.model in ("iterative", "reactor")

    @property
    def left_waiting(self) -> int:
        """Clients who hold on to their connections keep the server from so many others."""
        holds = self.server.holds
        if not self.scenario.keep or holds is None:
            return 0
        return max(0, self.scenario.connections - holds)


def steps(servers: Sequence[Server], connections: Sequence[int],
          herd: Sequence[Server] = HERD) -> list[Step]:
    """All servers of a point one after another, so that the machine's moods meet all alike."""
    found = [
        Step(server, Scenario(service.name, keep, count))
        for service in SERVICES
        for keep in (True, False)
        for count in connections
        for server in servers
    ]
    return found + [
        Step(server, Scenario(HELLO.name, False, count))
        for count in HERD_CONNECTIONS
        for server in herd
    ]


def paced_seconds(rate: float, seconds: float) -> float:
    if rate <= 0:
        return seconds
    return max(seconds, min(ENOUGH_REQUESTS / rate, MOST_PACED_SECONDS))


def _estimates(step: Step, seconds: float) -> Iterator[float]:
    handler = step.service.handler_seconds
    slow_alone = handler > 0 and step.one_at_a_time
    settle = 0.0
    if step.scenario.keep:
        one_by_one = handler * step.scenario.connections if slow_alone else 0.1
        settle = _SETTLE_SECONDS if step.left_waiting else min(_SETTLE_SECONDS, one_by_one)
    yield 2 * (settle + _START_AND_STOP_SECONDS) + _QUIET_SECONDS + seconds
    rate = RATE_SHARE / handler if slow_alone else 1e4
    yield paced_seconds(rate, seconds) + (_GRACE_SECONDS if step.left_waiting else 0.0)
    if not step.scenario.keep:
        yield MEMORY_SECONDS + _QUIET_SECONDS + _START_AND_STOP_SECONDS


def estimate_seconds(found: Sequence[Step], rounds: int, seconds: float) -> float:
    return rounds * sum(sum(_estimates(step, seconds)) for step in found)


def everything() -> list[Step]:
    return steps(MODELS, CONNECTIONS)
