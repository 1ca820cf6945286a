"""Memory of a process that moves large objects, several at once: some buffers, whatever their size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1024 * 1024
AT_ONCE = 8
SIZE = 64 * MIB
BOUND = 160
"""MiB. Importing what is needed is 50 of them; all objects together are 512."""


PROGRAM = """
import sys
from bleepstore.cli import main

code = main(sys.argv[1:])
status = open("/proc/self/status").read()
print(status.partition("VmHWM:")[2].split()[0])
sys.exit(code)
"""


def peak(*arguments: object) -> float:
    """Run a command, and give the most memory it has had, in MiB."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "MINIO_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        env=kept,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_large_objects_pass_through_a_few_buffers(tmp_path: Path) -> None:
    folder = tmp_path / "tree/photos"
    folder.mkdir(parents=True)
    for n in range(AT_ONCE):
        with (folder / f"{n}").open("wb") as file:
            file.truncate(SIZE)
    assert peak("import", tmp_path / "store", tmp_path / "tree") < BOUND
    assert peak("export", tmp_path / "store", tmp_path / "out") < BOUND
    assert {path.stat().st_size for path in (tmp_path / "out/photos").iterdir()} == {SIZE}
