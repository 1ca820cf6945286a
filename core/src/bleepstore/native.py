"""The storage contract of native layout: what a cloud holds is the object itself.

An object of bucket ``b`` and key ``k`` is upstream under ``prefix/b/k``, with its content type,
cache headers and user metadata, so that the data is usable without BleepStore. Bookkeeping (the store
id, what is staged, parts) lies under a reserved prefix that is no bucket's name, and is hidden.

A write changes nothing of the object before the core has decided it:

1. ``stage`` and ``write``: the bytes go somewhere invisible (memory while they are few, an upstream
   multipart upload, a block list, an object under the reserved prefix);
2. ``seal``: all of them are there, and :meth:`NativeStaged.seal` says by what they will be known;
3. the core verifies digests, and ``apply(Reserve)`` decides the precondition and records the intent;
4. ``publish(expect=token)``: upstream itself refuses where it holds another state than metadata knew;
5. ``apply(Commit...)`` writes the row with the new token, and ends the intent.

Whatever is cut off between 3 and 5 is decided by :meth:`NativeBackend.stat`: upstream holds the token
that was expected (nothing happened), or what the intent's fingerprint says (it happened), or
something else (it was changed behind our back, and is adopted).

Guarantees beside those of :mod:`bleepstore.storage`, checked by ``bleepstore.testing.native_storage``:

* a read finds the state of its token, whole, or raises :class:`~bleepstore.storage.TokenMismatch`
  or :class:`~bleepstore.storage.BlobMissing`: never another state's bytes, however long it takes;
* ``publish`` and ``delete`` at a token change nothing where upstream holds another state;
* memory for one write under way is bounded by a few buffers of some MiB, whatever its size;
* a call that upstream does not answer ends within seconds as :class:`~bleepstore.storage.Unavailable`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from bleepstore.storage import Blob, StagedBlob, StorageBackend, Target, Unsupported

RESERVED = ".bleepstore"
"""First segment of upstream names that are bookkeeping. No bucket can be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamObject:
    """What upstream says of one object."""

    name: str
    """The blob's name as rows have it: without the configured prefix."""
    bucket: str
    key: str
    size: int
    """Bytes."""
    token: str
    """The state: what ``expect`` and :attr:`~bleepstore.storage.Blob.token` compare."""
    fingerprint: str
    """What the bytes are known by: equal to :meth:`NativeStaged.seal`'s for the same write.

    ``""`` where nothing upstream tells it, here or there.
    """
    etag: str | None
    """The S3 ETag without quotes, where upstream's own digests tell it (MD5, or ``MD5-N`` of parts)."""
    modified: int
    """Milliseconds since 1970."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Content-Type and the other system headers, lower-case names, as in ``Target``."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata, names as the client gave them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeUpload:
    """A multipart upload as metadata remembers it."""

    name: str
    """32 hex digits, chosen by the core: unique, also for bookkeeping upstream."""
    handle: str
    """What :meth:`NativeBackend.begin_upload` returned; ``""`` where upstream keeps nothing."""
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class NativePart:
    """One part of an upload as metadata remembers it."""

    number: int
    """1 to 10,000."""
    blob: Blob
    """What the part's ``publish`` returned."""


class NativeStaged(StagedBlob, ABC):
    """A write under way to a native backend: pieces, ``seal``, then ``publish`` or ``discard``.

    For a copy or an assembled upload there are no pieces. ``publish`` may be asked again, with another
    ``expect``, after it raised TokenMismatch. ``discard`` after ``publish`` removes the published object
    only where it is still there at the token that ``publish`` returned: after one that raised, whatever
    was published stays, and the core finds out by :meth:`NativeBackend.stat`.
    """

    @abstractmethod
    async def seal(self) -> str:
        """Finish the invisible part of the write and return its fingerprint. Once, before ``publish``.

        What can be slow happens here: ``publish`` after it is a few short calls.
        """


class NativeBackend(StorageBackend, ABC):
    """A backend of native layout. Names of its blobs are made from bucket and key."""

    # --- names ----------------------------------------------------------------------------------------

    @abstractmethod
    def name_of(self, bucket: str, key: str) -> str:
        """The blob's name for a key: reversible, injective, no I/O.

        What upstream cannot hold is escaped as the plugin's README says. Raises KeyTooLong where
        there is no room for it, and Unsupported for what cannot be held at all.
        """

    # --- writes ---------------------------------------------------------------------------------------

    @abstractmethod
    async def stage(
        self, name: str, *, size: int | None = None, target: Target | None = None
    ) -> NativeStaged:
        """As in the base; ``target`` is required (Unsupported without). Raises Unsupported."""

    @abstractmethod
    async def stage_copy(self, name: str, source: Blob, target: Target) -> NativeStaged:
        """Begin a copy within upstream, of ``source`` at its token (maybe onto itself).

        ``publish`` raises BlobMissing where the source is not there at its token. Raises Unsupported
        where upstream cannot copy this by itself; the core then reads and writes.
        """

    # --- multipart ------------------------------------------------------------------------------------

    @abstractmethod
    async def begin_upload(self, name: str, target: Target) -> str:
        """Begin a multipart upload and return its handle, which metadata keeps."""

    @abstractmethod
    async def stage_part(
        self, upload: NativeUpload, number: int, name: str, *, size: int | None = None
    ) -> NativeStaged:
        """Begin a write of a part; its ``publish`` (no ``expect``) returns what ``NativePart`` keeps.

        The part of a number may be written again, also at the same time: each ``publish`` gives a
        blob of its own, and :meth:`stage_upload` is told which counts. A token in that blob says that
        the upload's end removes it; without one the core deletes the blob when no row names it.
        """

    @abstractmethod
    async def stage_part_copy(
        self, upload: NativeUpload, number: int, name: str, source: Blob, start: int, length: int
    ) -> NativeStaged:
        """Begin a copy of ``source[start:start+length]`` into a part. Unsupported as ``stage_copy``."""

    @abstractmethod
    async def stage_upload(self, upload: NativeUpload, parts: Sequence[NativePart]) -> NativeStaged:
        """Begin to make the object of these parts, in this order.

        ``publish`` completes the upload on its ``expect`` and returns the object's blob; ``discard``
        leaves upload and parts as they are, so that the client may complete it again.
        """

    @abstractmethod
    async def abort_upload(self, upload: NativeUpload) -> None:
        """Drop what upstream keeps of an upload, completed or not. Idempotent."""

    # --- what is upstream -----------------------------------------------------------------------------

    @abstractmethod
    async def stat(self, name: str) -> UpstreamObject | None:
        """What upstream holds now under a blob's name; ``None`` where there is nothing."""

    async def claim(self, store_id: str) -> None:
        """Make what is upstream that of another store, before :meth:`start`; its own metadata is lost.

        Only the bookkeeping changes. Raises Unsupported where a backend cannot.
        """
        raise Unsupported("the backend cannot take over another store's objects")

    @abstractmethod
    def buckets(self) -> AsyncIterator[str]:
        """The first segments of what is stored below the prefix: names of buckets, in any order."""

    @abstractmethod
    def objects(self, bucket: str, *, prefix: str = "", after: str = "") -> AsyncIterator[UpstreamObject]:
        """What upstream holds of a bucket, in upstream's own order, which is stable.

        ``after``: the name of the last one seen, to go on from. Listings that do not tell everything
        (user metadata) are completed by ``stat``: the caller asks for what it needs.
        """
