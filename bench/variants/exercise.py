"""Whether a server answers rightly also where a variant could go wrong: buffers, many, the end."""

import contextlib
import socket

from bench.harness.errors import Refused
from bench.http import check, scenarios

# More than a receive buffer holds of them, so that bundles and buffers in parts are met.
LONG_PIPELINE = 400
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _reply(peer: socket.socket) -> None:
    """Reads one reply, to its last byte and no further."""
    data = b""
    while (reply := check.split_reply(data)) is None:
        piece = peer.recv(65536)
        if not piece:
            raise Refused("the connection ended before its reply")
        data += piece
    if reply[1] != check.BODY or reply[2]:
        raise Refused(f"wrong reply: {data[:200]!r}")


def _ends(peer: socket.socket) -> None:
    if left := peer.recv(65536):
        raise Refused(f"{len(left)} bytes came in place of the end")


def _crowd(port: int, count: int) -> None:
    """All of them open at a time, with a request on each, twice."""
    with contextlib.ExitStack() as stack:
        peers = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", port), check.TIMEOUT_SECONDS)
            )
            for _ in range(count)
        ]
        for _ in range(2):
            for peer in peers:
                peer.sendall(REQUEST)
            for peer in peers:
                _reply(peer)


def _half_close(port: int) -> None:
    """The end comes with the request, in pieces of one, or alone."""
    for request in (REQUEST, b""):
        with socket.create_connection(("127.0.0.1", port), check.TIMEOUT_SECONDS) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in request:
                peer.sendall(bytes([octet]))
            peer.shutdown(socket.SHUT_WR)
            if request:
                _reply(peer)
            _ends(peer)


def exercise(port: int, connections: int) -> None:
    try:
        for count in (1, scenarios.PIPELINE, LONG_PIPELINE):
            check.verify(port, count)
        for count in (1, connections, connections):  # the second crowd has the first's descriptors
            _crowd(port, count)
        _half_close(port)
    except OSError as error:
        raise Refused(f"no right reply on port {port}: {error}") from None
