"""What a process tree has used, threads and processes that ended included.

While a server lives:

  CPU time          the CPU clock of each process (clock_getcpuclockid(3)) counts its threads, also
                    those that ended, in nanoseconds; what processes used that ended and were waited
                    for is in the cutime and cstime of who waited (proc(5)), in ticks
  context switches  each living thread has its own (proc(5)); of those that ended nobody tells

Once it has ended, whoever waited for it has all of both (getrusage(2), RUSAGE_CHILDREN): threads,
and processes that were waited for.
"""

import contextlib
import dataclasses
import pathlib
import re
import resource
import time
from collections.abc import Iterable, Sequence

from bench.harness import cpu, memory
from bench.harness.process import entries


def _process_clock(pid: int) -> int:
    """The clock id as the kernel has it: all threads of a process, exact (posix-timers.h)."""
    return (~pid << 3) | 2


def cpu_seconds(tree: Sequence[int]) -> float:
    """`tree` as process.tree() has it, children behind their parents."""
    total = 0.0
    # Backwards: what ends meanwhile is in its parent's count then.
    for pid in reversed(tree):
        with contextlib.suppress(OSError):
            total += time.clock_gettime(_process_clock(pid))
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            total += sum(cpu.parse_children(stat)) / cpu.TICKS_PER_SECOND
    return total


_SWITCHES = re.compile(r"^(non)?voluntary_ctxt_switches:\s*(\d+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Switches:
    voluntary: int = 0  # it had nothing to do, or waited for something
    forced: int = 0  # others were to run

    def __add__(self, other: "Switches") -> "Switches":
        return Switches(self.voluntary + other.voluntary, self.forced + other.forced)

    def __sub__(self, earlier: "Switches") -> "Switches":
        return Switches(self.voluntary - earlier.voluntary, self.forced - earlier.forced)

    @property
    def total(self) -> int:
        return self.voluntary + self.forced


def parse_switches(status: str) -> Switches:
    found = {bool(forced): int(count) for forced, count in _SWITCHES.findall(status)}
    return Switches(found.get(False, 0), found.get(True, 0))


def switches(pids: Iterable[int]) -> Switches:
    """Of the threads that are."""
    total = Switches()
    for pid in pids:
        for thread in entries(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                total += parse_switches((thread / "status").read_text())
    return total


def reaped_switches() -> Switches:
    """Of all processes that this one has waited for, and those they have waited for."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Switches(found.ru_nvcsw, found.ru_nivcsw)


@dataclasses.dataclass(frozen=True)
class Size:
    """Of a process tree at one moment, or as nearly so as one can walk through it."""

    pss_bytes: int = 0
    page_table_bytes: int = 0
    processes: int = 0
    threads: int = 0


def size(pids: Iterable[int]) -> Size:
    pss = tables = processes = threads = 0
    for pid in pids:
        directory = pathlib.Path(f"/proc/{pid}")
        # What has ended meanwhile has none of these any more.
        with contextlib.suppress(OSError, ValueError):
            status = (directory / "status").read_text()
            own_tables = memory.parse_page_tables(status)
            pss += memory.parse_pss((directory / "smaps_rollup").read_text())
            tables += own_tables
            processes += 1
            threads += len(list((directory / "task").iterdir()))
    return Size(pss, tables, processes, threads)
