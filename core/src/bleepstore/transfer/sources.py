"""What objects are copied in from: a place with items, each of which is opened when it is its turn."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from bleepstore.http.object_headers import (
    DEFAULT_CONTENT_TYPE,
    METADATA_BYTES,
    STORAGE_CLASSES,
    SYSTEM_HEADERS,
)
from bleepstore.metadata import Attributes, Checksum

PIECE = 1024 * 1024
"""Bytes that are read at once."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Unreadable(Exception):
    """One item cannot be had, and the others may: why, in one line."""

    def __init__(self, text: str, *, answered: bool = True) -> None:
        """``answered``: it was the source that said so; else it is silent, and may be for all others."""
        super().__init__(text)
        self.answered = answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One object of a source, as its listing tells of it."""

    bucket: str
    key: str
    size: int
    """Bytes."""
    modified: int
    """Milliseconds since 1970."""
    etag: str
    """Without quotes; ``""`` where nobody knows it."""
    place: str
    """What the source knows it by."""
    described: Opened | None = None
    """All but the bytes, where the listing tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What else there is to know of an item."""

    attributes: Attributes
    """Its checksum, if there is one, is of all bytes, which must have it."""
    tags: bytes | None = None
    etag: str = ""
    """Whose MD5 the bytes must have, or of an object of parts, which it keeps; ``""``: there is none."""


def attributes_of(
    headers: Mapping[str, str],
    metadata: Mapping[str, str],
    storage_class: str | None = None,
    checksum: Checksum | None = None,
) -> Attributes:
    """What is kept of what a source says. Raises ValueError for what no request could have said."""
    kept = {name: headers[name] for name in SYSTEM_HEADERS if headers.get(name)}
    if any(map(_CONTROL.search, kept.values())) or not all(map(_NAME.fullmatch, metadata)):
        raise ValueError("headers or metadata that no request can have")
    if sum(len(name) + len(value.encode()) for name, value in metadata.items()) > METADATA_BYTES:
        raise ValueError(f"more than {METADATA_BYTES} bytes of user metadata")
    kept.setdefault("content-type", DEFAULT_CONTENT_TYPE)
    return Attributes(
        headers=kept,
        metadata=dict(metadata),
        storage_class=storage_class if storage_class in STORAGE_CLASSES else "STANDARD",
        checksum=checksum,
    )


class Source(ABC):
    """A place that objects are copied in from."""

    @abstractmethod
    def buckets(self, only: Collection[str]) -> AsyncIterator[str]:
        """Names of the buckets here that there are, also of empty ones. Raises CannotRun."""

    @abstractmethod
    def items(self, only: Collection[str], prefix: str) -> AsyncIterator[Item]:
        """What there is: of ``only`` these buckets (unless there are none), keys that begin so.

        What cannot be an object is told, and left out. Raises CannotRun.
        """

    @abstractmethod
    async def open(self, item: Item) -> tuple[Opened, AsyncGenerator[bytes, None]]:
        """What an item is, and its bytes. Both raise Unreadable."""
