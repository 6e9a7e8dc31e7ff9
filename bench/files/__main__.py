"""What the file server and its client carry, beside nginx and curl.

    ./dev bench files           everything, some ten minutes; writes docs/performance/files.*
    ./dev bench files --quick   one backend, small files, some seconds; writes nothing

  servers   get throughput and CPU time of `files serve` on each backend and of nginx with sendfile,
            to the same least client on one connection (bench/files/sink.cc)
  clients   `files get` from `files serve` and curl from nginx, a process for each file
  puts      `files put` on each backend, with and without fsync
  crowd     200 clients that transfer without a pause, and the latency of one that only lists

The same file for all, warm in the page cache, in the same run, round by round: who begins changes
from round to round. Ratios, noise and refusals are as in ./dev bench http --help.
"""

import argparse
import datetime
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence

from bench.files import report, servers
from bench.files.measure import Bench, Contestant, missing_program, writable_memory
from bench.files.results import Results
from bench.harness import command, environment, process
from bench.harness.errors import Missing
from bench.http.servers import BACKENDS, Paths, Server

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = (64 * KIB, MIB, 256 * MIB, GIB)
PUT_SIZES = (MIB, 256 * MIB)
QUICK_SIZES = (64 * KIB, MIB)
CLIENT_BACKENDS = ("epoll_et", "io_uring")  # of the servers that clients are measured with
NOISE_SIZE = MIB
# A quarter of the crowd stores.
GETTERS, PUTTERS = 150, 50
CROWD_SIZE = 4 * MIB
CROWD_SECONDS = 5.0
RESERVED_DESCRIPTORS = 100


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench files", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(parser, float, "one backend, small files, short runs")
    parser.add_argument("--backends", default=",".join(BACKENDS), metavar="LIST",
                        help="(%(default)s)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), metavar="LIST",
                        help="of files, in bytes (%(default)s)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/performance"),
                        help="directory of the report (%(default)s)")
    options = parser.parse_args(arguments)
    options.put_sizes, options.crowd = PUT_SIZES, (GETTERS, PUTTERS, CROWD_SECONDS)
    if options.quick:
        options.pairs, options.seconds = 1, 0.1
        options.backends, options.sizes = "epoll_et", ",".join(map(str, QUICK_SIZES))
        options.put_sizes, options.crowd = (MIB,), (6, 2, 0.3)
    options.backends = options.backends.split(",")
    for word in options.backends:
        if word not in BACKENDS:
            parser.error(f"{word!r} is none of {', '.join(BACKENDS)}")
    options.sizes = [int(word) for word in options.sizes.split(",")]
    return options


def usable(server: Server, paths: Paths, core: int, results: Results) -> bool:
    """Whether it runs here. A machine without io_uring can still measure the rest."""
    if reason := server.missing(paths):
        results.left_out.append(f"{server.name}: {reason}")
        return False
    try:
        with server.start(paths, core):
            return True
    except process.Ended as ended:
        if server.backend != "io_uring" or ended.status <= 0:
            raise
        results.left_out.append(f"{server.name}: {ended}")
        return False


def contestants(backends: Sequence[str], with_nginx: bool, with_curl: bool) -> list[Contestant]:
    """The reference is measured in the middle, next to all."""
    found = [Contestant(servers.files(backend), "sink") for backend in backends]
    if with_nginx:
        found.append(Contestant(servers.REFERENCE, "sink"))
        if with_curl:
            found.append(Contestant(servers.REFERENCE, "curl"))
    found += [Contestant(servers.files(backend), "files") for backend in backends
              if backend in CLIENT_BACKENDS]
    return found


def run(options: argparse.Namespace, arguments: Sequence[str], scratch: pathlib.Path,
        target: pathlib.Path) -> Results:
    server_core, client_core = command.choose_cores(options.cores)
    paths = Paths(options.build.resolve(), scratch)
    for program in ("apps/files", "bench/files/file_sink", "bench/files/file_crowd"):
        if not (paths.build / program).exists():
            raise Missing(f"there is no {paths.build}/{program}: ./dev bench files makes it")
    getters, putters, crowd_seconds = options.crowd
    command.raise_descriptor_limit(getters + putters + RESERVED_DESCRIPTORS)
    servers.root(paths).mkdir()
    results = Results(
        created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        options={
            "arguments": " ".join(arguments), "server_core": server_core,
            "client_core": client_core, "pairs": options.pairs, "seconds": options.seconds,
            "crowd_seconds": crowd_seconds,
        },
        environment=environment.dump({
            "quintet": [str(paths.build / "apps/files"), "serve", "--version"],
            "compiler": ["c++", "--version"], "nginx": ["nginx", "-v"],
            "curl": ["curl", "--version"],
        }),
    )
    results.environment["files that are served"] = filesystem_of(scratch)
    results.environment["files that clients write"] = filesystem_of(target)
    backends = [each for each in options.backends
                if usable(servers.files(each), paths, server_core, results)]
    with_nginx = usable(servers.REFERENCE, paths, server_core, results)
    no_curl = missing_program("curl")
    results.left_out += [no_curl] if no_curl else []
    if not options.quick and (not with_nginx or no_curl):
        raise Missing("; ".join(results.left_out))
    bench = Bench(paths, server_core, client_core, options.pairs, options.seconds, target)
    if not options.quick:
        results.noise = bench.noise(NOISE_SIZE)
        print(f"noise: {results.noise:.1%}", file=sys.stderr)
        results.noisy = command.is_noisy(results.noise, options)
    for size in options.sizes:
        results.rows += bench.gets(size, contestants(backends, with_nginx, not no_curl))
    for size in options.put_sizes:
        for fsync in ("none", "directory"):
            results.rows += bench.puts(size, fsync, backends)
    for backend in backends:
        results.crowds.append(bench.crowd(servers.files(backend), getters, putters, CROWD_SIZE,
                                          crowd_seconds))
    return results


def filesystem_of(directory: pathlib.Path) -> str:
    """The type of the mount that a path is on."""
    best, found = -1, "unknown"
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if directory.resolve().is_relative_to(place) and len(place) > best:
            best, found = len(place), kind
    return found


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)

    def measure_and_report(scratch: pathlib.Path) -> None:
        memory = writable_memory(2 * max(options.sizes))
        with tempfile.TemporaryDirectory(prefix="quintet-bench-", dir=memory or scratch) as target:
            os.chmod(target, 0o755)
            results = run(options, arguments, scratch, pathlib.Path(target))
        if options.quick:
            print(report.markdown_text(results))
        else:
            for path in report.write(results, options.out):
                print(path)

    return command.run("files", measure_and_report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
