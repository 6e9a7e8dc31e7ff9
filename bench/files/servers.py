"""The file servers that are compared, all of the same directory."""

import pathlib

from bench.http.servers import BACKENDS, Paths, Server

ROOT = "root"  # below the scratch directory

# Its own way of a file to a socket, and nothing that costs without need.
_NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {directory}/pid;
events {{ worker_connections 4096; use epoll; }}
http {{
  access_log off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 75s;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {root};
  }}
}}
"""


def root(paths: Paths) -> pathlib.Path:
    return paths.scratch / ROOT


def files(backend: str, fsync: str = "directory") -> Server:
    def command(paths: Paths, port: int, _: pathlib.Path) -> list[str]:
        return [str(paths.build / "apps/files"), "serve", "--root", str(root(paths)),
                "--listen", f"127.0.0.1:{port}", "--backend", backend, "--shards", "1",
                "--fsync", fsync]

    return Server(f"files-{backend}", "quintet", command, "apps/files", backend)


def nginx() -> Server:
    def command(paths: Paths, port: int, directory: pathlib.Path) -> list[str]:
        configuration = directory / "server.conf"
        configuration.write_text(
            _NGINX.format(directory=directory, port=port, root=root(paths))
        )
        return ["nginx", "-e", "stderr", "-p", str(directory), "-c", str(configuration)]

    return Server("nginx", "peer", command, "nginx", version=("nginx", "-v"),
                  note="sendfile on, tcp_nopush on")


REFERENCE = nginx()
REFERENCE_BACKEND = "epoll_et"

__all__ = ["BACKENDS", "REFERENCE", "REFERENCE_BACKEND", "ROOT", "files", "nginx", "root"]
