"""What processes cost, as ``/proc`` tells it: CPU time and memory of a server with all its children."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def families(pids: Iterable[int]) -> list[int]:
    """These processes and all their descendants, each once."""
    return sorted({member for pid in pids for member in family(pid)})


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that these families have used, children that ended and were waited for included."""
    ticks = 0
    for member in families(pids):
        with contextlib.suppress(OSError):
            # The name is in parentheses and may hold anything; utime, stime, cutime, cstime follow.
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def resident(pids: Iterable[int]) -> int:
    """Resident bytes of these families; cheap enough to be asked while load runs."""
    total = 0
    for member in families(pids):
        with contextlib.suppress(OSError):
            total += PAGE * int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return total


def memory(pid: int) -> tuple[int, int]:
    """Resident and proportional bytes of a family; shared pages count once in the second."""
    resident = proportional = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
            resident += 1024 * int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1])  # type: ignore[index]
            proportional += 1024 * int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])  # type: ignore[index]
    return resident, proportional


class Peak:
    """The highest value that ``look`` gives while the block runs, asked every ``interval`` seconds."""

    def __init__(self, look: Callable[[], int], interval: float = 0.05) -> None:
        self._look = look
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.highest = 0

    def _watch(self) -> None:
        while True:
            self.highest = max(self.highest, self._look())
            if self._end.wait(self._interval):
                return

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def listeners(port: int) -> list[int]:
    """The processes of this machine that listen on a TCP port, as far as they may be looked at."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(entry.readlink()) in inodes for entry in (process / "fd").iterdir()):
                found.append(int(process.name))
    return found
