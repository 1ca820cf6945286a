"""A local directory tree as a source: ``TREE/BUCKET/KEY``, or one folder as one bucket.

First comes what the index of an export says of the files that are still as it says, then every other
file, with a type that its name tells. Nothing outside the tree is read: symbolic links are passed by.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from bleepstore.http.object_headers import DEFAULT_CONTENT_TYPE
from bleepstore.metadata import Attributes
from bleepstore.s3.bucket_names import is_bucket_name
from bleepstore.transfer import tree_index
from bleepstore.transfer.console import CannotRun
from bleepstore.transfer.naming import is_data_directory, is_key, wanted
from bleepstore.transfer.report import Report
from bleepstore.transfer.sources import PIECE, Item, Opened, Source, Unreadable
from bleepstore.transfer.tree_names import INDEX, OURS, escapes, key_of, why_not

CHANGED = "was changed while it was imported"
_PACKED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
}
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class TreeSource(Source):
    """Files, and an index if there is one."""

    def __init__(self, root: Path, into: str | None, report: Report) -> None:
        """``into``: the tree is what this one bucket is to hold. Raises CannotRun."""
        self._root = root
        self._into = into
        self._report = report
        self._seen: set[int] = set()
        """Hashes of the paths that the index has told of: some 60 bytes for each."""
        if not root.is_dir():
            raise CannotRun(f"{root}: is no directory")
        if into is not None and (root / INDEX).exists():
            raise CannotRun(f"{root}: is an export of whole buckets; --into takes one of its folders")

    async def buckets(self, only: Collection[str]) -> AsyncIterator[str]:
        """The folder's one, or those that folders are called like."""
        found = [entry.name for entry in self._scan(self._root) if entry.is_dir(follow_symlinks=False)]
        for name in found if self._into is None else [self._into]:
            if not is_bucket_name(name) or (only and name not in only):
                continue
            if self._into is not None or not is_data_directory(self._root / name):
                yield name

    async def items(self, only: Collection[str], prefix: str) -> AsyncIterator[Item]:
        """Files by the index, and then all others, folder by folder."""
        self._seen.clear()
        for found in (self._indexed(only, prefix), self._walked(only, prefix)):
            while (item := await asyncio.to_thread(next, found, None)) is not None:
                yield item

    async def open(self, item: Item) -> tuple[Opened, AsyncGenerator[bytes, None]]:
        """What the index or the name says, and the file. Raises Unreadable."""
        path = Path(item.place)
        try:
            file = await asyncio.to_thread(_open, path, item)
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror or error}") from error
        opened = item.described or Opened(attributes=_guessed(item.key))
        return opened, _pieces(file, path)

    # --- the index --------------------------------------------------------------------------------------

    def _indexed(self, only: Collection[str], prefix: str) -> Iterator[Item]:
        base, mine = self._root, None
        if self._into is not None:
            base, mine = self._root.absolute().parent, self._root.absolute().name
        if not (base / INDEX).is_file():
            return
        of_path: dict[int, int] = {}
        of_key: dict[int, int] = {}
        for number, entry in enumerate(tree_index.entries(base / INDEX)):
            of_path[hash(entry.path)] = of_key[hash((entry.bucket, entry.key))] = number
        for number, entry in enumerate(tree_index.entries(base / INDEX)):
            if of_path[hash(entry.path)] != number or mine not in (None, entry.bucket):
                continue
            if of_key[hash((entry.bucket, entry.key))] != number:
                self._seen.add(hash(str(base / entry.path)))  # the key had to move to another file
                continue
            bucket = self._into or entry.bucket
            if not _has_path(entry) or (only and bucket not in only) or not entry.key.startswith(prefix):
                continue
            place = base / entry.path
            try:
                found = place.lstat()
            except OSError:
                continue  # it was removed from the tree: it is not to come
            if not _is_as_written(found, entry) or _leads_outside(base, place):
                continue  # it was changed: it comes as any other file
            self._seen.add(hash(str(place)))
            if self._may_be(bucket, entry.key):
                yield Item(
                    bucket=bucket,
                    key=entry.key,
                    size=entry.size,
                    modified=entry.modified,
                    etag=entry.etag,
                    place=str(place),
                    described=entry.opened,
                )

    def _may_be(self, bucket: str, key: str) -> bool:
        if is_key(key):
            return True
        self._report.tell("unusable", bucket, key, "this cannot be a key: it is passed by")
        return False

    # --- other files ------------------------------------------------------------------------------------

    def _walked(self, only: Collection[str], prefix: str) -> Iterator[Item]:
        if self._into is not None:
            yield from self._folder(self._into, self._root.absolute(), prefix)
            return
        for entry in self._scan(self._root):
            if entry.name.startswith(OURS):
                continue
            if entry.is_dir(follow_symlinks=False):
                if is_data_directory(Path(entry.path)):
                    self._report.tell("unusable", entry.name, "", "is a data directory: it is passed by")
                elif wanted(entry.name, list(only), self._report):
                    yield from self._folder(entry.name, Path(entry.path), prefix)
            elif not only:
                self._report.tell("unusable", entry.name, "", "is in no bucket's folder: it is passed by")

    def _folder(self, bucket: str, folder: Path, prefix: str) -> Iterator[Item]:
        """All files below a bucket's folder."""
        above = [folder]
        while above:
            for entry in self._scan(above.pop()):
                relative = Path(entry.path).relative_to(folder).as_posix()
                if entry.is_dir(follow_symlinks=False):
                    above.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    self._report.tell("unusable", bucket, relative, "is no regular file: it is passed by")
                elif (item := self._item(bucket, relative, entry)) is not None and item.key.startswith(
                    prefix
                ):
                    yield item

    def _item(self, bucket: str, relative: str, entry: os.DirEntry[str]) -> Item | None:
        key = key_of(relative.split("/"))
        if key is None or hash(str(Path(entry.path))) in self._seen:
            return None
        if not self._may_be(bucket, key):
            return None
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._report.tell("unreadable", bucket, key, error.strerror or str(error))
            return None
        size, modified = _state(found)
        return Item(bucket=bucket, key=key, size=size, modified=modified, etag="", place=entry.path)

    def _scan(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._report.tell("unreadable", str(folder), "", error.strerror or str(error))
            return []


def _has_path(entry: tree_index.Entry) -> bool:
    """Whether the file is where an export puts this key: an index cannot point anywhere else."""
    plain = None if why_not(entry.key) else f"{entry.bucket}/{entry.key}"
    names = (plain, *(f"{entry.bucket}/{name}" for name in escapes(entry.key)))
    return is_bucket_name(entry.bucket) and entry.path in names


def _leads_outside(base: Path, place: Path) -> bool:
    """Whether a folder on the way is a symbolic link."""
    return any((base / parent).is_symlink() for parent in place.relative_to(base).parents)


def _is_as_written(found: os.stat_result, entry: tree_index.Entry) -> bool:
    return stat.S_ISREG(found.st_mode) and _state(found) == (entry.size, entry.modified)


def _open(path: Path, item: Item) -> BinaryIO:
    """Open a file that is one, and that is as the listing said. Raises OSError, Unreadable."""
    file = os.fdopen(os.open(path, os.O_RDONLY | _NO_FOLLOW), "rb", buffering=0)
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or _state(found) != (item.size, item.modified):
        file.close()
        raise Unreadable(CHANGED)
    return file


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns // 1_000_000


async def _pieces(file: BinaryIO, path: Path) -> AsyncGenerator[bytes, None]:
    before = os.fstat(file.fileno())
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise Unreadable(CHANGED)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from error
    finally:
        file.close()


def _guessed(key: str) -> Attributes:
    """A type as the name tells it; what is packed is a file of its packer, whatever is in it."""
    guess, packed = mimetypes.guess_type(key.rpartition("/")[2], strict=False)
    if packed is not None:
        guess = _PACKED.get(packed)
    return Attributes(headers={"content-type": guess or DEFAULT_CONTENT_TYPE})
