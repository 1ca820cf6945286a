"""Buckets named by the Host header.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html . The client signs for
``BUCKET.localhost`` and connects to the endpoint, so no name has to resolve.
"""

from urllib.parse import urlsplit

import pytest

from bleepstore.testing.s3.expectations import refused, send


@pytest.mark.parametrize("key", ["k", "dir/", "a/b c/ü", "//x", "_bleepstore/health"])
def test_objects_are_put_and_read(s3, virtual, bucket, key):
    """S3-CHECKLIST 17"""
    virtual.put_object(Bucket=bucket, Key=key, Body=b"content")
    assert virtual.get_object(Bucket=bucket, Key=key)["Body"].read() == b"content"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"content"
    assert [o["Key"] for o in virtual.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    virtual.delete_object(Bucket=bucket, Key=key)


def test_a_bucket_is_made_and_removed(virtual, make_bucket):
    name = make_bucket(virtual)
    virtual.head_bucket(Bucket=name)
    virtual.delete_bucket(Bucket=name)
    with refused("404", 404):
        virtual.head_bucket(Bucket=name)


def test_parts_are_uploaded(virtual, bucket):
    upload = virtual.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    names = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    part = virtual.upload_part(**names, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    virtual.complete_multipart_upload(**names, MultipartUpload=parts)
    assert virtual.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_bucket_with_dots_is_addressed(s3, endpoint, make_acl_bucket, new_name, virtual):
    # SDKs address such buckets path style, because of certificates: the Host is set by hand.
    """S3-CHECKLIST 17"""
    name = make_acl_bucket(name=new_name() + ".with.dots")
    s3.put_object(Bucket=name, Key="dir/k/", Body=b"content", ACL="public-read")
    host = urlsplit(virtual.generate_presigned_url("head_bucket", {"Bucket": "placeholder"})).netloc
    answer = send(f"{endpoint}/dir/k/", "GET", None, {"Host": host.replace("placeholder", name)})
    assert (answer.status, answer.body) == (200, b"content")


def test_a_presigned_url_is_good_for_its_host_only(virtual, endpoint, bucket):
    """S3-CHECKLIST 17"""
    virtual.put_object(Bucket=bucket, Key="k", Body=b"content")
    url = virtual.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    _, _, rest = url.partition("://")
    host, _, target = rest.partition("/")
    assert host.startswith(f"{bucket}.")
    answer = send(f"{endpoint}/{target}", "GET", None, {"Host": host})
    assert (answer.status, answer.body) == (200, b"content")
    elsewhere = send(f"{endpoint}/{bucket}/{target}", "GET", None, {})
    assert (elsewhere.status, elsewhere.code) == (403, "SignatureDoesNotMatch")
