"""The hello benchmark: what an HTTP request costs on Quintet, on its floors and on other servers.

    ./dev bench http              everything, about 45 minutes; writes docs/performance/http.*
    ./dev bench http --targets    what the figures to reach need, about 25 minutes
    ./dev bench http --seccomp    everything under a seccomp filter; writes http-seccomp.*
    ./dev bench http --quick      one short round, some ten seconds; writes nothing
    ./dev bench http --help       servers, connections, seconds, rounds and more

What is measured, and why so

  CPU per request is the figure that counts: on loopback a core does nothing else, and a request's
  price holds on any machine where requests per second depend on which side is the slower. It is
  the kernel's own count for the whole process tree, softirqs in its name included.

  The floors (bench/floors) do for the same reply what no server can avoid. A ratio to the floor of
  the same backend shows what the library adds; a ratio between backends shows what the kernel does.

  Ratios are taken between runs that follow one another, and their median over rounds is reported,
  with quartiles. Machines change their speed from minute to minute; virtual ones by a third.

  wrk loads as fast as replies come. At a speed that the server sets, latencies say little, so they
  are taken apart from that, at a fixed rate, by paced_load (why not by h2load: see there), of each
  server once at each number of connections; of 256, where they are compared, in each comparison;
  under a filter with --seccomp only.

  Clients that repeat themselves cost Quintet less: it does not read a head that equals the last one
  octet by octet. wrk sends nothing else, so "64 varied" asks with another query and another field
  each time. The difference to 64 connections shows what reading costs, and 36 octets more.

  wrk spends more on a request than the leanest servers do. Then it is the limit, and the row says
  so: the server sleeps in between, finds fewer connections ready at each wait and makes more waits
  per request than it would under full load. Requests per second then say nothing about the server.

  Connecting belongs to each run, for a second, the same for both sides of a ratio.

When it refuses

  A wrong reply, an error that wrk or paced_load counts, a process that ends or that does not end
  well when told to (with 0, or by the SIGTERM it has no handler for), a backend that is not
  the one asked for (the start line tells it), and a machine so busy that a server measured against
  itself differs by more than --noise-bound: then there is no report, and the exit code is 1.
  --noisy reports all the same, and says so at the top.
"""

import argparse
import datetime
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Sequence

from bench.harness import command, environment
from bench.harness.errors import Missing, Refused
from bench.http import noise, plan, report, scenarios, servers
from bench.http.measure import Bench, Settings
from bench.http.results import Results
from bench.http.scenarios import PIPELINED, TAILS, VARIED, Scenario
from bench.http.servers import Paths, Server

REFERENCE = "floor-epoll_et"
QUICK = ("quintet-epoll_et", "floor-epoll_et")
TARGET_SCENARIOS = (Scenario(64), TAILS, Scenario(1000), PIPELINED, VARIED)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench http", description="The hello benchmark.")
    command.add_options(parser, int, "a few rows, one short round")
    parser.add_argument("--servers", default="all", metavar="LIST",
                        help="comma-separated: quintet, floor, peer, or names such as "
                        "quintet-io_uring, floor-poll, nginx (%(default)s)")
    parser.add_argument("--connections", default="", metavar="LIST",
                        help="comma-separated counts; 64x16 is 64 connections pipelined 16, "
                        "64varied sends no head twice running "
                        "(1,16,64,256,1000,64x16,64varied)")
    parser.add_argument("--latency-seconds", type=float, default=1.0,
                        help="of each run at the fixed rate; 0: none (%(default)s)")
    parser.add_argument("--rate", type=float, default=0,
                        help="requests/s for latencies; 0: half of what the floor of epoll_et "
                        "reaches with that many connections (%(default)s)")
    parser.add_argument("--targets", action="store_true",
                        help="only what the figures to reach need, and varied heads")
    parser.add_argument("--seccomp", action="store_true", help="servers under a seccomp filter")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/performance"),
                        help="directory of the report (%(default)s)")
    return parser.parse_args(arguments)


def parse_scenarios(text: str) -> list[Scenario]:
    found = []
    for word in text.split(","):
        digits = word.removesuffix("varied")
        connections, _, pipeline = digits.partition("x")
        scenario = Scenario(int(connections), int(pipeline or 1), digits != word)
        if scenario.pipelined and scenario.varied:
            raise ValueError(f"{word!r}: pipelined requests are all equal")
        if scenario.connections < 1 or scenario.pipeline < 1:
            raise ValueError(f"{word!r} is no number of connections")
        found.append(scenario)
    return found


