"""Storage backends in memory: the smallest that keep the contract, one of each layout.

They are for tests of whatever stands above storage, and an example of the contract without a disk
or a network in the way. What they hold is in a :class:`Memory`, which outlives them as a disk does.
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
    TokenMismatch,
    Unsupported,
)

PIECE = 1024 * 1024
"""Bytes that a reader yields at once."""


@dataclass(slots=True)
class Memory:
    """What a disk would be: bytes by the name of the blob, with the token of each."""

    store_id: str = ""
    blobs: dict[str, tuple[bytes, str | None]] = field(default_factory=dict)
    tokens: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
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
        data, token = self.memory.blobs[blob.name]
        if token != blob.token:
            raise TokenMismatch(blob.name)
        return MemoryReader(data[start:] if length is None else data[start : start + length])

    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove a blob."""
        if name in self.memory.blobs and self.memory.blobs[name][1] != token:
            raise TokenMismatch(name)
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
        self.memory.aside[place] = self.memory.blobs.pop(name)[0]
        return place


class NativeMemoryBackend(MemoryBackend):
    """Native blobs in memory: named by bucket and key, and conditional on tokens."""

    capabilities = Capabilities(layout=Layout.NATIVE, inline=False)

    async def stage(self, name: str, *, size: int | None = None, target: Target | None = None) -> StagedBlob:
        """Begin a write of an object."""
        if target is None:
            raise Unsupported(f"{name}: a native blob needs its bucket and key")
        return NativeMemoryStaged(self.memory, f"{target.bucket}/{target.key}")


class MemoryStaged(StagedBlob):
    """A write of an opaque blob."""

    def __init__(self, memory: Memory, name: str) -> None:
        self.name = name
        self._memory = memory
        self._data = bytearray()
        self._published: Blob | None = None
        memory.writing.add(name)

    async def write(self, data: Buffer) -> None:
        """Append."""
        self._data += data

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make it readable."""
        self._published = self._publish(expect)
        self._memory.blobs[self.name] = (bytes(self._data), self._published.token)
        return self._published

    def _publish(self, expect: str | None) -> Blob:
        return Blob(name=self.name, size=len(self._data))

    async def settle(self) -> None:
        """Forget that it was in flight."""
        self._memory.writing.discard(self.name)

    async def discard(self) -> None:
        """Remove it, unless it has been replaced since."""
        published, self._published = self._published, None
        if published is not None and self._memory.blobs.get(self.name, (b"", ""))[1] == published.token:
            del self._memory.blobs[self.name]
        self._memory.writing.discard(self.name)


class NativeMemoryStaged(MemoryStaged):
    """A write of a native blob."""

    def _publish(self, expect: str | None) -> Blob:
        _, held = self._memory.blobs.get(self.name, (b"", ""))
        if expect is not None and held != expect:
            raise TokenMismatch(self.name)
        return Blob(name=self.name, size=len(self._data), token=str(next(self._memory.tokens)))


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
