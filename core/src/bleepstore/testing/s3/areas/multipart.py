"""Multipart uploads.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html , qfacts.html beside it for
limits, and API_CreateMultipartUpload, API_UploadPart, API_UploadPartCopy, API_CompleteMultipartUpload,
API_AbortMultipartUpload, API_ListParts, API_ListMultipartUploads in
https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

import hashlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig

from bleepstore.testing.s3.expectations import MIB, PART, refused

SMALL = b"the last part may be small"


class Upload:
    """One upload of key ``k``."""

    def __init__(self, s3, bucket, key="k", **parameters):
        self.s3 = s3
        reply = s3.create_multipart_upload(Bucket=bucket, Key=key, **parameters)
        self.names = {"Bucket": bucket, "Key": key, "UploadId": reply["UploadId"]}
        self.parts = {}

    def part(self, number, body, **parameters):
        reply = self.s3.upload_part(**self.names, PartNumber=number, Body=body, **parameters)
        self.parts[number] = reply["ETag"]
        return reply

    def complete(self, parts=None, **parameters):
        parts = parts or [{"PartNumber": n, "ETag": self.parts[n]} for n in sorted(self.parts)]
        return self.s3.complete_multipart_upload(**self.names, MultipartUpload={"Parts": parts}, **parameters)

    def abort(self):
        return self.s3.abort_multipart_upload(**self.names)


@pytest.fixture
def upload(s3, bucket):
    return Upload(s3, bucket)


@pytest.fixture(scope="module")
def block():
    return os.urandom(PART)


def etag_of(*bodies):
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(bodies)}"'


def read(s3, bucket, **parameters):
    return s3.get_object(Bucket=bucket, Key="k", **parameters)["Body"].read()


def test_parts_become_one_object(s3, bucket, upload, block):
    """S3-CHECKLIST 39"""
    upload.part(1, block)
    upload.part(2, SMALL)
    reply = upload.complete()
    assert reply["ETag"] == etag_of(block, SMALL)
    assert (reply["Bucket"], reply["Key"]) == (bucket, "k")
    assert reply["Location"].startswith("http")
    assert read(s3, bucket) == block + SMALL
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ETag"]) == (PART + len(SMALL), reply["ETag"])


def test_one_small_part_is_enough(s3, bucket, upload):
    upload.part(1, SMALL)
    assert upload.complete()["ETag"] == etag_of(SMALL)
    assert read(s3, bucket) == SMALL


def test_parts_of_uneven_sizes_with_gaps_in_their_numbers_in_any_order(s3, bucket, upload, block):
    """S3-CHECKLIST 40"""
    bodies = {10_000: SMALL, 7: block + b"longer", 2: block}
    for number, body in bodies.items():
        upload.part(number, body)
    upload.complete()
    assert read(s3, bucket) == b"".join(bodies[n] for n in sorted(bodies))


def test_a_part_uploaded_again_replaces_the_first(s3, bucket, upload):
    """S3-CHECKLIST 40"""
    upload.part(1, b"first")
    upload.part(1, b"second")
    upload.complete()
    assert read(s3, bucket) == b"second"


def test_parts_that_complete_does_not_name_are_dropped(s3, bucket, upload, block):
    for number, body in ((1, block), (2, b"dropped"), (3, SMALL)):
        upload.part(number, body)
    del upload.parts[2]
    upload.complete()
    assert read(s3, bucket) == block + SMALL


def test_part_etags_are_accepted_without_quotes(s3, bucket, upload):
    """S3-CHECKLIST 39"""
    upload.part(1, SMALL)
    upload.complete([{"PartNumber": 1, "ETag": upload.parts[1].strip('"')}])
    assert read(s3, bucket) == SMALL


def test_headers_and_metadata_of_the_beginning_are_the_objects(s3, bucket):
    upload = Upload(
        s3,
        bucket,
        ContentType="text/x",
        CacheControl="no-store",
        Metadata={"a": "1"},
        StorageClass="STANDARD_IA",
    )
    upload.part(1, SMALL)
    upload.complete()
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["CacheControl"], head["Metadata"]) == ("text/x", "no-store", {"a": "1"})
    assert head["StorageClass"] == "STANDARD_IA"


def test_an_unfinished_upload_is_invisible(s3, bucket, upload):
    """S3-CHECKLIST 44"""
    upload.part(1, SMALL)
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_unfinished_upload_leaves_the_old_object(s3, bucket):
    """S3-CHECKLIST 44"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    upload = Upload(s3, bucket)
    upload.part(1, SMALL)
    assert read(s3, bucket) == b"old"
    upload.complete()
    assert read(s3, bucket) == SMALL


