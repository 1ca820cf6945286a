"""CopyObject.

Authority: API_CopyObject in https://docs.aws.amazon.com/AmazonS3/latest/API/ and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/copy-object.html
"""

import datetime
import hashlib
import os

import pytest

from bleepstore.testing.s3.expectations import MIB, refused


@pytest.fixture
def source(s3, bucket):
    s3.put_object(
        Bucket=bucket,
        Key="source",
        Body=b"content",
        ContentType="text/source",
        CacheControl="max-age=1",
        Metadata={"from": "source"},
        Tagging="t=1",
    )
    return {"Bucket": bucket, "Key": "source"}


@pytest.mark.parametrize("size", [0, 100, 3 * MIB])
def test_a_copy_has_the_same_bytes_and_etag(s3, bucket, size):
    body = os.urandom(size)
    etag = s3.put_object(Bucket=bucket, Key="source", Body=body)["ETag"]
    reply = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source")
    assert reply["CopyObjectResult"]["ETag"] == etag
    assert reply["CopyObjectResult"]["LastModified"]
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body


def test_a_copy_outlives_its_source(s3, bucket):
    body = os.urandom(MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source")
    s3.put_object(Bucket=bucket, Key="source", Body=b"changed")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key="source")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body


def test_a_copy_takes_the_sources_headers_metadata_and_tags(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["ContentType"], head["CacheControl"]) == ("text/source", "max-age=1")
    assert head["Metadata"] == {"from": "source"}
    tags = s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"]
    assert tags == [{"Key": "t", "Value": "1"}]


def test_replace_replaces_headers_and_metadata_alike(s3, bucket, source):
    """S3-CHECKLIST 34"""
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=source,
        MetadataDirective="REPLACE",
        ContentType="text/new",
        Metadata={"new": "1"},
    )
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["ContentType"], head["Metadata"]) == ("text/new", {"new": "1"})
    assert "CacheControl" not in head


def test_metadata_without_replace_is_ignored(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, Metadata={"ignored": "1"})
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"from": "source"}


def test_tags_are_replaced_when_asked(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, TaggingDirective="REPLACE", Tagging="n=2")
    tags = s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"]
    assert tags == [{"Key": "n", "Value": "2"}]


def test_an_object_copied_onto_itself_must_change_something(s3, bucket, source):
    """S3-CHECKLIST 34"""
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key="source", CopySource=source)


def test_an_object_copied_onto_itself_with_new_metadata_keeps_its_bytes(s3, bucket, source):
    s3.copy_object(
        Bucket=bucket, Key="source", CopySource=source, MetadataDirective="REPLACE", Metadata={"new": "1"}
    )
    reply = s3.get_object(Bucket=bucket, Key="source")
    assert (reply["Body"].read(), reply["Metadata"]) == (b"content", {"new": "1"})


def test_an_object_copied_onto_itself_with_another_storage_class(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="source", CopySource=source, StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="source")["StorageClass"] == "STANDARD_IA"


def test_a_copy_goes_from_bucket_to_bucket(s3, source, make_bucket):
    target = make_bucket()
    s3.copy_object(Bucket=target, Key="copy", CopySource=source)
    assert s3.get_object(Bucket=target, Key="copy")["Body"].read() == b"content"


@pytest.mark.parametrize("key", ["a b", "a+b", "a%20b", "ünï/😀", "q?x=1", "//two//"])
def test_sources_with_any_key_are_found(s3, bucket, key):
    """S3-CHECKLIST 34"""
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()


def test_a_source_with_a_leading_slash_is_the_same(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"/{bucket}/source")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"content"


def test_a_missing_source_is_no_such_key(s3, bucket):
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/missing")
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="copy")


def test_a_missing_source_bucket_is_no_such_bucket(s3, bucket, new_name):
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{new_name()}/k")


@pytest.mark.parametrize("source", ["", "no-slash", "/"])
def test_a_source_that_names_no_object_is_refused(s3, bucket, source):
    with refused("InvalidArgument", 400):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)


def test_an_unknown_directive_is_refused(s3, bucket, source):
    with refused("InvalidArgument", 400):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="MERGE")


def test_a_copy_depends_on_the_sources_etag(s3, bucket, source):
    """S3-CHECKLIST 34"""
    etag = f'"{hashlib.md5(b"content").hexdigest()}"'
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": source}
    with refused("PreconditionFailed", 412):
        s3.copy_object(**copy, CopySourceIfMatch='"else"')
    with refused("PreconditionFailed", 412):
        s3.copy_object(**copy, CopySourceIfNoneMatch=etag)
    s3.copy_object(**copy, CopySourceIfMatch=etag)
    s3.copy_object(**copy, CopySourceIfNoneMatch='"else"')


def test_a_copy_depends_on_the_sources_time(s3, bucket, source):
    """S3-CHECKLIST 34"""
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": source}
    past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    with refused("PreconditionFailed", 412):
        s3.copy_object(**copy, CopySourceIfUnmodifiedSince=past)
    s3.copy_object(**copy, CopySourceIfModifiedSince=past)


def test_a_copy_depends_on_the_target(s3, bucket, source):
    """S3-CHECKLIST 33"""
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, IfMatch='"else"')


def test_a_multipart_object_is_copied_at_once(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="source")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="source", UploadId=upload, PartNumber=1, Body=b"content")
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="source",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source")
    assert copied["CopyObjectResult"]["ETag"] == s3.head_object(Bucket=bucket, Key="copy")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"content"


@pytest.mark.second_account
def test_the_source_of_a_copy_is_authorized_too(other, source, make_bucket):
    """S3-CHECKLIST 34"""
    theirs = make_bucket(other)
    with refused("AccessDenied", 403):
        other.copy_object(Bucket=theirs, Key="copy", CopySource=source)
