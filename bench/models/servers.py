"""The models that are compared, and how each is started: on one core, however many it is."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator

from bench.harness import process
from bench.harness.errors import Refused
from bench.http import check
from bench.http.servers import BACKENDS, Paths

# Above the most clients of a run, so that it is the models that are compared and not their caps.
MAX_CHILDREN = 1024
# So that both is seen: clients for whom there are workers, and clients for whom there are none.
PREFORK_WORKERS = 64
# How pre-forked workers wait is compared with fewer: of whom one is to come.
HERD_WORKERS = 16
ACCEPTS = ("blocking", "select", "poll", "epoll", "reuseport")
# For a thousand processes to end on one core.
STOP_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    model: str
    options: tuple[str, ...]
    backend: str = ""  # of a reactor
    # Connections that it holds open at a time, others wait in the backlog; None: as many as come.
    holds: int | None = None

    def command(self, program: pathlib.Path) -> list[str]:
        # No client is to be turned away by a full backlog, and none to hold up the end.
        return [
            str(program), "--model", self.model, *self.options, "--backlog", "4096",
            "--drain-timeout", "1s", "--listen", "127.0.0.1:0",
        ]  # fmt: skip

    def port(self, started: process.Process) -> int:
        """From the start line, which must name what was asked for."""
        pattern = r"listening on 127\.0\.0\.1:(\d+); model ([a-z]+)(?:;.*backend ([a-z_]+))?.*\n"
        port, model, backend = started.wait_for(pattern, "its port and model").groups()
        if model != self.model or (self.backend and backend != self.backend):
            raise Refused(f"{self.name} runs as model {model}, backend {backend}")
        return int(port)


def _reactor(backend: str) -> Server:
    return Server(f"reactor-{backend}", "reactor", ("--backend", backend, "--shards", "1"), backend)


def _per_connection(model: str) -> Server:
    return Server(model, model, ("--max-children", str(MAX_CHILDREN)), holds=MAX_CHILDREN)


def _prefork(name: str, workers: int, accept: str) -> Server:
    options = ("--min-workers", str(workers), "--max-workers", str(workers), "--accept", accept)
    return Server(name, "prefork", options, holds=workers)


MODELS = (
    Server("iterative", "iterative", (), holds=1),
    _per_connection("fork"),
    _per_connection("thread"),
    _prefork("prefork", PREFORK_WORKERS, "blocking"),
    *map(_reactor, BACKENDS),
)
HERD = tuple(_prefork(f"prefork-{accept}", HERD_WORKERS, accept) for accept in ACCEPTS)
REFERENCE = _reactor("epoll_et")  # of the noise


@dataclasses.dataclass(frozen=True)
class Running:
    process: process.Process
    port: int


@contextlib.contextmanager
def start(server: Server, program: pathlib.Path, paths: Paths, core: int,
          kill: bool = False) -> Iterator[Running]:
    """A server that answers. It must live until it is told to end, and end well; with `kill` it is
    not asked."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{server.name}.", dir=paths.scratch))
    started = process.Process(server.command(program), core, directory / "log")
    try:
        port = server.port(started)
        check.verify(port)
        yield Running(started, port)
    except BaseException:
        started.stop()
        raise
    if kill:
        started.kill()
    else:
        started.finish(seconds=STOP_SECONDS)