def test_a_part_but_the_last_under_5_mib_is_too_small(s3, bucket, upload):
    """S3-CHECKLIST 40"""
    upload.part(1, bytes(PART - 1))
    upload.part(2, SMALL)
    with refused("EntityTooSmall", 400):
        upload.complete()
    assert [p["PartNumber"] for p in s3.list_parts(**upload.names)["Parts"]] == [1, 2]


def test_parts_in_the_wrong_order_are_refused(upload, block):
    """S3-CHECKLIST 40"""
    upload.part(1, block)
    upload.part(2, block)
    with refused("InvalidPartOrder", 400):
        upload.complete([{"PartNumber": n, "ETag": upload.parts[n]} for n in (2, 1)])


def test_a_part_named_twice_is_refused(upload, block):
    upload.part(1, block)
    with refused("InvalidPartOrder", 400):
        upload.complete([{"PartNumber": 1, "ETag": upload.parts[1]}] * 2)


def test_a_part_that_was_not_uploaded_is_refused(upload):
    """S3-CHECKLIST 40"""
    upload.part(1, SMALL)
    with refused("InvalidPart", 400):
        upload.complete([{"PartNumber": 2, "ETag": upload.parts[1]}])


def test_a_part_with_another_etag_is_refused(upload):
    """S3-CHECKLIST 40"""
    upload.part(1, SMALL)
    with refused("InvalidPart", 400):
        upload.complete([{"PartNumber": 1, "ETag": hashlib.md5(b"else").hexdigest()}])


def test_no_parts_at_all_are_malformed(s3, upload):
    with refused("MalformedXML", 400):
        s3.complete_multipart_upload(**upload.names, MultipartUpload={"Parts": []})


@pytest.mark.parametrize("number", [0, 10_001])
def test_part_numbers_are_between_1_and_10000(upload, number):
    with refused("InvalidArgument", 400):
        upload.part(number, SMALL)


def test_completing_again_answers_the_same(s3, bucket, upload):
    """S3-CHECKLIST 41"""
    upload.part(1, SMALL)
    first = upload.complete()
    second = upload.complete()
    assert first["ETag"] == second["ETag"]
    assert read(s3, bucket) == SMALL


def test_nothing_is_accepted_after_an_abort(s3, bucket, upload):
    """S3-CHECKLIST 41"""
    upload.part(1, SMALL)
    assert upload.abort()["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("NoSuchUpload", 404):
        upload.part(2, SMALL)
    with refused("NoSuchUpload", 404):
        upload.complete()
    with refused("NoSuchUpload", 404):
        s3.list_parts(**upload.names)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_an_upload_that_never_was_is_no_such_upload(s3, bucket):
    names = {"Bucket": bucket, "Key": "k", "UploadId": "no-such-upload-id"}
    with refused("NoSuchUpload", 404):
        s3.upload_part(**names, PartNumber=1, Body=b"x")
    with refused("NoSuchUpload", 404):
        s3.list_parts(**names)
    with refused("NoSuchUpload", 404):
        s3.abort_multipart_upload(**names)


def test_an_upload_belongs_to_its_key(s3, bucket, upload):
    with refused("NoSuchUpload", 404):
        s3.upload_part(
            Bucket=bucket, Key="another", UploadId=upload.names["UploadId"], PartNumber=1, Body=b"x"
        )


def test_an_upload_to_a_missing_bucket_is_no_such_bucket(s3, new_name):
    with refused("NoSuchBucket", 404):
        s3.create_multipart_upload(Bucket=new_name(), Key="k")


def test_parts_are_read_by_number(s3, bucket, upload, block):
    """S3-CHECKLIST 30"""
    upload.part(1, block)
    upload.part(3, SMALL)
    upload.complete()
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert second["Body"].read() == SMALL
    assert second["PartsCount"] == 2
    assert second["ContentRange"] == f"bytes {PART}-{PART + len(SMALL) - 1}/{PART + len(SMALL)}"
    head = s3.head_object(Bucket=bucket, Key="k", PartNumber=1)
    assert (head["ContentLength"], head["PartsCount"]) == (PART, 2)
    with refused("InvalidPartNumber", 416):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=3)


