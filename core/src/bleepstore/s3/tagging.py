"""Tags of buckets and objects.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html

The stored document is the canonical ``x-amz-tagging`` form: ``key=value&key2=value2``, UTF-8,
everything but letters, digits and ``_.-~`` percent-encoded. So an upload's header is nearly the
document already, and counting tags is counting ``&``. No tags is no document.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote

from bleepstore.commands import PutBucketDocument, PutObjectDocument
from bleepstore.errors import S3Error
from bleepstore.exchange import Access, Exchange, Reply
from bleepstore.http.headers import percent_decode
from bleepstore.http.pipeline import allowed
from bleepstore.metadata import BucketRecord, ObjectRecord
from bleepstore.operations import AclRight, Permission, Scope
from bleepstore.s3.documents import document, read_document
from bleepstore.s3.paging import invalid_argument
from bleepstore.xml.shapes import Tag, Tagging

OBJECT_TAGS = 10
BUCKET_TAGS = 50
KEY_LENGTH = 128
VALUE_LENGTH = 256
DOCUMENT = "tagging"
"""Name of a bucket's tagging document."""
OBJECT_DOCUMENT = "tags"
"""Name of a version's tagging document."""

_PUNCTUATION = frozenset("+-=._:/@ ")
Pair = tuple[str, str]


# --- the document ---------------------------------------------------------------------------------


def tags_from_header(value: str | None) -> bytes | None:
    """The document of an ``x-amz-tagging`` header of an object; ``None`` without tags.

    Raises S3Error InvalidArgument (not URL-encoded, a key twice), InvalidTag, BadRequest (too many).
    """
    if not value:
        return None
    try:
        pairs = [_header_pair(part) for part in value.split("&")]
    except S3Error:
        raise _bad_header(value) from None
    if len({key for key, _ in pairs}) < len(pairs):
        raise _bad_header(value)
    check_object_tags(pairs)
    return _encode(pairs)


def object_tags(tags: Iterable[Tag]) -> bytes | None:
    """The document of an object's tag set. Raises S3Error InvalidTag, BadRequest (too many)."""
    pairs = _pairs(tags)
    check_object_tags(pairs)
    return _encode(pairs)


def bucket_tags(tags: Iterable[Tag]) -> bytes | None:
    """The document of a bucket's tag set. Raises S3Error InvalidTag, BadRequest (too many)."""
    pairs = _pairs(tags)
    if len(pairs) > BUCKET_TAGS:
        raise S3Error("BadRequest", f"Bucket tag count cannot be greater than {BUCKET_TAGS}")
    _check_pairs(pairs, "System tags cannot be added/updated by requester")
    return _encode(pairs)


def tag_count(document: bytes | None) -> int:
    """How many tags a document holds: the value of ``x-amz-tagging-count``."""
    return document.count(b"&") + 1 if document else 0


def tag_pairs(document: bytes | None) -> list[Pair]:
    """Keys and values of a document, in the order they were given."""
    if not document:
        return []
    parts = (part.partition("=") for part in document.decode().split("&"))
    return [(unquote(key), unquote(value)) for key, _, value in parts]


def _encode(pairs: list[Pair]) -> bytes | None:
    text = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)
    return text.encode() or None


def _pairs(tags: Iterable[Tag]) -> list[Pair]:
    return [(tag.key or "", tag.value or "") for tag in tags]


def _header_pair(part: str) -> Pair:
    key, _, value = part.replace("+", " ").partition("=")
    return percent_decode(key), percent_decode(value)


def _bad_header(value: str) -> S3Error:
    return invalid_argument(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates.",
        "x-amz-tagging",
        value,
    )


# --- the rules ------------------------------------------------------------------------------------


def check_object_tags(pairs: list[Pair]) -> None:
    """The rules for the tags of one object. Raises S3Error InvalidTag, BadRequest (too many)."""
    if len(pairs) > OBJECT_TAGS:
        raise S3Error("BadRequest", f"Object tags cannot be greater than {OBJECT_TAGS}")
    _check_pairs(pairs, "Your TagKey cannot be prefixed with aws:")


