"""Wheels and clean environments, as ``pip`` makes them. Needs pip's package index."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds that an installed server may take to answer."""
KEPT_OUT = ("BLEEPSTORE_", "MINIO_", "PYTHON", "PYTEST", "AWS_", "AZURE_", "GOOGLE_")


def run(*command: str, cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed, in an environment with nothing of this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(KEPT_OUT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=kept, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheels(folder: Path, projects: Iterable[Path]) -> dict[str, Path]:
    """The wheels of these projects, by distribution."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps")
    run(*pip, "-w", str(folder), *map(str, projects))
    return {path.name.partition("-")[0].replace("_", "-"): path for path in folder.glob("*.whl")}


def make_environment(folder: Path, *requirements: str) -> Path:
    """The folder of programs of a new venv with these in it."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    pip = (str(programs / "python"), "-m", "pip", "--disable-pip-version-check")
    constraints = ("-c", str(ROOT / "constraints.txt"))
    run(*pip, "install", "--quiet", "--no-compile", *constraints, *requirements)
    run(*pip, "check")
    return programs


@contextmanager
def serving(programs: Path, folder: Path, *options: str) -> Iterator[str]:
    """The endpoint of an installed server that runs in a folder."""
    log = folder / "log"
    with log.open("w") as file:
        command = [str(programs / "bleepstore"), "serve", "--port", "0", *options]
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"endpoint +(\S+)\n", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.01)
        yield found[1]
        process.terminate()
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
