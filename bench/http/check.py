"""Whether a server answers the hello request rightly."""

import re
import socket

from bench.harness.errors import Refused

BODY = b"Hello, World!"
TIMEOUT_SECONDS = 5.0


def split_reply(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head, body and what follows of the first reply; None while it is not complete."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Refused(f"wrong answer: {head[:60]!r}")
    length = re.search(rb"(?im)^content-length: *(\d+)\r?$", head)
    if length is None:
        raise Refused(f"the reply has no Content-Length: {head!r}")
    size = int(length.group(1))
    return (head, rest[:size], rest[size:]) if len(rest) >= size else None


def _request(port: int, number: int | None) -> bytes:
    query = "" if number is None else f"?number={number}"
    field = "" if number is None else f"X-Request-Id: {number}\r\n"
    return f"GET /{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{field}\r\n".encode()


def verify(port: int, count: int = 1, varied: bool = False) -> bytes:
    """Sends `count` requests at once and demands as many right replies. Returns the first whole.

    `varied`: as varied.lua makes them.
    """
    requests = b"".join(_request(port, number if varied else None) for number in range(count))
    first = b""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as peer:
            peer.sendall(requests)
            data = b""
            for number in range(count):
                while (reply := split_reply(data)) is None:
                    piece = peer.recv(65536)
                    if not piece:
                        raise Refused(f"the connection ended after {number} of {count} replies")
                    data += piece
                head, body, rest = reply
                if body != BODY:
                    raise Refused(f"the body is {body[:40]!r}, not {BODY!r}")
                if number == 0:
                    first = head + b"\r\n\r\n" + body
                data = rest
            if data:
                raise Refused(f"{len(data)} bytes came behind the last reply")
    except OSError as error:
        raise Refused(f"no right reply on port {port}: {error}") from None
    return first
