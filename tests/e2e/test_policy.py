"""Bucket policies.

Authority: API_PutBucketPolicy, API_GetBucketPolicy, API_DeleteBucketPolicy, API_GetBucketPolicyStatus in
https://docs.aws.amazon.com/AmazonS3/latest/API/ and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
"""

import json

import pytest
from expectations import refused


@pytest.fixture
def put_policy(s3, acl_bucket):
    """Puts a policy of these statements on the bucket; ``{}`` in resources is the bucket."""

    def put(*statements):
        filled = [{**s, "Resource": s["Resource"].replace("{}", acl_bucket)} for s in statements]
        text = json.dumps({"Version": "2012-10-17", "Statement": filled})
        s3.put_bucket_policy(Bucket=acl_bucket, Policy=text)
        return text

    return put


def statement(effect, action, resource, principal="*", **condition):
    made = {
        "Sid": "s",
        "Effect": effect,
        "Principal": principal,
        "Action": action,
        "Resource": f"arn:aws:s3:::{resource}",
    }
    return {**made, "Condition": condition} if condition else made


PUBLIC_READ = statement("Allow", ["s3:GetObject"], "{}/public/*")


@pytest.fixture
def filled(s3, acl_bucket):
    for key in ("public/a", "secret/a"):
        s3.put_object(Bucket=acl_bucket, Key=key, Body=b"content")
    return acl_bucket


def test_a_policy_is_read_back_as_it_was_put(s3, acl_bucket, put_policy):
    text = put_policy(PUBLIC_READ)
    assert json.loads(s3.get_bucket_policy(Bucket=acl_bucket)["Policy"]) == json.loads(text)


def test_without_a_policy_there_is_none(s3, bucket):
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy(Bucket=bucket)
    with refused("NoSuchBucketPolicy", 404):
        s3.get_bucket_policy_status(Bucket=bucket)
    assert s3.delete_bucket_policy(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_everybody_reads_what_the_policy_opens_and_nothing_else(anonymous, filled, put_policy):
    put_policy(PUBLIC_READ)
    assert anonymous.get_object(Bucket=filled, Key="public/a")["Body"].read() == b"content"
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=filled, Key="secret/a")
    with refused("AccessDenied", 403):
        anonymous.put_object(Bucket=filled, Key="public/a", Body=b"x")
    with refused("AccessDenied", 403):
        anonymous.list_objects_v2(Bucket=filled)
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=filled, Key="public/missing")


def test_a_listing_is_opened_for_a_prefix(anonymous, filled, put_policy):
    put_policy(statement("Allow", "s3:ListBucket", "{}", StringEquals={"s3:prefix": "public/"}))
    reply = anonymous.list_objects_v2(Bucket=filled, Prefix="public/")
    assert [entry["Key"] for entry in reply["Contents"]] == ["public/a"]
    with refused("AccessDenied", 403):
        anonymous.list_objects_v2(Bucket=filled)


def test_a_deny_holds_for_the_owner_too_but_never_for_the_policy_itself(s3, filled, put_policy):
    put_policy(statement("Deny", "s3:*", "{}*"))
    with refused("AccessDenied", 403):
        s3.get_object(Bucket=filled, Key="public/a")
    assert "Deny" in s3.get_bucket_policy(Bucket=filled)["Policy"]
    s3.delete_bucket_policy(Bucket=filled)
    assert s3.get_object(Bucket=filled, Key="public/a")["Body"].read() == b"content"


def test_writes_without_a_precondition_can_be_denied(s3, filled, put_policy):
    put_policy(statement("Deny", "s3:PutObject", "{}/*", Null={"s3:if-none-match": "true"}))
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=filled, Key="new", Body=b"x")
    s3.put_object(Bucket=filled, Key="new", Body=b"x", IfNoneMatch="*")


def test_who_may_write_may_not_therefore_set_an_acl(anonymous, filled, put_policy):
    put_policy(statement("Allow", "s3:PutObject", "{}/drop/*"))
    anonymous.put_object(Bucket=filled, Key="drop/a", Body=b"x")
    with refused("AccessDenied", 403):
        anonymous.put_object(Bucket=filled, Key="drop/b", Body=b"x", ACL="public-read")


def test_keys_are_deleted_one_by_one_as_the_policy_says(s3, anonymous, filled, put_policy):
    put_policy(statement("Allow", "s3:DeleteObject", "{}/public/*"))
    keys = {"Objects": [{"Key": "public/a"}, {"Key": "secret/a"}]}
    reply = anonymous.delete_objects(Bucket=filled, Delete=keys)
    assert [entry["Key"] for entry in reply["Deleted"]] == ["public/a"]
    assert [(entry["Key"], entry["Code"]) for entry in reply["Errors"]] == [("secret/a", "AccessDenied")]


@pytest.mark.second_account
def test_another_account_is_named_by_its_id(s3, other, anonymous, filled, put_policy):
    stranger = other.list_buckets()["Owner"]["ID"]
    put_policy(statement("Allow", "s3:GetObject", "{}/*", {"CanonicalUser": stranger}))
    assert other.get_object(Bucket=filled, Key="secret/a")["Body"].read() == b"content"
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=filled, Key="secret/a")
    with refused("AccessDenied", 403):
        other.get_bucket_policy(Bucket=filled)


@pytest.mark.second_account
def test_a_policy_opens_no_object_of_another_owner(s3, other, anonymous, filled, put_policy):
    stranger = other.list_buckets()["Owner"]["ID"]
    put_policy(
        statement("Allow", "s3:PutObject", "{}/*", {"CanonicalUser": stranger}),
        statement("Allow", "s3:GetObject", "{}/*"),
    )
    other.put_object(Bucket=filled, Key="theirs", Body=b"x")
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=filled, Key="theirs")


@pytest.mark.parametrize(
    ("made", "public"),
    [
        (PUBLIC_READ, True),
        (statement("Allow", "s3:GetObject", "{}/*", IpAddress={"aws:SourceIp": "10.0.0.0/8"}), False),
        (statement("Deny", "s3:GetObject", "{}/*"), False),
    ],
    ids=["everybody", "an address", "a deny"],
)
def test_the_status_says_whether_the_bucket_is_public(s3, acl_bucket, put_policy, made, public):
    put_policy(made)
    assert s3.get_bucket_policy_status(Bucket=acl_bucket)["PolicyStatus"]["IsPublic"] is public


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject"}]}',
        json.dumps({"Statement": [statement("Allow", "s3:GetObject", "another-bucket/*")]}),
        json.dumps({"Statement": [statement("Allow", "s3:MadeUp", "*")]}),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_understood_is_malformed_and_leaves_the_old_policy(s3, acl_bucket, put_policy, text):
    kept = put_policy(PUBLIC_READ)
    with refused("MalformedPolicy", 400):
        s3.put_bucket_policy(Bucket=acl_bucket, Policy=text)
    assert json.loads(s3.get_bucket_policy(Bucket=acl_bucket)["Policy"]) == json.loads(kept)
