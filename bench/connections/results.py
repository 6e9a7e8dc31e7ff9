"""What was measured, as it is kept in JSON."""

import dataclasses
import json

from bench.harness import summary


@dataclasses.dataclass
class Memory:
    """Of one server. In bytes."""

    server: str
    connections: int
    user_per_connection: float
    kernel_per_connection: float  # both ends
    before: int
    idle: int
    after_burst: int  # a request on every connection at once, all answered
    after_close: int


@dataclasses.dataclass
class Pair:
    """Two servers that were measured next to each other, round by round."""

    a: str
    b: str
    idle: int  # connections that stayed idle on `a`; `b` had none, or the same in a churn
    cpu_us_a: list[float] = dataclasses.field(default_factory=list)  # per request or cycle
    cpu_us_b: list[float] = dataclasses.field(default_factory=list)
    rate_a: list[float] = dataclasses.field(default_factory=list)
    rate_b: list[float] = dataclasses.field(default_factory=list)

    def cpu_ratio_values(self) -> list[float]:
        return summary.ratios(self.cpu_us_a, self.cpu_us_b)

    def cpu_ratio(self) -> summary.Summary:
        return summary.summarize(self.cpu_ratio_values())

    def rate_ratio(self) -> summary.Summary:
        return summary.summarize(summary.ratios(self.rate_a, self.rate_b))


@dataclasses.dataclass
class Results:
    created: str
    options: dict[str, object]
    environment: dict[str, str]
    noise: float | None = None
    noisy: bool = False  # above the bound, and reported all the same
    left_out: list[str] = dataclasses.field(default_factory=list)
    memory: list[Memory] = dataclasses.field(default_factory=list)
    idle_cost: list[Pair] = dataclasses.field(default_factory=list)
    churn: list[Pair] = dataclasses.field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"
