"""The storage contract: blobs, and nothing of S3.

A backend knows blobs: no ACLs, no XML, no listing rules. A write is **staged** somewhere no reader
can see it, then **published** or **discarded**; a read names one blob and a span of it.

Two layouts, a capability of the backend:

*opaque*
    The core names blobs and never reuses a name, so a write never overwrites and a reader never
    sees a mix. ``local`` is opaque.
*native*
    An object's blob is ``prefix/bucket/key`` upstream, with its content type and user metadata, so
    that the data is usable without BleepStore. Publishing is conditional on the token that
    metadata knows, and a read asks for exactly the token in the row. The clouds are native.

Guarantees every backend gives, and ``bleepstore.testing.storage`` checks:

* nothing of a write is visible before ``publish`` returned, and all of it is durable after;
* a body that fails or is cancelled leaves nothing behind;
* ``open`` finds a missing blob before the first byte is asked for;
* bytes read are the bytes written, or :class:`Damaged` is raised: never wrong bytes;
* ``delete`` of an absent blob succeeds.

A backend whose :class:`Capabilities` say ``scrub`` can also tell what it stores and set it aside,
so that ``bleepstore scrub`` can compare it with the metadata.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
ENDINGS = range(256)
"""All that the last two hex digits of a blob's name can be. They are random, so that a part of this
range is an even slice of what is stored."""


class Layout(enum.Enum):
    """Who names the blobs."""

    OPAQUE = "opaque"
    NATIVE = "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do; the core asks before it relies on it."""

    layout: Layout
    inline: bool
    """Small objects may live in the metadata database instead of in the backend."""
    scrub: bool = False
    """There are :meth:`StorageBackend.names`, ``in_flight`` and ``set_aside`` (opaque layout)."""


class Aside(enum.Enum):
    """Where a blob goes that is not to be found under its name any more; nothing is deleted there."""

    QUARANTINE = "quarantine"
    """Blobs that rows name, and whose bytes are not what was written."""
    TRASH = "trash"
    """What no row names."""


# --- faults: a closed set. A backend raises these and nothing else. -----------------------------


class StorageFault(Exception):
    """Base of everything a backend raises."""


class BlobMissing(StorageFault):
    """The blob named by a row is not there."""


class Damaged(StorageFault):
    """The blob's bytes are not the bytes that were written."""


class TokenMismatch(StorageFault):
    """Native layout: upstream holds another state than the token expected."""


class OutOfSpace(StorageFault):
    """No room for the write. Nothing of it is left behind."""


class Unavailable(StorageFault):
    """The backend does not answer now; the same call may succeed later."""


class Unsupported(StorageFault):
    """The backend cannot hold this key, name or value."""


class KeyTooLong(Unsupported):
    """The backend has no room for this key, with its escapes and what stands before it upstream."""


class BackendFailed(StorageFault):
    """Anything else, with the cause chained; the outcome of a write is unknown."""


class StoreMismatch(StorageFault):
    """The backend's root carries another store id than the metadata. Refuses to start."""


# --- the contract -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One stored blob as a metadata row names it."""

    name: str
    size: int
    """Length in bytes."""
    token: str | None = None
    """Native layout: the upstream state (ETag, generation) that a read must find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Native layout: the object that a staged blob is to become."""

    bucket: str
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Content-Type and the other system headers, lower-case names."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata without the ``x-amz-meta-`` prefix."""


