"""What was measured, as it is kept in JSON."""

import dataclasses
import json
import statistics

from bench.harness import summary

GIB = 1 << 30


@dataclasses.dataclass(frozen=True)
class Run:
    """Transfers, one after another, for so long."""

    seconds: float
    bytes: int
    transfers: int
    server_cpu: float  # seconds
    client_cpu: float

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds

    @property
    def server_cpu_per_gib(self) -> float:
        return self.server_cpu * GIB / self.bytes

    @property
    def client_cpu_per_gib(self) -> float:
        return self.client_cpu * GIB / self.bytes


@dataclasses.dataclass
class Row:
    """A server and a client; a run for each round."""

    what: str  # "get", "put"
    server: str
    client: str  # "sink", "files", "curl"
    size: int
    fsync: str = ""  # of a put
    runs: list[Run] = dataclasses.field(default_factory=list)

    def median(self, metric: str) -> float:
        return statistics.median(getattr(run, metric) for run in self.runs)

    def ratio(self, metric: str, reference: "Row") -> summary.Summary:
        """Round by round: of runs that followed one another."""
        return summary.summarize(
            summary.ratios(
                [getattr(run, metric) for run in self.runs],
                [getattr(run, metric) for run in reference.runs],
            )
        )


@dataclasses.dataclass(frozen=True)
class Crowd:
    """As file_crowd tells it; latencies in microseconds."""

    seconds: float
    gets: int
    puts: int
    bytes_down: int
    bytes_up: int
    lists: int
    p50: float
    p99: float
    max: float


@dataclasses.dataclass
class CrowdRow:
    server: str
    getters: int
    putters: int
    runs: list[Crowd] = dataclasses.field(default_factory=list)

    def median(self, metric: str) -> float:
        return float(statistics.median(getattr(run, metric) for run in self.runs))


@dataclasses.dataclass
class Results:
    created: str
    options: dict[str, object]
    environment: dict[str, str]
    noise: float | None = None
    noisy: bool = False  # above the bound, and reported all the same
    left_out: list[str] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    crowds: list[CrowdRow] = dataclasses.field(default_factory=list)

    def find(self, what: str, server: str, client: str, size: int) -> Row | None:
        wanted = (what, server, client, size)
        return next((row for row in self.rows
                     if (row.what, row.server, row.client, row.size) == wanted), None)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"
