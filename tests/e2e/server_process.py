"""A BleepStore server as a process of its own, for tests: started, awaited, killed, started again.

Only the standard library, so that suites run without the workspace; what is started is the
``bleepstore`` command of the environment (``BLEEPSTORE_COMMAND`` names another).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE = 30.0
"""Seconds that anything awaited may take before a test fails."""
_ENDPOINT = re.compile(r"https?://[\w.\-\[\]:]*:(\d+)")


def command() -> list[str]:
    """The command line that runs BleepStore, without arguments."""
    named = os.environ.get("BLEEPSTORE_COMMAND")
    if named:
        return shlex.split(named)
    beside = Path(sys.executable).with_name("bleepstore")
    found = str(beside) if beside.exists() else shutil.which("bleepstore")
    return [found] if found else [sys.executable, "-m", "bleepstore"]


def environment() -> dict[str, str]:
    """This process's environment without what would configure the server behind a test's back."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "MINIO_"))}
    return {**kept, "PYTHONUNBUFFERED": "1"}


@dataclass
class Account:
    """A key pair of the server."""

    access_key: str
    secret_key: str


FIRST = Account("bleepstore", "bleepstore-secret")
SECOND = Account("bleepstore-alt", "bleepstore-alt-secret")


@dataclass
class ServerProcess:
    """One server on one data directory; ``start`` may follow ``kill`` any number of times."""

    directory: Path
    workers: int = 1
    accounts: Sequence[Account] = (FIRST, SECOND)
    region: str = "us-east-1"
    settings: Mapping[str, object] = field(default_factory=dict)
    """More of the configuration, by section; ``server`` and ``auth`` are merged with what is decided here."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """More of its environment."""
    port: int = 0
    """Learnt from the banner; 0 asks for a free one."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint."""
        server = self.settings.get("server", {})
        scheme = "https" if isinstance(server, Mapping) and "tls" in server else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Everything the server printed."""
        return self.directory / "server.log"

    def start(self) -> ServerProcess:
        """Start, and return when a request was answered."""
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self) -> None:
        """Start and do not wait."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = 0
        arguments = ["serve", str(self.directory / "data"), "--config", str(self._configuration())]
        arguments += ["--port", "0", "--workers", str(self.workers)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command() + arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment(), **self.environ},
                start_new_session=True,  # so that one signal reaches every worker
            )

    def configure(self) -> Path:
        """Write the configuration, for commands that run without the server."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return self._configuration()

    def _configuration(self) -> Path:
        first, *others = self.accounts
        auth = {
            "access_key": first.access_key,
            "secret_key": first.secret_key,
            "users": [{"access_key": a.access_key, "secret_key": a.secret_key} for a in others],
        }
        server = self.settings.get("server", {})
        assert isinstance(server, Mapping)
        more = self.settings.get("auth", {})
        assert isinstance(more, Mapping)
        sections = {**self.settings, "server": {"region": self.region, **server}, "auth": {**auth, **more}}
        path = self.directory / "bleepstore.yaml"
        path.write_text(json.dumps(sections, indent=1))  # JSON is YAML, and needs no library
        return path

    def wait_until_ready(self) -> None:
        """Wait for the banner and for the first answer."""
        self._wait_for(self._announced, "a banner that names the port")
        self._wait_for(self._answers, "an answer")

    def _announced(self) -> bool:
        found = _ENDPOINT.search(self.log.read_text(errors="replace"))
        if found:
            self.port = int(found[1])
        return found is not None

    def _answers(self) -> bool:
        return answers(self.url)

    def _wait_for(self, condition: object, what: str) -> None:
        assert callable(condition)
        assert self.process is not None
        end = time.monotonic() + PATIENCE
        while not condition():
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self._tail()}")
            if time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"no sign of {what} in {PATIENCE} s:\n{self._tail()}")
            time.sleep(0.002)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-8000:]

    def stop(self) -> int:
        """End in order (SIGTERM) and return the exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"the server did not end after SIGTERM:\n{self._tail()}") from None
        self.process = None
        return status

    def kill(self) -> None:
        """SIGKILL to all its processes at once, as near to a power cut as a test can come."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


def answers(url: str, timeout: float = 5.0) -> bool:
    """Whether something speaks HTTP at this endpoint."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
    if parts.scheme == "https":
        # Who it is does not matter here, only that it answers.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    try:
        connection.request("HEAD", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
