"""The load, see load.cc."""

import contextlib
import dataclasses
import json
import pathlib
import select
import signal
import subprocess

from bench.harness.errors import Refused
from bench.harness.process import on_core

PATIENCE_SECONDS = 20.0


class LoadFailed(Refused):
    """The load itself, or a wrong reply: not a server that cannot take a point."""


@dataclasses.dataclass(frozen=True)
class Closed:
    """Of clients that ask again at once."""

    seconds: float
    requests: int  # answered in that time
    answered: int  # also shortly after
    served: int  # clients that were ever answered
    failures: int  # connections refused or reset, or closed without a reply
    cpu_seconds: float  # of the load


@dataclasses.dataclass(frozen=True)
class Paced:
    """Of requests due at fixed times. Latencies in microseconds from then."""

    requests: int
    unanswered: int  # two seconds after the last was due, or failed
    p50: float
    p99: float
    max: float
    lag_p99: float  # of the load itself, part of the above
    held_back: int  # requests that waited for the one before of their client


class Load:
    """Clients that are ready, and wait for their signal."""

    def __init__(self, program: pathlib.Path, port: int, clients: int, keep: bool, rate: float,
                 seconds: float, core: int) -> None:
        self._patience = seconds + PATIENCE_SECONDS
        mode = "keep" if keep else "close"
        self._popen = subprocess.Popen(
            [str(program), str(port), str(clients), mode, f"{rate:.1f}", f"{seconds:g}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=on_core(core),
        )
        try:
            if self._line() != "ready":
                raise LoadFailed("the load does not get ready")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The connections end with it."""
        self._popen.kill()
        with contextlib.suppress(ValueError, OSError):
            self._popen.communicate()

    def begin(self) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write("go\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            self._line()

    def done(self, seconds: float = 0) -> bool:
        """The result is there, at the latest after so long."""
        return bool(select.select([self._popen.stdout], [], [], seconds)[0])

    def closed(self) -> Closed:
        return Closed(**json.loads(self._line()))

    def paced(self) -> Paced:
        return Paced(**json.loads(self._line()))

    def _line(self) -> str:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline().strip() if self.done(self._patience) else ""
        if not line:
            if self._popen.poll() is None:
                self._popen.send_signal(signal.SIGKILL)
            raise LoadFailed(f"the load failed: {self._popen.communicate()[1].strip()[-400:]}")
        return line
