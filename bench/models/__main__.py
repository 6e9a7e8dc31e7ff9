"""The classic server models side by side, with the same sessions.

    ./dev bench models           everything, under 20 minutes; writes docs/models/models.*
    ./dev bench models --quick   a few models, 8 connections, half a minute; writes nothing
    ./dev bench models --help    servers, connections, seconds and more

Two services: hello, and hello with a handler that blocks its thread for 10 ms, the classic slow
request (bench/models/slow_hello.cc). Under every model, and under the reactor with every backend,
at 1, 8, 64, 256 and 1000 connections; once where a client keeps its connection, and once with a
connection for each request, for which some models pay a process or a thread. And pre-forked workers
that wait in each of the ways there are for them.

For each: requests/s of clients that ask again at once; p50 and p99 at half of that rate; CPU time,
memory and context switches of the whole process tree, also of processes and threads that ended. How
each is counted stands above the tables.

What a model cannot do (one client at a time, and there are a thousand) stands in its row, and is no
error. A wrong reply is one, and a server that ends by itself or does not end when told to: then the
exit code is 1, and in the latter case the report says which. A machine so busy that a server
measured against itself differs by more than --noise-bound gets no report, unless --noisy is given.
"""

import argparse
import datetime
import pathlib
import shutil
import sys
import time
from collections.abc import Sequence

from bench.harness import command, environment
from bench.harness.errors import Missing, Refused
from bench.http.servers import Paths
from bench.models import plan, report, servers
from bench.models.measure import Bench, Settings
from bench.models.plan import Step
from bench.models.results import Results

RESERVED_DESCRIPTORS = 200
MOST_MINUTES = 19.0
QUICK_SERVERS = ("iterative", "fork", "thread", "prefork", servers.REFERENCE.name)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench models", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(parser, float, "a few models, 8 connections, short runs")
    parser.set_defaults(pairs=1)
    names = [each.name for each in servers.MODELS]
    parser.add_argument("--servers", default=",".join(names), metavar="LIST",
                        help="(%(default)s)")
    parser.add_argument("--connections", default=",".join(map(str, plan.CONNECTIONS)),
                        metavar="LIST", help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=MOST_MINUTES,
                        help="what has not begun by then is not measured (%(default)g)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/models"),
                        help="directory of the report (%(default)s)")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.servers = 0.2, ",".join(QUICK_SERVERS)
        options.connections = ",".join(map(str, plan.QUICK_CONNECTIONS))
    options.servers = options.servers.split(",")
    for word in options.servers:
        if word not in names:
            parser.error(f"{word!r} is none of {', '.join(names)}")
    options.connections = [int(word) for word in options.connections.split(",")]
    return options


def steps(options: argparse.Namespace) -> list[Step]:
    chosen = [each for each in servers.MODELS if each.name in options.servers]
    herd = servers.HERD if "prefork" in options.servers and not options.quick else ()
    return plan.steps(chosen, options.connections, herd)


def usable(found: Sequence[Step], bench_paths: Paths, core: int, results: Results) -> list[Step]:
    """All but those of a ring where the kernel has none."""
    ring = next((step for step in found if step.server.backend == "io_uring"), None)
    if ring is None:
        return list(found)
    try:
        with servers.start(ring.server, bench_paths.build / ring.service.program, bench_paths,
                           core):
            return list(found)
    except Refused as refusal:
        results.left_out.append(f"{ring.server.name}: {refusal}")
        return [step for step in found if step.server != ring.server]


def run(options: argparse.Namespace, arguments: Sequence[str], scratch: pathlib.Path) -> Results:
    server_core, client_core = command.choose_cores(options.cores)
    paths = Paths(options.build.resolve(), scratch)
    for program in ("apps/hello", "bench/models/slow_hello", "bench/models/model_load"):
        if not (paths.build / program).exists():
            raise Missing(f"there is no {paths.build}/{program}: ./dev bench models makes it")
    if not options.quick and shutil.which("gnuplot") is None:
        raise Missing("gnuplot is not installed")
    needed = max(options.connections) + RESERVED_DESCRIPTORS
    limit = command.raise_descriptor_limit(needed)
    if limit < needed:
        raise Missing(f"{needed} descriptors are needed, and {limit} allowed")
    results = Results(
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        options={
            "arguments": " ".join(arguments), "server_core": server_core,
            "client_core": client_core, "rounds": options.pairs, "seconds": options.seconds,
        },
        environment=environment.dump({"quintet": [str(paths.build / "apps/hello"), "--version"],
                                      "compiler": ["c++", "--version"]}),
    )
    found = usable(steps(options), paths, server_core, results)
    minutes = plan.estimate_seconds(found, options.pairs, options.seconds) / 60
    print(f"this takes about {minutes:.1f} minutes", file=sys.stderr)
    began = time.monotonic()
    bench = Bench(Settings(paths, server_core, client_core, options.pairs, options.seconds,
                           began + 60 * options.minutes, lengthen=not options.quick), results)
    if not options.quick:
        results.noise = bench.noise()
        print(f"noise: {results.noise:.1%}", file=sys.stderr)
        results.noisy = command.is_noisy(results.noise, options)
    for step in found:
        bench.run(step)
    print(f"took {(time.monotonic() - began) / 60:.1f} minutes", file=sys.stderr)
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
        if results.failures:
            raise Refused("servers failed: " + "; ".join(results.failures))

    return command.run("models", measure_and_report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
