"""Conditional reads and writes.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html ,
conditional-reads, conditional-writes and conditional-deletes beside it, and RFC 9110 section 13.
"""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from bleepstore.testing.s3.expectations import refused

PAST = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
LOST = ("PreconditionFailed", "ConditionalRequestConflict")
"""How a conditional write may lose a race."""
ELSE = '"00000000000000000000000000000000"'


@pytest.fixture
def etag(s3, bucket):
    return s3.put_object(Bucket=bucket, Key="k", Body=b"content")["ETag"]


@pytest.fixture
def modified(s3, bucket, etag):
    return s3.head_object(Bucket=bucket, Key="k")["LastModified"]


def content(s3, bucket, **conditions):
    return s3.get_object(Bucket=bucket, Key="k", **conditions)["Body"].read()


# --- reads ----------------------------------------------------------------------------------------------


def test_if_match_that_holds_reads(s3, bucket, etag):
    assert content(s3, bucket, IfMatch=etag) == b"content"


def test_if_match_without_quotes_reads(s3, bucket, etag):
    """S3-CHECKLIST 32"""
    assert content(s3, bucket, IfMatch=etag.strip('"')) == b"content"


def test_if_match_that_fails_is_412(s3, bucket, etag):
    with refused("PreconditionFailed", 412) as reply:
        content(s3, bucket, IfMatch=ELSE)
    assert reply["Error"]["Condition"] == "If-Match"
    with refused("412", 412):
        s3.head_object(Bucket=bucket, Key="k", IfMatch=ELSE)


def test_if_none_match_that_fails_is_304_with_the_etag(s3, bucket, etag):
    """S3-CHECKLIST 32"""
    with refused("304", 304) as reply:
        content(s3, bucket, IfNoneMatch=etag)
    assert reply["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag
    with refused("304", 304):
        s3.head_object(Bucket=bucket, Key="k", IfNoneMatch=etag)


def test_if_none_match_that_holds_reads(s3, bucket, etag):
    assert content(s3, bucket, IfNoneMatch=ELSE) == b"content"


def test_modified_since_the_past_reads(s3, bucket, etag):
    assert content(s3, bucket, IfModifiedSince=PAST) == b"content"


def test_not_modified_since_its_own_time_is_304(s3, bucket, modified):
    """S3-CHECKLIST 32"""
    with refused("304", 304):
        content(s3, bucket, IfModifiedSince=modified)


def test_unmodified_since_its_own_time_reads(s3, bucket, modified):
    assert content(s3, bucket, IfUnmodifiedSince=modified) == b"content"


def test_unmodified_since_the_past_is_412(s3, bucket, etag):
    with refused("PreconditionFailed", 412) as reply:
        content(s3, bucket, IfUnmodifiedSince=PAST)
    assert reply["Error"]["Condition"] == "If-Unmodified-Since"


def test_if_match_that_holds_outweighs_unmodified_since(s3, bucket, etag):
    """S3-CHECKLIST 32"""
    assert content(s3, bucket, IfMatch=etag, IfUnmodifiedSince=PAST) == b"content"


def test_if_none_match_that_fails_outweighs_modified_since(s3, bucket, etag):
    """S3-CHECKLIST 32"""
    with refused("304", 304):
        content(s3, bucket, IfNoneMatch=etag, IfModifiedSince=PAST)


def test_a_condition_on_a_missing_key_is_no_such_key(s3, bucket):
    with refused("NoSuchKey", 404):
        content(s3, bucket, IfMatch=ELSE)


def test_a_failed_condition_outweighs_a_range(s3, bucket, etag):
    with refused("304", 304):
        content(s3, bucket, IfNoneMatch=etag, Range="bytes=0-1")


# --- writes ---------------------------------------------------------------------------------------------


def test_if_none_match_creates_once(s3, bucket):
    """S3-CHECKLIST 33"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")
    with refused("PreconditionFailed", 412) as reply:
        s3.put_object(Bucket=bucket, Key="k", Body=b"second", IfNoneMatch="*")
    assert reply["Error"]["Condition"] == "If-None-Match"
    assert content(s3, bucket) == b"first"


def test_if_none_match_creates_again_after_a_deletion(s3, bucket, etag):
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"again", IfNoneMatch="*")
    assert content(s3, bucket) == b"again"


def test_if_match_replaces_the_object_it_names(s3, bucket, etag):
    """S3-CHECKLIST 33"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"new", IfMatch=etag)
    assert content(s3, bucket) == b"new"
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="k", Body=b"newer", IfMatch=etag)
    assert content(s3, bucket) == b"new"


def test_if_match_on_a_missing_key_is_no_such_key(s3, bucket):
    """S3-CHECKLIST 33"""
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfMatch=ELSE)


def test_if_none_match_with_an_etag_is_not_implemented(s3, bucket, etag):
    """S3-CHECKLIST 33"""
    with refused("NotImplemented", 501):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfNoneMatch=etag)


def test_of_many_creators_one_succeeds(s3, bucket):
    """S3-CHECKLIST 33"""
    gate = threading.Barrier(8)

    def create(n):
        gate.wait()
        try:
            s3.put_object(Bucket=bucket, Key="k", Body=str(n).encode(), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in LOST:
                raise
            return None
        return str(n).encode()

    with ThreadPoolExecutor(8) as pool:
        winners = [body for body in pool.map(create, range(8)) if body is not None]
    assert winners == [content(s3, bucket)]


def test_compare_and_swap_loses_no_increment(s3, bucket):
    """S3-CHECKLIST 33"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"0")

    def increment(_):
        while True:
            reply = s3.get_object(Bucket=bucket, Key="k")
            body = str(int(reply["Body"].read()) + 1).encode()
            try:
                s3.put_object(Bucket=bucket, Key="k", Body=body, IfMatch=reply["ETag"])
            except ClientError as error:
                if error.response["Error"]["Code"] not in LOST:
                    raise
            else:
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, range(20)))
    assert content(s3, bucket) == b"20"


def test_completing_an_upload_depends_on_the_key(s3, bucket, etag):
    """S3-CHECKLIST 33"""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"parts")
    arguments = {
        "Bucket": bucket,
        "Key": "k",
        "UploadId": upload,
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    }
    with refused("PreconditionFailed", 412):
        s3.complete_multipart_upload(**arguments, IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.complete_multipart_upload(**arguments, IfMatch=ELSE)
    assert content(s3, bucket) == b"content"
    s3.complete_multipart_upload(**arguments, IfMatch=etag)
    assert content(s3, bucket) == b"parts"


# --- deletes --------------------------------------------------------------------------------------------


def test_a_deletion_depends_on_the_etag(s3, bucket, etag):
    """S3-CHECKLIST 33"""
    with refused("PreconditionFailed", 412):
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=ELSE)
    assert content(s3, bucket) == b"content"
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")


def test_a_deletion_depends_on_existence(s3, bucket, etag):
    """S3-CHECKLIST 33"""
    s3.delete_object(Bucket=bucket, Key="k", IfMatch="*")
    with refused("NoSuchKey", 404):
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=ELSE)


def test_deletions_at_once_depend_each_on_their_etag(s3, bucket, etag):
    """S3-CHECKLIST 33"""
    s3.put_object(Bucket=bucket, Key="other", Body=b"stays")
    reply = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": "k", "ETag": etag}, {"Key": "other", "ETag": ELSE}]},
    )
    assert [d["Key"] for d in reply["Deleted"]] == ["k"]
    assert [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("other", "PreconditionFailed")]
    assert s3.get_object(Bucket=bucket, Key="other")["Body"].read() == b"stays"
