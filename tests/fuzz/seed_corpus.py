#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: tests/fuzz/corpus/TARGET/seed-NNN.

usage: python3 tests/fuzz/seed_corpus.py

They are the cases of the targets' unit tests in short: what a fuzzer would take long to come upon.
Other files of the corpora are findings of the past; they stay.
"""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def write(target: str, seeds: list[bytes]) -> None:
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("seed-*"):
        old.unlink()
    for number, seed in enumerate(seeds):
        (directory / f"seed-{number:03}").write_bytes(seed)


def crc32c(data: bytes) -> int:
    """RFC 3720 appendix B.4."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def address() -> list[bytes]:
    texts = [
        "127.0.0.1:8080", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:8080", "[::]:0",
        "[2001:db8::7]:443", "[::ffff:192.0.2.1]:80", "[fe80::1%lo]:80", "[ff02::1%1]:80",
        "[fe80::1%4294967295]:1", "unix:/run/app.sock", "unix:relative.sock", "unix:@abstract",
        "unix:./@file", "unix:" + "p" * 107, "unix:" + "p" * 108, "unix:@" + "n" * 107, "unix:@a\0b",
        "unix:a\0b", "unix:", "unix:@", "", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
        "127.0.0.1:00080", "127.0.0.01:80", "127.0.0.1\0:80", "::1:80", "[::1]", "[::1]80", "[::1",
        "[fe80::1%]:80", "[::1%lo]:80", "[fe80::1%lo\0]:80", "localhost:80", "127.0.0.1:+80",
        "127.0.0.1:-1", "127.0.0.1:8 ",
    ]
    family = {"unix": 1, "ipv4": 2, "ipv6": 10}
    sockaddrs = [
        struct.pack("=H", family["unix"]),
        struct.pack("=H", family["unix"]) + b"\0",
        struct.pack("=H", family["unix"]) + b"\0name",
        struct.pack("=H", family["unix"]) + b"/path",
        struct.pack("=H", family["unix"]) + b"/path\0behind",
        struct.pack("=H", family["unix"]) + b"@file\0",
        struct.pack("=H", family["unix"]) + b"p" * 108,
        struct.pack("=H", family["unix"]) + b"p" * 108 + b"\0",
        struct.pack("=H", family["unix"]) + b"\0" + b"n" * 107,
        struct.pack("=HHL", family["ipv4"], 80, 127)[:8] + b"junk" * 2,
        struct.pack("=H", family["ipv4"]) + b"\0\x50\x7f\0\0\1" + bytes(8),
        struct.pack("=H", family["ipv6"]) + b"\0\x50" + bytes(4) + b"\xfe\x80" + bytes(13) + b"\1" + b"\1\0\0\0",
        struct.pack("=H", family["ipv6"]) + b"\0\x50" + bytes(4) + bytes(15) + b"\1" + b"\1\0\0\0",
        struct.pack("=H", 16) + bytes(10),
    ]
    return [b"0" + text.encode() for text in texts] + [b"1" + bytes_ for bytes_ in sockaddrs]


