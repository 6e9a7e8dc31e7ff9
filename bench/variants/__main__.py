"""What pays on io_uring, one option at a time, and what other allocators do.

    ./dev bench variants           everything, some eleven minutes; writes
                                   docs/performance/variants.md and .json
    ./dev bench variants --quick   one short round of a few, some seconds; writes nothing

ring        the floor of io_uring (bench/floors) with one thing changed, against the same without:
            64 connections, 1000 connections, 64 with 16 requests at a time
allocators  the hello server under LD_PRELOAD of other allocators, against the same without, at
            1000 connections; peak memory

A variant that the kernel refuses, and an allocator that is not installed, are left out, with the
reason. Ratios, noise and refusals are as in ./dev bench http --help; the noise is measured in each
scenario before all else, and once more at the end.
"""

import argparse
import datetime
import pathlib
import shutil
import sys
from collections.abc import Sequence

from bench.harness import command, environment
from bench.harness.errors import Missing
from bench.http import noise
from bench.http.measure import Bench, Settings
from bench.http.results import Results
from bench.http.scenarios import Scenario
from bench.http.servers import Paths, versions
from bench.variants import plan, report, servers
from bench.variants.measure import Groups, usable
from bench.variants.servers import BASE, FLOOR, HELLO_BACKENDS, hello

PARTS = ("ring", "allocators")
MOST_CONNECTIONS = 1000
RESERVED_DESCRIPTORS = 100
QUICK_SCENARIOS = (Scenario(16),)
QUICK_VARIANTS = ("one_shot", "bundle")
QUICK_BACKEND = "epoll_et"


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench variants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(parser, int, "a few variants, one short round")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="LIST", help="(%(default)s)")
    parser.add_argument("--variants", default=",".join(servers.VARIANTS), metavar="LIST",
                        help="(%(default)s)")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE",
                        default=pathlib.Path("docs/performance/variants.md"),
                        help="the report (%(default)s)")
    options = parser.parse_args(arguments)
    options.parts = options.parts.split(",")
    options.variants = options.variants.split(",")
    for given, known in ((options.parts, PARTS), (options.variants, servers.VARIANTS)):
        for word in given:
            if word not in known:
                parser.error(f"{word!r} is none of {', '.join(known)}")
    if options.quick:
        options.pairs = options.seconds = 1
    return options


def choose_groups(options: argparse.Namespace, paths: Paths, core: int,
                  results: Results) -> list[plan.Group]:
    """Of what can run here and answers rightly."""
    limit = command.raise_descriptor_limit(MOST_CONNECTIONS + RESERVED_DESCRIPTORS)
    connections = min(MOST_CONNECTIONS, limit - RESERVED_DESCRIPTORS)
    groups: list[plan.Group] = []
    if "ring" in options.parts:
        if usable([BASE], paths, core, connections, results):
            found = usable([FLOOR, *options.variants], paths, core, connections, results)
            if options.quick:
                quick = [name for name in QUICK_VARIANTS if name in found]
                groups += plan.around(BASE, quick, QUICK_SCENARIOS)
            else:
                groups += plan.ring_groups(found, plan.SCENARIOS)
    if "allocators" in options.parts:
        installed = [name for name in servers.ALLOCATORS if servers.library(name)]
        results.left_out += [f"{name}: not installed" for name in servers.ALLOCATORS
                             if name not in installed]
        backends = [QUICK_BACKEND] if options.quick else HELLO_BACKENDS
        names = [hello(backend, allocator) for backend in backends for allocator in installed]
        found = usable(names[:1] if options.quick else names, paths, core, connections, results)
        if options.quick:
            groups += plan.around(hello(QUICK_BACKEND), found, QUICK_SCENARIOS, count_calls=False)
        else:
            groups += plan.allocator_groups(found, plan.ALLOCATOR_SCENARIOS)
    return groups


def run(options: argparse.Namespace, arguments: Sequence[str], scratch: pathlib.Path) -> Results:
    cores = server_core, client_core = command.choose_cores(options.cores)
    paths = Paths(options.build.resolve(), scratch)
    if not (paths.build / "apps/hello").exists():
        raise Missing(f"there is no {paths.build}/apps/hello: ./dev build makes it")
    if shutil.which("wrk") is None:
        raise Missing("wrk is not installed")
    results = Results(
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        options={
            "arguments": " ".join(arguments), "server_core": server_core,
            "client_core": client_core, "pairs": options.pairs, "seconds": options.seconds,
        },
        environment=environment.dump(versions([], paths.build)),
    )
    groups = choose_groups(options, paths, server_core, results)
    if not groups:
        raise Missing("nothing can be measured here: " + "; ".join(results.left_out))
    measured = not options.quick
    bench = Bench(
        Settings(paths, server_core, client_core, options.pairs, options.seconds, 0, 0,
                 count_calls=measured, warm_up=measured),
        results,
    )
    runner = Groups(bench, results, paths, cores, options.pairs, count_calls=measured)
    for group in groups:
        runner.run(group)
        for scenario in group.scenarios if group.again else ():
            when = f"{group.base} at {scenario.name}"
            noise.judge(runner.noise(group, scenario), results, servers.by_name(group.base), when,
                        options)
    if measured:
        noise.measure(bench, results, servers.by_name(groups[0].base), "after", options)
    return results


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)

    def measure_and_report(scratch: pathlib.Path) -> None:
        results = run(options, arguments, scratch)
        print(report.markdown_text(results))
        for path in report.write(results, options.out) if not options.quick else ():
            print(path, file=sys.stderr)

    return command.run("variants", measure_and_report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
