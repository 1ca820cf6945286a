"""Bucket policies.

Authority: API_PutBucketPolicy, API_GetBucketPolicy, API_DeleteBucketPolicy, API_GetBucketPolicyStatus in
https://docs.aws.amazon.com/AmazonS3/latest/API/ and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
"""

import json

import pytest

from bleepstore.testing.s3.expectations import refused


@pytest.fixture
def put_policy(s3, acl_bucket):
    """Puts a policy of these statements on the bucket; ``{}`` in resources is the bucket."""

    def put(*statements):
        filled = [{**s, "Resource": s["Resource"].replace("{}", acl_bucket)} for s in statements]
        text = json.dumps({"Version": "2012-10-17", "Statement": filled})
        s3.put_bucket_policy(Bucket=acl_bucket, Policy=text)
        return text

    yield put
    s3.delete_bucket_policy(Bucket=acl_bucket)  # a policy may forbid to empty the bucket


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
        {**statement("Allow", "s3:GetObject", "{}/*"), "Sid": "reading"},
    )
    other.put_object(Bucket=filled, Key="theirs", Body=b"x")
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=filled, Key="theirs")


@pytest.mark.second_account
def test_the_policy_itself_is_the_owners_whatever_it_allows(s3, other, filled, put_policy):
    """API_GetBucketPolicy: "...not using an identity that belongs to the bucket owner's account": 405."""
    stranger = other.list_buckets()["Owner"]["ID"]
    text = put_policy(statement("Allow", "s3:*BucketPolicy", "{}", {"CanonicalUser": stranger}))
    for refuse in (
        lambda: other.get_bucket_policy(Bucket=filled),
        lambda: other.put_bucket_policy(Bucket=filled, Policy=text),
        lambda: other.delete_bucket_policy(Bucket=filled),
    ):
        with refused("MethodNotAllowed", 405):
            refuse()
    assert json.loads(s3.get_bucket_policy(Bucket=filled)["Policy"]) == json.loads(text)


def test_nobody_begins_a_multipart_upload_without_a_name(anonymous, filled, put_policy):
    put_policy(statement("Allow", "s3:PutObject", "{}/*"))
    with refused("AccessDenied", 403):
        anonymous.create_multipart_upload(Bucket=filled, Key="k")


@pytest.mark.second_account
def test_parts_are_uploaded_and_completed_by_who_began_alone(s3, other, anonymous, filled, put_policy):
    """mpuAndPermissions: "Only the initiator of a multipart upload can upload parts"."""
    put_policy(statement("Allow", ["s3:PutObject", "s3:ListMultipartUploadParts"], "{}/*"))
    upload = {"Bucket": filled, "Key": "k", "UploadId": ""}
    upload["UploadId"] = s3.create_multipart_upload(Bucket=filled, Key="k")["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"mine")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    for stranger in (other, anonymous):
        with refused("AccessDenied", 403):
            stranger.upload_part(**upload, PartNumber=1, Body=b"theirs")
        with refused("AccessDenied", 403):
            stranger.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert [part["ETag"] for part in other.list_parts(**upload)["Parts"]] == [etag]
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert s3.get_object(Bucket=filled, Key="k")["Body"].read() == b"mine"


def test_a_version_by_its_id_takes_an_action_of_its_own(anonymous, filled, put_policy):
    read = statement("Allow", "s3:GetObject", "{}/*")
    put_policy(read)
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=filled, Key="public/a", VersionId="null")
    put_policy({**read, "Action": ["s3:GetObject", "s3:GetObjectVersion"]})
    assert anonymous.get_object(Bucket=filled, Key="public/a", VersionId="null")["ContentLength"] == 7


def test_what_is_denied_is_denied_under_the_name_of_its_version_too(s3, filled, put_policy):
    put_policy(statement("Deny", "s3:DeleteObject", "{}/*"))
    with refused("AccessDenied", 403):
        s3.delete_object(Bucket=filled, Key="public/a", VersionId="null")
    keys = {"Objects": [{"Key": "public/a", "VersionId": "null"}]}
    assert s3.delete_objects(Bucket=filled, Delete=keys)["Errors"][0]["Code"] == "AccessDenied"
    assert s3.head_object(Bucket=filled, Key="public/a")["ContentLength"] == 7


def test_attributes_are_for_who_may_read_the_object_too(anonymous, filled, put_policy):
    put_policy(statement("Allow", "s3:GetObjectAttributes", "{}/*"))
    with refused("AccessDenied", 403):
        anonymous.get_object_attributes(Bucket=filled, Key="public/a", ObjectAttributes=["ObjectSize"])
    put_policy(statement("Allow", ["s3:GetObject", "s3:GetObjectAttributes"], "{}/*"))
    reply = anonymous.get_object_attributes(Bucket=filled, Key="public/a", ObjectAttributes=["ObjectSize"])
    assert reply["ObjectSize"] == 7


@pytest.mark.second_account
def test_a_copy_takes_the_action_of_the_version_that_it_names(other, s3, filled, put_policy):
    stranger = other.list_buckets()["Owner"]["ID"]
    put_policy(statement("Allow", ["s3:GetObject", "s3:PutObject"], "{}/*", {"CanonicalUser": stranger}))
    source = {"Bucket": filled, "Key": "public/a"}
    other.copy_object(Bucket=filled, Key="copy", CopySource=source)
    with refused("AccessDenied", 403):
        other.copy_object(Bucket=filled, Key="copy", CopySource={**source, "VersionId": "null"})


def test_a_plus_in_the_source_of_a_copy_does_not_hide_it(s3, make_client, filled, put_policy):
    """A bare plus is itself where no key has a space there: the policy is asked about what is copied."""
    s3.put_object(Bucket=filled, Key="a+b", Body=b"content")
    s3.put_object(Bucket=filled, Key="c+d", Body=b"content")
    source = {"s3:x-amz-copy-source": f"{filled}/a+*"}
    put_policy(statement("Deny", "s3:PutObject", "{}/*", StringLike=source))
    client = make_client()

    def bare(params, **_):
        params["headers"]["x-amz-copy-source"] = params["headers"]["x-amz-copy-source"].replace("%2B", "+")

    client.meta.events.register("before-call.s3.CopyObject", bare)
    with refused("AccessDenied", 403):
        client.copy_object(Bucket=filled, Key="copy", CopySource=f"{filled}/a+b")
    client.copy_object(Bucket=filled, Key="copy", CopySource=f"{filled}/c+d")


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
