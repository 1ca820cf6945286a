"""Ranges and parts of objects.

Authority: API_GetObject and API_HeadObject in https://docs.aws.amazon.com/AmazonS3/latest/API/ , RFC 9110
section 14.
"""

import os

import pytest

from bleepstore.testing.s3.expectations import MIB, refused


def body_of(reply):
    return reply["Body"].read()


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, 99),
        ("bytes=95-1000", 95, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-1000", 0, 99),
    ],
)
def test_a_range_is_answered_with_its_bytes(s3, bucket, asked, start, end):
    """S3-CHECKLIST 29"""
    body = bytes(range(100))
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    reply = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert reply["ContentRange"] == f"bytes {start}-{end}/100"
    assert body_of(reply) == body[start : end + 1]
    head = s3.head_object(Bucket=bucket, Key="k", Range=asked)
    assert (head["ResponseMetadata"]["HTTPStatusCode"], head["ContentLength"]) == (206, end - start + 1)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_the_object_is_not_satisfiable(s3, bucket, asked):
    """S3-CHECKLIST 29"""
    s3.put_object(Bucket=bucket, Key="k", Body=bytes(100))
    with refused("InvalidRange", 416):
        s3.get_object(Bucket=bucket, Key="k", Range=asked)


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes"])
def test_a_malformed_range_is_ignored(s3, bucket, asked):
    """S3-CHECKLIST 29"""
    s3.put_object(Bucket=bucket, Key="k", Body=bytes(100))
    reply = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert len(body_of(reply)) == 100


def test_any_range_of_an_empty_object_is_not_satisfiable(s3, bucket):
    """S3-CHECKLIST 46"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused("InvalidRange", 416):
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-0")


def test_a_range_of_a_large_object_crosses_blocks(s3, bucket):
    body = os.urandom(9 * MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    start, end = MIB - 7, 6 * MIB + 11
    assert (
        body_of(s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={start}-{end}")) == body[start : end + 1]
    )


def test_the_first_part_of_an_object_that_has_no_parts_is_all_of_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"whole")
    assert body_of(s3.get_object(Bucket=bucket, Key="k", PartNumber=1)) == b"whole"
    with refused("InvalidPartNumber", 416):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=2)


def test_the_first_part_of_an_empty_object_is_empty(s3, bucket):
    """S3-CHECKLIST 46"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    reply = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert body_of(reply) == b""
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_range_and_part_number_together_are_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-0", PartNumber=1)