def test_a_range_crosses_parts(s3, bucket, upload, block):
    upload.part(1, block)
    upload.part(2, SMALL)
    upload.complete()
    assert read(s3, bucket, Range=f"bytes={PART - 3}-{PART + 2}") == block[-3:] + SMALL[:3]


def test_many_parts_at_once(s3, bucket, upload, block):
    bodies = [block[n:] + block[:n] for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(upload.part, range(1, 7), bodies))
    upload.complete()
    assert hashlib.md5(read(s3, bucket)).digest() == hashlib.md5(b"".join(bodies)).digest()


def test_a_transfer_manager_uploads_and_downloads_in_parts(s3, bucket):
    body = os.urandom(18 * MIB + 5)
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=config)
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-4"')
    received = io.BytesIO()
    s3.download_fileobj(bucket, "k", received, Config=config)
    assert received.getvalue() == body


def test_of_two_uploads_of_a_key_the_later_completion_wins(s3, bucket):
    one, two = Upload(s3, bucket), Upload(s3, bucket)
    one.part(1, b"one")
    two.part(1, b"two")
    two.complete()
    one.complete()
    assert read(s3, bucket) == b"one"


def test_completions_at_once_answer_one_result(s3, bucket, upload, block):
    upload.part(1, block)
    upload.part(2, SMALL)
    etags, gate = [], threading.Barrier(4)

    def complete(_):
        gate.wait()
        etags.append(upload.complete()["ETag"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(complete, range(4)))
    assert set(etags) == {etag_of(block, SMALL)}


# --- listings -----------------------------------------------------------------------------------------


def test_parts_are_listed(s3, upload):
    upload.part(1, SMALL)
    upload.part(5, b"five")
    reply = s3.list_parts(**upload.names)
    assert [(p["PartNumber"], p["Size"], p["ETag"]) for p in reply["Parts"]] == [
        (1, len(SMALL), upload.parts[1]),
        (5, 4, upload.parts[5]),
    ]
    assert (reply["IsTruncated"], reply["StorageClass"]) == (False, "STANDARD")
    assert reply["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]
    assert reply["Initiator"]["ID"]


def test_parts_are_listed_in_pages(s3, upload):
    """S3-CHECKLIST 43"""
    for number in range(1, 6):
        upload.part(number, b"x")
    first = s3.list_parts(**upload.names, MaxParts=2)
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 2)
    rest = s3.list_parts(**upload.names, PartNumberMarker=2)
    assert [p["PartNumber"] for p in rest["Parts"]] == [3, 4, 5]


def test_uploads_are_listed_in_the_order_of_keys(s3, bucket):
    for key in ("b", "a", "dir/c"):
        Upload(s3, bucket, key)
    reply = s3.list_multipart_uploads(Bucket=bucket)
    assert [u["Key"] for u in reply["Uploads"]] == ["a", "b", "dir/c"]
    assert reply["IsTruncated"] is False
    assert {"UploadId", "Initiated", "Owner", "Initiator", "StorageClass"} <= set(reply["Uploads"][0])


def test_uploads_are_listed_by_prefix_and_delimiter(s3, bucket):
    """S3-CHECKLIST 43"""
    for key in ("a", "dir/b", "dir/c", "e"):
        Upload(s3, bucket, key)
    reply = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in reply["Uploads"]] == ["a", "e"]
    assert [p["Prefix"] for p in reply["CommonPrefixes"]] == ["dir/"]
    reply = s3.list_multipart_uploads(Bucket=bucket, Prefix="dir/")
    assert [u["Key"] for u in reply["Uploads"]] == ["dir/b", "dir/c"]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_uploads_are_listed_in_pages_also_several_of_one_key(s3, bucket, size):
    """S3-CHECKLIST 43"""
    ids = {Upload(s3, bucket, key).names["UploadId"] for key in ("a", "k", "k", "k", "z")}
    found = []
    for page in s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": size}
    ):
        found += [u["UploadId"] for u in page["Uploads"]]
    assert len(found) == 5
    assert set(found) == ids


