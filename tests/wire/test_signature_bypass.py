"""Attempts to make more of a signature than it says, against a whole server.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import datetime
import hashlib

import pytest
from raw_http import request_bytes
from sigv4_by_hand import UNSIGNED

DENIED = {(403, "SignatureDoesNotMatch"), (403, "AccessDenied")}


def send(wire, method, target, headers, body=b""):
    return wire.raw(request_bytes(method, target, headers, body), head=method == "HEAD")


def with_lines(wire, method, target, headers, *lines, body=b""):
    """A request with more header lines behind its own, as a dictionary cannot hold them."""
    raw = request_bytes(method, target, headers)
    return wire.raw(raw.removesuffix(b"\r\n") + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body)


@pytest.fixture
def stored(wire, bucket):
    """The path of an object."""
    assert wire.ask("PUT", f"{bucket}/k", b"secret").status == 200
    return f"{bucket}/k"


# --- headers twice --------------------------------------------------------------------------------------

DOUBLED = ["x-amz-acl", "x-amz-date", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-tagging", "host"]


@pytest.mark.parametrize("name", DOUBLED)
def test_a_second_header_of_a_kind_is_refused(wire, bucket, name):
    signed = wire.signed("PUT", f"{bucket}/k", b"x", **{name: "private"} if name == "x-amz-acl" else {})
    reply = with_lines(
        wire, "PUT", f"{bucket}/k", signed.headers, name.encode() + b": public-read", body=b"x"
    )
    assert reply.error()[0] in (400, 403)
    assert wire.read(f"{bucket}/k") is None


def test_metadata_said_twice_is_not_what_was_signed(wire, bucket):
    signed = wire.signed("PUT", f"{bucket}/k", b"x", x_amz_meta_a="1")
    reply = with_lines(wire, "PUT", f"{bucket}/k", signed.headers, b"x-amz-meta-a: 2", body=b"x")
    assert reply.error() == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("line", [b"x-amz-acl : public-read", b" x-amz-acl: public-read", b"\tx-amz-acl: a"])
def test_a_header_between_two_readings_is_refused(wire, bucket, line):
    signed = wire.signed("PUT", f"{bucket}/k", b"x")
    reply = with_lines(wire, "PUT", f"{bucket}/k", signed.headers, line, body=b"x")
    assert reply.error()[0] == 400
    assert wire.read(f"{bucket}/k") is None


@pytest.mark.parametrize("name", ["X-Amz-Acl", "X-AMZ-ACL", "x-amz-ACL"])
def test_case_hides_no_header(wire, bucket, name):
    """S3-CHECKLIST 47"""
    signed = wire.signed("PUT", f"{bucket}/k", b"x")
    reply = send(wire, "PUT", f"{bucket}/k", {**signed.headers, name: "public-read"}, b"x")
    assert reply.error() == (403, "AccessDenied")
    assert wire.read(f"{bucket}/k") is None


# --- letters outside ASCII --------------------------------------------------------------------------------


@pytest.mark.parametrize("new", ["\xe9", "\udcff\udcfe", "0" * 63 + "\xb2", "\u2603"])
def test_a_signature_of_foreign_letters_does_not_match(wire, stored, new):
    headers = wire.signed("GET", stored).headers
    start = headers["Authorization"].rpartition("=")[0]
    headers["Authorization"] = f"{start}={new}"
    assert send(wire, "GET", stored, headers).error() == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("name", ["Signature", "SignedHeaders", "Credential", "Date", "Expires", "Algorithm"])
@pytest.mark.parametrize("value", ["%E2%98%83", "%C3%A9", "%00", "%0A", "host%3B%E2%98%83", "host%0Ax"])
def test_foreign_letters_in_a_presigned_url_are_refused(wire, stored, name, value):
    head, mark, rest = wire.signer.presign("GET", wire.host, stored).partition(f"X-Amz-{name}=")
    target = head + mark + value + rest[rest.find("&") :] * ("&" in rest)
    assert send(wire, "GET", target, {"Host": wire.host}).error()[0] in (400, 403)


# --- the query ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        "x-amz-acl=public-read",
        "X-Amz-Acl=public-read",
        "x-amz-copy-source=other/k",
        "x-amz-meta-a=b",
        "acl",
        "tagging",
        "legal-hold",
        "partNumber=1&uploadId=x",
        "versionId=null",
        "=",
    ],
)
def test_nothing_is_added_to_a_presigned_query(wire, bucket, more):
    target = wire.signer.presign("PUT", wire.host, f"{bucket}/k")
    for changed in (f"{target}&{more}", target.replace("?", f"?{more}&")):
        headers = {"Host": wire.host, "Content-Length": "1"}
        assert send(wire, "PUT", changed, headers, b"x").error() in DENIED | {(404, "NoSuchUpload")}
    assert wire.read(f"{bucket}/k") is None


def test_a_query_signed_in_headers_is_as_closed(wire, stored):
    headers = wire.signed("GET", stored).headers
    for more in ("acl", "versionId=null", "response-content-type=text/html", "=", "x-id=GetObject"):
        assert send(wire, "GET", f"{stored}?{more}", headers).error() in DENIED


def test_headers_in_the_query_count_only_where_the_query_is_signed(wire, bucket):
    """Beside a signature in headers they are names that nobody knows, and ignored."""
    target = f"{bucket}/k?x-amz-acl=public-read&x-amz-copy-source={bucket}/none"
    assert wire.ask("PUT", target, b"x").status == 200
    assert send(wire, "GET", f"{bucket}/k", {"Host": wire.host}).error() == (403, "AccessDenied")


@pytest.mark.parametrize("name", ["x-amz-signature", "X-AMZ-SIGNATURE"])
def test_a_signature_by_another_name_opens_nothing(wire, stored, name):
    target = wire.signer.presign("GET", wire.host, stored).replace("X-Amz-Signature", name)
    assert send(wire, "GET", target, {"Host": wire.host}).error()[0] in (400, 403)


@pytest.mark.parametrize("kept", ["Signature", "Credential", "Algorithm", "Date", "Expires", "SignedHeaders"])
def test_a_part_of_a_signature_opens_nothing(wire, stored, kept):
    path, _, query = wire.signer.presign("GET", wire.host, stored).partition("?")
    part = next(part for part in query.split("&") if part.startswith(f"X-Amz-{kept}="))
    assert send(wire, "GET", f"{path}?{part}", {"Host": wire.host}).error()[0] in (400, 403)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-meta-a%0D%0Aevil", "v"),
        ("x-amz-meta-a%3A%20b", "v"),
        ("x-amz-meta-%E2%98%83", "v"),
        ("x-amz-meta-a%20b", "v"),
        ("x-amz-meta-a", "a%0D%0Aset-cookie%3A%20b"),
        ("x-amz-meta-a", "%00"),
        ("x-amz-website-redirect-location", "/%0A"),
        ("x-amz-acl=private&X-Amz-Acl", "public-read"),
    ],
)
def test_a_parameter_that_no_header_could_be_is_refused(wire, bucket, name, value):
    """Stored, it would come back in the head of every reply."""
    target = wire.signer.presign("PUT", wire.host, f"{bucket}/k?{name}={value}")
    reply = send(wire, "PUT", target, {"Host": wire.host, "Content-Length": "1"}, b"x")
    assert reply.error() == (400, "InvalidArgument")
    assert wire.read(f"{bucket}/k") is None


def test_metadata_in_a_presigned_query_is_kept_whatever_its_letters(wire, bucket):
    """S3-CHECKLIST 14, S3-CHECKLIST 28"""
    query = "x-amz-meta-a=%E2%98%83&X-Amz-Meta-B=b&x-amz-acl=public-read"
    target = wire.signer.presign("PUT", wire.host, f"{bucket}/k?{query}")
    assert send(wire, "PUT", target, {"Host": wire.host, "Content-Length": "1"}, b"x").status == 200
    reply = send(wire, "GET", f"{bucket}/k", {"Host": wire.host})
    assert (reply.status, reply.body) == (200, b"x")
    assert reply.headers["x-amz-meta-a"] == "=?UTF-8?B?4piD?="
    assert reply.headers["x-amz-meta-b"] == "b"


@pytest.mark.parametrize("source", ["%E2%98%83/k", "none/%E2%98%83", "%00/k", "none/k?versionId=%E2%98%83"])
def test_a_copy_source_in_the_query_is_a_copy_source(wire, bucket, source):
    """S3-CHECKLIST 34"""
    target = wire.signer.presign("PUT", wire.host, f"{bucket}/k?x-amz-copy-source={source}")
    reply = send(wire, "PUT", target, {"Host": wire.host, "Content-Length": "0"})
    assert reply.error()[0] in (400, 404)
    assert wire.read(f"{bucket}/k") is None


# --- the payload -----------------------------------------------------------------------------------------


def test_a_presigned_url_that_names_the_payload_takes_no_other(wire, bucket):
    digest = hashlib.sha256(b"wanted").hexdigest()
    target = wire.signer.presign(
        "PUT", wire.host, f"{bucket}/k?X-Amz-Content-Sha256={digest}", payload=digest
    )
    headers = {"Host": wire.host, "Content-Length": "6"}
    assert send(wire, "PUT", target, headers, b"other.").error() == (400, "XAmzContentSHA256Mismatch")
    for claim in (hashlib.sha256(b"other.").hexdigest(), UNSIGNED):
        bent = {**headers, "x-amz-content-sha256": claim}
        assert send(wire, "PUT", target, bent, b"other.").error() == (403, "SignatureDoesNotMatch")
    assert wire.read(f"{bucket}/k") is None
    assert send(wire, "PUT", target, headers, b"wanted").status == 200


def test_chunks_in_a_presigned_query_are_unwrapped(wire, bucket):
    """S3-CHECKLIST 2"""
    scheme = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    query = f"{bucket}/k?X-Amz-Content-Sha256={scheme}"
    target = wire.signer.presign("PUT", wire.host, query, payload=scheme)
    body = b"1\r\nx\r\n0\r\n\r\n"
    headers = {"Host": wire.host, "Content-Length": str(len(body)), "x-amz-decoded-content-length": "1"}
    reply = send(wire, "PUT", target, headers, body)
    assert reply.error() == (403, "AccessDenied")  # the length must be signed like any other
    target = wire.signer.presign("PUT", wire.host, query, payload=scheme, x_amz_decoded_content_length="1")
    assert send(wire, "PUT", target, headers, body).status == 200
    assert wire.read(f"{bucket}/k") == b"x"


def test_chunks_of_another_request_are_refused(wire, bucket):
    """S3-CHECKLIST 3"""
    pieces = [b"a" * 8192, b"b" * 10]
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    at = datetime.datetime.now(datetime.UTC)
    headers = {"Host": wire.host, "x-amz-decoded-content-length": "8202"}
    framed = {}
    signed = {}
    for key in ("one", "other"):
        signed[key] = wire.signer.sign("PUT", f"{bucket}/{key}", headers, kind, at=at)
        framed[key] = signed[key].chunks(pieces)[0] + b"\r\n"
    length = {"Content-Length": str(len(framed["one"]))}
    stolen = send(wire, "PUT", f"{bucket}/one", {**signed["one"].headers, **length}, framed["other"])
    assert stolen.error() == (403, "SignatureDoesNotMatch")
    assert wire.read(f"{bucket}/one") is None
    own = send(wire, "PUT", f"{bucket}/one", {**signed["one"].headers, **length}, framed["one"])
    assert own.status == 200


# --- where it is sent to ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.localhost", "localhost", "127.0.0.1", "other:80", ""])
def test_a_signature_is_good_for_its_host_alone(wire, stored, host):
    headers = {**wire.signed("GET", stored).headers, "Host": host}
    assert send(wire, "GET", stored, headers).error()[0] in (400, 403)


def test_a_presigned_path_is_no_key_of_a_bucket_in_the_host(wire, stored):
    """S3-CHECKLIST 17"""
    target = wire.signer.presign("GET", wire.host, stored)
    name = stored.split("/")[1]
    reply = send(wire, "GET", target, {"Host": f"{name}.localhost:{wire.server.port}"})
    assert reply.error() == (403, "SignatureDoesNotMatch")


def test_the_host_of_an_absolute_target_counts(wire, stored):
    """Not the Host header, with which it could be led past whoever looks at one of the two."""
    name = stored.split("/")[1]
    host = f"{name}.localhost:{wire.server.port}"
    signed = wire.signer.sign("GET", "/k", {"Host": host})
    right = send(wire, "GET", f"http://{host}/k", {**signed.headers, "Host": wire.host})
    assert right.body == b"secret"
    other = send(wire, "GET", f"http://{wire.host}/k", {**signed.headers, "Host": host})
    assert other.error() == (403, "SignatureDoesNotMatch")
    assert send(wire, "GET", f"http://x@{host}/k", signed.headers).error() == (400, "InvalidURI")


@pytest.mark.parametrize(
    "host", ["..localhost", "-.localhost", "a/b.localhost", "a%2Fb.localhost", "a b.localhost", "x" * 2000]
)
def test_a_host_that_names_no_possible_bucket_is_refused(wire, host):
    target = "/k"
    signed = wire.signer.sign("PUT", target, {"Host": f"{host}:1", "Content-Length": "1"})
    assert send(wire, "PUT", target, signed.headers, b"x").error()[0] in (400, 403, 404)


@pytest.mark.parametrize(
    "target", ["{}%2Fk", "/{}%2F..%2Fk", "{}/%6B?", "//{}/k", "/.{}/k", "{}/./k", "{}/k%00", "{}/K"]
)
def test_other_spellings_of_a_path_open_nothing_more(wire, stored, target):
    """S3-CHECKLIST 11"""
    bucket = stored.rpartition("/")[0]
    headers = wire.signed("GET", stored).headers
    reply = send(wire, "GET", target.format(bucket), headers)
    if target == "{}/%6B?":
        assert reply.body == b"secret"  # the very same path
    else:
        assert reply.error()[0] in (400, 403, 404)
