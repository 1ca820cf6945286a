"""What a report has to say of the machine that made it."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
from pathlib import Path


def describe(directory: Path) -> dict[str, str]:
    """CPU, memory, system, and the file system of ``directory``."""
    return {
        "CPU": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1024**3:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "disk": _file_system(directory),
        "Python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown"


def _file_system(directory: Path) -> str:
    if not shutil.which("findmnt"):
        return "unknown"
    text = subprocess.run(
        ["findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(directory)], capture_output=True, text=True
    ).stdout
    kind, _, options = text.strip().partition(" ")
    return f"{kind} ({options.strip()})"


def allow_open_files() -> None:
    """As many as the system allows; a thousand connections need both ends here. Servers inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
