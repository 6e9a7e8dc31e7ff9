"""Runs the plan."""

import contextlib
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from bench.harness import cpu, process, summary, syscalls
from bench.harness.errors import Refused
from bench.http import check, paced, wrk
from bench.http.plan import Group, Step
from bench.http.results import Results, Row, Sample
from bench.http.scenarios import Scenario
from bench.http.servers import Paths, Running, Server, by_name

CALIBRATION_RUNS = 3
PREPARATION_SECONDS = 1  # a run that warms up, or counts calls and warms up with that
# What a run takes beyond its seconds, for the estimate: wrk looks ten times a second whether it is
# to end.
WRK_EXTRA_SECONDS = 0.12
PACED_EXTRA_SECONDS = 0.04
START_AND_STOP_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Settings:
    paths: Paths
    server_core: int
    client_core: int
    pairs: int
    seconds: int
    latency_seconds: float  # 0: no latencies
    rate: float  # requests/s for latencies; 0: half of the peak of the reference
    count_calls: bool
    warm_up: bool
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, settings: Settings, results: Results) -> None:
        self._settings = settings
        self._results = results
        self._rates: dict[int, float] = {}
        if settings.count_calls:
            syscalls.mount_tracefs()
        self._by_tracepoint = settings.count_calls and syscalls.Tracepoint.available()
        if settings.count_calls:
            results.calls_counted_by = "tracepoint" if self._by_tracepoint else "strace"

    # ---- One run ----

    def throughput(self, running: Running, scenario: Scenario) -> Sample:
        """A second or so of wrk, with a verified reply before and after."""
        settings = self._settings
        cores = (settings.server_core, settings.client_core)
        check.verify(running.port)
        pids = running.process.pids()
        cores_before = [cpu.of_core(core) for core in cores]
        before, began = cpu.of_processes(pids), time.monotonic()
        load = wrk.run(running.port, scenario, settings.seconds, settings.client_core)
        spent, wall = cpu.of_processes(pids) - before, time.monotonic() - began
        cores_busy = [cpu.of_core(core) - was for core, was in zip(cores, cores_before)]
        if running.process.pids() != pids:
            raise Refused(f"{running.server.name}: its processes changed under load")
        check.verify(running.port)

        own = (spent.total_ns / 1e9, load.cpu_seconds)
        others = [max(0.0, busy - used) for busy, used in zip(cores_busy, own)]
        cpu_us = spent.total_ns / 1000 / load.requests
        return Sample(
            requests_per_second=load.requests / load.seconds,
            cpu_us=cpu_us,
            user_us=cpu_us * (1 - spent.system_share),
            system_us=cpu_us * spent.system_share,
            server_busy=min(1.0, (own[0] + spent.waited_ns / 1e9) / load.seconds),
            client_busy=min(1.0, own[1] / max(wall - others[1], own[1], 1e-9)),
            others_busy=sum(others) / wall,
        )

    def latencies(self, running: Running, scenario: Scenario) -> paced.Latencies | None:
        settings = self._settings
        return paced.run(
            settings.paths.helper("paced_load"),
            running.port,
            scenario.connections,
            self._rates[scenario.connections],
            settings.latency_seconds,
            settings.client_core,
        )

    def count_calls(self, running: Running, row: Row) -> None:
        """A run of its own, before the others: counting costs something."""
        settings = self._settings
        pids = running.process.pids()
        counter: syscalls.Tracepoint | syscalls.Strace
        if self._by_tracepoint:
            counter = syscalls.Tracepoint(pids)
        else:
            table = settings.paths.scratch / f"strace.{running.port}"
            counter = syscalls.Strace(pids, table)
        try:
            load = wrk.run(running.port, row.scenario, PREPARATION_SECONDS, settings.client_core)
            counts = counter.read()
        finally:
            counter.close()
        row.calls_per_request = counts.calls / load.requests
        ready = load.requests / row.scenario.pipeline
        row.ready_per_wait = ready / counts.waits if counts.waits else None

    # ---- The rate for latencies ----

    def calibrate(self, reference: Server, scenario: Scenario) -> None:
        """The same rate for all servers: half of what the reference reaches."""
        if scenario.connections in self._rates:
            return
        rate = self._settings.rate
        if not rate:
            with reference.start(self._settings.paths, self._settings.server_core) as running:
                runs = [self.throughput(running, scenario) for _ in range(CALIBRATION_RUNS)]
            rate = statistics.median(run.requests_per_second for run in runs) / 2
        self._rates[scenario.connections] = rate
        self._results.rates[scenario.name] = rate

    # ---- Time ----

    def estimate_seconds(self, steps: Sequence[Step], noise: bool) -> float:
        """Of steps and calibration, and of a_against_a() before and after."""
        settings = self._settings
        prepare = PREPARATION_SECONDS + WRK_EXTRA_SECONDS
        load = settings.seconds + WRK_EXTRA_SECONDS
        with_latencies = settings.latency_seconds > 0
        paced = settings.latency_seconds + PACED_EXTRA_SECONDS if with_latencies else 0.0
        total = 4 * (prepare + settings.pairs * load) if noise else 0.0
        for step in steps:
            members = len(step.group.members)
            prepared = members if settings.warm_up else len(step.counted) * settings.count_calls
            total += members * (START_AND_STOP_SECONDS + settings.pairs * load)
            total += prepared * prepare + len(step.timed) * settings.pairs * paced
        if with_latencies and not settings.rate:
            total += len({step.scenario for step in steps if step.timed}) * CALIBRATION_RUNS * load
        return total

    # ---- Groups ----

    def run(self, step: Step) -> None:
        try:
            self._run(step)
        except Refused as refusal:
            where = f"{' and '.join(step.group.members)}, {step.scenario.name} connections"
            raise Refused(f"{where}: {refusal}") from None

    def _run(self, step: Step) -> None:
        settings, group, scenario = self._settings, step.group, step.scenario
        with contextlib.ExitStack() as stack:
            members: list[tuple[Running, Row]] = []
            for place, name in enumerate(group.members):
                server = by_name(name)
                running = stack.enter_context(
                    server.start(settings.paths, settings.server_core, group.seccomp)
                )
                check.verify(running.port, scenario.pipeline, scenario.varied)
                row = Row(group.name, name, server.kind, group.seccomp, scenario, place)
                members.append((running, row))
                self._results.rows.append(row)
            for running, row in members:
                if settings.count_calls and row.server in step.counted:
                    self.count_calls(running, row)
                elif settings.warm_up:
                    wrk.run(running.port, scenario, PREPARATION_SECONDS, settings.client_core)
            for number in range(settings.pairs):
                order = members if number % 2 == 0 else members[::-1]
                for running, row in order:
                    row.samples.append(self.throughput(running, scenario))
                for running, row in order if settings.latency_seconds > 0 else ():
                    if row.server in step.timed:
                        row.latencies.append(self.latencies(running, scenario))
            for running, row in members:
                row.peak_rss_bytes = cpu.peak_rss_bytes(running.process.pids())
        self._report_progress(group, scenario, [row for _, row in members])

    def _report_progress(self, group: Group, scenario: Scenario, rows: Sequence[Row]) -> None:
        under = " under seccomp" if group.seccomp else ""
        for row in rows:
            self._settings.say(
                f"{row.server}{under}, {scenario.name}: {row.median('cpu_us'):.2f} us, "
                f"{row.median('requests_per_second'):,.0f}/s"
            )
        for a, b in group.ratios():
            ratio = self._results.cpu_ratio(a, b, scenario, group.seccomp)
            if ratio is not None:
                self._settings.say(f"  {a} / {b}: {ratio.median:.3f}")

    # ---- Noise ----

    def a_against_a(self, server: Server, scenario: Scenario) -> float:
        """Two processes of one server, measured like any pair: what differs is noise."""
        settings = self._settings
        with contextlib.ExitStack() as stack:
            pair = [
                stack.enter_context(server.start(settings.paths, settings.server_core))
                for _ in range(2)
            ]
            for running in pair:
                wrk.run(running.port, scenario, PREPARATION_SECONDS, settings.client_core)
            first: list[float] = []
            second: list[float] = []
            for number in range(settings.pairs):
                turn = [(pair[0], first), (pair[1], second)]
                for running, values in turn if number % 2 == 0 else turn[::-1]:
                    values.append(self.throughput(running, scenario).cpu_us)
        return summary.noise(summary.ratios(first, second))
