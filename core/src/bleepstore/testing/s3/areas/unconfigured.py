"""What provisioning and backup tools ask of a bucket on which nothing was configured.

Authority: the pages of these operations in https://docs.aws.amazon.com/AmazonS3/latest/API/ and the error
codes at https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. New AWS buckets come with
default encryption, owner-enforced objects and blocked public access, so those three are not asked here.
"""

import pytest

from bleepstore.testing.s3.expectations import refused


@pytest.mark.parametrize(
    "operation",
    [
        "get_bucket_versioning",
        "get_bucket_accelerate_configuration",
        "get_bucket_logging",
        "get_bucket_notification_configuration",
    ],
)
def test_reads_as_an_empty_document(s3, bucket, operation):
    """S3-CHECKLIST, what is asked by default"""
    reply = getattr(s3, operation)(Bucket=bucket)
    del reply["ResponseMetadata"]
    assert reply == {}


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("list_bucket_analytics_configurations", "AnalyticsConfigurationList"),
        ("list_bucket_inventory_configurations", "InventoryConfigurationList"),
        ("list_bucket_metrics_configurations", "MetricsConfigurationList"),
        ("list_bucket_intelligent_tiering_configurations", "IntelligentTieringConfigurationList"),
    ],
)
def test_lists_nothing(s3, bucket, operation, members):
    """S3-CHECKLIST, what is asked by default"""
    reply = getattr(s3, operation)(Bucket=bucket)
    assert reply["IsTruncated"] is False
    assert members not in reply


def test_the_bucket_owner_pays_for_requests(s3, bucket):
    """S3-CHECKLIST, what is asked by default"""
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("get_bucket_policy", "NoSuchBucketPolicy"),
        ("get_bucket_policy_status", "NoSuchBucketPolicy"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_tagging", "NoSuchTagSet"),
    ],
)
def test_is_not_found(s3, bucket, operation, code):
    """S3-CHECKLIST, what is asked by default"""
    with refused(code, 404):
        getattr(s3, operation)(Bucket=bucket)


@pytest.mark.parametrize("operation", ["get_object_retention", "get_object_legal_hold"])
def test_locks_of_objects_need_a_bucket_with_object_lock(s3, bucket, operation):
    """S3-CHECKLIST, what is asked by default"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused("InvalidRequest", 400):
        getattr(s3, operation)(Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    "operation",
    [
        "delete_bucket_cors",
        "delete_bucket_lifecycle",
        "delete_bucket_policy",
        "delete_bucket_replication",
        "delete_bucket_website",
        "delete_bucket_tagging",
        "delete_public_access_block",
    ],
)
def test_deleting_what_is_absent_is_no_content(s3, bucket, operation):
    """S3-CHECKLIST, what is asked by default"""
    reply = getattr(s3, operation)(Bucket=bucket)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize("operation", ["get_bucket_versioning", "get_bucket_policy", "get_bucket_cors"])
def test_asked_of_a_missing_bucket_is_no_such_bucket(s3, new_name, operation):
    with refused("NoSuchBucket", 404):
        getattr(s3, operation)(Bucket=new_name())


def test_an_unknown_query_name_is_ignored(s3, bucket):
    """S3-CHECKLIST 24"""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")

    def add(request, **_):
        request.url += "&unknown-name=1"

    s3.meta.events.register("before-sign.s3.ListObjectsV2", add)
    try:
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    finally:
        s3.meta.events.unregister("before-sign.s3.ListObjectsV2", add)