def proxy() -> list[bytes]:
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    ipv4 = bytes.fromhex("c0000207cb007109d43101bb")
    ipv6 = bytes.fromhex("20010db8" + "00" * 11 + "07" + "20010db8" + "00" * 11 + "09" + "d43101bb")

    def v2(command: int, family: int, block: bytes) -> bytes:
        return signature + bytes([command, family]) + struct.pack(">H", len(block)) + block

    def tlv(kind: int, value: bytes) -> bytes:
        return bytes([kind]) + struct.pack(">H", len(value)) + value

    def path(name: bytes) -> bytes:
        return name.ljust(108, b"\0")

    lines = [
        "PROXY TCP4 192.0.2.7 203.0.113.9 54321 443", "PROXY TCP4 255.255.255.255 0.0.0.0 65535 0",
        "PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:9 54321 443",
        "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2", "PROXY UNKNOWN", "PROXY UNKNOWN what stands there",
        "PROXY UNKNOWN " + "f" * 91, "PROXY UNKNOWN " + "f" * 92, "PROXY TCP4 192.0.2.7 203.0.113.9 1",
        "PROXY TCP4  192.0.2.7 203.0.113.9 1 2", "PROXY TCP4 192.0.2.07 203.0.113.9 1 2",
        "PROXY TCP4 192.0.2.7\0 203.0.113.9 1 2", "PROXY TCP4 192.0.2.7 203.0.113.9 01 2",
        "PROXY TCP4 192.0.2.7 203.0.113.9 65536 2", "PROXY TCP4 192.0.2.7 203.0.113.9 1 2 3",
        "PROXY TCP6 fe80::1%lo ::1 1 2", "PROXY tcp4 1 2 3 4", "GET / HTTP/1.1",
    ]
    headers = [
        v2(0x21, 0x11, ipv4), v2(0x21, 0x21, ipv6), v2(0x21, 0x31, path(b"/run/a") + path(b"/b")),
        v2(0x21, 0x31, path(b"\0name") + path(b"")), v2(0x21, 0x31, path(b"p" * 108) + path(b"@c\0d")),
        v2(0x20, 0x00, b""), v2(0x20, 0xFF, b"passed over"), v2(0x21, 0x00, b"passed over"),
        v2(0x21, 0x11, ipv4 + tlv(4, b"")), v2(0x21, 0x11, ipv4 + tlv(2, b"example.com") + tlv(0xEA, b"\0\1")),
        v2(0x21, 0x11, ipv4 + tlv(3, bytes.fromhex("393ca4dd"))),
        v2(0x21, 0x11, ipv4 + tlv(2, b"a") + tlv(3, bytes(4)) + tlv(4, b"")),
        v2(0x21, 0x11, ipv4 + tlv(3, bytes(4)) * 2), v2(0x21, 0x11, ipv4 + tlv(3, bytes(3))),
        v2(0x21, 0x11, ipv4 + b"\4\0"), v2(0x21, 0x11, ipv4 + b"\4\0\5abc"), v2(0x21, 0x11, ipv4[:11]),
        v2(0x21, 0x11, ipv4 + tlv(2, b"example.com") + tlv(3, bytes(4))), v2(0x21, 0x12, ipv4), v2(0x22, 0x11, ipv4), v2(0x11, 0x11, ipv4), signature[:7],
        signature + b"\x20\0\xff\xff",
    ]
    seeds = [line.encode() + b"\r\nGET / HTTP/1.1\r\n" for line in lines]
    seeds += [b"PROXY\n", b"PROXY UNKNOWN \r \r\n"] + [header + b"\r\n\0PROXY" for header in headers]
    return [b"0" + seed for seed in seeds] + [b"1" + headers[11], b"1" + headers[12]]


def cgi() -> list[bytes]:
    return [text.encode("latin-1") for text in [
        "Content-Type: text/html; charset=utf-8\nX-One:1 \nSet-Cookie: a=1\nSet-Cookie: \tb=2\n\nbody\n\nmore",
        "Content-Type: text/plain\r\n\r\nbody", "Content-Type: a\r\n\nbody", "Content-Type: a\n\r\nbody",
        "status: 404 Not Found\nCONTENT-TYPE: text/plain\nContent-length: 17\n\n", "Status: 204\n\n",
        "Status: 200\tOK\n\n", "Location: /other/path?x=1\nX-Dropped: 1\n\nbody",
        "Location: https://example.org/a#b\nX-Kept: 1\n\n", "Location: //example.org/x\n\n",
        "Status: 301 Moved\nLocation: http://example.org/\nContent-Type: text/html\n\n<a>",
        "Status: 307 Temporary\nLocation: /here\n\n", "Location: relative\n\n", "Location: :x\n\n",
        "Location: a1+.-:x\n\n", "\n", "X-Only: 1\n\n", "Content-Type:\n\n", "HTTP/1.1 200 OK\n\n",
        "Content-Type : text/plain\n\n", " folded: 1\n\n", ": 1\n\n", "X: a\rb\n\n", "X: a\0b\n\n", "X: a\x7f\n\n",
        "Content-Type: a\nContent-Type: b\n\n", "Location: /a\nLocation: /b\n\n",
        "Status: 200\nStatus: 200\n\n", "Content-Length: 1\nContent-Length: 1\n\n", "Status: 100\n\n",
        "Status: 600\n\n", "Status: 0200\n\n", "Status: -200\n\n", "Status: 200OK\n\n",
        "Content-Length: 18446744073709551615\nStatus: 200\n\n", "Content-Length: 18446744073709551616\n\n",
        "Content-Length: +1\n\n", "Content-Type: a\n" + "X: 1\n" * 99 + "\n",
        "Content-Type: a\n" + "X: 1\n" * 100 + "\n", "Content-Type: a\r\r\n\n", "X-High: \x80\xff\nStatus: 200\n\n",
    ]]


