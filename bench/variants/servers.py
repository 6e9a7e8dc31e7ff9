"""The variants of the io_uring floor (ring_floor.cc), and hello under other allocators."""

import ctypes.util
import dataclasses
import pathlib

from bench.harness.errors import Refused
from bench.http.servers import Paths, Running, Server
from bench.http.servers import by_name as http_server

BASE = "base"
AGAIN = " again"  # behind a name: another process of the same, for the noise
FLOOR = "floor-io_uring"
REFUSAL = "the kernel refuses"  # as ring_floor says it
RING_FLOOR = "bench/variants/ring_floor"

# What each does in place of what base does.
VARIANTS = {
    "one_shot": "a receive is submitted anew for each request",
    "poll_only": "multishot poll, then recv(2) and send(2)",
    "inline_send": "send(2) in place of a send entry",
    "send_completions": "a completion also for a send that succeeded",
    "bundle": "a receive may fill several buffers (IORING_RECVSEND_BUNDLE)",
    "incremental": "16 buffers of 64 KiB, each used by many receives (IOU_PBUF_RING_INC)",
    "direct": "direct descriptors, from the accept on",
    "sqpoll": "a thread of the kernel submits (IORING_SETUP_SQPOLL), on any core; no DEFER_TASKRUN",
    "napi": "busy polling of 50 us (IORING_REGISTER_NAPI); loopback has no queue to poll",
    "min_wait": "waits for 32 completions or 20 us, then for one (minimum wait)",
    "zero_copy": "IORING_OP_SEND_ZC from registered memory; has completions, as send_completions",
    "huge_pages": "receive buffers in one page of 2 MiB",
}

# Name, and the library as the linker would be asked for it. Debian: libjemalloc2,
# libtcmalloc-minimal4, libmimalloc2.0.
ALLOCATORS = {"jemalloc": "jemalloc", "tcmalloc": "tcmalloc_minimal", "mimalloc": "mimalloc"}
HELLO_BACKENDS = ("io_uring", "epoll_et")


def plain(name: str) -> str:
    return name.removesuffix(AGAIN)


def _ring(name: str) -> Server:
    def command(paths: Paths, port: int, _: pathlib.Path) -> list[str]:
        return [str(paths.build / RING_FLOOR), plain(name), str(port)]

    return Server(name, "variant", command, RING_FLOOR, backend=plain(name))


def hello(backend: str, allocator: str = "") -> str:
    """The name of it."""
    return f"quintet-{backend}" + (f" {allocator}" if allocator else "")


def library(allocator: str) -> str | None:
    """What LD_PRELOAD takes; None where it is not installed."""
    return ctypes.util.find_library(ALLOCATORS[allocator])


def _hello(name: str) -> Server:
    base, _, allocator = plain(name).partition(" ")
    server = http_server(base)
    if not allocator:
        return dataclasses.replace(server, name=name)
    preloaded = library(allocator) or ""

    def command(paths: Paths, port: int, directory: pathlib.Path) -> list[str]:
        return ["env", f"LD_PRELOAD={preloaded}", *server.make_command(paths, port, directory)]

    return dataclasses.replace(server, name=name, make_command=command)


def by_name(name: str) -> Server:
    if name == FLOOR:
        return http_server(name)
    return _hello(name) if name.startswith("quintet-") else _ring(name)


def check_allocator(running: Running) -> None:
    """The dynamic linker only warns of what it cannot preload."""
    _, _, allocator = plain(running.server.name).partition(" ")
    if allocator not in ALLOCATORS:
        return
    maps = pathlib.Path(f"/proc/{running.process.pid}/maps").read_text()
    if f"lib{ALLOCATORS[allocator]}" not in maps:
        raise Refused(f"{running.server.name} runs without its allocator")
