"""Documents made to hurt, for every operation that takes one: refused with the right code, memory bounded.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html for codes.
"""

import base64
import hashlib
import uuid

import pytest
from raw_http import request_bytes
from sigv4_by_hand import UNSIGNED


def md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a0 "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    + b"]><Delete><Object><Key>&a11;</Key></Object></Delete>"
)
DOCUMENTS = {
    "billion laughs": LAUGHS,
    "quadratic": b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]><x>' + b"&a;" * 10_000 + b"</x>",
    "external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key>'
    b"</Object></Delete>",
    "external dtd": b'<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd"><Delete/>',
    "deep": b"<a>" * 200_000,
    "deep and closed": b"<Delete>" * 50_000 + b"</Delete>" * 50_000,
    "many attributes": b"<Delete " + b" ".join(b'a%d="1"' % n for n in range(50_000)) + b"/>",
    "not xml": b"{}",
    "empty root of another kind": b"<Unknown/>",
    "two roots": b"<Delete/><Delete/>",
    "not closed": b"<Delete><Object><Key>k</Key>",
    "control characters": b"<Delete><Object><Key>\x01\x02</Key></Object></Delete>",
    "invalid utf-8": b"<Delete><Object><Key>\xff\xfe</Key></Object></Delete>",
    "unknown encoding": b'<?xml version="1.0" encoding="bogus"?><Delete/>',
    "utf-7": b'<?xml version="1.0" encoding="utf-7"?><Delete><Object><Key>+AGs-</Key></Object></Delete>',
    "null bytes": b"\x00" * 1000,
    "character reference to nothing": b"<Delete><Object><Key>&#0;</Key></Object></Delete>",
}
TARGETS = [
    ("POST", "?delete"),
    ("PUT", "?tagging"),
    ("PUT", "?acl"),
    ("PUT", "/k?tagging"),
    ("PUT", "/k?acl"),
    ("POST", "/k?uploadId={}"),
]


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize(("method", "target"), TARGETS, ids=[f"{m} {t}" for m, t in TARGETS])
def test_documents_made_to_hurt_are_malformed(wire, bucket, method, target, kind):
    """S3-CHECKLIST 52"""
    body = DOCUMENTS[kind]
    assert wire.ask("PUT", f"{bucket}/k", b"x").status == 200
    if "{}" in target:
        begun = wire.ask("POST", f"{bucket}/k?uploads", b"").body.decode()
        target = target.format(begun.partition("<UploadId>")[2].partition("</UploadId>")[0])
    status, code = wire.ask(method, bucket + target, body, Content_MD5=md5(body)).error()
    assert (status, code) in [(400, "MalformedXML"), (400, "MalformedACLError")]
    assert wire.read(f"{bucket}/k") == b"x"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_bucket_is_not_made_from_a_document_made_to_hurt(wire, kind):
    name = f"/wire-{uuid.uuid4().hex[:20]}"
    assert wire.ask("PUT", name, DOCUMENTS[kind]).error() == (400, "MalformedXML")
    assert wire.ask("GET", name).error() == (404, "NoSuchBucket")


@pytest.mark.parametrize("size", [6 * 1024 * 1024, 1024**3, 1024**5])
def test_a_document_that_is_too_large_is_refused_before_it_is_read(wire, bucket, size):
    headers = wire.signed("POST", f"{bucket}?delete", payload=UNSIGNED, Content_Length=str(size)).headers
    with wire.connect() as connection:
        connection.send(request_bytes("POST", f"{bucket}?delete", headers, b"<Delete>"))
        status, code = connection.reply().error()
    assert (status, code) in [(400, "MalformedXML"), (400, "EntityTooLarge"), (400, "InvalidRequest")]


def test_a_document_that_never_ends_is_refused(wire, bucket):
    headers = wire.signed("POST", f"{bucket}?delete", payload=UNSIGNED, Transfer_Encoding="chunked").headers
    chunk = b"100000\r\n" + b"<!--" + b" " * (0x100000 - 4) + b"\r\n"
    with wire.connect() as connection:
        connection.send(request_bytes("POST", f"{bucket}?delete", headers) + chunk * 7)
        assert connection.reply().error()[0] == 400


def test_the_largest_document_that_is_allowed_is_read(wire, bucket):
    """S3-CHECKLIST 36, S3-CHECKLIST 52"""
    key = "&amp;" * 1024
    objects = "".join(f"<Object><Key>{key[: -5 * 4]}{n:04}</Key></Object>" for n in range(900))
    body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
    reply = wire.ask("POST", f"{bucket}?delete", body, Content_MD5=md5(body))
    assert reply.status == 200
    assert b"<Error>" not in reply.body
