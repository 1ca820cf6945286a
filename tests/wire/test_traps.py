"""What SDKs smooth over, byte by byte: encodings of listings, sub-resources, headers that are no wish.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import base64
import re
import xml.etree.ElementTree as ET
import zlib

import pytest
from raw_http import request_bytes
from sigv4_by_hand import UNSIGNED

CRC = base64.b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()


def texts(reply, name):
    """The texts of all elements of a name, wherever they stand."""
    found = ET.fromstring(reply.body).iter()
    return [element.text for element in found if element.tag.rpartition("}")[2] == name]


@pytest.fixture
def stored(wire, bucket):
    """The path of an object."""
    assert wire.ask("PUT", f"{bucket}/k", b"x").status == 200
    return f"{bucket}/k"


# --- framing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [None, UNSIGNED])
def test_a_raw_body_may_call_itself_chunked(wire, bucket, payload):
    """S3-CHECKLIST 2, S3-CHECKLIST 5"""
    body = b"1\r\nx\r\n0\r\n\r\n"
    assert wire.ask("PUT", f"{bucket}/k", body, payload, Content_Encoding="aws-chunked,gzip").status == 200
    reply = wire.ask("GET", f"{bucket}/k")
    assert (reply.body, reply.headers["content-encoding"]) == (body, "gzip")


# --- listings -----------------------------------------------------------------------------------------


def test_url_encoding_is_of_keys_and_what_is_compared_with_them(wire, bucket):
    """S3-CHECKLIST 18"""
    for key in ("a/b%20c/1", "a/b%20c/2", "a/b%20d/1", "a/%01%2B"):
        assert wire.ask("PUT", f"{bucket}/{key}", b"").status == 200
    query = "encoding-type=url&prefix=a/b&delimiter=%20c&max-keys=1"
    first = wire.ask("GET", f"{bucket}?{query}&marker=a/b%20")
    space = texts(first, "Prefix")[1].removeprefix("a/b").removesuffix("c")
    assert space in ("+", "%20")
    assert texts(first, "Prefix") == ["a/b", f"a/b{space}c"]
    for name, value in (
        ("Delimiter", f"{space}c"),
        ("Marker", f"a/b{space}"),
        ("NextMarker", f"a/b{space}c"),
        ("EncodingType", "url"),
    ):
        assert texts(first, name) == [value]
    assert texts(first, "Name") == [bucket[1:]]
    second = wire.ask("GET", f"{bucket}?list-type=2&encoding-type=url&start-after=a/b%20c/1&prefix=a/b%20")
    assert texts(second, "StartAfter") == [f"a/b{space}c/1"]
    assert texts(second, "Key") == [f"a/b{space}c/2", f"a/b{space}d/1"]
    third = wire.ask("GET", f"{bucket}?list-type=2&encoding-type=url&prefix=a/%01")
    assert texts(third, "Key") == ["a/%01%2B"]


def test_url_encoding_is_of_the_markers_of_versions_and_uploads(wire, bucket):
    """S3-CHECKLIST 18"""
    for key in ("a%20b", "a%20c"):
        assert wire.ask("PUT", f"{bucket}/{key}", b"").status == 200
        assert wire.ask("POST", f"{bucket}/{key}?uploads", b"").status == 200
    for query, most in (("versions", "max-keys"), ("uploads", "max-uploads")):
        reply = wire.ask("GET", f"{bucket}?{query}&encoding-type=url&{most}=1&key-marker=a%20")
        (key,) = texts(reply, "Key")
        assert key in ("a+b", "a%20b")
        assert texts(reply, "NextKeyMarker") == [key]
        assert texts(reply, "KeyMarker") == [key.removesuffix("b")]


@pytest.mark.parametrize("query", ["list-type=2&", "", "versions&", "uploads&"])
def test_an_empty_delimiter_is_none(wire, stored, query):
    """S3-CHECKLIST 18"""
    bucket = stored.rpartition("/")[0]
    reply = wire.ask("GET", f"{bucket}?{query}delimiter=")
    assert reply.status == 200
    assert texts(reply, "Delimiter") == []
    assert texts(reply, "CommonPrefixes") == []


def test_a_prefix_of_a_folder_does_not_match_its_sibling(wire, bucket):
    """S3-CHECKLIST 22"""
    for key in ("a", "a-b", "a/b", "ab"):
        assert wire.ask("PUT", f"{bucket}/{key}", b"").status == 200
    assert texts(wire.ask("GET", f"{bucket}?list-type=2&prefix=a/"), "Key") == ["a/b"]


def test_times_are_of_one_second_in_documents_and_headers(wire, stored):
    """S3-CHECKLIST 38"""
    bucket = stored.rpartition("/")[0]
    (listed,) = texts(wire.ask("GET", f"{bucket}?list-type=2"), "LastModified")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", listed)
    said = wire.ask("HEAD", stored).headers["last-modified"]
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", said)
    assert said[17:25] == listed[11:19]


# --- what falls through nowhere -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("PUT", "renameObject", {"x_amz_rename_source": "/k"}),
        ("PUT", "annotation&annotationName=a", {}),
        ("DELETE", "annotation&annotationName=a", {}),
        ("PUT", "", {"x_amz_write_offset_bytes": "1"}),
        ("PUT", "legal-hold", {}),
        ("PUT", "encryption", {}),
        ("POST", "select&select-type=2", {}),
        ("DELETE", "", {"x_amz_if_match_size": "1"}),
        ("DELETE", "", {"x_amz_if_match_last_modified_time": "Fri, 02 Jan 2026 03:04:05 GMT"}),
    ],
)
def test_what_is_not_built_leaves_the_object(wire, stored, method, query, headers):
    """S3-CHECKLIST 24, S3-CHECKLIST 33, S3-CHECKLIST 50"""
    body = b"other" if method in ("PUT", "POST") else None
    status, code = wire.ask(method, f"{stored}?{query}".rstrip("?"), body, **headers).error()
    assert (status, code) in [(501, "NotImplemented"), (400, "InvalidRequest")]
    assert wire.read(stored) == b"x"


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_sub_resource_that_a_method_does_not_have_is_not_left_out(wire, stored, method):
    """S3-CHECKLIST 24"""
    for query in ("acl", "tagging", "torrent", "attributes", "retention", "uploads"):
        if (method, query) in (
            ("PUT", "acl"),
            ("PUT", "tagging"),
            ("DELETE", "tagging"),
            ("POST", "uploads"),
        ):
            continue
        body = None if method == "DELETE" else b""
        assert wire.ask(method, f"{stored}?{query}", body).error()[0] in (400, 405, 501)
    assert wire.read(stored) == b"x"


@pytest.mark.parametrize("query", ["foo=1", "x-id=GetObject", "foo", "ACL", "Tagging="])
def test_a_name_that_nobody_knows_is_ignored(wire, stored, query):
    """S3-CHECKLIST 12, S3-CHECKLIST 24"""
    assert wire.ask("GET", f"{stored}?{query}").body == b"x"


def test_a_key_below_an_object_is_missing_and_no_fault(wire, stored):
    """S3-CHECKLIST 37"""
    for below in ("/child", "/", "/../k/child"):
        assert wire.ask("GET", f"{stored}{below}").error() == (404, "NoSuchKey")
        assert wire.ask("DELETE", f"{stored}{below}").status == 204
    assert wire.read(stored) == b"x"


# --- headers of replies ----------------------------------------------------------------------------------


def test_wishes_for_the_default_are_granted(wire, bucket):
    """S3-CHECKLIST 35"""
    wishes = {"x_amz_acl": "private", "x_amz_tagging": "", "x_amz_storage_class": "STANDARD"}
    assert wire.ask("PUT", f"{bucket}/k", b"x", **wishes).status == 200
    reply = wire.ask("GET", f"{bucket}/k")
    assert "x-amz-tagging-count" not in reply.headers
    assert "x-amz-storage-class" not in reply.headers


def test_an_object_says_what_it_has(wire, bucket):
    """S3-CHECKLIST 53"""
    assert wire.ask("PUT", f"{bucket}/k", b"x", x_amz_tagging="a=1&b=2").status == 200
    for method in ("GET", "HEAD"):
        headers = wire.ask(method, f"{bucket}/k").headers
        assert headers["x-amz-tagging-count"] == "2"
        assert headers["accept-ranges"] == "bytes"
        for name in ("date", "server", "x-amz-request-id", "x-amz-id-2", "last-modified", "etag"):
            assert headers[name]


def test_a_completed_upload_is_where_the_client_asked_for_it(wire, bucket):
    """S3-CHECKLIST 39, S3-CHECKLIST 53"""
    (upload,) = texts(wire.ask("POST", f"{bucket}/a%20b?uploads", b""), "UploadId")
    part = wire.ask("PUT", f"{bucket}/a%20b?partNumber=1&uploadId={upload}", b"x")
    etag = part.headers["etag"].strip('"')
    body = f"<CompleteMultipartUpload><Part><ETag>{etag}</ETag><PartNumber>1</PartNumber></Part>"
    target = f"{bucket}/a%20b?uploadId={upload}"
    reply = wire.ask("POST", target, f"{body}</CompleteMultipartUpload>".encode())
    assert texts(reply, "Location") == [f"http://{wire.host}{bucket}/a%20b"]
    assert texts(reply, "ETag")[0].endswith('-1"')


def test_a_composite_checksum_is_an_attribute_without_its_number(wire, bucket):
    """S3-CHECKLIST 56"""
    begun = wire.ask("POST", f"{bucket}/k?uploads", b"", x_amz_checksum_algorithm="CRC32")
    (upload,) = texts(begun, "UploadId")
    target = f"{bucket}/k?partNumber=1&uploadId={upload}"
    part = wire.ask("PUT", target, b"x", x_amz_checksum_crc32=CRC).headers
    assert part["x-amz-checksum-crc32"] == CRC
    body = (
        f"<CompleteMultipartUpload><Part><ChecksumCRC32>{CRC}</ChecksumCRC32><ETag>{part['etag']}</ETag>"
        "<PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"
    )
    whole = wire.ask("POST", f"{bucket}/k?uploadId={upload}", body.encode())
    (composite,) = texts(whole, "ChecksumCRC32")
    assert composite.endswith("-1")
    asked = {"x_amz_object_attributes": "Checksum,ETag"}
    found = wire.ask("GET", f"{bucket}/k?attributes", **asked)
    assert texts(found, "ChecksumCRC32") == [composite.removesuffix("-1")]
    assert '"' not in texts(found, "ETag")[0]


# --- what is asked of the connection -------------------------------------------------------------------


def test_a_plus_in_a_query_is_a_space_and_in_a_path_itself(wire, bucket):
    """S3-CHECKLIST 54"""
    assert wire.ask("PUT", f"{bucket}/a+b", b"x").status == 200
    assert texts(wire.ask("GET", f"{bucket}?prefix=a%2Bb"), "Key") == ["a+b"]
    signed = wire.signed("GET", f"{bucket}?prefix=a%20b")
    spaced = wire.raw(request_bytes("GET", f"{bucket}?prefix=a+b", signed.headers))
    assert texts(spaced, "Prefix") == ["a b"]


def test_an_encoding_that_a_proxy_rewrote_is_read_as_it_was_signed(wire, stored):
    """S3-CHECKLIST 48"""
    headers = wire.signed("GET", stored, Accept_Encoding="identity").headers
    headers["Accept-Encoding"] = "gzip"
    assert wire.raw(request_bytes("GET", stored, headers)).body == b"x"


def test_a_connection_outlives_the_pools_of_clients(wire, stored):
    """S3-CHECKLIST 10: one connection, many requests, refused ones among them."""
    with wire.connect() as connection:
        for _ in range(5):
            connection.send(request_bytes("GET", stored, wire.signed("GET", stored).headers))
            assert connection.reply().body == b"x"
            body = b"x" * 10_000
            headers = {"Host": wire.host, "Content-Length": str(len(body))}
            connection.send(request_bytes("PUT", stored, headers, body))
            assert connection.reply().error() == (403, "AccessDenied")
