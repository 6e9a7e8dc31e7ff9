"""What was measured, as it is kept in JSON."""

import dataclasses
import json
import statistics
from collections.abc import Callable

from bench.harness import summary
from bench.http.paced import Latencies
from bench.http.scenarios import Scenario

# The generator was the limit when it used up its core and the server did not.
CLIENT_BUSY = 0.95
SERVER_IDLE = 0.90


@dataclasses.dataclass(frozen=True)
class Sample:
    """One run of wrk against one server."""

    requests_per_second: float
    cpu_us: float  # per request, of the whole process tree
    user_us: float
    system_us: float
    server_busy: float  # share of the time in which it ran or wanted to run; else it slept
    client_busy: float  # of what other programs left of its core
    others_busy: float  # what other programs took of both cores, 0 to 2

    @property
    def client_was_limit(self) -> bool:
        return self.client_busy >= CLIENT_BUSY and self.server_busy <= SERVER_IDLE


@dataclasses.dataclass
class Row:
    """One server in one group and scenario."""

    group: str
    server: str
    kind: str
    seccomp: bool
    scenario: Scenario
    place: int  # in the order of its group
    samples: list[Sample] = dataclasses.field(default_factory=list)
    latencies: list[Latencies | None] = dataclasses.field(default_factory=list)
    calls_per_request: float | None = None
    ready_per_wait: float | None = None  # connections found ready by one wait of the loop
    peak_rss_bytes: int | None = None

    def median(self, metric: str) -> float:
        return float(statistics.median(getattr(sample, metric) for sample in self.samples))


@dataclasses.dataclass
class Results:
    created: str
    options: dict[str, object]
    environment: dict[str, str]
    noise: dict[str, float] = dataclasses.field(default_factory=dict)
    noisy: bool = False  # above the bound, and reported all the same
    calls_counted_by: str = ""
    rates: dict[str, float] = dataclasses.field(default_factory=dict)
    left_out: list[str] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> "Results":
        values = json.loads(text)
        rows = values.pop("rows")
        results = Results(**values)
        for row in rows:
            row["scenario"] = Scenario(**row["scenario"])
            row["samples"] = [Sample(**sample) for sample in row["samples"]]
            row["latencies"] = [each and Latencies(**each) for each in row["latencies"]]
            results.rows.append(Row(**row))
        return results

    @property
    def filtered(self) -> bool:
        """Everything ran under seccomp."""
        return bool(self.options.get("seccomp"))

    def find(self, server: str, scenario: Scenario, seccomp: bool | None = None) -> list[Row]:
        """In all groups; `seccomp`: as most of this run was, unless told."""
        wanted = (server, scenario, self.filtered if seccomp is None else seccomp)
        return [row for row in self.rows if (row.server, row.scenario, row.seccomp) == wanted]

    def _ratios(
        self,
        a: str,
        b: str,
        scenario: Scenario,
        seccomp: bool | None,
        values: Callable[[Row], list[float | None]],
    ) -> summary.Summary | None:
        """Where the two met in several groups, those count in which they ran closest together."""
        by_distance: dict[int, list[float]] = {}
        for top in self.find(a, scenario, seccomp):
            for bottom in self.find(b, scenario, seccomp):
                if top.group != bottom.group:
                    continue
                found = by_distance.setdefault(abs(top.place - bottom.place), [])
                for over, under in zip(values(top), values(bottom)):
                    if over is not None and under:
                        found.append(over / under)
        found = by_distance[min(by_distance)] if by_distance else []
        return summary.summarize(found) if found else None

    def cpu_ratio(
        self, a: str, b: str, scenario: Scenario, seccomp: bool | None = None
    ) -> summary.Summary | None:
        """CPU per request of a over that of b, round by round; None where they did not meet."""
        return self._ratios(
            a, b, scenario, seccomp, lambda row: [sample.cpu_us for sample in row.samples]
        )

    def tail_ratio(
        self, a: str, b: str, scenario: Scenario, seccomp: bool | None = None
    ) -> summary.Summary | None:
        """The same of p99.9 at the fixed rate."""

        def tails(row: Row) -> list[float | None]:
            return [each.p99_9 if each else None for each in row.latencies]

        return self._ratios(a, b, scenario, seccomp, tails)
