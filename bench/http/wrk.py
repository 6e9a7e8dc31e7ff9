"""wrk: as many requests as the server answers, each connection asking again at once."""

import dataclasses
import pathlib
import re

from bench.harness import process
from bench.harness.errors import Refused
from bench.http.scenarios import Scenario

DIRECTORY = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    cpu_seconds: float  # of the generator


def parse(text: str) -> tuple[int, float]:
    """Requests and seconds; refuses what went wrong."""
    for sign in ("Non-2xx", "Socket errors"):
        if sign in text:
            line = next(line.strip() for line in text.splitlines() if sign in line)
            raise Refused(f"wrk: {line}")
    match = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m),", text)
    if match is None:
        raise Refused(f"wrk printed no count: {text[-200:]}")
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0}[match.group(3)]
    requests = int(match.group(1))
    if requests == 0:
        raise Refused("wrk got no reply at all")
    return requests, float(match.group(2)) * unit


def command(port: int, scenario: Scenario, seconds: int) -> list[str]:
    words = ["wrk", "-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--timeout", "5s"]
    url = f"http://127.0.0.1:{port}/"
    if scenario.pipelined and scenario.varied:
        raise ValueError("pipelined requests are all equal")
    if scenario.pipelined:
        return [*words, "-s", str(DIRECTORY / "pipeline.lua"), url, "--", str(scenario.pipeline)]
    return [*words, *(["-s", str(DIRECTORY / "varied.lua")] if scenario.varied else []), url]


def run(port: int, scenario: Scenario, seconds: int, core: int) -> Load:
    text, cpu_seconds = process.run_pinned(command(port, scenario, seconds), core, seconds + 30)
    requests, elapsed = parse(text)
    return Load(requests, elapsed, cpu_seconds)
