"""Metadata writes as values: frozen, with an id, and with time, names and preconditions chosen.

An engine runs a command inside a transaction (SQLite) or appends it to a log (Raft), and both call
the same ``sqlite.state.apply``, which reads no clock, no random number and no disk. ``encode`` and
``decode`` give every command a versioned canonical form: equal commands have equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bleepstore.metadata import Attributes, Checksum


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What every command carries."""

    id: str
    """Unique; an engine that retries gives the recorded result for a repeated id."""
    at: int
    """The time the command speaks of, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A write precondition, decided in ``apply`` against the current version of the key."""

    if_match: tuple[str, ...] | None = None
    """ETags without quotes, or ``("*",)``. Refusals: IF_MATCH, or NO_SUCH_KEY for an absent key."""
    if_none_match: bool = False
    """``If-None-Match: *``. Refusal: IF_NONE_MATCH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Where the bytes are: in blob ``blob``, or in ``data`` under that name, or nowhere (empty)."""

    size: int
    blob: str | None = None
    data: bytes | None = None
    token: str | None = None
    """Native layout: the state of the blob upstream. Such a blob is never shared and never garbage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A copy source as it was read: the version is found again and compared in ``apply``."""

    bucket: int
    key: str
    version: str | None
    seq: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBucket(Command):
    """Result: BucketRecord. Refused: BUCKET_EXISTS with the owner as detail."""

    name: str
    owner: str
    region: str
    acl: bytes | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBucket(Command):
    """Result: None. Pending uploads go with it. Refused: NO_SUCH_BUCKET, BUCKET_NOT_EMPTY.

    A bucket with an intent in it is not empty.
    """

    bucket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBucketDocument(Command):
    """Set (or with ``None`` remove) a sub-resource; ``acl`` is the bucket's ACL. Result: None.

    Refused: NO_SUCH_BUCKET.
    """

    bucket: int
    name: str
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitObject(Command):
    """Make an object version. Result: Committed. Refused: NO_SUCH_BUCKET, Condition's.

    With a ``reservation`` the condition was decided by :class:`Reserve` and is not decided again; the
    intent ends. Refused then: RESERVATION_LOST.
    """

    bucket: int
    key: str
    content: Content
    etag: str
    owner: str
    attributes: Attributes
    acl: bytes | None = None
    tags: bytes | None = None
    condition: Condition = Condition()
    event: str = "s3:ObjectCreated:Put"
    reservation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyObject(Command):
    """Make an object version that shares the source's bytes. Result: Committed.

    Refused: NO_SUCH_BUCKET, SOURCE_CHANGED, Condition's.
    """

    bucket: int
    key: str
    source: Source
    etag: str
    owner: str
    attributes: Attributes
    acl: bytes | None = None
    tags: bytes | None = None
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteObject(Command):
    """Remove a key's version (``None``: the current one). Result: bool, whether it was there.

    ``match`` narrows further: the values that must equal the object's, by name ``size`` (int) and
    ``modified`` (seconds since 1970); a mismatch is IF_MATCH. Refused: NO_SUCH_BUCKET, Condition's.
    ``reservation``: as with :class:`CommitObject`.
    """

    bucket: int
    key: str
    version: str | None = None
    condition: Condition = Condition()
    match: Mapping[str, int] = field(default_factory=dict)
    reservation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutObjectDocument(Command):
    """Set (or with ``None`` remove) ``acl`` or ``tags`` of a version. Result: None.

    Refused: NO_SUCH_BUCKET, NO_SUCH_KEY, NO_SUCH_VERSION.
    """

    bucket: int
    key: str
    version: str | None
    name: str
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUpload(Command):
    """Begin a multipart upload. Result: UploadRecord. Refused: NO_SUCH_BUCKET."""

    bucket: int
    key: str
    upload: str
    owner: str
    initiator: str
    attributes: Attributes
    algorithm: str | None = None
    checksum_type: str | None = None
    acl: bytes | None = None
    tags: bytes | None = None
    handle: str | None = None
    """Native layout: what the backend knows the upload by. Whatever ends it leaves garbage of an upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPart(Command):
    """Add or replace a part. Result: Committed. Refused: NO_SUCH_BUCKET, NO_SUCH_UPLOAD."""

    bucket: int
    key: str
    upload: str
    number: int
    content: Content
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPart(Command):
    """Add or replace a part that shares a span of the source's bytes. Result: Committed.

    Refused: NO_SUCH_BUCKET, NO_SUCH_UPLOAD, SOURCE_CHANGED.
    """

    bucket: int
    key: str
    upload: str
    number: int
    source: Source
    start: int
    length: int
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteUpload(Command):
    """Adopt the upload's list as an object, and drop the parts that are not in ``parts``.

    ``parts`` is inclusive runs of part numbers, ascending. Result: Committed, also for an upload
    that is completed already. Refused: NO_SUCH_BUCKET, NO_SUCH_UPLOAD, UPLOAD_CHANGED, Condition's.
    Native layout: the object is ``content``, the bytes of all parts are dropped, and with a
    ``reservation`` (see :class:`CommitObject`) the generation is not decided again either.
    """

    bucket: int
    key: str
    upload: str
    generation: int
    parts: tuple[tuple[int, int], ...]
    size: int
    etag: str
    checksum: Checksum | None
    condition: Condition = Condition()
    content: Content | None = None
    reservation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortUpload(Command):
    """Drop an upload and its parts (a completed one is only forgotten). Result: None.

    Refused: NO_SUCH_BUCKET, NO_SUCH_UPLOAD; HELD while an intent would complete it.
    """

    bucket: int
    key: str
    upload: str


# --- native layout: what is decided here and done upstream ---------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(Command):
    """Decide a write that is about to be published upstream, and record the intent. Result: Reserved.

    ``command`` is what will commit it, without the blob and its token, which nobody knows yet. An
    intent ends with that command, with :class:`AdoptObject` or with :class:`Release`; until then no
    other is recorded for its key. A delete of what is not there records none.
    Refused: what ``command`` can be refused as; HELD, with the name of the intent that is there.
    """

    reservation: str
    """The intent's name: unique."""
    holder: str
    """The process that publishes: :attr:`~bleepstore.metadata.MetadataEngine.holder`."""
    fingerprint: str
    """What upstream will know the bytes by; ``""`` for a delete."""
    command: CommitObject | CompleteUpload | DeleteObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Command):
    """End an intent that came to nothing. Result: bool, whether it was there."""

    bucket: int
    key: str
    reservation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptObject(Command):
    """Make a key say what upstream holds, which was changed by others. Result: bool, whether it does now.

    Only while the key is at ``seq`` (0: it has no row) and no intent but ``reservation``, which ends, is
    on it. ACL, tags and storage class stay. Refused: NO_SUCH_BUCKET.
    """

    bucket: int
    key: str
    seq: int
    content: Content | None
    """``None``: upstream holds nothing, and the row goes."""
    etag: str
    owner: str
    """Of a key that had no row."""
    modified: int
    attributes: Attributes
    reservation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetGarbage(Command):
    """The backend removed these blobs (or dropped these uploads): drop their records.

    With inline ones goes what the database holds of them. Result: None.
    """

    blobs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowEvents(Command):
    """Keep events from now on for these sinks, and for no others. Result: None."""

    sinks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCursor(Command):
    """A sink has taken all events up to ``seq``. Events below every cursor go. Result: None."""

    sink: str
    seq: int
