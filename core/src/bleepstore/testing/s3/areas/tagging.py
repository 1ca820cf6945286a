"""Tags of objects and buckets.

Authority: API_PutObjectTagging, API_GetObjectTagging, API_DeleteObjectTagging, API_PutBucketTagging ... in
https://docs.aws.amazon.com/AmazonS3/latest/API/ and the limits at
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

import pytest

from bleepstore.testing.s3.expectations import refused


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def by_key(tag_set):
    return sorted(tag_set, key=lambda tag: tag["Key"])


def test_an_untagged_object_has_an_empty_tag_set(s3, bucket):
    """S3-CHECKLIST 35"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_tags_put_on_an_object_are_read_back_and_replaced(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags(a="1", b="ü x")})
    assert by_key(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]) == tags(a="1", b="ü x")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags(c="3")})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags(c="3")


def test_deleted_object_tags_are_gone(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1")
    reply = s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_tags_of_the_upload_header_are_decoded_and_counted(s3, bucket):
    """S3-CHECKLIST 53"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=with%20space&c=")
    found = by_key(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"])
    assert found == tags(a="1", b="with space", c="")
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 3


def test_an_empty_tagging_header_is_no_tags(s3, bucket):
    """S3-CHECKLIST 35"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_overwriting_an_object_drops_its_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []


def test_an_object_has_ten_tags_at_most(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    many = tags(**{f"k{n}": "v" for n in range(10)})
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": many})
    with refused("BadRequest", 400):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": many + tags(more="v")})
    assert len(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]) == 10


@pytest.mark.parametrize(
    "tag_set",
    [tags(**{"k" * 129: "v"}), tags(k="v" * 257), tags(**{"aws:system": "v"}), tags(k="v") + tags(k="w")],
    ids=["long key", "long value", "reserved prefix", "key twice"],
)
def test_tags_against_the_rules_are_refused(s3, bucket, tag_set):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused("InvalidTag", 400):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tag_set})


def test_tags_of_a_missing_object_are_no_such_key(s3, bucket):
    with refused("NoSuchKey", 404):
        s3.get_object_tagging(Bucket=bucket, Key="missing")
    with refused("NoSuchKey", 404):
        s3.put_object_tagging(Bucket=bucket, Key="missing", Tagging={"TagSet": tags(a="1")})


def test_tagging_changes_neither_etag_nor_modification_time(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    before = s3.head_object(Bucket=bucket, Key="k")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags(a="1")})
    after = s3.head_object(Bucket=bucket, Key="k")
    assert (before["ETag"], before["LastModified"]) == (after["ETag"], after["LastModified"])


def test_an_untagged_bucket_has_no_tag_set(s3, bucket):
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)


def test_bucket_tags_are_put_read_replaced_and_deleted(s3, bucket):
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags(a="1", b="2")})
    assert by_key(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == tags(a="1", b="2")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags(c="3")})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags(c="3")
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)


def test_a_bucket_has_more_than_ten_tags(s3, bucket):
    many = tags(**{f"k{n}": "v" for n in range(50)})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": many})
    assert len(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == 50
    with refused("BadRequest", 400):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": many + tags(more="v")})


def test_deleting_the_tags_of_an_untagged_bucket_is_no_content(s3, bucket):
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_multipart_upload_keeps_the_tags_it_was_begun_with(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Tagging="a=1")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags(a="1")
