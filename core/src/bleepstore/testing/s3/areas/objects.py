"""Objects: put, get, head, attributes.

Authority: API_PutObject, API_GetObject, API_HeadObject, API_GetObjectAttributes in
https://docs.aws.amazon.com/AmazonS3/latest/API/ , keys and metadata at
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html and UsingMetadata.html
"""

import datetime
import hashlib
import io
import os

import pytest

from bleepstore.testing.s3.expectations import MIB, fetch, refused

KEYS = [
    "plain",
    "dir/",
    "dir/inside",
    "a/b/c/d",
    "/leading",
    "//two",
    "a//b",
    "trailing/",
    "white space",
    "plus+sign",
    "per%cent",
    "per%20cent",
    "question?mark",
    "hash#sign",
    "amp&ersand=equals;semi",
    "quotes'\"",
    "br(ac)ke[t]s{}",
    "!*'()@:$,~_-.",
    "back\\slash",
    "pipe|caret^tick`",
    "<angle>&amp;",
    "ünïcödé",
    "日本語/キー",
    "emoji-😀",
    "x" * 1024,
    "é" * 512,
]


def body_of(reply):
    return reply["Body"].read()


@pytest.mark.parametrize("key", KEYS, ids=[ascii(key)[:30] for key in KEYS])
def test_any_key_is_put_read_listed_and_deleted(s3, bucket, key):
    """S3-CHECKLIST 25"""
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert body_of(s3.get_object(Bucket=bucket, Key=key)) == key.encode()
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key=key)


def test_a_key_beside_its_own_folder_and_marker(s3, bucket):
    """S3-CHECKLIST 25, S3-CHECKLIST 37"""
    for key in ("a", "a/", "a/b"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.delete_object(Bucket=bucket, Key="a/")
    assert body_of(s3.get_object(Bucket=bucket, Key="a")) == b"a"
    assert body_of(s3.get_object(Bucket=bucket, Key="a/b")) == b"a/b"


@pytest.mark.parametrize("key", ["x" * 1025, "é" * 513])
def test_a_key_over_1024_bytes_is_too_long(s3, bucket, key):
    """S3-CHECKLIST 25"""
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")


def test_the_etag_is_the_md5_of_the_body(s3, bucket):
    body = os.urandom(1000)
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    assert s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"] == etag
    assert s3.get_object(Bucket=bucket, Key="k")["ETag"] == etag
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == etag


@pytest.mark.parametrize("size", [0, 1, 1024, 32 * 1024, 64 * 1024 + 1, MIB, 5 * MIB + 3, 17 * MIB])
def test_bodies_of_all_sizes_come_back_identical(s3, bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    reply = s3.get_object(Bucket=bucket, Key="k")
    assert reply["ContentLength"] == size
    assert body_of(reply) == body


def test_an_overwritten_object_has_the_new_body_and_metadata(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old", Metadata={"a": "1"}, ContentType="text/old")
    s3.put_object(Bucket=bucket, Key="k", Body=b"new!", Metadata={"b": "2"})
    reply = s3.get_object(Bucket=bucket, Key="k")
    assert (body_of(reply), reply["Metadata"]) == (b"new!", {"b": "2"})
    assert reply["ContentType"] == "binary/octet-stream"


def test_the_default_content_type_is_octet_stream(s3, bucket):
    """S3-CHECKLIST 27"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


def test_system_headers_are_kept(s3, bucket):
    """S3-CHECKLIST 28"""
    given = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="x.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "text/plain; charset=utf-8",
        "WebsiteRedirectLocation": "/elsewhere",
    }
    expires = datetime.datetime(2031, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=expires, **given)
    reply = s3.head_object(Bucket=bucket, Key="k")
    assert {name: reply[name] for name in given} == given
    assert reply["ExpiresString"] == "Thu, 02 Jan 2031 03:04:05 GMT"


def test_user_metadata_is_kept_with_lower_case_names(s3, bucket):
    """S3-CHECKLIST 28"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"Camel-Case": "Value", "n": "1"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"camel-case": "Value", "n": "1"}


def test_user_metadata_over_2_kb_is_too_large(s3, bucket):
    """S3-CHECKLIST 28"""
    with refused("MetadataTooLarge", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "v" * 2048})
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "v" * 2000})


