"""Wheels and clean environments, as ``pip`` makes them. Needs pip's package index."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator, Mapping
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
    _wheels(sys.executable, folder, *map(str, projects))
    return _by_distribution(folder)


def build_our_wheels(folder: Path, *folders: str) -> dict[str, Path]:
    """The wheels of folders of this repository: by one hatchling for all, not by a new one for each."""
    programs = make_environment(folder / "hatchling", "hatchling")
    _wheels(str(programs / "python"), folder, "--no-build-isolation", *(str(ROOT / name) for name in folders))
    return _by_distribution(folder)


def _wheels(python: str, folder: Path, *what: str) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python)
    run(*pip, "wheel", "--no-deps", "-w", str(folder), *what)


def _by_distribution(folder: Path) -> dict[str, Path]:
    return {path.name.partition("-")[0].replace("_", "-"): path for path in folder.glob("*.whl")}


def make_environment(folder: Path, *requirements: str) -> Path:
    """The folder of programs of a new venv with these in it, and nothing else: no pip."""
    venv.create(folder)
    programs = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(programs / "python"))
    constraints = ("-c", str(ROOT / "constraints.txt"))
    run(*pip, "install", "--quiet", "--no-compile", *constraints, *requirements)
    run(*pip, "check")
    return programs


@contextmanager
def serving(
    programs: Path, folder: Path, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The endpoint of an installed server that runs in a folder; ``environ`` is beside what there is."""
    log = folder / "log"
    with log.open("w") as file:
        command = [str(programs / "bleepstore"), "serve", "--port", "0", *options]
        environment = {**os.environ, **(environ or {})}
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=environment
        )
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
