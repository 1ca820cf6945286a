"""The log of what a server did to its files, made by ``disk_log.c``."""

from __future__ import annotations

import enum
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from preloaded import compiled

SOURCE = Path(__file__).with_name("disk_log.c")
ROOM = 1 << 30
"""Bytes that a log may have; the file is sparse."""
_HEAD = struct.Struct("<IIQQIIII")
_REQUEST_ID = re.compile(rb"\r\nx-amz-request-id: ([^\r]+)\r\n", re.IGNORECASE)


class Kind(enum.IntEnum):
    """What happened; as in the source."""

    CREATE = 1
    MAKE_FOLDER = 2
    WRITE = 3
    TRUNCATE = 4
    RENAME = 5
    UNLINK = 6
    SYNC_BEGINS = 7
    SYNC_ENDS = 8
    REPLY = 9


@dataclass(frozen=True)
class Entry:
    """One thing that happened; paths are relative to the root."""

    kind: Kind
    inode: int
    offset: int
    path: str
    other: str
    data: bytes
    thread: int

    @property
    def request_ids(self) -> list[str]:
        """Of the replies that were sent."""
        return [found.decode() for found in _REQUEST_ID.findall(self.data)]


class DiskLog:
    """One log; ``environment`` makes a process write it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._path = folder / "disk.log"
        self._root = root.resolve()
        with self._path.open("wb") as file:
            file.truncate(ROOM)
        self.environment = {
            "LD_PRELOAD": str(compiled(SOURCE, folder)),
            "DISK_LOG": str(self._path),
            "DISK_ROOT": str(self._root),
        }

    def entries(self) -> list[Entry]:
        """All until now, in order; the processes that write it have ended."""
        found = []
        with self._path.open("rb") as file:
            (end,) = struct.unpack("<Q", file.read(8))
            log = file.read(end)
        at = 0
        while at < end:
            length, kind, inode, offset, path, other, data, thread = _HEAD.unpack_from(log, at)
            if kind == 0:
                break  # the process was killed here
            first = at + _HEAD.size
            found.append(
                Entry(
                    Kind(kind),
                    inode,
                    offset,
                    self._relative(log[first : first + path]),
                    self._relative(log[first + path : first + path + other]),
                    log[first + path + other : first + path + other + data],
                    thread,
                )
            )
            at += length
        return [entry for entry in found if entry.path != "server.log"]

    def _relative(self, path: bytes) -> str:
        return os.fsdecode(path)[len(str(self._root)) + 1 :].removesuffix(" (deleted)")
