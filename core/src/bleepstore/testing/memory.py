"""A storage backend in memory: the smallest that keeps the contract of opaque layout.

It is for tests of whatever stands above storage, and an example of the contract without a disk or a
network in the way. What it holds is in a :class:`Memory`, which outlives it as a disk does. The one
of native layout is in ``bleepstore.testing.memory_native``.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

from bleepstore.storage import (
    Aside,
    Blob,
    BlobMissing,
    BlobReader,
    Buffer,
    Capabilities,
    Layout,
    StagedBlob,
    StorageBackend,
    StoreMismatch,
    Target,
)

PIECE = 1024 * 1024
"""Bytes that a reader yields at once."""


@dataclass(slots=True)
class Memory:
    """What a disk would be: bytes by the name of the blob."""

    store_id: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    aside: dict[str, bytes] = field(default_factory=dict)
    """What was set aside, by where it is now."""
    writing: set[str] = field(default_factory=set)
    """Opaque layout: names whose fate is not decided."""


class MemoryBackend(StorageBackend):
    """Opaque blobs in memory."""

    capabilities = Capabilities(layout=Layout.OPAQUE, inline=True, scrub=True)

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory()

    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Take the id, or compare it."""
        memory = self.memory
        if memory.store_id != store_id and (memory.store_id or memory.blobs or not fresh):
            raise StoreMismatch(f"memory belongs to store {memory.store_id!r}, not to {store_id!r}")
        memory.store_id = store_id

    async def stop(self) -> None:
        """Nothing is open."""

    async def stage(self, name: str, *, size: int | None = None, target: Target | None = None) -> StagedBlob:
        """Begin a write."""
        return MemoryStaged(self.memory, name)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a span."""
        if blob.name not in self.memory.blobs:
            raise BlobMissing(blob.name)
        data = self.memory.blobs[blob.name]
        return MemoryReader(data[start:] if length is None else data[start : start + length])

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove a blob."""
        self.memory.blobs.pop(name, None)

    async def names(self, endings: range) -> Collection[str]:
        """Names that end so."""
        return [name for name in self.memory.blobs if int(name[-2:], 16) in endings]

    async def in_flight(self) -> Collection[str]:
        """Names of writes that were neither settled nor discarded."""
        return set(self.memory.writing)

    async def set_aside(self, name: str, where: Aside) -> str | None:
        """Move a blob to what nobody reads."""
        if name not in self.memory.blobs:
            return None
        places = (f"{where.value}/{name}" + (f".{n}" if n else "") for n in itertools.count())
        place = next(place for place in places if place not in self.memory.aside)
        self.memory.aside[place] = self.memory.blobs.pop(name)
        return place


class MemoryStaged(StagedBlob):
    """A write of an opaque blob."""

    def __init__(self, memory: Memory, name: str) -> None:
        self.name = name
        self._memory = memory
        self._data = bytearray()
        self._published = False
        memory.writing.add(name)

    async def write(self, data: Buffer) -> None:
        """Append."""
        self._data += data

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make it readable."""
        self._memory.blobs[self.name] = bytes(self._data)
        self._published = True
        return Blob(name=self.name, size=len(self._data))

    async def settle(self) -> None:
        """Forget that it was in flight."""
        self._memory.writing.discard(self.name)

    async def discard(self) -> None:
        """Remove it."""
        if self._published:
            self._memory.blobs.pop(self.name, None)
        self._memory.writing.discard(self.name)


class MemoryReader(BlobReader):
    """A span in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        for at in range(0, len(self._data), PIECE):
            yield self._data[at : at + PIECE]

    async def close(self) -> None:
        """Let the bytes go."""
        self._data = b""
