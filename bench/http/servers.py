"""The servers that are compared, and how each is started: one process, one thread, one core."""

import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Sequence

from bench.harness import process
from bench.harness.errors import Missing, Refused
from bench.http import check
from bench.http.scenarios import PIPELINE

# Another program may take the port that was chosen for a server before it listens there.
START_ATTEMPTS = 3
BACKENDS = ("select", "poll", "epoll_lt", "epoll_et", "io_uring")


@dataclasses.dataclass(frozen=True)
class Paths:
    build: pathlib.Path
    scratch: pathlib.Path  # a directory for this run's files

    def helper(self, name: str) -> pathlib.Path:
        return self.build / "bench" / "http" / name


# From paths, port and a directory of its own to the command line. A server with a backend gets port
# 0, for any, and says in its start line which it is.
MakeCommand = Callable[[Paths, int, pathlib.Path], list[str]]


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    kind: str  # "quintet", "floor" or "peer"
    make_command: MakeCommand
    program: str  # name on PATH, or path below the build directory
    backend: str = ""  # that the start line is to name; empty where there is no such line
    version: tuple[str, ...] = ()
    note: str = ""

    def missing(self, paths: Paths) -> str:
        """Why it cannot run here; empty when it can."""
        if "/" in self.program:
            if not (paths.build / self.program).exists():
                return f"{self.program} is not built"
        elif shutil.which(self.program) is None:
            return f"{self.program} is not installed"
        return ""

    def try_out(self, paths: Paths, core: int, seccomp: bool = False) -> str:
        """Why it cannot run here; empty when it does, answers rightly and ends well. Refuses one
        that runs and does not."""
        if reason := self.missing(paths):
            return reason
        try:
            running = self.start(paths, core, seccomp)
        except process.Ended as ended:
            # A machine without io_uring can still measure the rest. A crash is no such machine.
            if self.backend == "io_uring" and ended.status > 0:
                return str(ended)
            raise
        with running:
            check.verify(running.port)
            check.verify(running.port, PIPELINE)
            check.verify(running.port, PIPELINE, varied=True)
        return ""

    def start(self, paths: Paths, core: int, seccomp: bool = False) -> "Running":
        if reason := self.missing(paths):
            raise Missing(f"{self.name}: {reason}")
        attempts = 1 if self.backend else START_ATTEMPTS
        while True:
            attempts -= 1
            port = 0 if self.backend else process.free_port()
            try:
                return self._start_on(port, paths, core, seccomp)
            except process.Ended:
                if attempts == 0:
                    raise

    def _start_on(self, port: int, paths: Paths, core: int, seccomp: bool) -> "Running":
        paths.scratch.mkdir(parents=True, exist_ok=True)
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=paths.scratch))
        directory.chmod(0o755)  # servers may give up their privileges
        command = self.make_command(paths, port, directory)
        if seccomp:
            wrapper = paths.helper("under_seccomp")
            if not wrapper.exists():
                raise Missing("under_seccomp is not built (Debian: libseccomp-dev)")
            command = [str(wrapper), *command]
        started = process.Process(command, core, directory / "log")
        try:
            if self.backend:
                port = self.read_start_line(started)
            started.wait_until_listening(port)
        except BaseException:
            started.stop()
            raise
        return Running(self, started, port)

    def read_start_line(self, started: process.Process) -> int:
        """The port. The line names the backend in use, too: a fallback must not pass for what was
        asked."""
        pattern = r"listening on 127\.0\.0\.1:(\d+);(?:.*;)? backend ([a-z_]+).*\n"
        match = started.wait_for(pattern, "its port and backend")
        port, active = match.groups()
        if active != self.backend:
            raise Refused(f"{self.name} was asked for {self.backend} and runs on {active}")
        return int(port)


@dataclasses.dataclass(frozen=True)
class Running:
    server: Server
    process: process.Process
    port: int

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """What was measured counts only of a server that lived until it was told to end."""
        if error is None:
            # Others have their own ways: lighttpd answers SIGTERM with 1 while it has clients.
            self.process.finish(any_code=self.server.kind == "peer")
        else:
            self.process.stop()


def _quintet(backend: str) -> Server:
    def command(paths: Paths, port: int, _: pathlib.Path) -> list[str]:
        listen = ["--listen", f"127.0.0.1:{port}"]
        return [str(paths.build / "apps/hello"), "--backend", backend, "--shards", "1", *listen]

    return Server(f"quintet-{backend}", "quintet", command, "apps/hello", backend)