def config() -> list[bytes]:
    return [text.encode() for text in [
        "", "# nothing\n", '[listen]\naddresses = ["127.0.0.1:8080", "unix:/run/hello.sock"]\n',
        "[listen]\naddresses = []\n", "[listen]\naddresses = [1]\n", '[listen]\naddresses = ["localhost:80"]\n',
        '[workers]\ncount = 4\nkind = "process"\n', '[workers]\ncount = "auto"\n', "[workers]\ncount = 0\n",
        '[timeouts]\nbody = "30s"\nheader = "1h30m"\n', '[timeouts]\nkeep_alive = "0.5ms"\n',
        '[timeouts]\nheader = "inf"\n', '[timeouts]\nheader = "-1s"\n', '[timeouts]\nheader = 5\n',
        '[http]\nserver_name = "mine"\n', '[http]\nserver_name = "a\\u0000b"\n', "[http]\nmax_body = 65536\n",
        '[http]\nmax_body = "64KiB"\n', '[http]\nmax_body = "99999999999TiB"\n',
        '[reactor]\nbackend = "epoll_et"\n', '[reactor]\nbackend = "kqueue"\n', '[server]\nmodel = "fork"\n',
        "[process]\ndaemon = true\n", "[process]\ndaemon = 1\n", '[process]\npid_file = "/run/\\u00e9.pid"\n',
        '[cgi]\ndir = "/srv/cgi"\n', "reactor = 1\n", "unknown = 1\n", "[unknown]\na = 1\n",
        '[reactor]\nbackend = "a"\nbackend = "b"\n', '[http]\n"no\\nsuch" = 1\n', '["two\\nlines"]\na = 1\n',
        '"a\\tb" = 1\n', "[http.inner]\na = 1\n", "[[http]]\na = 1\n", "http.max_body = 1\n", "a = \n", "[",
        '[reactor]\nbackend = """\nauto"""\n', "[reactor]\nbackend = 1979-05-27T07:32:00Z\n",
        "[reactor]\nbackend = {a = 1}\n", "[workers]\ncount = 0x10\n", "\ufeff[workers]\ncount = 1\n",
        "[http]\nmax_body = 65537\nmax_header = 32769\n", '[timeouts]\nheader = "1.5s"\nbody = "90m"\nlinger = "1ns"\n',
        "a = " + "[" * 40 + "]" * 40 + "\n",
    ]] + [b"\xff\xfe", b"[http]\nserver_name = \"\xff\"\n"]


def http() -> list[bytes]:
    get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    def post(fields: str, body: str, target: str = "/x") -> str:
        return f"POST {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}"

    def chunked(body: str, target: str = "/x") -> str:
        return post("Transfer-Encoding: chunked\r\n", body, target)

    end = "0\r\n\r\n"
    texts = [
        get, get + get, "\r\n" + get + "\r\n\r\n" + get, "GET / HTTP/1.0\r\n\r\n" + get,
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + get,
        "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get,
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + get, "GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n" + get,
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n" + get,
        "FROB / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.2\r\nHost: a\r\n\r\n" + get, "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n" + get, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n" + get,
        post("Content-Length: 3\r\n", "abc") + get, post("Content-Length: 0003 \t\r\n", "abc") + get,
        post("Content-Length: 3\r\n", "abc", "/stream/x") + get, post("Content-Length: 3\r\n", "ab", "/early/x"),
        post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), post("Content-Length: 3, 3\r\n", "abc"),
        post("Content-Length: +3\r\n", "abc"), post("Content-Length: 18446744073709551616\r\n", ""),
        post("Content-Length: 18446744073709551615\r\n", "abc"), post("Content-Length: 99999\r\n", "abc", "/early/x"),
        chunked("3\r\nabc\r\n" + end) + get, chunked("3\r\nabc\r\n00A\r\n0123456789\r\n" + end, "/stream/x") + get,
        chunked("3;a=b;c=\"d;\\\"e\" ;f\r\nabc\r\n0;g\r\nX: y\r\n\r\n") + get, chunked("3 ; a = b\r\nabc\r\n" + end) + get,
        chunked("3 \r\nabc\r\n" + end), chunked("3\nabc\r\n" + end), chunked("3\r\nabcd\r\n" + end), chunked("3\r\nabc" + end),
        chunked("g\r\n"), chunked("\r\n"), chunked("10000000000000000\r\n"), chunked("ffffffffffffffff\r\nabc"),
        chunked("3;a=\r\nabc\r\n" + end), chunked("0\r\nX : y\r\n\r\n"), chunked("0\r\n\n"), chunked(end, "/early/x") + get,
        chunked("x\r\n", "/early/x"), post("Transfer-Encoding: gzip, chunked\r\n", end),
        post("Transfer-Encoding: chunked, chunked\r\n", end), post("Transfer-Encoding:\tCHUNKED , \t\r\n", end) + get,
        post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", end),
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + end, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc") + get,
        post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc", "/early/x") + get, post("Expect: x\r\n", ""),
        post("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n", "abc") + get,
        post("Connection: close\r\nContent-Length: 3\r\n", "abc") + get, chunked("3\r\nabc\n\n" + end) + get,
        post("Connection: close\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n" + end) + get,
        "\x16\x03\x01\x02\x00\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    small = [get * 7, post("Content-Length: 51\r\n", "b" * 51), chunked("33\r\n" + "b" * 51 + "\r\n" + end),
             "GET /" + "a" * 30 + " HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nb:\r\nc:\r\nd:\r\ne:\r\n\r\n",
             chunked("000000000001\r\n"), "GET / HTTP/1.1\r\nHost: " + "a" * 80 + "\r\n\r\n"]
    return [b"0" + text.encode("latin-1") for text in texts] + [b"1" + text.encode("latin-1") for text in small]