def _check_pairs(pairs: list[Pair], reserved: str) -> None:
    seen: set[str] = set()
    for key, value in pairs:
        if not 0 < len(key) <= KEY_LENGTH or not _allowed(key):
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if len(value) > VALUE_LENGTH or not _allowed(value):
            raise S3Error(
                "InvalidTag", "The TagValue you have provided is invalid", TagKey=key, TagValue=value
            )
        if key[:4].lower() == "aws:":
            raise S3Error("InvalidTag", reserved, TagKey=key)
        if key in seen:
            raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=key)
        seen.add(key)


def _allowed(text: str) -> bool:
    """Letters, digits and spaces of any script, and ``+ - = . _ : / @``."""
    return all(c.isalnum() or c in _PUNCTUATION or _is_space(c) for c in text)


def _is_space(character: str) -> bool:
    # The separators of Unicode (category Z): isspace() alone would admit control characters.
    return character.isspace() and character > "\x9f"


# --- who may read them ----------------------------------------------------------------------------

READ_TAGS = Permission(action="s3:GetObjectTagging", right=AclRight.OWNER, on=Scope.OBJECT)
"""What GetObjectTagging asks for, and whatever else tells of tags or copies them."""


async def may_read_tags(
    x: Exchange, found: ObjectRecord, bucket: BucketRecord | None, version: str | None
) -> bool:
    """Whether the caller may read the tags of an object that was asked for as ``version`` of its key."""
    access = Access(
        identity=x.identity,
        permission=READ_TAGS,
        bucket=bucket,
        object=found,
        key=found.key,
        version=version,
        exchange=x,
    )
    return await allowed(x.services, access)


# --- the operations -------------------------------------------------------------------------------


async def get_object_tagging(x: Exchange) -> Reply:
    """GetObjectTagging: 200 and an empty set for an untagged object."""
    assert x.object is not None
    return _versioned(x, document(_tagging(x.object.tags)))


async def put_object_tagging(x: Exchange) -> Reply:
    """PutObjectTagging: replace the tag set."""
    tagging = await read_document(x, Tagging)
    return await _set_object_tags(x, object_tags(tagging.tag_set or ()), 200)


async def delete_object_tagging(x: Exchange) -> Reply:
    """DeleteObjectTagging: remove the tag set."""
    return await _set_object_tags(x, None, 204)


async def get_bucket_tagging(x: Exchange) -> Reply:
    """GetBucketTagging: 404 NoSuchTagSet for an untagged bucket."""
    assert x.bucket is not None
    tags = None
    if DOCUMENT in x.bucket.documents:
        tags = await x.services.metadata.bucket_document(x.bucket.id, DOCUMENT)
    if tags is None:
        raise S3Error("NoSuchTagSet", BucketName=x.bucket.name)
    return document(_tagging(tags))


async def put_bucket_tagging(x: Exchange) -> Reply:
    """PutBucketTagging: replace the tag set."""
    tagging = await read_document(x, Tagging)
    return await _set_bucket_tags(x, bucket_tags(tagging.tag_set or ()))


async def delete_bucket_tagging(x: Exchange) -> Reply:
    """DeleteBucketTagging: remove the tag set."""
    return await _set_bucket_tags(x, None)


def _tagging(tags: bytes | None) -> Tagging:
    return Tagging(tag_set=tuple(Tag(key=key, value=value) for key, value in tag_pairs(tags)))


async def _set_object_tags(x: Exchange, tags: bytes | None, status: int) -> Reply:
    assert x.object is not None
    command = PutObjectDocument(
        id=x.services.new_id(),
        at=x.now,
        bucket=x.object.bucket,
        key=x.object.key,
        version=x.object.version,
        name=OBJECT_DOCUMENT,
        body=tags,
    )
    await x.services.metadata.apply(command)
    return _versioned(x, Reply(status=status))


async def _set_bucket_tags(x: Exchange, tags: bytes | None) -> Reply:
    assert x.bucket is not None
    command = PutBucketDocument(
        id=x.services.new_id(), at=x.now, bucket=x.bucket.id, name=DOCUMENT, body=tags
    )
    await x.services.metadata.apply(command)
    return Reply(status=204)


def _versioned(x: Exchange, reply: Reply) -> Reply:
    if x.object is not None and x.object.version is not None:
        reply.headers["x-amz-version-id"] = x.object.version
    return reply