def test_last_modified_is_now_in_whole_seconds(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    found = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert abs(datetime.datetime.now(datetime.UTC) - found) < datetime.timedelta(minutes=15)
    assert found.microsecond == 0


def test_a_folder_marker_keeps_its_content_type_and_body(s3, bucket):
    """S3-CHECKLIST 26"""
    s3.put_object(Bucket=bucket, Key="dir/", Body=b"not empty", ContentType="application/x-directory")
    reply = s3.get_object(Bucket=bucket, Key="dir/")
    assert (body_of(reply), reply["ContentType"]) == (b"not empty", "application/x-directory")


def test_a_missing_key_is_no_such_key(s3, bucket):
    with refused("NoSuchKey", 404) as reply:
        s3.get_object(Bucket=bucket, Key="missing")
    assert reply["Error"]["Key"] == "missing"


def test_head_of_a_missing_key_is_404(s3, bucket):
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="missing")


def test_an_object_in_a_missing_bucket_is_no_such_bucket(s3, new_name):
    name = new_name()
    with refused("NoSuchBucket", 404):
        s3.get_object(Bucket=name, Key="k")
    with refused("NoSuchBucket", 404):
        s3.put_object(Bucket=name, Key="k", Body=b"x")
    with refused("NoSuchBucket", 404):
        s3.delete_object(Bucket=name, Key="k")


def test_a_file_object_is_uploaded_and_downloaded(s3, bucket):
    body = os.urandom(300_000)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k")
    received = io.BytesIO()
    s3.download_fileobj(bucket, "k", received)
    assert received.getvalue() == body


# --- response overrides -------------------------------------------------------------------------------


def test_response_headers_are_overridden(s3, bucket):
    """S3-CHECKLIST 31"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    reply = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="text/html",
        ResponseContentDisposition="attachment",
        ResponseCacheControl="no-cache",
        ResponseContentEncoding="br",
        ResponseContentLanguage="fr",
    )
    found = (reply["ContentType"], reply["ContentDisposition"], reply["CacheControl"])
    assert found == ("text/html", "attachment", "no-cache")
    assert (reply["ContentEncoding"], reply["ContentLanguage"]) == ("br", "fr")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/plain"


def test_overrides_are_refused_when_anonymous(s3, endpoint, acl_bucket):
    """S3-CHECKLIST 31"""
    s3.put_object(Bucket=acl_bucket, Key="k", Body=b"x", ACL="public-read")
    answer = fetch(f"{endpoint}/{acl_bucket}/k?response-content-type=text/html")
    assert (answer.status, answer.code) == (400, "InvalidRequest")


# --- attributes -----------------------------------------------------------------------------------------


def test_attributes_have_the_etag_without_quotes(s3, bucket):
    """S3-CHECKLIST 56"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    reply = s3.get_object_attributes(
        Bucket=bucket,
        Key="k",
        ObjectAttributes=["ETag", "ObjectSize", "StorageClass", "Checksum", "ObjectParts"],
    )
    assert reply["ETag"] == hashlib.md5(b"hello").hexdigest()
    assert (reply["ObjectSize"], reply["StorageClass"]) == (5, "STANDARD")
    assert reply["Checksum"]["ChecksumSHA256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    assert "ObjectParts" not in reply


def test_only_the_attributes_asked_for_are_answered(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    reply = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert reply["ObjectSize"] == 5
    assert not {"ETag", "StorageClass", "Checksum"} & set(reply)


def test_attributes_of_a_missing_key_are_no_such_key(s3, bucket):
    with refused("NoSuchKey", 404):
        s3.get_object_attributes(Bucket=bucket, Key="missing", ObjectAttributes=["ETag"])


def test_an_unknown_attribute_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    with refused("InvalidArgument", 400):
        s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Colour"])


# --- storage classes ------------------------------------------------------------------------------------


def test_a_storage_class_is_kept_and_reported(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "STANDARD_IA"
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD_IA"


def test_the_standard_class_is_listed_but_not_a_header(s3, bucket):
    """S3-CHECKLIST 53"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD"


def test_an_unknown_storage_class_is_refused(s3, bucket):
    with refused("InvalidStorageClass", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="PLATINUM")


def test_every_reply_says_that_ranges_are_accepted(s3, bucket):
    """S3-CHECKLIST 53"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k")["AcceptRanges"] == "bytes"
    assert s3.head_object(Bucket=bucket, Key="k")["AcceptRanges"] == "bytes"
