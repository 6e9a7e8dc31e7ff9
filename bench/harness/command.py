"""What the commands of the benchmarks have in common: options, where they run, how they end."""

import argparse
import contextlib
import os
import pathlib
import resource
import sys
import tempfile
from collections.abc import Callable

from bench.harness.errors import Missing, Refused

SKIPPED = 77  # what ctest takes for "skipped"


def add_options(parser: argparse.ArgumentParser, seconds: Callable[[str], float],
                quick: str) -> None:
    """Those of every benchmark; `quick` says what a quick run is."""
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"),
                        help="the build tree (%(default)s)")
    parser.add_argument("--pairs", type=int, default=7, help="rounds (%(default)s)")
    parser.add_argument("--seconds", type=seconds, default=1, help="of each run (%(default)s)")
    parser.add_argument("--noise-bound", type=float, default=0.05, metavar="SHARE",
                        help="refuse above this much noise (%(default)s)")
    parser.add_argument("--noisy", action="store_true", help="report above the bound too")
    parser.add_argument("--quick", action="store_true", help=f"{quick}, nothing is written")
    parser.add_argument("--cores", default="", metavar="SERVER,CLIENT",
                        help="where to run (the first two this process may use)")


def choose_cores(text: str) -> tuple[int, int]:
    allowed = sorted(os.sched_getaffinity(0))
    chosen = [int(word) for word in text.split(",")] if text else allowed[:2]
    if len(allowed) < 2:
        raise Missing("server and load generator need a core each, and there is only one")
    if len(chosen) != 2 or not set(chosen) <= set(allowed):
        raise ValueError(f"two cores are needed; this process may use {allowed}")
    return chosen[0], chosen[1]


def raise_descriptor_limit(wanted: int) -> int:
    """For the servers and clients to inherit: what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted > hard:
        ceiling = int(pathlib.Path("/proc/sys/fs/nr_open").read_text())
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, ceiling),) * 2)
            return min(wanted, ceiling)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def is_noisy(noise: float, options: argparse.Namespace) -> bool:
    """More than the bound, which is refused unless it was asked for."""
    if noise <= options.noise_bound:
        return False
    if not options.noisy:
        raise Refused(
            f"the machine is too busy: a server against itself differs by {noise:.1%}, more than "
            f"{options.noise_bound:.1%} (--noise-bound, --noisy)"
        )
    return True


def run(name: str, body: Callable[[pathlib.Path], None]) -> int:
    """The exit code of the command, whose body is given a directory of its own."""
    try:
        with tempfile.TemporaryDirectory(prefix="quintet-bench-") as scratch:
            os.chmod(scratch, 0o755)  # servers may give up their privileges
            body(pathlib.Path(scratch))
    except Missing as reason:
        print(f"bench/{name}: skipped: {reason}", file=sys.stderr)
        return SKIPPED
    except (Refused, ValueError) as reason:
        print(f"bench/{name}: no report: {reason}", file=sys.stderr)
        return 1
    return 0
