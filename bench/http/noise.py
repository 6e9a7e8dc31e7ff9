"""How much a server differs from itself: what lies within is no difference between two servers."""

import argparse
import sys

from bench.harness import command
from bench.http.measure import Bench
from bench.http.results import Results
from bench.http.scenarios import Scenario
from bench.http.servers import Server

SCENARIO = Scenario(64)


def judge(noise: float, results: Results, server: Server, when: str,
          options: argparse.Namespace) -> None:
    results.noise[when] = noise
    print(f"noise {when}: {noise:.1%} ({server.name} against itself)", file=sys.stderr)
    results.noisy |= command.is_noisy(noise, options)


def measure(bench: Bench, results: Results, server: Server, when: str,
            options: argparse.Namespace) -> None:
    judge(bench.a_against_a(server, SCENARIO), results, server, when, options)