def _floor(backend: str) -> Server:
    program = f"bench/floors/floor_{backend}"

    def command(paths: Paths, port: int, _: pathlib.Path) -> list[str]:
        return [str(paths.build / program), str(port)]

    return Server(f"floor-{backend}", "floor", command, program, backend)


def _written_here(name: str, note: str) -> Server:
    program = f"bench/peers/peer_{name}"

    def command(paths: Paths, port: int, _: pathlib.Path) -> list[str]:
        return [str(paths.build / program), str(port)]

    version = ("{build}/" + program, "--version")
    return Server(name, "peer", command, program, version=version, note=note)


def _configured(
    name: str,
    configuration: str,
    arguments: list[str],
    version: tuple[str, ...],
    note: str,
    files: dict[str, str] | None = None,
) -> Server:
    """A server of the distribution. {port}, {directory} and {configuration} are replaced."""

    def command(_: Paths, port: int, directory: pathlib.Path) -> list[str]:
        file = directory / "server.conf"
        places = {"port": str(port), "directory": str(directory), "configuration": str(file)}

        def fill(text: str) -> str:
            for key, value in places.items():
                text = text.replace("{" + key + "}", value)
            return text

        for path, text in (files or {}).items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
        file.write_text(fill(configuration))
        return [name, *map(fill, arguments)]

    return Server(name, "peer", command, name, version=version, note=note)


_NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {directory}/pid;
events { worker_connections 4096; multi_accept on; use epoll; }
http {
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 75s;
  default_type text/plain;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {
    listen 127.0.0.1:{port};
    location / { return 200 "Hello, World!"; }
  }
}
"""

_H2O = """
num-threads: 1
max-connections: 4096
listen: { host: 127.0.0.1, port: {port} }
http1-request-timeout: 75
file.mime.setdefaulttype: text/plain
file.index: [ 'hello' ]
file.etag: OFF
hosts:
  default:
    paths:
      "/": { file.dir: {directory}/www }
"""

_LIGHTTPD = """
server.port = {port}
server.bind = "127.0.0.1"
server.document-root = "{directory}/www"
server.errorlog = "{directory}/errors"
server.event-handler = "linux-sysepoll"
server.max-worker = 0
server.max-fds = 8192
server.max-connections = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 75
index-file.names = ( "hello.txt" )
mimetype.assign = ( ".txt" => "text/plain" )
static-file.etags = "disable"
"""

_HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-request 10s
  timeout http-keep-alive 75s
frontend hello
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "Hello, World!"
"""


def _peers() -> list[Server]:
    return [
        _configured(
            "nginx", _NGINX, ["-e", "stderr", "-p", "{directory}", "-c", "{configuration}"],
            ("nginx", "-v"), "return 200 with a text",
        ),
        _configured(
            "h2o", _H2O, ["-m", "worker", "-c", "{configuration}"], ("h2o", "--version"),
            "a file of 13 bytes", {"www/hello": "Hello, World!"},
        ),
        _configured(
            "lighttpd", _LIGHTTPD, ["-D", "-f", "{configuration}"], ("lighttpd", "-v"),
            "a file of 13 bytes; closes a connection after 65,535 requests",
            {"www/hello.txt": "Hello, World!"},
        ),
        _configured(
            "haproxy", _HAPROXY, ["-db", "-f", "{configuration}"], ("haproxy", "-v"),
            "http-request return, no backend; sends no Date",
        ),
        _written_here("libh2o", "libh2o's handler interface on its own loop"),
        _written_here("microhttpd", "libmicrohttpd, MHD_USE_EPOLL and MHD_USE_TURBO"),
        _written_here("evhttp", "libevent's own HTTP server"),
        _written_here("libuv", "libuv with llhttp; no limits, no deadlines"),
        _written_here("beast", "Boost.Asio and Beast; no deadlines"),
    ]


def everything() -> list[Server]:
    return [
        *(_quintet(backend) for backend in BACKENDS),
        *(_floor(backend) for backend in BACKENDS),
        *_peers(),
    ]


def by_name(name: str) -> Server:
    for server in everything():
        if server.name == name:
            return server
    raise KeyError(name)


def versions(chosen: Sequence[Server], build: pathlib.Path) -> dict[str, list[str]]:
    found = {
        "quintet": [str(build / "apps/hello"), "--version"],
        "compiler": ["c++", "--version"],
        "wrk": ["wrk", "-v"],
    }
    for server in chosen:
        if server.version:
            found[server.name] = [word.replace("{build}", str(build)) for word in server.version]
    return found