def choose_servers(text: str) -> list[Server]:
    known = servers.everything()
    if text == "all":
        return known
    words = text.split(",")
    for word in words:
        if word not in {name for server in known for name in (server.name, server.kind)}:
            names = ", ".join(server.name for server in known)
            raise ValueError(f"no server is called {word!r}; there are {names}")
    return [server for server in known if server.name in words or server.kind in words]


def usable(chosen: Sequence[Server], paths: Paths, core: int, seccomp: bool,
           results: Results) -> list[Server]:
    """Those that are here and answer rightly. Others are left out, with the reason."""
    found = []
    for server in chosen:
        try:
            reason = server.try_out(paths, core, seccomp)
        except Refused as refusal:
            raise Refused(f"{server.name}: {refusal}") from None
        if reason:
            results.left_out.append(f"{server.name}: {reason}")
        else:
            found.append(server)
    return found


def prepare(options: argparse.Namespace) -> tuple[list[Server], list[Scenario]]:
    chosen = choose_servers(options.servers)
    wanted = list(TARGET_SCENARIOS if options.targets else scenarios.ALL)
    if options.connections:
        wanted = parse_scenarios(options.connections)
    if options.quick:
        options.pairs, options.seconds, options.latency_seconds = 1, 1, 0.5
        options.rate = options.rate or 2000
        wanted = [Scenario(16), VARIED]
    return chosen, wanted


def run(options: argparse.Namespace, arguments: Sequence[str], scratch: pathlib.Path) -> Results:
    chosen, wanted = prepare(options)
    server_core, client_core = command.choose_cores(options.cores)
    paths = Paths(options.build.resolve(), scratch)
    if not (paths.build / "apps/hello").exists():
        raise Missing(f"there is no {paths.build}/apps/hello: ./dev build makes it")
    for tool in ("wrk",) if options.quick else ("wrk", "gnuplot"):
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is not installed")

    results = Results(
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        options={
            "arguments": " ".join(arguments), "server_core": server_core,
            "client_core": client_core, "pairs": options.pairs, "seconds": options.seconds,
            "latency_seconds": options.latency_seconds, "seccomp": options.seccomp,
        },
        environment={},
    )
    filters = paths.helper("under_seccomp").exists()
    if not filters:
        results.left_out.append("servers under seccomp: there was no libseccomp to build with")
    if options.quick:
        chosen = [server for server in chosen if server.name in QUICK] or chosen[:1]
    found = usable(chosen, paths, server_core, options.seccomp, results)
    if not found:
        raise Missing("none of the servers can run here: " + "; ".join(results.left_out))
    results.environment = environment.dump(servers.versions(found, paths.build))
    bench = Bench(
        Settings(
            paths, server_core, client_core, options.pairs, options.seconds,
            options.latency_seconds, options.rate, count_calls=not options.quick,
            warm_up=not options.quick,
        ),
        results,
    )
    reference = next((server for server in found if server.name == REFERENCE), found[0])
    groups = plan.groups(found, options.seccomp, filters)
    steps = plan.steps(groups, wanted, options.targets)
    minutes = bench.estimate_seconds(steps, noise=not options.quick) / 60
    print(f"this takes about {minutes:.1f} minutes", file=sys.stderr)
    began = time.monotonic()
    if not options.quick:
        noise.measure(bench, results, reference, "before", options)
    for step in steps:
        if options.latency_seconds > 0 and step.timed:
            bench.calibrate(reference, step.scenario)
        bench.run(step)
    if not options.quick:
        noise.measure(bench, results, reference, "after", options)
    print(f"took {(time.monotonic() - began) / 60:.1f} minutes", file=sys.stderr)
    return results


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)
    # Where Debian puts servers, and what users other than root do not search.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])

    def measure_and_report(scratch: pathlib.Path) -> None:
        results = run(options, arguments, scratch)
        stem = "http-seccomp" if options.seccomp else "http"
        if options.quick:
            print(report.markdown_text(results, stem))
        else:
            for path in report.write(results, options.out, stem):
                print(path)

    return command.run("http", measure_and_report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
