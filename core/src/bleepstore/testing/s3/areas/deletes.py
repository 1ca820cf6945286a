"""Objects that are deleted, one by one and many at once.

Authority: API_DeleteObject and API_DeleteObjects in https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

from bleepstore.testing.s3.expectations import refused


def test_deleting_a_missing_key_is_no_content(s3, bucket):
    """S3-CHECKLIST 36"""
    reply = s3.delete_object(Bucket=bucket, Key="missing")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_many_objects_are_deleted_at_once(s3, bucket):
    """S3-CHECKLIST 36"""
    keys = [f"k{n}" for n in range(20)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    objects = [{"Key": key} for key in [*keys, "missing"]]
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert sorted(d["Key"] for d in reply["Deleted"]) == sorted([*keys, "missing"])
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_quiet_deletion_reports_nothing_that_went_well(s3, bucket):
    """S3-CHECKLIST 36"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}], "Quiet": True})
    assert "Deleted" not in reply
    assert "Errors" not in reply


def test_keys_that_need_escaping_are_deleted_at_once(s3, bucket):
    keys = ["<a>&b", "ünï\U0001f600", "quotes'\"", "a b+c"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_no_more_than_1000_keys_are_deleted_at_once(s3, bucket):
    """S3-CHECKLIST 36"""
    s3.put_object(Bucket=bucket, Key="k0", Body=b"")
    thousand = [{"Key": f"k{n}"} for n in range(1000)]
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [*thousand, {"Key": "more"}]})
    s3.head_object(Bucket=bucket, Key="k0")
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": thousand})["Deleted"]) == 1000


def test_deleting_nothing_at_once_is_malformed(s3, bucket):
    with refused("MalformedXML", 400):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": []})
