"""Who is woken for a connection, and who gets it, for each listening policy.

    ./dev bench herd           everything, some minutes; writes docs/performance/herd.*
    ./dev bench herd --quick   one backend, a few connections; writes nothing

For each backend, worker kind and policy, with 4 and 16 workers:

  wake-ups   200 connections that come one by one, each when all workers sleep: how many threads of
             the server were woken for each
  spread     12, 100 and 10,000 long connections over the workers
"""

import argparse
import datetime
import itertools
import pathlib
import sys
from collections.abc import Sequence

from bench.harness import command, environment
from bench.harness.errors import Missing
from bench.herd import measure, report

BACKENDS = ("select", "poll", "epoll_lt", "epoll_et", "io_uring")
KINDS = ("thread", "process")
POLICIES = ("reuseport", "exclusive", "shared", "handoff")
WORKERS = (4, 16)
SPREADS = (12, 100, 10_000)
SELECT_CONNECTIONS = 800  # of one process, whose descriptors end at 1,024
RESERVED_DESCRIPTORS = 500
LONE_CONNECTIONS = 200
PAUSE_SECONDS = 0.002  # until everybody sleeps again


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench herd", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"),
                        help="the build tree (%(default)s)")
    parser.add_argument("--backends", default="select,epoll_et,io_uring", metavar="LIST",
                        help="(%(default)s)")
    parser.add_argument("--quick", action="store_true",
                        help="one backend, a few connections, nothing is written")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/performance"),
                        help="directory of the report (%(default)s)")
    options = parser.parse_args(arguments)
    options.backends = ["epoll_et"] if options.quick else options.backends.split(",")
    for word in options.backends:
        if word not in BACKENDS:
            parser.error(f"{word!r} is none of {', '.join(BACKENDS)}")
    return options


def cases(options: argparse.Namespace) -> list[measure.Case]:
    workers = (4,) if options.quick else WORKERS
    return [measure.Case(*each)
            for each in itertools.product(options.backends, KINDS, POLICIES, workers)]


def spreads(case: measure.Case, options: argparse.Namespace, limit: int) -> list[int]:
    most = limit - RESERVED_DESCRIPTORS
    if case.backend == "select":
        most = min(most, SELECT_CONNECTIONS)
    return sorted({min(count, most) for count in (SPREADS[:1] if options.quick else SPREADS)})


def run(options: argparse.Namespace, arguments: Sequence[str],
        scratch: pathlib.Path) -> report.Results:
    hello = options.build.resolve() / "apps/hello"
    if not hello.exists():
        raise Missing(f"there is no {hello}: ./dev build makes it")
    limit = command.raise_descriptor_limit(max(SPREADS) + RESERVED_DESCRIPTORS)
    results = report.Results(
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        options={"arguments": " ".join(arguments)},
        environment=environment.dump({"quintet": [str(hello), "--version"]}),
    )
    for case in cases(options):
        with measure.Herd(hello, case, scratch / "hello.log") as herd:
            lone = 20 if options.quick else LONE_CONNECTIONS
            wakes = measure.wakes(herd, lone, PAUSE_SECONDS)
            found = {count: measure.spread(herd, count)
                     for count in spreads(case, options, limit)}
        results.rows.append(report.Row(case, wakes, found))
        print(f"{case}: {wakes.per_connection:.2f} wake-ups", file=sys.stderr)
    return results


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)

    def measure_and_report(scratch: pathlib.Path) -> None:
        results = run(options, arguments, scratch)
        if options.quick:
            print(report.markdown_text(results))
        else:
            for path in report.write(results, options.out):
                print(path)

    return command.run("herd", measure_and_report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
