"""What a power cut leaves of a folder, from the log of what was done to it.

A sync of a file keeps its bytes and its size, a sync of a folder keeps the names in it; each keeps what
had happened before it began, once it has ended. Everything since is kept or not, each thing by itself and
in any order:

* each sector of a file has the bytes of any moment since the last sync, and its size that of any other;
* each name in a folder stands for what it stood for at any moment since the last sync. A file may have
  its new name and its old one, or neither; a folder without a name takes with it what is in it.

No file system is as bad as that, and none that keeps its promises is worse. What is changed only through
mapped memory (SQLite's ``-shm``, the numbers of readers) is rubbish.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from disk_log import Entry, Kind

MAPPED = ("-shm", "-readers/seq")
"""What the names end in of files that are written through mapped memory."""


@dataclass(eq=False)
class File:
    """A file: what is on the disk, and what was done to it since, with the place in the log."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Entry]] = field(default_factory=list)

    def sync(self, began: int) -> None:
        """Keep what was done before."""
        for _, entry in self._before(began):
            _apply(self.durable, entry)
        self.pending = [one for one in self.pending if one[0] >= began]

    def _before(self, began: int) -> Iterator[tuple[int, Entry]]:
        return (one for one in self.pending if one[0] < began)


@dataclass(eq=False)
class Folder:
    """A folder: the names that are on the disk, and how they changed since."""

    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[tuple[int, str, Node | None]] = field(default_factory=list)

    def sync(self, began: int) -> None:
        """Keep what was done before."""
        for at, name, node in self.pending:
            if at < began:
                _set(self.durable, name, node)
        self.pending = [one for one in self.pending if one[0] >= began]

    def now(self) -> dict[str, Node]:
        """The names as a process sees them."""
        names = dict(self.durable)
        for _, name, node in self.pending:
            _set(names, name, node)
        return names


Node: TypeAlias = File | Folder


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _apply(content: bytearray, entry: Entry) -> None:
    if entry.kind is Kind.TRUNCATE:
        del content[entry.offset :]
        content.extend(bytes(entry.offset - len(content)))
    else:
        content.extend(bytes(max(entry.offset - len(content), 0)))
        content[entry.offset : entry.offset + len(entry.data)] = entry.data


class Disk:
    """The state after so many entries of a log."""

    def __init__(self) -> None:
        self._root = Folder()
        self._files: dict[int, File] = {}
        self._syncs: dict[tuple[int, str, int], int] = {}
        self._at = 0
        self.replied: set[str] = set()
        """The request ids of replies that were sent."""

    def play(self, entries: Iterable[Entry]) -> None:
        """Let these happen."""
        for entry in entries:
            self._happens(entry)
            self._at += 1

    def _happens(self, entry: Entry) -> None:
        match entry.kind:
            case Kind.CREATE:
                self._create(entry)
            case Kind.MAKE_FOLDER:
                self._name(entry.path, Folder())
            case Kind.WRITE | Kind.TRUNCATE:
                # Another process can have made it, and not have noted that yet.
                file = self._files.get(entry.inode) or self._create(entry)
                file.pending.append((self._at, entry))
            case Kind.RENAME:
                node = self._find(entry.path)
                self._name(entry.other, node)
                self._name(entry.path, None)
            case Kind.UNLINK:
                self._name(entry.path, None)
            case Kind.SYNC_BEGINS:
                self._syncs[entry.thread, entry.path, entry.inode] = self._at
            case Kind.SYNC_ENDS:
                began = self._syncs.pop((entry.thread, entry.path, entry.inode))
                node = self._files.get(entry.inode) or self._find(entry.path)
                node.sync(began)
            case Kind.REPLY:
                self.replied.update(entry.request_ids)

    def _create(self, entry: Entry) -> File:
        """A new file; of two processes that make it at once, both say so."""
        folder, name = self._folder(entry.path)
        known = self._files.get(entry.inode)
        if known is None or folder.now().get(name) is not known:
            self._files[entry.inode] = known = File()
            self._name(entry.path, known)
        return known

    def _folder(self, path: str) -> tuple[Folder, str]:
        folder, name = path.rpartition("/")[::2]
        node = self._find(folder)
        assert isinstance(node, Folder)
        return node, name

    def _find(self, path: str) -> Node:
        node: Node = self._root
        for name in path.split("/") if path else ():
            assert isinstance(node, Folder)
            node = node.now()[name]
        return node

    def _name(self, path: str, node: Node | None) -> None:
        folder, name = self._folder(path)
        folder.pending.append((self._at, name, node))

    def cut(self, into: Path, luck: Luck) -> None:
        """Make a folder with what is left."""
        into.mkdir()
        self._make(self._root, into, "", luck)

    def _make(self, folder: Folder, into: Path, path: str, luck: Luck) -> None:
        for name, node in luck.names(folder, path).items():
            if isinstance(node, Folder):
                (into / name).mkdir()
                self._make(node, into / name, f"{path}/{name}", luck)
            else:
                (into / name).write_bytes(luck.content(node, f"{path}/{name}"))


