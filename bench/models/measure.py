"""One step: the peak, latencies at a fixed rate, memory. Each has a server of its own."""

import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Iterator

from bench.harness import summary, usage
from bench.harness.errors import Refused
from bench.harness.usage import Size, Switches
from bench.http.servers import Paths
from bench.models import plan, servers
from bench.models.load import Closed, Load, LoadFailed
from bench.models.plan import HELLO, Scenario, Step
from bench.models.results import Peak, Results, Row
from bench.models.servers import REFERENCE, Running

NOISE_ROUNDS = 7
NOISE_SCENARIO = Scenario(HELLO.name, True, 64)


@dataclasses.dataclass(frozen=True)
class Settings:
    paths: Paths
    server_core: int
    client_core: int
    rounds: int
    seconds: float
    deadline: float  # of time.monotonic(), for steps to begin
    lengthen: bool = True  # take longer for latencies where requests are few
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, settings: Settings, results: Results) -> None:
        self._settings = settings
        self._results = results

    @contextlib.contextmanager
    def _server(self, step: Step) -> Iterator[Running]:
        """A loop that blocks 10 ms for each of many requests hears late that it is to end."""
        settings = self._settings
        program = settings.paths.build / step.service.program
        kill = step.service.handler_seconds > 0 and step.server.model == "reactor"
        with servers.start(step.server, program, settings.paths, settings.server_core,
                           kill) as running:
            yield running

    def _load(self, step: Step, running: Running, rate: float, seconds: float) -> Load:
        program = self._settings.paths.build / "bench/models/model_load"
        return Load(program, running.port, step.scenario.connections, step.scenario.keep, rate,
                    seconds, self._settings.client_core)

    # ---- The parts of a step ----

    def peak(self, step: Step) -> tuple[Peak, Size]:
        """With the size of the tree behind it, while the connections are still there."""
        with contextlib.ExitStack() as stack:
            running = stack.enter_context(self._server(step))
            with self._load(step, running, 0, self._settings.seconds) as load:
                pids = running.process.pids()
                cpu_before, switches_before = usage.cpu_seconds(pids), usage.switches(pids)
                load.begin()
                closed = load.closed()
                pids = running.process.pids()
                cpu = usage.cpu_seconds(pids) - cpu_before
                switches = usage.switches(pids) - switches_before
                size = usage.size(pids)
                empty = empty_accepts(running) if step.server.model == "prefork" else None
            # Threads and processes that served one request each have taken their counts along;
            # those come out when the server has ended, with those of its end.
            reaped_before = usage.reaped_switches()
            stack.close()
            if not step.scenario.keep:
                switches = usage.reaped_switches() - reaped_before - switches_before
        return self._judge(closed, cpu, switches, empty), size

    @staticmethod
    def _judge(closed: Closed, cpu: float, switches: Switches, empty: int | None = None) -> Peak:
        answered = max(closed.answered, 1)
        in_time = closed.requests / answered  # the rest was answered shortly after
        return Peak(
            requests_per_second=closed.requests / closed.seconds,
            cpu_us=cpu * 1e6 / answered,
            switches=max(0, switches.total) / answered,
            served=closed.served,
            failures=closed.failures,
            server_busy=min(1.0, cpu * in_time / closed.seconds),
            client_busy=min(1.0, closed.cpu_seconds / closed.seconds),
            empty_accepts=None if empty is None else empty / answered,
        )

    def _paced(self, step: Step, row: Row, rate: float) -> None:
        seconds = self._settings.seconds
        if self._settings.lengthen:
            seconds = plan.paced_seconds(rate, seconds)
        with self._server(step) as running, self._load(step, running, rate, seconds) as load:
            load.begin()
            row.rates.append(rate)
            row.paced.append(load.paced())

    def _largest(self, step: Step) -> Size:
        """Where processes come and go: the largest of some looks during a run."""
        largest = Size()
        with self._server(step) as running:
            with self._load(step, running, 0, plan.MEMORY_SECONDS) as load:
                load.begin()
                while not load.done(0.01):
                    size = usage.size(running.process.pids())
                    largest = max(largest, size, key=lambda each: each.pss_bytes)
        return largest

    # ---- Steps ----

    def run(self, step: Step) -> None:
        row = Row(step.server.name, step.scenario)
        self._results.rows.append(row)
        if time.monotonic() > self._settings.deadline:
            row.notes.append("not measured: the time of the run was over")
            return
        try:
            self._run(step, row)
        except LoadFailed:
            raise
        except Refused as refusal:
            where = f"{step.server.name}, {step.service.name}, {step.scenario.mode}, " \
                    f"{step.scenario.connections} connections"
            self._results.failures.append(f"{where}: {refusal}")
            row.notes.append(f"the server failed: {refusal}")
        self._report_progress(step, row)

    def _run(self, step: Step, row: Row) -> None:
        for _ in range(self._settings.rounds):
            peak, row.size = self.peak(step)
            row.peaks.append(peak)
            if peak.requests_per_second > 0:
                self._paced(step, row, max(1.0, peak.requests_per_second * plan.RATE_SHARE))
        if not step.scenario.keep:
            row.size = self._largest(step)
        row.notes += notes(step, row, self._settings.seconds)

    def _report_progress(self, step: Step, row: Row) -> None:
        rate, cpu = row.peak("requests_per_second"), row.peak("cpu_us")
        figures = "" if rate is None else f" {rate:,.0f}/s, {cpu:.1f} us;"
        self._settings.say(
            f"{step.service.name} {step.scenario.mode} {step.scenario.connections}, "
            f"{step.server.name}:{figures} {'; '.join(row.notes)}".rstrip(" ;")
        )

    # ---- Noise ----

    def noise(self) -> float:
        """Of two processes of one server, measured like any: what differs is noise."""
        step = Step(REFERENCE, NOISE_SCENARIO)
        found = [[self.peak(step)[0].cpu_us for _ in range(2)] for _ in range(NOISE_ROUNDS)]
        return summary.noise(summary.ratios([a for a, _ in found], [b for _, b in found]))


def empty_accepts(running: Running) -> int:
    """Workers that were woken, looked and found nobody, as the server counts them."""
    running.process.signal(signal.SIGUSR1)
    return int(running.process.wait_for(r"empty accepts (\d+)", "its counters").group(1))


def notes(step: Step, row: Row, seconds: float) -> list[str]:
    """What a model could not do, and why."""
    clients = step.scenario.connections
    found = []
    served = min((each.served for each in row.peaks), default=0)
    if step.left_waiting and served < clients:
        holds = step.server.holds
        what = "one connection" if holds == 1 else f"{holds} connections"
        found.append(
            f"cannot: serves {what} at a time, and {clients - served} of {clients} clients wait in "
            "the backlog until one closes"
        )
    elif served < clients:
        found.append(f"too slow: {clients - served} of {clients} clients had no reply in the "
                     f"{seconds:g} s")
    if any(each.requests_per_second == 0 for each in row.peaks):
        found.append(f"no request was answered in the {seconds:g} s")
    failures = sum(each.failures for each in row.peaks)
    if failures:
        found.append(f"{failures} connections failed")
    if clients > 1 and all(each.client_was_limit for each in row.peaks):
        found.append("the load was the limit")
    unanswered = sum(each.unanswered for each in row.paced)
    if unanswered and not step.left_waiting:
        found.append(f"did not keep up with the fixed rate: {unanswered} requests without a reply")
    return found
