"""Starting programs on a core, finding their process tree, ending them."""

import contextlib
import ctypes
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence

from bench.harness.errors import Refused

START_SECONDS = 10.0
STOP_SECONDS = 5.0


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def on_core(core: int | None) -> Callable[[], None]:
    """What a child does before it becomes a program: it keeps to a core, and dies with us."""

    def prepare() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))

    return prepare


class Ended(Refused):
    """A program that was to run on has ended."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status  # below 0: the signal


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment; at the next somebody may."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening_sockets(port: int) -> set[str]:
    """Of 127.0.0.1, as the links in /proc/PID/fd call them."""
    found = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            found.add(f"socket:[{fields[9]}]")
    return found


def entries(directory: str) -> list[pathlib.Path]:
    """What is in it; nothing where it has gone, as processes and threads do at any moment.

    Path.glob() looks at what it finds, and ends with ProcessLookupError where that has gone.
    """
    with contextlib.suppress(OSError):
        return [pathlib.Path(directory, name) for name in os.listdir(directory)]
    return []


def has_open(pid: int, links: set[str]) -> bool:
    for path in entries(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(path) in links:
                return True
    return False


def children(pid: int) -> list[int]:
    """The processes that any thread of this one has started and that still are."""
    found: list[int] = []
    for thread in entries(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in (thread / "children").read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for child in children(pid):
        found += tree(child)
    return found


def group(leader: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for process in entries("/proc"):
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            text = (process / "stat").read_text()
            state, _, process_group = text[text.rindex(")") + 2 :].split()[:3]
            if int(process_group) == leader and state not in "ZX":
                found.append(int(process.name))
    return found


class Process:
    """A program in the background, pinned to one core if any, with its output in a file.

    It leads a process group of its own, and only that group is ever signalled.
    """

    def __init__(
        self,
        command: Sequence[str],
        core: int | None,
        log: pathlib.Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=on_core(core),
            )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def running(self) -> bool:
        return self._popen.poll() is None

    def pids(self) -> list[int]:
        if not self.running():
            status = int(self._popen.returncode)
            text = f"{self.command[0]} (status {status}) has ended by itself: "
            raise Ended(text + self.output().strip()[-400:], status)
        return tree(self.pid)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait_for(self, pattern: str, what: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Until the output matches; `what` it is to tell, for the refusal."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.output())):
            self.pids()
            if time.monotonic() > deadline:
                raise Refused(f"{self.command[0]} does not tell {what}: {self.output()[-400:]}")
            time.sleep(0.01)
        return match

    def wait_until_listening(self, port: int) -> None:
        """Looks whose socket it is: a connection could be one to somebody else."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            sockets = listening_sockets(port)
            if any(has_open(pid, sockets) for pid in self.pids()):
                return
            time.sleep(0.02)
        raise Refused(f"{self.command[0]} does not listen on port {port}: {self.output()[-400:]}")

    def finish(self, any_code: bool = False, seconds: float | None = None) -> None:
        """stop(), and refuses what had ended before, and what does not end well.

        It ends well with 0, or by the SIGTERM that it is sent, where it has no handler for that;
        with `any_code` also with another exit code.
        """
        try:
            self.pids()
        finally:
            self.stop(seconds)
        status = self._popen.poll()
        by_code = any_code and status is not None and status > 0
        if status not in (0, -signal.SIGTERM) and not by_code:
            text = self.output().strip()[-400:]
            raise Refused(f"{self.command[0]} ended with {status} after SIGTERM: {text}")

    def stop(self, seconds: float | None = None) -> None:
        """Ends the whole group: a child may live a little longer than its parent, or not listen.

        Who does not listen for so long, STOP_SECONDS if not told, is killed.
        """
        self._end(seconds or STOP_SECONDS, signal.SIGTERM, signal.SIGKILL)

    def kill(self) -> None:
        """The same at once. Refuses what had ended before."""
        try:
            self.pids()
        finally:
            self._end(STOP_SECONDS, signal.SIGKILL)

    def _end(self, seconds: float, *numbers: int) -> None:
        for number in numbers:
            if not self._members():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            deadline = time.monotonic() + seconds
            while self._members() and time.monotonic() < deadline:
                time.sleep(0.005)

    def _members(self) -> list[int]:
        self._popen.poll()  # the leader is ours to reap
        return group(self.pid)


def run_pinned(command: Sequence[str], core: int, timeout: float) -> tuple[str, float]:
    """Runs a program to its end on one core: what it printed, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=on_core(core),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        text = (done.stderr or done.stdout).strip()
        raise Refused(f"{command[0]} failed with {done.returncode}: {text[-400:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, spent
