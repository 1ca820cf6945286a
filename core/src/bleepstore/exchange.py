"""One request and its reply: all that operations, authenticators and wrappers see.

The entry below builds an :class:`Exchange` from the wire and writes the :class:`Reply`; nothing
above it sees scope, receive or send. The life of an exchange: address -> operation row ->
authenticate on headers -> load the resource the row names -> authorize -> handler -> reply.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bleepstore.metadata import BucketRecord, MetadataEngine, ObjectRecord, UploadRecord
from bleepstore.settings import Settings
from bleepstore.storage import StorageBackend

if TYPE_CHECKING:
    from bleepstore.gateway.writes import Gateway
    from bleepstore.operations import Operation, Permission
    from bleepstore.secret import Secret

# --- what is asked for --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    """What a request is about: the service (neither), a bucket, or a key in it."""

    bucket: str | None
    key: str | None
    virtual: bool = False
    """The bucket is named by the host."""


class AddressResolver(ABC):
    """Finds bucket and key; the first that does not return ``None`` is believed."""

    @abstractmethod
    def resolve(self, host: str, raw_path: str) -> Address | None:
        """Return the address for a Host header and a raw path, or ``None`` to leave it to others.

        Raises S3Error InvalidURI or KeyTooLongError.
        """


# --- who asks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An owner of buckets and objects, and a grantee."""

    id: str
    """Canonical id."""
    display_name: str
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who made a request. ``account`` is ``None`` for an anonymous one."""

    account: Account | None = None
    access_key: str = ""
    signature: str = ""
    """How the request was signed, in AWS's words: ``AWS4-HMAC-SHA256``, or ``AWS`` for Version 2."""

    @property
    def anonymous(self) -> bool:
        """Whether nobody signed."""
        return self.account is None


ANONYMOUS = Identity()


class Accounts(Protocol):
    """The accounts of this server (implemented in ``auth.accounts``)."""

    first: Account

    def credentials(self, access_key: str) -> tuple[Account, Secret] | None:
        """The account and the secret of a key pair."""

    def by_id(self, canonical_id: str) -> Account | None:
        """The account with a canonical id."""

    def by_email(self, email: str) -> Account | None:
        """The account with an e-mail address, compared without case."""


class ChunkSigner(Protocol):
    """The running signature of an aws-chunked body (implemented in ``auth.chunks``)."""

    def chunk(self, sha256: bytes) -> str:
        """The hex signature the next chunk must carry, given its data's SHA-256; advances."""

    def trailer(self, sha256: bytes) -> str:
        """The hex signature of the trailer block, given the SHA-256 of its canonical lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """An authenticator's finding: who it is, and what the body must prove."""

    identity: Identity
    chunk_signer: ChunkSigner | None = None
    """For ``STREAMING-AWS4-HMAC-SHA256-PAYLOAD`` and its ``-TRAILER`` form."""
    signed_headers: frozenset[str] = frozenset()
    query_checksums_signed: bool = False
    """Presigned: ``x-amz-checksum-*`` in the query is signed but not enforced."""
    payload: str = ""
    """What was signed as ``x-amz-content-sha256``; a presigned URL may have it in its query alone."""


class Authenticator(ABC):
    """Finds who signed a request. The first that does not return ``None`` is believed."""

    @abstractmethod
    async def authenticate(self, x: Exchange) -> Authentication | None:
        """Return the finding, ``None`` for a request of another scheme, or raise S3Error."""

    async def authenticate_form(self, x: Exchange, fields: Mapping[str, str]) -> Identity | None:
        """Return who signed the policy of a POST form, ``None`` for another scheme, or raise S3Error.

        ``fields`` by lower-case name. What the policy says is not looked at here.
        """
        return None


