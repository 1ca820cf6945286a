"""A local directory tree as a target: files below ``TREE/BUCKET``, and the index beside them.

No key leads out of the tree: what is no plain path has an escaped name, symbolic links are not followed.
A file appears whole, with the time of the object's last change; then the index has its line.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from bleepstore.exchange import Services
from bleepstore.metadata import BucketRecord, ObjectRecord
from bleepstore.transfer.console import CannotRun
from bleepstore.transfer.report import Report
from bleepstore.transfer.sources import PIECE
from bleepstore.transfer.targets import State, Target, Unwritable
from bleepstore.transfer.tree_index import IndexWriter, line_of
from bleepstore.transfer.tree_names import INDEX, PARTIAL, escaped, why_not
from bleepstore.transfer.tree_spelling import Spelling


class TreeTarget(Target):
    """Files, and their index."""

    def __init__(self, root: Path, services: Services) -> None:
        self._root = root
        self._metadata = services.metadata
        self._new_id: Callable[[], str] = services.new_id
        self._closing = ExitStack()
        self._index: IndexWriter | None = None
        self._report: Report | None = None
        self._folders: set[Path] = set()
        """Folders of the bucket that are known to be folders."""
        self._spelling = Spelling(root)

    async def start(self, report: Report, *, dry_run: bool) -> None:
        """Make the tree, and read the index that is there. Raises CannotRun."""
        self._report = report
        try:
            if dry_run:
                if self._root.exists() and not self._root.is_dir():
                    raise NotADirectoryError(None, "is no directory")
                return
            self._root.mkdir(parents=True, exist_ok=True)
            self._index = await asyncio.to_thread(
                self._closing.enter_context, IndexWriter(self._root / INDEX)
            )
            for left in self._root.glob(f"{PARTIAL}*"):  # by an export that was cut off
                left.unlink()
            self._spelling.probe(f"{PARTIAL}{self._new_id()}")
        except OSError as error:
            raise CannotRun(f"{self._root}: {error.strerror or error}") from error

    async def stop(self) -> None:
        """Write what the index has to say."""
        await asyncio.to_thread(self._closing.close)

    async def bucket(self, bucket: BucketRecord) -> None:
        """Make its folder: an empty bucket is one too. What is in the way there is told of its objects."""
        self._folders.clear()
        self._spelling.forget()
        if self._index is not None:
            with contextlib.suppress(OSError):
                self._make_folders(self._root / bucket.name)

    # --- names ------------------------------------------------------------------------------------------

    async def _path(self, bucket: BucketRecord, key: str) -> tuple[str, str]:
        """The path of a key below the tree, and why it is not the plain one."""
        reason = why_not(key)
        if reason is None and await self._is_above(bucket, key):
            reason = "other keys are below it"
        if reason is None and not self._spelling.fits(f"{bucket.name}/{key}"):
            reason = "another name is the same one to this file system"
        name = key if reason is None else escaped(key, caseless=self._spelling.folds)
        return f"{bucket.name}/{name}", reason or ""

    async def _is_above(self, bucket: BucketRecord, key: str) -> bool:
        """Whether a file system would need a folder where this file is to be."""
        page = await self._metadata.list_objects(bucket.id, prefix=f"{key}/", delimiter="", after="", limit=1)
        return bool(page.entries)

    # --- objects ----------------------------------------------------------------------------------------

    async def state(self, bucket: BucketRecord, row: ObjectRecord) -> State:
        """By size and time; what the index says otherwise is said anew. Raises Unwritable."""
        path, _ = await self._path(bucket, row.key)
        try:
            found = await asyncio.to_thread((self._root / path).lstat)
        except (FileNotFoundError, NotADirectoryError):
            return State.ABSENT
        except OSError as error:
            raise Unwritable(error.strerror or str(error)) from error
        modified = found.st_mtime_ns // 1_000_000
        if not stat.S_ISREG(found.st_mode) or (found.st_size, modified) != (row.size, row.modified):
            return State.OTHER
        self._tell_index(bucket, path, row)
        return State.SAME

    async def put(self, bucket: BucketRecord, row: ObjectRecord, pieces: AsyncGenerator[bytes, None]) -> None:
        """Write beside, and rename. Raises Unwritable."""
        path, reason = await self._path(bucket, row.key)
        place = self._root / path
        try:
            await asyncio.to_thread(self._make_folders, place.parent)
            partial = self._root / f"{PARTIAL}{self._new_id()}"
            try:
                await self._write(partial, row, pieces)
                await asyncio.to_thread(partial.replace, place)
            except BaseException:
                with contextlib.suppress(OSError):
                    partial.unlink(missing_ok=True)
                raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise CannotRun(f"{self._root}: {error.strerror}") from error
            raise Unwritable(f"{path}: {error.strerror or error}") from error
        self._tell_index(bucket, path, row)
        if reason and self._report is not None:
            self._report.note("escaped", bucket.name, row.key, f"{reason}: it is {path}", path=path)

    def _make_folders(self, folder: Path) -> None:
        """Make folders below the tree; what is there must be one, and no link. Raises OSError."""
        missing = []
        while folder != self._root and folder not in self._folders:
            missing.append(folder)
            folder = folder.parent
        for one in reversed(missing):
            with contextlib.suppress(FileExistsError):
                one.mkdir()
            if not stat.S_ISDIR(one.lstat().st_mode):
                raise NotADirectoryError(None, f"{one.relative_to(self._root)} is in the way")
            self._folders.add(one)

    async def _write(self, path: Path, row: ObjectRecord, pieces: AsyncGenerator[bytes, None]) -> None:
        file: BinaryIO = await asyncio.to_thread(path.open, "xb", buffering=0)
        try:
            async for piece in pieces:
                await asyncio.to_thread(_write_all, file, piece)
        finally:
            await asyncio.to_thread(file.close)
        os.utime(path, ns=(row.modified * 1_000_000, row.modified * 1_000_000))

    def _tell_index(self, bucket: BucketRecord, path: str, row: ObjectRecord) -> None:
        line = line_of(bucket.name, path, row)
        if self._index is not None and not self._index.has(path, line):
            self._index.add(path, line)

    async def read(self, bucket: BucketRecord, row: ObjectRecord) -> AsyncGenerator[bytes, None]:
        """The file of an object. Raises Unwritable."""
        path, _ = await self._path(bucket, row.key)
        try:
            with (self._root / path).open("rb", buffering=0) as file:
                while piece := await asyncio.to_thread(file.read, PIECE):
                    yield piece
        except OSError as error:
            raise Unwritable(f"{path}: {error.strerror or error}") from error


def _write_all(file: BinaryIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]
