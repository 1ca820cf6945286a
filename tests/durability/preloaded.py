"""Libraries in C that are loaded into a server before all others, built when a test needs one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def compiled(source: Path, folder: Path) -> Path:
    """The library that a source gives, in a folder."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    assert compiler, "a C compiler is needed (Debian: gcc and libc6-dev)"
    library = folder / f"{source.stem}.so"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Werror",
        "-o",
        str(library),
        str(source),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return library