class StagedBlob(ABC):
    """One write under way: pieces, then ``publish`` and ``settle``, or ``discard`` at any time.

    One method runs at a time. Any of them may be cancelled while it waits; what a thread or the
    network goes on doing then is over before ``discard`` returns.
    """

    name: str

    @abstractmethod
    async def write(self, data: Buffer) -> None:
        """Append ``data``; the buffer may be reused after return. Raises :class:`OutOfSpace`.

        It may return before the piece is written: the next call raises what went wrong, and after
        a fault the write can only be discarded.
        """

    @abstractmethod
    async def publish(self, *, expect: str | None = None) -> Blob:
        """Make the blob durable (power cut) and readable, and return it. No sync is tried twice.

        ``expect`` (native layout): the token upstream must hold now, ``""`` for absence, ``None``
        for no condition; :class:`TokenMismatch` when it does not.
        """

    @abstractmethod
    async def settle(self) -> None:
        """The outcome of the published blob is in the metadata now: stop tracking it. Never fails."""

    @abstractmethod
    async def discard(self) -> None:
        """Remove all traces, also of a published blob that no row will name.

        Idempotent, allowed after a failed or cancelled ``write`` or ``publish``, and done to the end
        when cancelled itself. Raises nothing: what cannot be removed now is for
        :meth:`StorageBackend.abandoned`.
        """


class BlobReader(ABC):
    """An open span of one blob."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the span in order, once, in pieces of at most about 1 MiB.

        Raises :class:`Damaged` before a piece that is not what was written.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release what the reader holds. Idempotent; also after a partial read."""


class StorageBackend(ABC):
    """Where blobs live. One instance a process; every method may run concurrently.

    Example (memory, opaque)::

        class MemoryBackend(StorageBackend):
            capabilities = Capabilities(layout=Layout.OPAQUE, inline=True)
            async def stage(self, name, *, size=None, target=None):
                return MemoryStaged(self._blobs, name)
            ...
    """

    capabilities: Capabilities

    @abstractmethod
    async def start(self, store_id: str, *, fresh: bool) -> None:
        """Open the backend and check that it belongs to the store.

        ``fresh``: the metadata has never recorded anything, so that an empty root takes the id. A
        root with another id, one without an id beside other metadata (a disk that is not mounted
        looks so), or with blobs beside fresh metadata, raises :class:`StoreMismatch`.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Release everything. Idempotent."""

    @abstractmethod
    async def stage(self, name: str, *, size: int | None = None, target: Target | None = None) -> StagedBlob:
        """Begin a write of blob ``name`` (``size`` in bytes when known).

        ``name`` is 32 lower-case hex digits and new. ``target`` is given in native layout.
        """

    @abstractmethod
    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        """Open ``blob[start:start+length]`` for reading (to its end when ``None``), as a slice does.

        Raises :class:`BlobMissing`, :class:`TokenMismatch` or :class:`Damaged` here where it can
        be known before the first byte.
        """

    @abstractmethod
    async def delete(self, name: str, *, token: str | None = None) -> None:
        """Remove a blob; an absent one is no error. Native: only at ``token``."""

    async def abandoned(self) -> Iterable[str]:
        """Names that processes now dead had in flight. The core asks metadata which are known."""
        return ()

    async def resolve(self, names: Iterable[str]) -> None:
        """Names from :meth:`abandoned` whose fate is decided: forget them."""
        return

    # scrub

    async def verify(self, blob: Blob) -> None:
        """Read a whole blob, from where it lasts and not from a cache where that can be had.

        Raises what :meth:`open` and its reader raise, :class:`Damaged` first of all.
        """
        reader = await self.open(blob)
        try:
            async for _ in reader:
                pass
        finally:
            await reader.close()

    async def names(self, endings: range) -> Collection[str]:
        """What is stored or being written and ends in one of these (see :data:`ENDINGS`).

        What is stored under a name that no blob can have comes with any one ending, by a text that
        :meth:`set_aside` understands. What comes or goes meanwhile may be missing.
        """
        raise Unsupported("the backend cannot be scrubbed")

    async def in_flight(self) -> Collection[str]:
        """Names whose fate is not decided, of living and dead processes.

        One that was stored before this was asked, and is not here, has been settled or discarded,
        or its process and all that it noted of it are lost (a power cut).
        """
        raise Unsupported("the backend cannot be scrubbed")

    async def set_aside(self, name: str, where: Aside) -> str | None:
        """Move what :meth:`names` named out of the way, durably, and say where it is now.

        Nothing that is there already is replaced. ``None``: there is nothing of that name.
        """
        raise Unsupported("the backend cannot be scrubbed")
