"""What was measured, as it is kept in JSON."""

import dataclasses
import json
import statistics

from bench.harness.usage import Size
from bench.http.results import CLIENT_BUSY, SERVER_IDLE
from bench.models.load import Paced
from bench.models.plan import Scenario


@dataclasses.dataclass(frozen=True)
class Peak:
    """Clients that ask again at once."""

    requests_per_second: float
    # Microseconds per request are seconds per million.
    cpu_us: float  # of the whole process tree
    switches: float  # context switches per request, of the whole process tree
    served: int  # clients that were ever answered
    failures: int
    server_busy: float
    client_busy: float
    empty_accepts: float | None = None  # per request, of pre-forked workers

    @property
    def client_was_limit(self) -> bool:
        return self.client_busy >= CLIENT_BUSY and self.server_busy <= SERVER_IDLE


@dataclasses.dataclass
class Row:
    """One server in one scenario."""

    server: str
    scenario: Scenario
    peaks: list[Peak] = dataclasses.field(default_factory=list)
    rates: list[float] = dataclasses.field(default_factory=list)  # of the following
    paced: list[Paced] = dataclasses.field(default_factory=list)
    size: Size | None = None  # at its largest
    notes: list[str] = dataclasses.field(default_factory=list)  # what the model cannot do here

    def peak(self, metric: str) -> float | None:
        values = [value for each in self.peaks if (value := getattr(each, metric)) is not None]
        return float(statistics.median(values)) if values else None

    def late(self, metric: str) -> float | None:
        """None where requests were left without a reply: the rest says little."""
        if not self.paced or any(each.unanswered or not each.requests for each in self.paced):
            return None
        return float(statistics.median(getattr(each, metric) for each in self.paced))

    @property
    def rate(self) -> float | None:
        return statistics.median(self.rates) if self.rates else None


@dataclasses.dataclass
class Results:
    created: str
    options: dict[str, object]
    environment: dict[str, str]
    noise: float | None = None
    noisy: bool = False  # above the bound, and reported all the same
    left_out: list[str] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)  # servers that ended, or hung
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
            row["peaks"] = [Peak(**peak) for peak in row["peaks"]]
            row["paced"] = [Paced(**paced) for paced in row["paced"]]
            row["size"] = row["size"] and Size(**row["size"])
            results.rows.append(Row(**row))
        return results

    def find(self, server: str, scenario: Scenario) -> Row | None:
        return next((each for each in self.rows
                     if (each.server, each.scenario) == (server, scenario)), None)
