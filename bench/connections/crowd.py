"""The client process, see crowd.cc."""

import os
import pathlib
import subprocess

from bench.harness.errors import Refused


class Crowd:
    def __init__(self, build: pathlib.Path, port: int, core: int) -> None:
        self._process = subprocess.Popen(
            [str(build / "bench/connections/crowd"), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _do(self, command: str) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(command + "\n")
            answer = self._process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if not answer:
            said = self._process.communicate()[1].strip()
            raise Refused(f"the clients ended at '{command}': {said}")
        return int(answer)

    def open(self, count: int) -> int:
        return self._do(f"open {count}")

    def burst(self) -> int:
        return self._do("burst")

    def ask(self, seconds: float) -> int:
        return self._do(f"ask {seconds}")

    def churn(self, seconds: float) -> int:
        return self._do(f"churn {seconds}")

    def close(self) -> None:
        self._do("close")