class Luck:
    """Decides what is kept. Here: what was synced, and nothing else."""

    def names(self, folder: Folder, path: str) -> dict[str, Node]:
        """The names in a folder."""
        return folder.durable

    def content(self, file: File, path: str) -> bytes:
        """The bytes of a file."""
        return bytes(file.durable)


class KeepAll(Luck):
    """Everything was just written back: what a killed process leaves."""

    def names(self, folder: Folder, path: str) -> dict[str, Node]:
        """All."""
        return folder.now()

    def content(self, file: File, path: str) -> bytes:
        """All."""
        return kept(file, [len(file.pending)])


class KeepNames(KeepAll):
    """Names are kept, and bytes that were not synced are lost."""

    def content(self, file: File, path: str) -> bytes:
        """What was synced."""
        return bytes(file.durable)


class KeepBytes(KeepAll):
    """Bytes are kept, and names that were not synced are lost."""

    def names(self, folder: Folder, path: str) -> dict[str, Node]:
        """What was synced."""
        return folder.durable


class KeepMetadata(Luck):
    """The database is kept as it is, and of blobs only what was synced."""

    def names(self, folder: Folder, path: str) -> dict[str, Node]:
        """By the path."""
        return folder.durable if "/objects" in path else folder.now()

    def content(self, file: File, path: str) -> bytes:
        """By the path."""
        return bytes(file.durable) if "/objects/" in path else kept(file, [len(file.pending)])


class Chance(Luck):
    """Each thing by chance; each file and folder with odds of its own, so that some are all old or new."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._sector = self._random.choice((512, 4096))

    def names(self, folder: Folder, path: str) -> dict[str, Node]:
        """Each name as of any moment since the last sync."""
        names = dict(folder.durable)
        changes: dict[str, list[Node | None]] = {}
        for _, name, node in folder.pending:
            changes.setdefault(name, []).append(node)
        odds = self._random.choice((0.0, 0.5, 1.0))
        for name, nodes in changes.items():
            if (moment := self._moment(len(nodes), odds)) > 0:
                _set(names, name, nodes[moment - 1])
        return names

    def content(self, file: File, path: str) -> bytes:
        """Each sector as of any moment since the last sync."""
        if path.endswith(MAPPED):
            return self._random.randbytes(len(kept(file, [len(file.pending)])))
        odds = self._random.choice((0.0, 0.3, 0.7, 1.0))
        end = (
            1 + max((entry.offset + len(entry.data) for _, entry in file.pending), default=0) // self._sector
        )
        moments = [self._moment(len(file.pending), odds) for _ in range(end)]
        return kept(file, moments, self._sector, self._moment(len(file.pending), odds))

    def _moment(self, last: int, odds: float) -> int:
        """How many of so many changes are kept: none, all, or some."""
        if self._random.random() < 0.2:
            return self._random.randint(0, last)
        return last if self._random.random() < odds else 0


def kept(file: File, moments: Sequence[int], sector: int = 1 << 62, size: int | None = None) -> bytes:
    """The content of a file of which each sector is of a moment, and the size of another.

    A moment is the number of changes that are kept; ``size`` is one, by default the first sector's.
    """
    whole = bytearray(file.durable)
    ends = [len(whole)]
    for _, entry in file.pending:
        end = entry.offset + len(entry.data)
        ends.append(end if entry.kind is Kind.TRUNCATE else max(ends[-1], end))
    whole.extend(bytes(max(ends) - len(whole)))
    for n, (_, entry) in enumerate(file.pending):
        data = entry.data if entry.kind is Kind.WRITE else bytes(len(whole) - entry.offset)
        at = entry.offset
        while at < entry.offset + len(data):
            number = at // sector
            stop = min((number + 1) * sector, entry.offset + len(data))
            if n < moments[min(number, len(moments) - 1)]:
                whole[at:stop] = data[at - entry.offset : stop - entry.offset]
            at = stop
    return bytes(whole[: ends[moments[0] if size is None else size]])