class Decision(enum.Enum):
    """An authorizer's vote. An explicit deny wins, then any allow, else the request is denied."""

    ALLOW = "allow"
    DENY = "deny"
    ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One question to the authorizers: may ``identity`` have ``permission`` here?"""

    identity: Identity
    permission: Permission
    bucket: BucketRecord | None = None
    object: ObjectRecord | None = None
    upload: UploadRecord | None = None
    key: str | None = None
    version: str | None = None
    """The version that was asked for by id."""
    exchange: Exchange
    """Facts of the request, for conditions."""


class Authorizer(ABC):
    """Votes on access."""

    @abstractmethod
    async def authorize(self, access: Access) -> Decision:
        """Vote; see :class:`Decision`. Must not raise."""


# --- the body -----------------------------------------------------------------------------------


class Body(ABC):
    """The decoded payload of a request (implemented in ``http.body``).

    aws-chunked framing and its signatures are gone; what the client declared (x-amz-content-sha256,
    Content-MD5, x-amz-checksum-*, decoded length, trailers) is verified before the last piece is
    followed by the end of iteration, so whoever reads to the end has verified bytes.
    The first pull sends ``100 Continue`` where the client waits for it.
    """

    length: int | None
    """Decoded length in bytes, where the client declared one."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield pieces of any size. Raises S3Error: IncompleteBody, BadDigest, ..."""

    @abstractmethod
    async def read(self, limit: int) -> bytes:
        """The whole body, verified; S3Error EntityTooLarge (MalformedXML's job is the reader's)."""

    @property
    @abstractmethod
    def md5(self) -> str:
        """Hex MD5 of all bytes; valid after the end."""

    @property
    @abstractmethod
    def checksum(self) -> tuple[str, str] | None:
        """(algorithm, base64) of the checksum computed over all bytes; valid after the end."""

    @abstractmethod
    def require_checksum(self, algorithm: str) -> None:
        """Compute this algorithm too, when the client declared none. Before the first pull."""

    @abstractmethod
    def authenticated(self, authentication: Authentication) -> None:
        """Take what was signed about it. The pipeline calls it after authentication, before the handler.

        Raises S3Error for an ``x-amz-content-sha256: STREAMING-*`` that cannot be read.
        """

    @abstractmethod
    def ignore_checksums(self) -> None:
        """The ``x-amz-checksum-*`` headers describe something else than this body.

        CompleteMultipartUpload calls it before the first pull: there they describe the object.
        """

    @abstractmethod
    async def drain(self) -> bool:
        """Swallow a small rest so that the connection can be kept; False when it must close."""


class BodyStream(Protocol):
    """A reply body under way; closed on every path."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""

    async def aclose(self) -> None:
        """Release what the stream holds."""


@dataclass(slots=True)
class Reply:
    """A reply: what the entry writes. Header names are lower-case.

    ``length`` is the Content-Length of a stream (``None``: chunked transfer) or of what a HEAD
    leaves out. The entry adds Date, Server and the request ids.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | BodyStream = b""
    length: int | None = None


Handler: TypeAlias = "Callable[[Exchange], Awaitable[Reply]]"
ExchangeWrapper: TypeAlias = "Callable[[Exchange, Handler], Awaitable[Reply]]"


# --- the exchange -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every exchange of one server shares. Two servers fit in one process."""

    settings: Settings
    accounts: Accounts
    metadata: MetadataEngine
    storage: StorageBackend
    authenticators: Sequence[Authenticator]
    authorizers: Sequence[Authorizer]
    clock: Callable[[], int]
    """Milliseconds since 1970."""
    new_id: Callable[[], str]
    """32 lower-case hex digits, rising with time: 12 of milliseconds, 20 random."""
    gateway: Gateway | None = None
    """Set where the storage backend has native layout: what writes, deletes and adopts there."""


@dataclass(slots=True, kw_only=True)
class CopySource:
    """The source of a copy, found and authorized before the handler runs."""

    bucket: BucketRecord
    object: ObjectRecord
    version: str | None


class Exchange:
    """One request, and what the pipeline found out about it."""

    __slots__ = (
        "authentication",
        "body",
        "bucket",
        "bucket_name",
        "client",
        "headers",
        "host",
        "host_id",
        "key",
        "method",
        "now",
        "object",
        "operation",
        "query",
        "raw_path",
        "raw_query",
        "request_id",
        "scheme",
        "services",
        "source",
        "upload",
    )

    services: Services
    request_id: str
    host_id: str
    method: str
    scheme: str
    """``http`` or ``https``, after trusted X-Forwarded-Proto."""
    host: str
    """The Host header as the client sent it (signatures cover it), with port."""
    client: str
    """The peer's address."""
    raw_path: str
    """The path as on the wire, percent-encoded ASCII, without the query."""
    raw_query: str
    headers: Mapping[str, str]
    """Lower-case names; bytes as latin-1, so that signatures see what was sent. A repeated header
    is joined by commas in order."""
    query: Mapping[str, str]
    """Decoded; ``+`` is a space; the first value of a repeated name; bare names are ``""``."""
    bucket_name: str | None
    key: str | None
    now: int
    """Milliseconds since 1970 when the request arrived."""
    body: Body
    operation: Operation
    authentication: Authentication
    bucket: BucketRecord | None
    """Loaded when the row's ``loads`` names it; the pipeline answered NoSuchBucket otherwise."""
    object: ObjectRecord | None
    upload: UploadRecord | None
    source: CopySource | None

    @property
    def identity(self) -> Identity:
        """Who asks."""
        return self.authentication.identity
