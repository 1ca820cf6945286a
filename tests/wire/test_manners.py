"""HTTP as clients expect it: HEAD tells what GET would, and a connection survives what happens on it.

Authority: RFC 9110 sections 9.3.2 (HEAD) and 10.1.1 (Expect), RFC 9112 section 9 (connections).
Time limits are tested where they can be short, in ``core/tests/http/test_protocol.py``.
"""

import hashlib
import json
import xml.etree.ElementTree as ET
import zlib
from base64 import b64encode

import pytest
from raw_http import request_bytes
from server_process import SECOND
from signed_wire import Unsigned, Wire
from sigv4_by_hand import UNSIGNED

KIB, MIB = 1024, 1024 * 1024
PART = 5 * MIB
OF_ITS_OWN = {"date", "x-amz-request-id", "x-amz-id-2"}
"""What differs between any two replies."""
FRAMING = {"content-length", "transfer-encoding"}
LATER = "Fri, 01 Jan 2038 00:00:00 GMT"


def crc32(data):
    return b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def in_parts(wire, path, kind):
    """An object of two parts with a checksum of this type."""
    algorithm = {"x_amz_checksum_algorithm": "CRC32", "x_amz_checksum_type": kind}
    made = wire.ask("POST", f"{path}?uploads", b"", **algorithm, x_amz_meta_a="1")
    upload = next(e.text for e in ET.fromstring(made.body) if e.tag.endswith("UploadId"))
    parts = ""
    for number, body in ((1, b"1" * PART), (2, b"2" * 10)):
        target = f"{path}?partNumber={number}&uploadId={upload}"
        reply = wire.ask("PUT", target, body, x_amz_checksum_crc32=crc32(body))
        parts += (
            f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.headers['etag']}</ETag>"
            f"<ChecksumCRC32>{crc32(body)}</ChecksumCRC32></Part>"
        )
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    done = wire.ask("POST", f"{path}?uploadId={upload}", document, x_amz_checksum_type=kind)
    assert done.status == 200, done


SYSTEM = {
    "Cache_Control": "max-age=60",
    "Content_Disposition": 'attachment; filename="a.txt"',
    "Content_Encoding": "gzip",
    "Content_Language": "de",
    "Content_Type": "text/x-test",
    "Expires": LATER,
}
KINDS = {
    "empty": lambda wire, path: wire.ask("PUT", path, b""),
    "inline": lambda wire, path: wire.ask("PUT", path, b"x" * 100),
    "streamed": lambda wire, path: wire.ask("PUT", path, b"x" * (2 * MIB)),
    "tagged": lambda wire, path: wire.ask("PUT", path, b"x" * 100, x_amz_tagging="a=1&b=2"),
    "described": lambda wire, path: wire.ask("PUT", path, b"x", x_amz_meta_a="1", x_amz_meta_b="ü", **SYSTEM),
    "checked": lambda wire, path: wire.ask("PUT", path, b"x", x_amz_checksum_crc32=crc32(b"x")),
    "rare": lambda wire, path: wire.ask("PUT", path, b"x", x_amz_storage_class="STANDARD_IA"),
    "redirecting": lambda wire, path: wire.ask("PUT", path, b"x", x_amz_website_redirect_location="/a"),
    "composite": lambda wire, path: in_parts(wire, path, "COMPOSITE"),
    "in parts": lambda wire, path: in_parts(wire, path, "FULL_OBJECT"),
}
ASKED = [
    ("", {}),
    ("", {"x_amz_checksum_mode": "ENABLED"}),
    ("", {"Range": "bytes=0-9"}),
    ("", {"Range": "bytes=5-"}),
    ("", {"Range": "bytes=-3"}),
    ("", {"Range": "bytes=99999999-"}),
    ("", {"Range": "bytes=nonsense"}),
    ("", {"Range": "bytes=0-0", "x_amz_checksum_mode": "ENABLED"}),
    ("?partNumber=1", {"x_amz_checksum_mode": "ENABLED"}),
    ("?partNumber=2", {"x_amz_checksum_mode": "ENABLED"}),
    ("?partNumber=0", {}),
    ("?partNumber=1", {"Range": "bytes=0-1"}),
    ("?versionId=null", {}),
    ("?versionId=3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY", {}),
    ("", {"If_None_Match": "*"}),
    ("", {"If_Match": '"0123"'}),
    ("", {"If_Modified_Since": LATER}),
    ("", {"If_Unmodified_Since": "Thu, 01 Jan 2015 00:00:00 GMT"}),
    ("", {"Origin": "http://app.example"}),
    ("?response-content-type=text/a&response-cache-control=no-store", {}),
]


