"""What many connections cost: memory, the price of idle ones, the rate of new ones.

    ./dev bench connections           everything, some ten minutes; writes
                                      docs/performance/connections.*
    ./dev bench connections --quick   one short round, some seconds; writes nothing

For each backend:

  memory      bytes of the server's own memory and of the kernel's per idle HTTP connection; what is
              left of a burst, a request on every connection at once, and after all have closed
  idle cost   CPU per request of one active connection among 1,000, 10,000 and 100,000 idle ones
              against the same without them; deadlines are on, an hour away
  churn       connect, one request, close, against the floor of the same backend (bench/floors)

Idle counts above the descriptor limit are brought down to it: raise the hard limit (ulimit -Hn), or
run as root with the capability to do so, for more. select takes 1,000, since its descriptors end at
1,024. Ratios, noise and refusals are as in ./dev bench http --help.
"""

import argparse
import datetime
import os
import pathlib
import shutil
import sys
from collections.abc import Sequence

from bench.connections import report
from bench.connections.measure import Bench
from bench.connections.results import Results
from bench.harness import command, environment, summary
from bench.harness.errors import Missing
from bench.http.servers import BACKENDS, Paths, Server, by_name

SELECT_CONNECTIONS = 900  # with the pairs' own below FD_SETSIZE
RESERVED_DESCRIPTORS = 200
QUICK_BACKENDS = ("epoll_et",)
NOISE_BACKEND = "epoll_et"


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench connections", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(parser, float, "one backend, one short round")
    parser.add_argument("--backends", default=",".join(BACKENDS), metavar="LIST",
                        help="(%(default)s)")
    parser.add_argument("--idle", default="1000,10000,100000", metavar="LIST",
                        help="idle connections (%(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/performance"),
                        help="directory of the report (%(default)s)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.pairs, options.seconds, options.idle = 1, 0.2, "500"
        options.backends = ",".join(QUICK_BACKENDS)
    options.backends = options.backends.split(",")
    for word in options.backends:
        if word not in BACKENDS:
            parser.error(f"{word!r} is none of {', '.join(BACKENDS)}")
    return options


def idle_counts(wanted: Sequence[int], most: int) -> list[int]:
    """In order, each at most `most`."""
    return sorted({min(count, most) for count in wanted})


def counts_for(backend: str, counts: Sequence[int]) -> list[int]:
    return idle_counts(counts, SELECT_CONNECTIONS) if backend == "select" else list(counts)


def usable(bench: Bench, results: Results, backend: str) -> bool:
    server = by_name(f"quintet-{backend}")
    if reason := server.try_out(bench.paths, bench.server_core):
        results.left_out.append(f"{server.name}: {reason}")
    return not reason


def measure_noise(bench: Bench, results: Results, options: argparse.Namespace) -> None:
    server: Server = by_name(f"quintet-{NOISE_BACKEND}")
    results.noise = summary.noise(bench.idle_cost(server, 0).cpu_ratio_values())
    results.noisy = command.is_noisy(results.noise, options)


def run(options: argparse.Namespace, arguments: Sequence[str], scratch: pathlib.Path) -> Results:
    server_core, client_core = command.choose_cores(options.cores)
    paths = Paths(options.build.resolve(), scratch)
    if not (paths.build / "apps/hello").exists():
        raise Missing(f"there is no {paths.build}/apps/hello: ./dev build makes it")
    if not options.quick and shutil.which("gnuplot") is None:
        raise Missing("gnuplot is not installed")
    wanted = [int(word) for word in options.idle.split(",")]
    limit = command.raise_descriptor_limit(max(wanted) + RESERVED_DESCRIPTORS)
    counts = idle_counts(wanted, limit - RESERVED_DESCRIPTORS)
    os.environ["QUINTET_KEEP_ALIVE_TIMEOUT"] = "1h"

    results = Results(
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        options={
            "arguments": " ".join(arguments), "server_core": server_core,
            "client_core": client_core, "pairs": options.pairs, "seconds": options.seconds,
        },
        environment=environment.dump({"quintet": [str(paths.build / "apps/hello"), "--version"],
                                      "compiler": ["c++", "--version"]}),
    )
    results.environment["descriptor limit"] = f"{limit:,}"
    if max(wanted) > max(counts):
        results.left_out.append(f"more than {max(counts):,} idle connections: the descriptor limit "
                                f"is {limit:,}, and this process may not raise it")
    bench = Bench(paths, server_core, client_core, options.pairs, options.seconds)
    if not options.quick:
        measure_noise(bench, results, options)
    backends = [each for each in options.backends if usable(bench, results, each)]
    for backend in backends:
        server = by_name(f"quintet-{backend}")
        for count in counts_for(backend, counts):
            results.memory.append(bench.memory(server, count))
    for backend in backends:
        server = by_name(f"quintet-{backend}")
        for count in counts_for(backend, counts):
            results.idle_cost.append(bench.idle_cost(server, count))
    for backend in backends:
        server, floor = by_name(f"quintet-{backend}"), by_name(f"floor-{backend}")
        results.churn.append(bench.churn(server, floor))
    return results


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)

    def measure_and_report(scratch: pathlib.Path) -> None:
        results = run(options, arguments, scratch)
        if options.quick:
            print(report.markdown_text(results, ""))
        else:
            for path in report.write(results, options.out):
                print(path)

    return command.run("connections", measure_and_report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
