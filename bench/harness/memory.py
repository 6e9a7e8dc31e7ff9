"""Memory of processes, and of the kernel."""

import pathlib
import re


def _kib(text: str, label: str) -> int:
    match = re.search(rf"^{label}:\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"no {label}")
    return int(match.group(1))


def parse_anonymous(smaps_rollup: str) -> int:
    """Bytes of memory the process has written to; files and the rings of io_uring are not in it."""
    return 1024 * _kib(smaps_rollup, "Anonymous")


def parse_pss(smaps_rollup: str) -> int:
    """Bytes resident, of a page that several processes have mapped only its share."""
    return 1024 * _kib(smaps_rollup, "Pss")


def parse_page_tables(status: str) -> int:
    return 1024 * _kib(status, "VmPTE")


def user_bytes(pid: int) -> int:
    return parse_anonymous(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())


def parse_slab(meminfo: str) -> int:
    return 1024 * _kib(meminfo, "Slab")


def kernel_bytes() -> int:
    """The kernel's small objects, of the whole machine: sockets, files, registrations."""
    return parse_slab(pathlib.Path("/proc/meminfo").read_text())