def files() -> list[bytes]:
    def frame(kind: int, payload: bytes = b"", flags: int = 0, request: int = 1, version: int = 1,
              length: int | None = None, crc: int | None = None) -> bytes:
        header = struct.pack(">BBHIII", version, kind, flags, request,
                             len(payload) if length is None else length,
                             crc32c(payload) if crc is None else crc)
        return header + struct.pack(">I", crc32c(header)) + payload

    entry = struct.pack(">BQqQH", 1, 5, -1, 7, 5) + b"a.txt"
    directory = struct.pack(">BQqQH", 2, 0, 1 << 60, 0, 1) + b"d"
    nonce = bytes(range(32))
    quit_ = frame(0x08, request=2)
    streams = [
        b"", frame(0x01, nonce + nonce[::-1]), frame(0x02), frame(0x02, b"dir", flags=4), frame(0x03, b"a/b.txt"),
        frame(0x04, struct.pack(">QQQ", 1, 2**64 - 1, 3) + b"a.txt", flags=2), frame(0x04, b"short"),
        frame(0x05, struct.pack(">QQ", 10, 4) + b"up.bin", flags=0x18) + frame(0x40, b"0123456789") +
        frame(0x0A, struct.pack(">QI", 10, crc32c(b"0123456789"))),
        frame(0x06, b"gone"), frame(0x07, struct.pack(">H", 1) + b"ab"), frame(0x07, struct.pack(">H", 9) + b"ab"),
        quit_, frame(0x09) + quit_, frame(0x81, b"\3" + struct.pack(">I", 16) + nonce),
        frame(0x81, b"\4" + struct.pack(">I", 16) + nonce), frame(0x82), frame(0x82, nonce),
        frame(0x83, struct.pack(">H", 7) + b"not found"), frame(0x83, b"\0"), frame(0x84), frame(0x84, entry + directory),
        frame(0x84, entry + directory[:-1]), frame(0x84, b"\3" + entry[1:]), frame(0x85, entry), frame(0x85, entry * 2),
        frame(0x86, struct.pack(">QI", 3, 4)), frame(0x40), frame(0x40, b"data") + quit_, frame(0x40, b"data", crc=1) + quit_,
        frame(0x40, b"data", flags=1, crc=0) + quit_, frame(0x40, b"cut off")[:-3], frame(0x40, b"", length=1 << 20),
        frame(0x40, b"", length=(1 << 20) + 1), frame(0x03, b"", length=(64 << 10) + 1), frame(0x03, b"path", crc=0) + quit_,
        frame(0x03, version=2), frame(0x7F, b"unknown") + quit_, frame(0x03, b"cut off")[:-1], frame(0x03)[:19],
        frame(0x03, b"x")[:16] + b"\0\0\0\0x", quit_ + b"garbage" * 4,
    ]
    paths = [b"a/../b", b".hidden", b"/a", b"a//b", b"a/", b"a/.", b"n" * 255, b"n" * 256, b"a/" * 2047 + b"a",
             b"a/" * 2048, b"a\0b", b"\xff\xc3\xa4\xc0\x80", b"\xe2\x80\xae\xf0\x9f\x98\x80\xed\xa0\x80", b"\x1b[2J\x7f\xc2\x9b"]
    streams += [frame(0x03, path) for path in paths]
    return [b"0" + stream for stream in streams] + [b"3" + streams[7], b"1" + streams[28], b"2" + streams[20]]


def main() -> None:
    for target in (address, cgi, config, files, http, proxy):
        write(target.__name__, target())


if __name__ == "__main__":
    main()
