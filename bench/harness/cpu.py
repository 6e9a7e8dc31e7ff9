"""CPU time of processes and cores, as the kernel accounts it."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterable

from bench.harness.process import entries

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class CpuTime:
    """Of one or more processes.

    The total is exact (schedstat counts nanoseconds, with what softirqs did in the name of the
    process: on loopback that is most of TCP). User and system time come from another count: where
    the kernel samples them at ticks, their proportion is right to some per cent over a second.
    """

    total_ns: int
    waited_ns: int  # wanted to run, and others had the core
    user_ticks: int
    system_ticks: int

    def __sub__(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.total_ns - earlier.total_ns,
            self.waited_ns - earlier.waited_ns,
            self.user_ticks - earlier.user_ticks,
            self.system_ticks - earlier.system_ticks,
        )

    @property
    def system_share(self) -> float:
        ticks = self.user_ticks + self.system_ticks
        return self.system_ticks / ticks if ticks else 0.0


def parse_stat(text: str) -> tuple[int, int]:
    """utime and stime of a /proc/PID/stat; the name in it may hold blanks and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[11]), int(fields[12])


def parse_children(text: str) -> tuple[int, int]:
    """cutime and cstime of a /proc/PID/stat: of children that ended and were waited for."""
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[13]), int(fields[14])


def of_processes(pids: Iterable[int]) -> CpuTime:
    total_ns = waited_ns = user = system = 0
    for pid in pids:
        for thread in entries(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # a thread may end
                ran, waited, _ = (thread / "schedstat").read_text().split()
                total_ns += int(ran)
                waited_ns += int(waited)
        with contextlib.suppress(OSError):
            utime, stime = parse_stat(pathlib.Path(f"/proc/{pid}/stat").read_text())
            user += utime
            system += stime
    return CpuTime(total_ns, waited_ns, user, system)


def parse_core(text: str, core: int) -> float:
    """Busy seconds of a core since boot, of everything that ran there, from /proc/stat."""
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[0] == f"cpu{core}":
            # user nice system idle iowait irq softirq steal; guest time is part of user.
            ticks = [int(field) for field in fields[1:9]]
            return (sum(ticks) - ticks[3] - ticks[4]) / TICKS_PER_SECOND
    raise ValueError(f"there is no core {core}")


def of_core(core: int) -> float:
    return parse_core(pathlib.Path("/proc/stat").read_text(), core)


def peak_rss_bytes(pids: Iterable[int]) -> int:
    """VmHWM: the most that was resident at a time, summed over the processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += 1024 * int(line.split()[1])
    return total
