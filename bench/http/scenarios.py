"""How a server is asked."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Scenario:
    connections: int
    pipeline: int = 1  # requests that a client sends at once

    @property
    def name(self) -> str:
        return f"{self.connections} pipelined {self.pipeline}" if self.pipelined else str(
            self.connections
        )

    @property
    def pipelined(self) -> bool:
        return self.pipeline > 1


PIPELINE = 16
PIPELINED_CONNECTIONS = 64
CONNECTIONS = (1, 16, 64, 256, 1000)
ALL = tuple(Scenario(count) for count in CONNECTIONS) + (
    Scenario(PIPELINED_CONNECTIONS, PIPELINE),
)
