"""The figures that Quintet is to reach, each as rows of one table."""

import dataclasses
from collections.abc import Iterator

from bench.harness import summary
from bench.http.plan import COMPARED
from bench.http.results import Results
from bench.http.scenarios import PIPELINED, TAILS, Scenario
from bench.http.servers import BACKENDS

# It has no HTTP of its own; what stands in does less than an HTTP server. Its ratios are shown, and
# are no target.
NOT_FULL_HTTP = frozenset({"libuv"})
MANY = (Scenario(64), Scenario(256), Scenario(1000))


@dataclasses.dataclass(frozen=True)
class Target:
    what: str
    scenario: Scenario
    reach: str
    bound: float
    measured: summary.Summary
    below: bool = False  # the bound itself does not do

    @property
    def reached(self) -> bool:
        median = self.measured.median
        return median < self.bound if self.below else median <= self.bound


def _floors(results: Results) -> Iterator[Target]:
    for backend in BACKENDS:
        pair = (f"quintet-{backend}", f"floor-{backend}")
        rows = [(Scenario(64), 1.03), (Scenario(256), 1.03), (PIPELINED, 1.10)]
        for scenario, bound in rows:
            ratio = results.cpu_ratio(*pair, scenario)
            if ratio:
                yield Target(
                    f"CPU per request, {backend} / its floor", scenario, f"at most {bound:.2f}",
                    bound, ratio,
                )


def _rings(results: Results) -> Iterator[Target]:
    pair = ("quintet-io_uring", "quintet-epoll_et")
    for scenario in MANY:
        ratio = results.cpu_ratio(*pair, scenario)
        if ratio:
            yield Target(
                "CPU per request, io_uring / epoll_et", scenario, "at most 1.02", 1.02, ratio
            )
    for scenario in MANY:
        calls = [
            row.calls_per_request
            for row in results.find(pair[0], scenario)
            if row.calls_per_request is not None
        ]
        if calls:
            yield Target(
                "system calls per request, io_uring", scenario, "at most 0.2", 0.2,
                summary.summarize(calls),
            )
    for scenario in MANY if not results.filtered else ():
        ratio = results.cpu_ratio(*pair, scenario, seccomp=True)
        if ratio:
            yield Target(
                "CPU per request, io_uring / epoll_et, both under seccomp", scenario,
                "below 1.00", 1.0, ratio, below=True,
            )


def _peers(results: Results) -> Iterator[Target]:
    servers = dict.fromkeys(row.server for row in results.rows if row.kind == "peer")
    peers = [server for server in servers if server not in NOT_FULL_HTTP]
    for peer in peers:
        for ours in COMPARED:
            for scenario in MANY:
                ratio = results.cpu_ratio(ours, peer, scenario)
                if ratio:
                    yield Target(
                        f"CPU per request, {ours} / {peer}", scenario, "below 1.00", 1.0, ratio,
                        below=True,
                    )
    for peer in peers:
        for ours in COMPARED:
            ratio = results.tail_ratio(ours, peer, TAILS)
            if ratio:
                yield Target(
                    f"p99.9 at the fixed rate, {ours} / {peer}", TAILS, "at most 1.00", 1.0,
                    ratio,
                )


def measured(results: Results) -> list[Target]:
    """Those for which there are figures."""
    return [*_floors(results), *_rings(results), *_peers(results)]
