"""Counts the system calls of a process.

Best by the kernel's own tracepoint, through perf_event_open(2): it needs no hardware counter and
slows a call by little, so that the server runs as it does without. It needs root, and tracefs;
where nobody has mounted that, mount_tracefs() does, for this process and its children alone.

Otherwise by strace, which stops the process at each call. Then the server is much slower than its
load, finds more connections ready at each wait than it would have, and the waits per request come
out too low; the calls per ready connection are right.
"""

import ctypes
import dataclasses
import fcntl
import os
import pathlib
import re
import struct
import subprocess
import time
from collections.abc import Sequence

from bench.harness.errors import Missing, Refused

# Each wait of a loop is one of these.
WAIT_CALLS = frozenset(
    "select pselect6 poll ppoll epoll_wait epoll_pwait epoll_pwait2 io_uring_enter".split()
)
# asm/unistd_64.h
WAIT_NUMBERS = {"x86_64": (23, 270, 7, 271, 232, 281, 441, 426)}

TRACEPOINT = pathlib.Path("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")


_LIBC = ctypes.CDLL(None, use_errno=True)


def mount_tracefs() -> None:
    """In a mount namespace of its own, which ends with this process. Does nothing without root."""
    new_mount_namespace, private, recursive = 0x20000, 1 << 18, 0x4000
    if TRACEPOINT.exists() or os.geteuid() != 0 or _LIBC.unshare(new_mount_namespace) != 0:
        return
    if _LIBC.mount(b"none", b"/", None, ctypes.c_ulong(private | recursive), None) == 0:
        _LIBC.mount(b"tracefs", b"/sys/kernel/tracing", b"tracefs", ctypes.c_ulong(0), None)


@dataclasses.dataclass(frozen=True)
class Counts:
    calls: int
    waits: int


class Tracepoint:
    """Counts between creation and read()."""

    _PERF_EVENT_OPEN = 298
    _TYPE_TRACEPOINT = 2
    _SET_FILTER = 0x40082406
    _FLAG_INHERIT = 1 << 1
    _ATTR_BYTES = 112

    def __init__(self, pids: Sequence[int]) -> None:
        self._all: list[int] = []
        self._waits: list[int] = []
        numbers = WAIT_NUMBERS[os.uname().machine]
        waits = " || ".join(f"id == {number}" for number in numbers).encode()
        try:
            for pid in pids:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    self._all.append(self._open(int(thread)))
                    descriptor = self._open(int(thread))
                    self._waits.append(descriptor)
                    fcntl.ioctl(descriptor, self._SET_FILTER, waits + b"\0")
        except OSError:
            self.close()
            raise

    @staticmethod
    def available() -> bool:
        if os.uname().machine not in WAIT_NUMBERS:
            return False
        try:
            counter = Tracepoint([os.getpid()])
        except (OSError, ValueError):
            return False
        counter.close()
        return True

    def _open(self, thread: int) -> int:
        kind = int(TRACEPOINT.read_text())
        attributes = struct.pack("=IIQQQQQ", self._TYPE_TRACEPOINT, self._ATTR_BYTES, kind, 0, 0, 0,
                                 self._FLAG_INHERIT)
        buffer = ctypes.create_string_buffer(attributes, self._ATTR_BYTES)
        descriptor = _LIBC.syscall(ctypes.c_long(self._PERF_EVENT_OPEN), buffer,
                                   ctypes.c_int(thread), ctypes.c_int(-1), ctypes.c_int(-1),
                                   ctypes.c_ulong(0))
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "perf_event_open")
        return int(descriptor)

    @staticmethod
    def _sum(descriptors: Sequence[int]) -> int:
        return sum(struct.unpack("=Q", os.read(descriptor, 8))[0] for descriptor in descriptors)

    def read(self) -> Counts:
        return Counts(self._sum(self._all), self._sum(self._waits))

    def close(self) -> None:
        for descriptor in self._all + self._waits:
            os.close(descriptor)
        self._all, self._waits = [], []


def parse_strace(text: str) -> Counts:
    """The table of strace -c."""
    calls = waits = 0
    for line in text.splitlines():
        match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
        if match and match.group(2) != "total":
            calls += int(match.group(1))
            if match.group(2) in WAIT_CALLS:
                waits += int(match.group(1))
    return Counts(calls, waits)


class Strace:
    """strace -f -c, attached to a process from creation to read()."""

    def __init__(self, pids: Sequence[int], table: pathlib.Path) -> None:
        self._table = table
        command = ["strace", "-f", "-c", "-o", str(table)]
        for pid in pids:
            command += ["-p", str(pid)]
        try:
            self._popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True,
            )
        except FileNotFoundError:
            raise Missing("strace is not installed") from None
        self._wait_until_attached(pids[0])

    def _wait_until_attached(self, pid: int) -> None:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and self._popen.poll() is None:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            if f"TracerPid:\t{self._popen.pid}\n" in status:
                return
            time.sleep(0.01)
        self._popen.kill()
        _, errors = self._popen.communicate()
        raise Refused(f"strace does not attach: {errors.strip()}")

    def read(self) -> Counts:
        self._popen.terminate()
        self._popen.communicate(timeout=10)
        return parse_strace(self._table.read_text())

    def close(self) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.communicate()
