"""What headers say of an object: metadata, tags, digests, ACLs. What is kept can be sent again."""

from __future__ import annotations

from types import SimpleNamespace

from bleepstore.auth.acl import object_acl_from_headers
from bleepstore.http.digests import read_declared
from bleepstore.http.framing import PLAIN
from bleepstore.http.headers import content_length, is_header
from bleepstore.http.object_headers import metadata_headers, object_attributes, refuse_unbuilt, user_metadata
from bleepstore.s3.tagging import tag_pairs, tags_from_header
from bleepstore.settings import Settings
from exchanges import ACCOUNTS, exchange, head
from harness import answered

WORDS = (
    *(
        b"x-amz-meta-a: ",
        b"=?UTF-8?B?w6k=?=",
        b"=?utf-7?q?+2AA-?=",
        b"=?unicode_escape?q?",
        b"=?a?q?",
        b"?=",
        b"x-amz-tagging: ",
    ),
    *(
        b"a=b&c=d",
        b"content-md5: ",
        b"x-amz-checksum-crc32: ",
        b"x-amz-checksum-sha256: ",
        b"x-amz-trailer: ",
        b"content-type: ",
    ),
    *(
        b"x-amz-sdk-checksum-algorithm: CRC32",
        b"x-amz-storage-class: ",
        b"x-amz-website-redirect-location: ",
        b"aws-chunked,",
    ),
    *(
        b"x-amz-acl: public-read",
        b'x-amz-grant-read: id="',
        b'emailAddress="a@b"',
        b"x-amz-server-side-encryption: AES256",
    ),
)


BUCKET = SimpleNamespace(owner="o")


def check(data: bytes) -> None:
    """Check one head."""
    method, target, fields = head(data.decode("latin-1"))
    x = exchange(method, target, fields)
    for act in (
        lambda: _attributes(x.headers),
        lambda: _tags(x.headers),
        lambda: read_declared(x.headers, PLAIN),
        lambda: refuse_unbuilt(x.headers, Settings()),
        lambda: object_acl_from_headers(x, ACCOUNTS.first, BUCKET),  # type: ignore[arg-type]
        lambda: [content_length(value) for value in x.headers.values()],
    ):
        answered(act)


def _attributes(headers: object) -> None:
    kept = object_attributes(headers)  # type: ignore[arg-type]
    sent = metadata_headers(kept.metadata)
    assert all(is_header(name, value) and value.isascii() for name, value in sent.items())
    for name, value in user_metadata(sent).items():
        # What looks like an encoded word, encoded or not, is for the client to understand.
        assert value == kept.metadata[name] or "=?" in kept.metadata[name]


def _tags(headers: object) -> None:
    tags = tags_from_header(headers.get("x-amz-tagging"))  # type: ignore[attr-defined]
    pairs = list(tag_pairs(tags))
    assert len(pairs) == len(dict(pairs)) <= 10
    assert tags is None or tags_from_header(tags.decode()) == tags
