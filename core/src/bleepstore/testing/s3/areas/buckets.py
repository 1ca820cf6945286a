"""Buckets.

Authority: API_CreateBucket, API_DeleteBucket, API_HeadBucket, API_ListBuckets, API_GetBucketLocation in
https://docs.aws.amazon.com/AmazonS3/latest/API/ and the naming rules at
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

import datetime

import pytest
from botocore.handlers import validate_bucket_name

from bleepstore.testing.s3.expectations import refused


def test_a_new_bucket_is_listed_with_its_creation_date(s3, bucket):
    found = {b["Name"]: b["CreationDate"] for b in s3.list_buckets()["Buckets"]}
    age = datetime.datetime.now(datetime.UTC) - found[bucket]
    assert abs(age) < datetime.timedelta(minutes=15)


def test_create_answers_with_the_location_of_the_bucket(s3, make_bucket, new_name, target):
    name = new_name()
    make_bucket(name=name)
    location = s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"]
    assert location["x-amz-bucket-region"] == target.region


def test_head_of_a_bucket_names_its_region(s3, bucket, target):
    """S3-CHECKLIST 16"""
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == target.region


def test_head_of_a_bucket_names_its_region_to_who_may_not_see_it(anonymous, bucket, target):
    """S3-CHECKLIST 16: SDKs find out where a bucket is by a HeadBucket that is not signed."""
    with refused("403", 403) as reply:
        anonymous.head_bucket(Bucket=bucket)
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == target.region


def test_head_of_a_missing_bucket_is_404_without_a_body(s3, new_name):
    with refused("404", 404):
        s3.head_bucket(Bucket=new_name())


def test_location_of_the_classic_region_is_empty(s3, bucket, target):
    """S3-CHECKLIST 16"""
    found = s3.get_bucket_location(Bucket=bucket)["LocationConstraint"]
    assert found == (None if target.region == "us-east-1" else target.region)


def test_location_of_a_missing_bucket_is_no_such_bucket(s3, new_name):
    with refused("NoSuchBucket", 404):
        s3.get_bucket_location(Bucket=new_name())


def test_deleted_bucket_is_gone(s3, make_bucket):
    name = make_bucket()
    reply = s3.delete_bucket(Bucket=name)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("404", 404):
        s3.head_bucket(Bucket=name)
    assert name not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


def test_deleting_a_missing_bucket_is_no_such_bucket(s3, new_name):
    with refused("NoSuchBucket", 404) as reply:
        s3.delete_bucket(Bucket=(name := new_name()))
    assert reply["Error"]["BucketName"] == name


def test_a_bucket_with_an_object_is_not_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)
    s3.head_object(Bucket=bucket, Key="a")


def test_a_deleted_bucket_can_be_made_again_and_is_empty(s3, make_bucket):
    name = make_bucket()
    s3.put_object(Bucket=name, Key="old", Body=b"x")
    s3.delete_object(Bucket=name, Key="old")
    s3.delete_bucket(Bucket=name)
    make_bucket(name=name)
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_creating_ones_own_bucket_again_in_the_classic_region_keeps_its_objects(
    s3, bucket, make_bucket, target
):
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    if target.region == "us-east-1":
        make_bucket(name=bucket)
    else:
        with refused("BucketAlreadyOwnedByYou", 409):
            make_bucket(name=bucket)
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"x"


@pytest.mark.second_account
def test_a_name_that_somebody_has_is_taken(other, bucket, target):
    more = (
        {}
        if target.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": target.region}}
    )
    with refused("BucketAlreadyExists", 409):
        other.create_bucket(Bucket=bucket, **more)


@pytest.mark.second_account
def test_accounts_see_their_own_buckets_alone(s3, other, bucket, make_bucket):
    theirs = make_bucket(other)
    mine = [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert bucket in mine
    assert theirs not in mine
    found = [b["Name"] for b in other.list_buckets()["Buckets"]]
    assert theirs in found
    assert bucket not in found


@pytest.mark.second_account
def test_head_of_anothers_bucket_is_403(other, bucket):
    with refused("403", 403):
        other.head_bucket(Bucket=bucket)


@pytest.mark.second_account
def test_anothers_bucket_is_not_deleted(s3, other, bucket):
    with refused("AccessDenied", 403):
        other.delete_bucket(Bucket=bucket)
    s3.head_bucket(Bucket=bucket)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Upper-case",
        "under_score",
        "-begins-with-dash",
        "ends-with-dash-",
        "two..dots",
        "192.168.5.4",
        "xn--reserved",
        "sthree-reserved",
        "reserved-s3alias",
        "reserved--ol-s3",
    ],
)
def test_names_against_the_rules_are_refused(make_client, name):
    # The SDK itself refuses some of these names: not here.
    client = make_client()
    client.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    with refused("InvalidBucketName", 400):
        client.create_bucket(Bucket=name)


@pytest.mark.parametrize("suffix", ["", ".dotted.name", "-1-2-3"])
def test_names_within_the_rules_are_accepted(s3, make_bucket, new_name, suffix):
    name = make_bucket(name=new_name() + suffix)
    s3.put_object(Bucket=name, Key="k", Body=b"v")
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"v"


def test_an_unknown_location_constraint_is_refused(s3, new_name):
    with refused("InvalidLocationConstraint", 400):
        s3.create_bucket(
            Bucket=new_name(), CreateBucketConfiguration={"LocationConstraint": "nowhere-central-9"}
        )


def test_anothers_region_as_location_constraint_is_refused(s3, new_name, target):
    elsewhere = "eu-west-1" if target.region != "eu-west-1" else "eu-central-1"
    with refused("IllegalLocationConstraintException", 400):
        s3.create_bucket(Bucket=new_name(), CreateBucketConfiguration={"LocationConstraint": elsewhere})


def test_an_unknown_canned_acl_is_refused(s3, new_name):
    with refused("InvalidArgument", 400):
        s3.create_bucket(Bucket=new_name(), ACL="not-an-acl", ObjectOwnership="ObjectWriter")


def test_buckets_are_listed_by_prefix(s3, make_bucket, new_name):
    prefix = new_name("bleep-prefix")
    names = sorted(make_bucket(name=f"{prefix}-{n}") for n in range(3))
    reply = s3.list_buckets(Prefix=prefix)
    assert [b["Name"] for b in reply["Buckets"]] == names
    assert reply["Prefix"] == prefix


def test_buckets_are_listed_in_pages(s3, make_bucket, new_name, target):
    prefix = new_name("bleep-pages")
    names = sorted(make_bucket(name=f"{prefix}-{n}") for n in range(3))
    first = s3.list_buckets(Prefix=prefix, MaxBuckets=2)
    assert [b["Name"] for b in first["Buckets"]] == names[:2]
    assert all(b["BucketRegion"] == target.region for b in first["Buckets"])
    second = s3.list_buckets(Prefix=prefix, MaxBuckets=2, ContinuationToken=first["ContinuationToken"])
    assert [b["Name"] for b in second["Buckets"]] == names[2:]
    assert "ContinuationToken" not in second


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_page_of_buckets_has_between_1_and_10000(make_client, count):
    client = make_client(parameter_validation=False)  # or the SDK would refuse before the server can
    with refused("InvalidArgument", 400):
        client.list_buckets(MaxBuckets=count)


def test_list_buckets_names_their_owner(s3, bucket):
    owner = s3.list_buckets()["Owner"]
    assert owner["ID"]
    assert s3.get_bucket_acl(Bucket=bucket)["Owner"]["ID"] == owner["ID"]


def test_buckets_are_not_listed_anonymously(anonymous):
    with refused("AccessDenied", 403):
        anonymous.list_buckets()


def test_the_expected_owner_must_be_the_owner(s3, bucket):
    with refused("403", 403):
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="111122223333")


def test_tags_given_at_creation_are_the_buckets_tags(s3, make_bucket):
    """S3-CHECKLIST 49"""
    tags = [{"Key": "team", "Value": "storage"}]
    name = make_bucket(CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tags