@pytest.fixture(scope="module")
def objects(server):
    """A bucket with CORS rules, and objects of all kinds by their names."""
    wire = Wire(server)
    path = "/wire-manners"
    assert wire.ask("PUT", path, b"").status == 200
    methods = "".join(f"<AllowedMethod>{method}</AllowedMethod>" for method in ("GET", "HEAD"))
    rule = f"<AllowedOrigin>*</AllowedOrigin>{methods}"
    cors = f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>".encode()
    md5 = b64encode(hashlib.md5(cors).digest()).decode()
    assert wire.ask("PUT", f"{path}?cors", cors, Content_MD5=md5).status == 200
    for kind, make in KINDS.items():
        made = make(wire, f"{path}/{kind.replace(' ', '-')}")
        assert made is None or made.status == 200, made
    return path


def assert_alike(get, head):
    """The reply to a HEAD is that to a GET, without what an error has to say."""
    assert head.status == get.status
    assert head.body == b""
    left_out = OF_ITS_OWN | (FRAMING if get.status >= 400 else set())
    found, expected = (
        {name: value for name, value in reply.headers.items() if name not in left_out}
        for reply in (head, get)
    )
    assert found == expected
    if get.status < 300:
        assert int(head.headers["content-length"]) == len(get.body)


@pytest.mark.parametrize(("query", "headers"), ASKED, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_head_has_every_header_that_get_has(wire, objects, kind, query, headers):
    target = f"{objects}/{kind.replace(' ', '-')}{query}"
    assert_alike(*(wire.ask(method, target, payload=UNSIGNED, **headers) for method in ("GET", "HEAD")))


@pytest.mark.parametrize(
    ("target", "status"),
    [("/missing", 404), ("/missing?versionId=null", 404), ("/inline?versionId=", 400), ("/%FF", 400)],
)
def test_head_fails_as_get_does(wire, objects, target, status):
    get, head = (wire.ask(method, objects + target, payload=UNSIGNED) for method in ("GET", "HEAD"))
    assert get.status == status
    assert_alike(get, head)


def test_head_is_forbidden_as_get_is(wire, server, objects):
    """S3-CHECKLIST 51: whoever may not list learns nothing of what is missing."""
    for asks in (Unsigned(server), Wire(server, SECOND)):
        for key in ("inline", "missing"):
            get, head = (asks.ask(method, f"{objects}/{key}", payload=UNSIGNED) for method in ("GET", "HEAD"))
            assert get.error() == (403, "AccessDenied")
            assert_alike(get, head)


def test_head_of_no_bucket_is_as_get(wire):
    get, head = (wire.ask(method, "/wire-no-such-bucket/k", payload=UNSIGNED) for method in ("GET", "HEAD"))
    assert get.error() == (404, "NoSuchBucket")
    assert_alike(get, head)


# --- one connection ---------------------------------------------------------------------------------------


def test_replies_of_all_kinds_follow_one_another_on_a_connection(wire, objects):
    """S3-CHECKLIST 10: pipelined; each begins where the one before ended."""
    asked = [
        ("HEAD", "/streamed", {}, 200, 0),
        ("GET", "/streamed", {}, 200, 2 * MIB),
        ("GET", "/streamed", {"If_None_Match": "*"}, 304, 0),
        ("HEAD", "/missing", {}, 404, 0),
        ("GET", "/in-parts", {"Range": f"bytes={PART - 5}-{PART + 4}"}, 206, 10),
        ("GET", "/empty", {}, 200, 0),
        ("HEAD", "/inline", {"If_Match": '"0"'}, 412, 0),
        ("DELETE", "/missing", {}, 204, 0),
        ("OPTIONS", "/inline", {"Origin": "http://a", "Access_Control_Request_Method": "GET"}, 200, 0),
        ("GET", "/inline", {}, 200, 100),
    ]
    sent = b""
    for method, key, headers, _, _ in asked:
        signed = wire.signed(method, objects + key, payload=UNSIGNED, **headers)
        sent += request_bytes(method, objects + key, signed.headers)
    with wire.connect() as connection:
        connection.send(sent)
        for method, key, _, status, size in asked:
            reply = connection.reply(head=method == "HEAD")
            assert (reply.status, len(reply.body)) == (status, size), (method, key)


EARLY = {
    "no such bucket": ("/wire-no-such-bucket/k", {}, (404, "NoSuchBucket")),
    "wrong digest": ("{}/k", {"Content_MD5": b64encode(b"0" * 16).decode()}, (400, "BadDigest")),
    "no digest": ("{}/k", {"Content_MD5": "nonsense"}, (400, "InvalidDigest")),
    "precondition": ("{}/inline", {"If_None_Match": "*"}, (412, "PreconditionFailed")),
    "no such upload": ("{}/k?partNumber=1&uploadId=none", {}, (404, "NoSuchUpload")),
    "not built": ("{}/k?renameObject", {}, (501, "NotImplemented")),
    "malformed": ("{}?tagging", {}, (400, "MalformedXML")),
    "unknown class": ("{}/k", {"x_amz_storage_class": "BRASS"}, (400, "InvalidStorageClass")),
}
REFUSED_AT_ONCE = ["no such bucket", "no digest", "no such upload", "not built", "unknown class"]
"""Those for which nobody needs to see the body."""


@pytest.mark.parametrize("size", [1, 60 * KIB], ids=["1 byte", "60 KiB"])
def test_an_early_error_does_not_break_the_connection(wire, objects, size):
    """S3-CHECKLIST 10: the rest of a small body is swallowed."""
    body = b"x" * size
    with wire.connect() as connection:
        for target, headers, error in EARLY.values():
            target = target.format(objects)
            signed = wire.signed("PUT", target, body, **headers)
            connection.send(request_bytes("PUT", target, signed.headers, body))
            reply = connection.reply()
            assert reply.error() == error
            assert "connection" not in reply.headers
        signed = wire.signed("GET", f"{objects}/inline")
        connection.send(request_bytes("GET", f"{objects}/inline", signed.headers))
        assert connection.reply().body == b"x" * 100


def test_an_error_before_a_small_body_does_not_break_the_connection(wire, objects):
    """S3-CHECKLIST 10: what was refused may still come."""
    body = b"x" * (60 * KIB)
    with wire.connect() as connection:
        for case in REFUSED_AT_ONCE:
            target, headers, error = EARLY[case]
            target = target.format(objects)
            signed = wire.signed("PUT", target, body, **headers)
            connection.send(request_bytes("PUT", target, signed.headers))
            reply = connection.reply()
            assert reply.error() == error
            assert "connection" not in reply.headers
            connection.send(body)
        signed = wire.signed("GET", f"{objects}/inline")
        connection.send(request_bytes("GET", f"{objects}/inline", signed.headers))
        assert connection.reply().body == b"x" * 100


@pytest.mark.parametrize("case", REFUSED_AT_ONCE)
def test_an_early_error_before_a_large_body_is_read_though_all_of_it_is_sent(wire, objects, case):
    """S3-CHECKLIST 10: the connection ends after it, and says so."""
    target, headers, error = EARLY[case]
    target = target.format(objects)
    body = b"x" * (16 * MIB)
    signed = wire.signed("PUT", target, body, UNSIGNED, **headers)
    with wire.connect() as connection:
        connection.send_whole(request_bytes("PUT", target, signed.headers, body))
        reply = connection.reply()
        assert reply.error() == error
        assert reply.headers["connection"] == "close"
        connection.finish()
        assert connection.closed()


def test_a_request_behind_a_large_body_is_answered(wire, bucket):
    body = b"x" * (3 * MIB)
    put = wire.signed("PUT", f"{bucket}/k", body)
    get = wire.signed("HEAD", f"{bucket}/k")
    with wire.connect() as connection:
        connection.send(request_bytes("PUT", f"{bucket}/k", put.headers, body))
        connection.send(request_bytes("HEAD", f"{bucket}/k", get.headers))
        assert connection.reply().status == 200
        assert connection.reply(head=True).headers["content-length"] == str(len(body))


def test_who_asks_to_close_is_closed(wire, objects):
    signed = wire.signed("GET", f"{objects}/inline")
    with wire.connect() as connection:
        sent = request_bytes("GET", f"{objects}/inline", {**signed.headers, "Connection": "close"})
        connection.send(sent)
        reply = connection.reply()
        assert (reply.body, reply.headers["connection"]) == (b"x" * 100, "close")
        assert connection.closed()


# --- Expect: 100-continue -----------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["part", "chunks", "policy"])
def test_every_kind_of_body_is_waited_for(wire, bucket, framing):
    """S3-CHECKLIST 9"""
    policy = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject"}
    document = {
        "Version": "2012-10-17",
        "Statement": [{**policy, "Resource": f"arn:aws:s3:::{bucket[1:]}/*"}],
    }
    if framing == "policy":
        assert wire.ask("DELETE", f"{bucket}?publicAccessBlock").status == 204
        target, body = f"{bucket}?policy", json.dumps(document).encode()
        headers = wire.signed("PUT", target, body).headers
    elif framing == "chunks":
        target, data = f"{bucket}/k", b"x" * 100
        payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        signed = wire.signed("PUT", target, None, payload, x_amz_decoded_content_length=str(len(data)))
        body, _ = signed.chunks([data])
        headers = {**signed.headers, "Content-Length": str(len(body))}
    else:
        made = wire.ask("POST", f"{bucket}/k?uploads", b"")
        upload = next(e.text for e in ET.fromstring(made.body) if e.tag.endswith("UploadId"))
        target, body = f"{bucket}/k?partNumber=1&uploadId={upload}", b"x" * 100
        headers = wire.signed("PUT", target, body).headers
    with wire.connect() as connection:
        for _ in range(2):
            connection.send(request_bytes("PUT", target, {**headers, "Expect": "100-continue"}))
            assert connection.reply().status == 100
            connection.send(body)
            assert connection.reply().status in (200, 204)


def test_who_sends_the_body_at_once_is_answered_too(wire, bucket):
    headers = wire.signed("PUT", f"{bucket}/k", b"body").headers
    sent = request_bytes("PUT", f"{bucket}/k", {**headers, "Expect": "100-Continue"}, b"body")
    with wire.connect() as connection:
        connection.send(sent)
        reply = connection.reply()
        if reply.status == 100:
            reply = connection.reply()
        assert reply.status == 200


def test_an_old_client_is_told_nothing_before_the_answer(wire, bucket):
    """RFC 9110 section 10.1.1: an expectation of HTTP/1.0 is ignored."""
    headers = wire.signed("PUT", f"{bucket}/k", b"body").headers
    sent = request_bytes("PUT", f"{bucket}/k", {**headers, "Expect": "100-continue"}, b"body")
    with wire.connect() as connection:
        connection.send(sent.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
        assert connection.reply().status == 200
