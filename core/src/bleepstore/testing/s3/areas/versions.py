"""Versions of a bucket that never had versioning: every key has the one version ``null``.

Authority: API_ListObjectVersions, API_GetObject (versionId) in
https://docs.aws.amazon.com/AmazonS3/latest/API/ and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html
"""

import pytest

from bleepstore.testing.s3.expectations import refused


def test_every_key_is_listed_once_as_the_latest_null_version(s3, bucket):
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"old")
        s3.put_object(Bucket=bucket, Key=key, Body=b"new")
    reply = s3.list_object_versions(Bucket=bucket)
    assert [(v["Key"], v["VersionId"], v["IsLatest"], v["Size"]) for v in reply["Versions"]] == [
        ("a", "null", True, 3),
        ("b", "null", True, 3),
    ]
    assert "DeleteMarkers" not in reply


def test_versions_are_listed_in_pages_with_prefix_and_delimiter(s3, bucket):
    for key in ("a", "d/1", "d/2", "e", "f"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    found, prefixes = [], []
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
    ):
        found += [v["Key"] for v in page.get("Versions", [])]
        prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
    assert (found, prefixes) == (["a", "e", "f"], ["d/"])


def test_a_version_id_marker_needs_a_key_marker(s3, bucket):
    with refused("InvalidArgument", 400):
        s3.list_object_versions(Bucket=bucket, VersionIdMarker="null")


def test_the_null_version_is_read(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"x"
    assert s3.head_object(Bucket=bucket, Key="k", VersionId="null")["ContentLength"] == 1
    assert len(s3.get_object_tagging(Bucket=bucket, Key="k", VersionId="null")["TagSet"]) == 1


def test_the_null_version_is_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")


def test_null_versions_are_deleted_at_once(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    objects = [{"Key": "k", "VersionId": "null"}]
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert reply["Deleted"] == objects
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_a_version_id_that_cannot_be_one_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("InvalidArgument", 400):
        s3.get_object(Bucket=bucket, Key="k", VersionId="not a version")


def test_a_copy_names_the_null_version_as_source(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    source = {"Bucket": bucket, "Key": "k", "VersionId": "null"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"x"


@pytest.mark.parametrize("operation", ["get_object", "put_object", "head_object"])
def test_an_unversioned_bucket_names_no_version(s3, bucket, operation):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "VersionId" not in getattr(s3, operation)(Bucket=bucket, Key="k")
