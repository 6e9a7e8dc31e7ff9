"""Runs the groups of the plan."""

import contextlib
import sys
from collections.abc import Sequence

from bench.harness import cpu, summary
from bench.harness.errors import Refused
from bench.http import wrk
from bench.http.measure import Bench
from bench.http.results import Results, Row
from bench.http.scenarios import Scenario
from bench.http.servers import Paths, Running
from bench.variants import servers
from bench.variants.exercise import exercise
from bench.variants.plan import Group


def _last_words(refusal: Refused) -> str:
    """What the program said itself, without where it lies."""
    return str(refusal).strip().splitlines()[-1].rpartition(" has ended by itself: ")[2]


def usable(names: Sequence[str], paths: Paths, core: int, connections: int,
           results: Results) -> list[str]:
    """Those that the kernel does not refuse. One that answers wrongly ends everything."""
    found = []
    for name in names:
        server = servers.by_name(name)
        if reason := server.missing(paths):
            results.left_out.append(f"{name}: {reason}")
            continue
        try:
            running = server.start(paths, core)
        except Refused as refusal:
            # A machine without io_uring can still measure the rest. A wrong backend cannot pass.
            refused = servers.REFUSAL in str(refusal) or server.backend == "io_uring"
            if not refused or "runs on" in str(refusal):
                raise Refused(f"{name}: {refusal}") from None
            results.left_out.append(f"{name}: {_last_words(refusal)}")
            continue
        with running:
            try:
                servers.check_allocator(running)
                exercise(running.port, connections)
            except Refused as refusal:
                raise Refused(f"{name}: {refusal}") from None
        found.append(name)
    return found


class Groups:
    def __init__(self, bench: Bench, results: Results, paths: Paths, cores: tuple[int, int],
                 pairs: int, count_calls: bool) -> None:
        self._bench = bench
        self._results = results
        self._paths = paths
        self._server_core, self._client_core = cores
        self._pairs = pairs
        self._count_calls = count_calls

    def run(self, group: Group) -> None:
        with contextlib.ExitStack() as stack:
            running = []
            for name in group.members:
                started = servers.by_name(name).start(self._paths, self._server_core)
                running.append(stack.enter_context(started))
                servers.check_allocator(started)
            for scenario in group.scenarios:
                try:
                    self._run(group, running, scenario)
                except Refused as refusal:
                    where = f"{group.name}, {scenario.name} connections"
                    raise Refused(f"{where}: {refusal}") from None

    def _run(self, group: Group, running: Sequence[Running], scenario: Scenario) -> None:
        members = [
            (each, Row(group.name, each.server.name, each.server.kind, False, scenario, place))
            for place, each in enumerate(running)
        ]
        # What comes first warms up: caches, and pages touched for the first time.
        for each, row in members if self._count_calls else ():
            if group.count_calls:
                self._bench.count_calls(each, row)
            else:
                wrk.run(each.port, scenario, 1, self._client_core)
        for number in range(self._pairs):
            for each, row in members if number % 2 == 0 else members[::-1]:
                row.samples.append(self._bench.throughput(each, scenario))
        for each, row in members:
            row.peak_rss_bytes = cpu.peak_rss_bytes(each.process.pids())
            self._results.rows.append(row)
        for name in group.members:
            ratio = self._results.cpu_ratio(name, group.base, scenario)
            if name != group.base and ratio is not None:
                print(f"{name} / {group.base}, {scenario.name}: {ratio.median:.3f}",
                      file=sys.stderr, flush=True)

    def noise(self, group: Group, scenario: Scenario) -> float:
        """Of the base against its double."""
        first, second = (
            [sample.cpu_us for row in self._results.find(name, scenario)
             if row.group == group.name for sample in row.samples]
            for name in (group.again or group.base, group.base)
        )
        return summary.noise(summary.ratios(first, second))
