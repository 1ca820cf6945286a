"""What several rooms' tests need: distributions that exist for one test, servers as processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

PLUGIN = """
from bleepstore.plugin import hookimpl

class Plugin:
    requires_api = {requires_api}
{body}

plugin = Plugin()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def distribution(tmp_path: Path) -> Callable[..., Path]:
    """``distribution(NAME, body=..., plugin=..., module=...)``: an installed one with a plugin.

    Returns the folder that holds all of them, for ``sys.path``.
    """
    folder = tmp_path / "site"

    def make(
        name: str,
        body: str = "    pass",
        *,
        plugin: str | None = None,
        module: str | None = None,
        requires_api: str = "(1, 0)",
        version: str = "1.2.3",
        entry: str = "plugin",
    ) -> Path:
        package = name.replace("-", "_")
        info = folder / f"{package}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[bleepstore]\n{plugin or package} = {package}:{entry}\n")
        text = PLUGIN.format(requires_api=requires_api, body=body) if module is None else module
        (folder / f"{package}.py").write_text(text)
        return folder

    return make


# --- servers as processes ---------------------------------------------------------------------------

PATIENCE = 30.0
"""Seconds that anything awaited may take before a test fails."""


class Server:
    """A ``bleepstore serve`` under way."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def out(self) -> str:
        """Standard output until now: the banner."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """Standard error until now: the log."""
        return (self.folder / "err").read_text()

    @property
    def port(self) -> int:
        """The port of the banner."""
        found = re.search(r"endpoint +https?://\S+:(\d+)\n", self.out)
        assert found is not None, self.out
        return int(found[1])

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until the condition gives something, and return it."""
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < end, f"no {what} in {PATIENCE} s: {self.out}{self.err}"
            time.sleep(0.005)
        return found

    def ready(self) -> "Server":
        """Wait for the whole banner."""
        self.wait_for(lambda: "Ctrl-C" in self.out or self.process.poll() is not None, "banner")
        assert self.process.poll() is None, self.err
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``launch(*ARGUMENTS, environ={...})``: a server on a free port, started and not waited for."""
    servers: list[Server] = []

    def start(*arguments: str, environ: Mapping[str, str] | None = None, port: int = 0) -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "MINIO_"))}
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "bleepstore", "serve", "--port", str(port), *arguments],
                cwd=folder,
                env={**kept, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,  # what is left of it can be ended at once
            )
        servers.append(Server(process, folder))
        return servers[-1]

    yield start
    for server in servers:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
