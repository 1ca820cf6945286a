"""The metadata contract: records that are read, and the engine that applies commands.

Every change is a command (``commands.py``), decided where writes are serial; reads see a state at
or after every command that this engine acknowledged. Times are milliseconds since 1970 in UTC,
sizes are bytes, ETags are without quotes, keys are ``str`` and ordered by their UTF-8 bytes.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from bleepstore.events import Event
from bleepstore.storage import ENDINGS, Blob

if TYPE_CHECKING:
    from bleepstore.commands import Command, CommitObject, CompleteUpload, DeleteObject

T = TypeVar("T")

# --- records ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """An S3 checksum: ``algorithm`` as in x-amz-checksum-algorithm, ``value`` as in the header."""

    algorithm: str
    """CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3 or XXHASH128."""
    value: str
    """Base64; COMPOSITE values end in ``-N``."""
    type: str = "FULL_OBJECT"
    """FULL_OBJECT or COMPOSITE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a client said about an object, kept as given."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """content-type, cache-control, content-disposition, -encoding, -language, expires,
    x-amz-website-redirect-location: lower-case names."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """User metadata: lower-case names without ``x-amz-meta-``."""
    storage_class: str = "STANDARD"
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRecord:
    """One bucket."""

    id: int
    name: str
    owner: str
    """Canonical id of the owner."""
    region: str
    created: int
    acl: bytes | None = None
    """The ACL document (``auth.acl``); ``None`` is the private default."""
    documents: frozenset[str] = frozenset()
    """Names of the sub-resource documents that are set (``tagging``, ``cors`` ...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """One version of one object. Its bytes are ``data``, one ``blob``, or a list of segments."""

    bucket: int
    key: str
    seq: int
    """Sequence number of the command that made it: identifies this state of the key."""
    version: str | None
    """``None`` is the version ``null``."""
    size: int
    etag: str
    modified: int
    owner: str
    attributes: Attributes
    acl: bytes | None = None
    tags: bytes | None = None
    """The tagging document (``s3.tagging``), ``None`` without tags."""
    blob: str | None = None
    """Name of the only blob, when the object is one blob or inline."""
    token: str | None = None
    inline: bool = False
    """The bytes of ``blob`` live in the metadata database."""
    data: bytes | None = None
    """The inline bytes, when they were asked for."""
    segments: int | None = None
    """Id of the segment list, when the object is one."""
    parts: int = 0
    """Number of parts of a multipart object, else 0."""


class ObjectEntry(NamedTuple):
    """What a listing says of an object: a tuple, because every page makes a thousand of them."""

    key: str
    size: int
    etag: str
    modified: int
    owner: str
    version: str | None
    """``None`` is the version ``null``."""
    storage_class: str
    checksum_algorithm: str | None
    checksum_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """``length`` bytes of a blob from ``offset``; segments in order are an object."""

    blob: str
    blob_size: int
    """Size of the whole blob."""
    offset: int
    length: int
    inline: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """One part of an upload or of a finished multipart object."""

    number: int
    size: int
    etag: str
    modified: int
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """One multipart upload."""

    id: str
    bucket: int
    key: str
    owner: str
    """Canonical id of the owner the object will have."""
    initiator: str
    created: int
    attributes: Attributes
    algorithm: str | None
    """Checksum algorithm named at CreateMultipartUpload."""
    checksum_type: str | None
    generation: int
    """Rises with every change of the parts; CompleteUpload names the one it decided on."""
    segments: int
    """Id of the upload's segment list."""
    acl: bytes | None = None
    tags: bytes | None = None
    completed: Committed | None = None
    """Set after completion: a repeated CompleteMultipartUpload answers the same."""
    handle: str | None = None
    """Native layout: what the backend knows the upload by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Result of a command that made an object version or a part."""

    seq: int
    etag: str
    size: int
    modified: int
    version: str | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A blob that no row names since ``seq``; or an upload of native layout that ended then."""

    seq: int
    blob: str
    """With an ``upload`` its id."""
    token: str | None = None
    upload: EndedUpload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedUpload:
    """An upload that was aborted or completed, and of which the backend may keep something."""

    id: str
    handle: str
    bucket: str
    """The bucket's name; the bucket may be gone."""
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Result of Reserve: what the key's row names, which upstream is expected to hold."""

    blob: str | None
    """``None``: the key has no row."""
    token: str
    """``""`` without a row."""
    seq: int
    """Of the row, 0 without one."""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write of native layout that was decided, and whose outcome is not recorded yet."""

    reservation: str
    bucket: int
    bucket_name: str
    key: str
    holder: str
    fingerprint: str
    token: str
    """What upstream held when it was decided, ``""`` for nothing."""
    seq: int
    """Of the row then, 0 without one."""
    at: int
    """When it was decided, in milliseconds since 1970."""
    command: CommitObject | CompleteUpload | DeleteObject


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineBlob:
    """One inline blob that was read, for ``scrub``."""

    name: str
    size: int
    whole: bool
    """Whether its bytes are there, and are those that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What names a blob: a version of an object, or a part of an upload."""

    blob: str
    bucket: str
    """The bucket's name."""
    key: str
    version: str | None = None
    upload: str | None = None
    """Id of the upload that has it as a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """One page. ``entries`` holds records and common prefixes (``str``) merged in byte order."""

    entries: Sequence[T | str]
    truncated: bool


# --- refusals: a closed set, decided by ``apply`` ------------------------------------------------


class Reason(enum.Enum):
    """Why a command was refused."""

    BUCKET_EXISTS = "BucketExists"
    NO_SUCH_BUCKET = "NoSuchBucket"
    BUCKET_NOT_EMPTY = "BucketNotEmpty"
    NO_SUCH_KEY = "NoSuchKey"
    NO_SUCH_VERSION = "NoSuchVersion"
    NO_SUCH_UPLOAD = "NoSuchUpload"
    IF_MATCH = "If-Match"
    IF_NONE_MATCH = "If-None-Match"
    UPLOAD_CHANGED = "UploadChanged"
    """The parts changed since the generation named: read them again and decide again."""
    SOURCE_CHANGED = "SourceChanged"
    """The copy source is not the version named any more: read it again and decide again."""
    HELD = "Held"
    """Native layout: another write of the key is being published; wait for it, or resolve it."""
    RESERVATION_LOST = "ReservationLost"
    """The intent was resolved by somebody else: what the write came to is what upstream holds."""


class Refused(Exception):
    """A command was refused and changed nothing."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value, detail)
        self.reason = reason
        self.detail = detail
        """BUCKET_EXISTS: canonical id of the bucket's owner. HELD: the intent's name. Otherwise empty."""


class MetadataUnavailable(Exception):
    """The outcome of a command is unknown, or the engine is read-only since such an outcome."""


class MetadataFull(Exception):
    """No room on the disk. The command changed nothing."""


class MetadataBusy(Exception):
    """No room in the queue of commands, or nobody to take them. It changed nothing; try again later."""


class MetadataFailed(Exception):
    """The engine cannot start: the message is one line for the operator."""


# --- the engine ---------------------------------------------------------------------------------


class MetadataEngine(ABC):
    """Where buckets, objects and uploads are recorded."""

    inline: bool
    """Whether commands may carry object bytes (never under Raft)."""
    store_id: str
    """Identity of the store, made with the database; set after :meth:`start`."""
    fresh: bool
    """Whether no command had ever changed anything when :meth:`start` opened it."""
    is_writer: bool
    """Whether this process has the writer role (and so runs upkeep)."""
    holder: str
    """Names this process in intents: no other has, had or will have it. Set after :meth:`start`."""

    @abstractmethod
    async def start(self) -> None:
        """Open or make the database. Raises :class:`MetadataFailed`."""

    @abstractmethod
    async def stop(self) -> None:
        """Finish queued commands and close. Idempotent."""

    @abstractmethod
    async def apply(self, command: Command) -> Any:
        """Run one command durably and return its result (named in the command's docstring).

        Raises :class:`Refused`, :class:`MetadataUnavailable`, :class:`MetadataFull` or
        :class:`MetadataBusy`. Once queued a command runs even if the caller is cancelled.
        """

    # reads

    @abstractmethod
    async def bucket(self, name: str) -> BucketRecord | None:
        """One bucket by name."""

    @abstractmethod
    async def bucket_document(self, bucket: int, name: str) -> bytes | None:
        """One sub-resource document of a bucket."""

    @abstractmethod
    async def list_buckets(self, owner: str, *, prefix: str, after: str, limit: int) -> Listing[BucketRecord]:
        """Buckets of ``owner`` with names that start with ``prefix`` and sort after ``after``."""

    @abstractmethod
    async def object(
        self, bucket: str, key: str, version: str | None = None, *, data: bool = False
    ) -> tuple[BucketRecord | None, ObjectRecord | None]:
        """The bucket named and the object in it, in one read; the inline bytes when ``data``.

        ``version``: ``None`` for the current one, else its id (``"null"`` for the unversioned).
        """

    @abstractmethod
    async def list_objects(
        self, bucket: int, *, prefix: str, delimiter: str, after: str, limit: int
    ) -> Listing[ObjectEntry]:
        """Current objects and common prefixes strictly after ``after``, at most ``limit`` entries.

        An ``after`` that is itself a common prefix of the listing skips all keys under it; an
        ``after`` inside a common prefix does not skip the keys that follow it there. Costs
        O(page): with a delimiter it seeks past each common prefix.
        """

    @abstractmethod
    async def segments(self, segments: int, *, start: int, length: int) -> Sequence[Segment]:
        """The segments that cover ``length`` bytes from ``start``, clipped to exactly that span."""

    @abstractmethod
    async def parts(self, segments: int, *, after: int = 0, limit: int = 10_000) -> Sequence[PartRecord]:
        """Parts with numbers above ``after``, in order of number."""

    @abstractmethod
    async def inline_data(self, blob: str) -> bytes | None:
        """The bytes of an inline blob (segments name them)."""

    @abstractmethod
    async def upload(
        self, bucket: str, key: str, upload: str
    ) -> tuple[BucketRecord | None, UploadRecord | None]:
        """The bucket named and the upload of ``key`` in it (also a completed one)."""

    @abstractmethod
    async def list_uploads(
        self, bucket: int, *, prefix: str, delimiter: str, after: tuple[str, str], limit: int
    ) -> Listing[UploadRecord]:
        """Uploads in progress, by key, then by time of creation; ``after`` is (key, upload id).

        An empty upload id in ``after`` means after every upload of that key.
        """

    # native layout

    @abstractmethod
    async def part_blobs(self, segments: int) -> Mapping[int, Blob]:
        """The blobs of an unfinished upload's parts, by number; parts of several spans are left out."""

    @abstractmethod
    async def intent(self, bucket: int, key: str) -> Intent | None:
        """The intent on a key."""

    @abstractmethod
    async def intents(self, limit: int, *, after: tuple[int, str] = (0, "")) -> Sequence[Intent]:
        """Intents by bucket and key, those after (bucket, key)."""

    @abstractmethod
    async def is_alive(self, holder: str) -> bool:
        """Whether the process of that name may still be at work."""

    # upkeep

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Hold back the removal of blobs dropped from now on, while a body is being read.

        Enter it before the read that names the blobs. The inline blobs of a segment list stay too;
        an object that is one inline blob is read with its bytes at once (:meth:`object`).
        """

    @abstractmethod
    async def garbage(self, limit: int, *, after: tuple[int, str] = (0, "")) -> Sequence[Garbage]:
        """Dropped blobs that no process reads any more, oldest first (``ForgetGarbage`` ends them).

        ``after``: the seq and the blob of the last one that was seen. Inline blobs that were in a segment
        list are among them; the backend knows nothing of those.
        """

    @abstractmethod
    async def known(self, blobs: Sequence[str]) -> set[str]:
        """Which of these blobs any row names (garbage too). May scan: for recovery only."""

    @abstractmethod
    async def expired_uploads(self, before: int, limit: int) -> Sequence[UploadRecord]:
        """Uploads created before a time: unfinished ones to abort, finished ones to forget."""

    @abstractmethod
    async def events(self, sink: str, limit: int) -> Sequence[Event]:
        """Events after the sink's cursor (moved by ``MoveCursor``), oldest first."""

    # scrub, rescan, export

    async def all_buckets(self, *, after: str, limit: int) -> Listing[BucketRecord]:
        """Buckets of everybody with names that sort after ``after``."""
        raise MetadataUnavailable("the metadata engine cannot list the buckets of everybody")

    @abstractmethod
    def blobs(self, endings: range = ENDINGS) -> AsyncIterator[Blob]:
        """Every blob that any row names; garbage and inline blobs excluded.

        ``endings``: only names whose last two hex digits are in it. A blob may come more than
        once. One that was copied and released while they were read may be missing: ask
        :meth:`known` before a blob is judged to be a stranger.
        """

    @abstractmethod
    def inline_blobs(self, endings: range = ENDINGS) -> AsyncIterator[InlineBlob]:
        """Every inline blob, with its bytes checked; also what a row names and is not there."""

    @abstractmethod
    async def holders(self, blobs: Sequence[str]) -> Sequence[Holder]:
        """What names these blobs now, inline ones too. Scans, and sees one state."""
