"""The index of an exported tree: a JSON object a line for each object, the last one of a path counts.

It has what a file system cannot say: key, ETag, headers, user metadata, tags. A line that was cut off is
no line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from bleepstore.errors import S3Error
from bleepstore.http.checksums import ALGORITHMS, FULL_OBJECT, parse_value
from bleepstore.metadata import Checksum, ObjectRecord
from bleepstore.s3.tagging import tags_from_header
from bleepstore.transfer.sources import Opened, attributes_of

FLUSH = 100
"""Lines after which they are written: those that a crash takes are made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line."""

    bucket: str
    key: str
    path: str
    """Of the file, below the tree, with slashes."""
    size: int
    etag: str
    modified: int
    """Milliseconds since 1970."""
    opened: Opened


def line_of(bucket: str, path: str, row: ObjectRecord) -> str:
    """The line for an object."""
    attributes = row.attributes
    fields: dict[str, Any] = {
        "bucket": bucket,
        "key": row.key,
        "path": path,
        "size": row.size,
        "etag": row.etag,
        "modified": row.modified,
        "headers": dict(attributes.headers),
        "metadata": dict(attributes.metadata),
        "storage_class": attributes.storage_class,
    }
    if row.tags is not None:
        fields["tags"] = row.tags.decode()
    if attributes.checksum is not None and attributes.checksum.type == FULL_OBJECT:
        fields["checksum"] = {attributes.checksum.algorithm: attributes.checksum.value}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def entries(path: Path) -> Iterator[Entry]:
    """The lines of an index that are entries."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if (entry := _entry(line)) is not None:
                yield entry


def _entry(line: str) -> Entry | None:
    try:
        fields = json.loads(line)
        tags = fields.get("tags")
        attributes = attributes_of(
            _texts(fields["headers"]),
            _texts(fields["metadata"]),
            fields.get("storage_class"),
            _checksum(_texts(fields.get("checksum", {}))),
        )
        return Entry(
            bucket=str(fields["bucket"]),
            key=str(fields["key"]),
            path=str(fields["path"]),
            size=int(fields["size"]),
            etag=str(fields["etag"]),
            modified=int(fields["modified"]),
            opened=Opened(attributes=attributes, tags=tags_from_header(tags), etag=str(fields["etag"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, S3Error):
        return None


def _texts(fields: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in fields.items()}


def _checksum(fields: dict[str, str]) -> Checksum | None:
    for name, value in fields.items():
        if name in ALGORITHMS:
            parse_value(name, value)
            return Checksum(algorithm=name, value=value)
    return None


class IndexWriter:
    """Adds lines to an index, unless it has them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[int, int] = {}
        """Hashes of lines by hashes of their paths: some 150 bytes for each object."""
        self._file: TextIO | None = None
        self._unwritten = 0

    def __enter__(self) -> IndexWriter:
        """Read what is there. Raises OSError, also where another process is writing it."""
        whole = True
        self._file = self._path.open("a", encoding="utf-8")
        _lock(self._file)
        if self._path.exists():
            with self._path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    whole = line.endswith("\n")
                    if (entry := _entry(line)) is not None:
                        self._lines[hash(entry.path)] = hash(line.rstrip("\n"))
        if not whole:
            self._file.write("\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was added; it lasts, and all that was written before it in the tree."""
        if self._file is not None:
            self._file.close()
            if hasattr(os, "sync"):
                os.sync()

    def has(self, path: str, line: str) -> bool:
        """Whether this is what the index says of a path."""
        return self._lines.get(hash(path)) == hash(line)

    def add(self, path: str, line: str) -> None:
        """Say this of a path from now on."""
        assert self._file is not None
        self._lines[hash(path)] = hash(line)
        self._file.write(f"{line}\n")
        self._unwritten += 1
        if self._unwritten >= FLUSH:
            self._file.flush()
            self._unwritten = 0


def _lock(file: TextIO) -> None:
    """Two exports into one tree would take each other's unfinished files for leftovers. Raises OSError."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise OSError(None, "another export writes there") from error
