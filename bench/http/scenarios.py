"""How a server is asked."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Scenario:
    connections: int
    pipeline: int = 1  # requests that a client sends at once
    varied: bool = False  # no request has the head of the one before; else all are equal

    @property
    def name(self) -> str:
        pipelined = f" pipelined {self.pipeline}" if self.pipelined else ""
        return f"{self.connections}{pipelined}" + (" varied" if self.varied else "")

    @property
    def title(self) -> str:
        text = f"{self.connections} connection" + "s" * (self.connections > 1)
        text += f", pipelined {self.pipeline}" if self.pipelined else ""
        return text + (", varied heads" if self.varied else "")

    @property
    def pipelined(self) -> bool:
        return self.pipeline > 1

    @property
    def at_fixed_rate(self) -> bool:
        """Latencies can be taken: paced_load sends one request at a time, always the same."""
        return not self.pipelined and not self.varied


PIPELINE = 16
PIPELINED = Scenario(64, PIPELINE)
VARIED = Scenario(64, varied=True)
TAILS = Scenario(256)  # where latencies are compared
CONNECTIONS = (1, 16, 64, 256, 1000)
ALL = (*(Scenario(count) for count in CONNECTIONS), PIPELINED, VARIED)