def test_a_completed_upload_is_not_listed(s3, bucket, upload):
    upload.part(1, SMALL)
    upload.complete()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


# --- copied parts ----------------------------------------------------------------------------------------


def test_a_part_is_copied_from_an_object(s3, bucket, upload, block):
    s3.put_object(Bucket=bucket, Key="source", Body=block)
    copied = s3.upload_part_copy(**upload.names, PartNumber=1, CopySource={"Bucket": bucket, "Key": "source"})
    upload.parts[1] = copied["CopyPartResult"]["ETag"]
    assert copied["CopyPartResult"]["ETag"] == f'"{hashlib.md5(block).hexdigest()}"'
    upload.part(2, SMALL)
    assert upload.complete()["ETag"] == etag_of(block, SMALL)
    assert read(s3, bucket) == block + SMALL


def test_a_part_is_copied_from_a_range(s3, bucket, upload):
    """S3-CHECKLIST 42"""
    s3.put_object(Bucket=bucket, Key="source", Body=bytes(range(100)))
    copied = s3.upload_part_copy(
        **upload.names,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "source"},
        CopySourceRange="bytes=10-19",
    )
    upload.parts[1] = copied["CopyPartResult"]["ETag"]
    upload.complete()
    assert read(s3, bucket) == bytes(range(10, 20))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-5", "10-19", "bytes=9-3", "bytes=50-100"])
def test_a_copied_range_must_name_bytes_of_the_source(s3, bucket, upload, asked):
    """S3-CHECKLIST 42"""
    s3.put_object(Bucket=bucket, Key="source", Body=bytes(100))
    source = {"Bucket": bucket, "Key": "source"}
    with refused("InvalidArgument", 400):
        s3.upload_part_copy(**upload.names, PartNumber=1, CopySource=source, CopySourceRange=asked)


def test_a_part_is_copied_from_a_part_of_a_multipart_object(s3, bucket, block):
    source = Upload(s3, bucket, "source")
    source.part(1, block)
    source.part(2, SMALL)
    source.complete()
    upload = Upload(s3, bucket)
    copied = s3.upload_part_copy(
        **upload.names,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "source"},
        CopySourceRange=f"bytes={PART - 2}-{PART + 1}",
    )
    upload.parts[1] = copied["CopyPartResult"]["ETag"]
    s3.delete_object(Bucket=bucket, Key="source")
    upload.complete()
    assert read(s3, bucket) == block[-2:] + SMALL[:2]


def test_a_missing_source_of_a_part_is_no_such_key(s3, bucket, upload):
    with refused("NoSuchKey", 404):
        s3.upload_part_copy(**upload.names, PartNumber=1, CopySource={"Bucket": bucket, "Key": "missing"})


def test_a_bucket_with_pending_uploads_only_is_deleted(s3, make_bucket):
    name = make_bucket()
    Upload(s3, name).part(1, SMALL)
    s3.delete_bucket(Bucket=name)
    with refused("404", 404):
        s3.head_bucket(Bucket=name)
