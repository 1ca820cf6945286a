"""Servers that start without the time that imports take: forked from a process that has imported all.

Everything after the imports is as the ``bleepstore`` command does it. Run as a program it forks: each
line of its input is a request, each of its output the answer.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from server_process import PATIENCE, ServerProcess, environment

IMPORTED = (
    *("bleepstore.app", "bleepstore.cli", "bleepstore.config", "bleepstore.logs", "bleepstore.supervisor"),
    *("bleepstore.s3.plugin", "bleepstore.s3.table", "bleepstore.sqlite.engine", "bleepstore.upkeep.rounds"),
    *("bleepstore_backend_local.backend", "uvloop"),
)
"""What a server imports when it starts."""


class Warm:
    """The process that forks; end it with ``close``."""

    def __init__(
        self, more: Mapping[str, str] | None = None, prelude: str = "", imported: Sequence[str] = ()
    ) -> None:
        """``more``: of the environment. ``prelude``: Python that is run after the imports.

        ``imported``: more modules.
        """
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), prelude, *imported],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path), **(more or {})},
        )

    def ask(self, request: str, *arguments: object) -> Any:
        """One request of :func:`serve_forks`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps([request, *arguments]).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Fork no more."""
        self._process.communicate()


class _Forked:
    """As much of Popen as ServerProcess uses."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self._warm = warm
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._warm.ask("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("bleepstore", timeout)
            time.sleep(0.001)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class WarmServer(ServerProcess):
    """A ServerProcess that is forked."""

    def __init__(self, warm: Warm, directory: Path, **more: Any) -> None:
        super().__init__(directory, **more)
        self.prelude = ""
        """Python that is run in the next of its lives before it starts."""
        self._warm = warm

    def launch(self) -> None:
        """Fork and do not wait."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = 0
        arguments = ["serve", str(self.directory / "data"), "--config", str(self.configure())]
        arguments += ["--port", "0", "--workers", str(self.workers)]
        self.log.write_bytes(b"")
        pid = self._warm.ask("fork", str(self.log), arguments, self.prelude)
        self.process = _Forked(self._warm, pid)  # type: ignore[assignment]


def _fork(log: str, arguments: Sequence[str], prelude: str) -> int:
    pid = os.fork()
    if pid:
        with suppress(PermissionError):  # it has done that already, and more
            os.setpgid(pid, pid)
        return pid
    code = 1
    try:
        os.setpgid(0, 0)  # so that one signal reaches every worker, from the first moment on
        with Path(log).open("ab", buffering=0) as file, Path("/dev/null").open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        exec(prelude, {})
        from bleepstore.cli import main

        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _poll(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def serve_forks() -> None:
    """Answer requests: ``fork LOG ARGUMENTS PRELUDE`` a server, ``poll PID`` whether and how it has ended."""
    for name in (*IMPORTED, *sys.argv[2:]):
        importlib.import_module(name)
    exec(sys.argv[1], {})
    out = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        answer = _fork(*arguments) if request == "fork" else _poll(*arguments)
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    serve_forks()
