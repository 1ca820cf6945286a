"""What is measured: a server that a benchmark starts and stops, or an endpoint that is there already.

A name on the command line is one of

- ``bleepstore`` (``server.workers: auto``), ``bleepstore:2`` (workers) or
  ``bleepstore:2:server.http=asgi:metadata.durability=relaxed``,
- ``seaweedfs``, ``rclone``, ``moto`` (``peers.py``; ``make bench-peers`` installs them),
- given by ``--peer NAME=URL[,ACCESS,SECRET]``, plain HTTP: its processes are those that listen on its port.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from presigned import Presigner
from processes import listeners
from server_process import FIRST, PATIENCE, ServerProcess, answers, command, environment

STOP = 10.0
"""Seconds that a peer has to end in order."""


@dataclass
class Server(ABC):
    """One server; ``start`` may follow ``stop``, on the data that is there."""

    name: str
    directory: Path
    """Where its data lies; all servers of a run share one disk."""
    durability: str = "unknown"
    """What a 200 to a PUT promises, in a few words."""
    access_key: str = FIRST.access_key
    secret_key: str = FIRST.secret_key
    url: str = ""
    made: list[str] = field(default_factory=list)
    """Buckets that the benchmark made."""

    @abstractmethod
    def start(self) -> None:
        """Start, and return when a request was answered."""

    @abstractmethod
    def stop(self) -> None:
        """End it with all its children."""

    @abstractmethod
    def pids(self) -> list[int]:
        """The processes whose families are the server; empty when they are not of this machine."""

    @abstractmethod
    def version(self) -> str:
        """What it calls itself."""

    @abstractmethod
    def command_line(self) -> str:
        """What was started."""

    @property
    def port(self) -> int:
        """The port of the S3 endpoint."""
        return urlsplit(self.url).port or 80

    def presigner(self) -> Presigner:
        """Signs for this endpoint."""
        return Presigner(self.url, self.access_key, self.secret_key)


@dataclass
class BleepStore(Server):
    """This checkout's server, by the ``bleepstore`` command of the environment."""

    workers: str = "auto"
    settings: dict[str, dict[str, object]] = field(default_factory=dict)
    _process: ServerProcess | None = None

    def __post_init__(self) -> None:
        self.durability = (
            "no sync"
            if self.settings.get("metadata", {}).get("durability") == "relaxed"
            else "full: data, directory entry and row synced before a 200"
        )

    def start(self) -> None:
        """Start, and return when a request was answered."""
        self._process = ServerProcess(
            self.directory,
            workers=self.workers,  # type: ignore[arg-type] - goes to the command line as it is
            settings=self.settings,
        ).start()
        self.url = self._process.url

    def stop(self) -> None:
        """End in order."""
        if self._process:
            self._process.stop()
            self._process = None

    def pids(self) -> list[int]:
        """The first process."""
        assert self._process is not None
        assert self._process.process is not None
        return [self._process.process.pid]

    def version(self) -> str:
        """``bleepstore --version``, and the commit."""
        text = subprocess.run([*command(), "--version"], capture_output=True, text=True).stdout.split()
        here = Path(__file__).parent
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=here
        )
        return " ".join([*text[-1:], git.stdout.strip()])

    def command_line(self) -> str:
        """What was started."""
        more = f" with {json.dumps(self.settings)}" if self.settings else ""
        return f"bleepstore serve DIR --workers {self.workers}{more}"


@dataclass
class Given(Server):
    """An endpoint that somebody else started."""

    durability: str = "as it was started"

    def start(self) -> None:
        """It runs."""
        if not answers(self.url):
            raise RuntimeError(f"{self.name}: nothing answers at {self.url}")

    def stop(self) -> None:
        """It goes on."""

    def pids(self) -> list[int]:
        """Who listens on its port here."""
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        return listeners(self.port) if local else []

    def version(self) -> str:
        """Unknown."""
        return ""

    def command_line(self) -> str:
        """Its address."""
        return self.url


@dataclass
class Program(Server):
    """A peer that is one command: subclasses say which."""

    _child: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def program(self) -> str:
        """What is run."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """Its arguments, for ``self.url`` and ``self.directory``."""

    def ready(self) -> bool:
        """Whether it takes requests now."""
        return answers(self.url)

    def start(self) -> None:
        """Start, and return when a request was answered."""
        if not Path(self.program()).exists():
            raise SystemExit(f"{self.name} is not installed: `make bench-peers`")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        with (self.directory / "log").open("ab") as log:
            self._child = subprocess.Popen(
                [self.program(), *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=self.directory,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while not self.ready():
            if self._child.poll() is not None or time.monotonic() > end:
                self.stop()
                log_text = (self.directory / "log").read_text(errors="replace")
                raise RuntimeError(f"{self.name} did not start:\n{log_text[-4000:]}")
            time.sleep(0.002)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left after a while."""
        if self._child is None:
            return
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._child = None

    def pids(self) -> list[int]:
        """The first process."""
        assert self._child is not None
        return [self._child.pid]

    def command_line(self) -> str:
        """What was started, without folder and ports."""
        text = " ".join([Path(self.program()).name, *self.arguments()]).replace(str(self.directory), "DIR")
        text = re.sub(r" \S*port\S*=[1-9]\d*", "", text)  # free ones: they say nothing
        text = re.sub(rf"\b{self.port}\b", "PORT", text)
        return text.replace(self.secret_key, "SECRET")


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def remove(directory: Path) -> None:
    """What a server left on the disk."""
    shutil.rmtree(directory, ignore_errors=True)
