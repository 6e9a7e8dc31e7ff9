"""paced_load: requests at a fixed rate, for latencies (see paced_load.cc)."""

import dataclasses
import json
import pathlib

from bench.harness import process


@dataclasses.dataclass(frozen=True)
class Latencies:
    """Microseconds from when a request was due."""

    requests: int
    p50: float
    p90: float
    p99: float
    p99_9: float
    max: float
    lag_p99: float  # of the generator itself, part of the above
    held_back: int  # requests that waited for the one before on their connection


def parse(text: str) -> Latencies | None:
    values = json.loads(text)
    return Latencies(**values) if values is not None else None


def run(
    program: pathlib.Path, port: int, connections: int, rate: float, seconds: float, core: int
) -> Latencies | None:
    """None when the server did not keep up with the rate."""
    command = [str(program), str(port), str(connections), f"{rate:.0f}", f"{seconds:g}"]
    text, _ = process.run_pinned(command, core, seconds + 30)
    return parse(text)
