"""Access control lists, and what they let others do.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html (permissions, canned ACLs,
predefined groups) and API_GetBucketAcl, API_PutBucketAcl, API_GetObjectAcl, API_PutObjectAcl in
https://docs.aws.amazon.com/AmazonS3/latest/API/ . Buckets here take ACLs (ObjectOwnership ``ObjectWriter``).
"""

import pytest

from bleepstore.testing.s3.expectations import fetch, refused, send

ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


def grants(reply):
    return sorted(
        (g["Grantee"].get("ID") or g["Grantee"].get("URI"), g["Permission"]) for g in reply["Grants"]
    )


@pytest.fixture(scope="session")
def owner(s3):
    return s3.list_buckets()["Owner"]["ID"]


@pytest.fixture
def put(s3, acl_bucket):
    """Puts key ``k`` with an ACL; returns bucket and key as arguments."""

    def put(acl=None, **parameters):
        more = {"ACL": acl} if acl else {}
        s3.put_object(Bucket=acl_bucket, Key="k", Body=b"content", **more, **parameters)
        return {"Bucket": acl_bucket, "Key": "k"}

    return put


# --- what is stored -------------------------------------------------------------------------------------


def test_a_new_bucket_is_its_owners_alone(s3, bucket, owner):
    reply = s3.get_bucket_acl(Bucket=bucket)
    assert (grants(reply), reply["Owner"]["ID"]) == ([(owner, "FULL_CONTROL")], owner)


def test_a_new_object_is_its_owners_alone(s3, put, owner):
    assert grants(s3.get_object_acl(**put())) == [(owner, "FULL_CONTROL")]


CANNED = {
    "private": [],
    "public-read": [(ALL, "READ")],
    "public-read-write": [(ALL, "READ"), (ALL, "WRITE")],
    "authenticated-read": [(AUTHENTICATED, "READ")],
}


@pytest.mark.parametrize("acl", CANNED)
def test_a_canned_acl_of_a_bucket_is_its_grants(s3, acl_bucket, owner, acl):
    s3.put_bucket_acl(Bucket=acl_bucket, ACL=acl)
    expected = sorted([(owner, "FULL_CONTROL"), *CANNED[acl]])
    assert grants(s3.get_bucket_acl(Bucket=acl_bucket)) == expected


@pytest.mark.parametrize("acl", [*CANNED, "bucket-owner-read", "bucket-owner-full-control"])
def test_a_canned_acl_of_an_object_is_its_grants(s3, put, owner, acl):
    expected = sorted([(owner, "FULL_CONTROL"), *CANNED.get(acl, [])])
    assert grants(s3.get_object_acl(**put(acl))) == expected
    names = put()
    s3.put_object_acl(**names, ACL=acl)
    assert grants(s3.get_object_acl(**names)) == expected


def test_grants_by_header_are_the_acl(s3, put, owner):
    names = put(GrantRead=f'uri="{ALL}"', GrantFullControl=f'id="{owner}"')
    assert grants(s3.get_object_acl(**names)) == sorted([(owner, "FULL_CONTROL"), (ALL, "READ")])


def test_grants_by_document_are_the_acl(s3, put, owner):
    names = put()
    policy = {
        "Owner": {"ID": owner},
        "Grants": [
            {"Grantee": {"Type": "CanonicalUser", "ID": owner}, "Permission": "FULL_CONTROL"},
            {"Grantee": {"Type": "Group", "URI": AUTHENTICATED}, "Permission": "READ_ACP"},
        ],
    }
    s3.put_object_acl(**names, AccessControlPolicy=policy)
    expected = sorted([(owner, "FULL_CONTROL"), (AUTHENTICATED, "READ_ACP")])
    assert grants(s3.get_object_acl(**names)) == expected


def test_an_acl_read_can_be_put_back(s3, acl_bucket):
    """S3-CHECKLIST 57"""
    s3.put_bucket_acl(Bucket=acl_bucket, ACL="public-read")
    reply = s3.get_bucket_acl(Bucket=acl_bucket)
    s3.put_bucket_acl(Bucket=acl_bucket, ACL="private")
    policy = {"Owner": reply["Owner"], "Grants": reply["Grants"]}
    s3.put_bucket_acl(Bucket=acl_bucket, AccessControlPolicy=policy)
    assert grants(s3.get_bucket_acl(Bucket=acl_bucket)) == grants(reply)


def test_an_unknown_canned_acl_is_refused(s3, put):
    with refused("InvalidArgument", 400):
        s3.put_object_acl(**put(), ACL="nobody-at-all")


def test_a_grant_to_an_unknown_group_is_refused(s3, put):
    with refused("InvalidArgument", 400):
        s3.put_object_acl(**put(), GrantRead='uri="http://example.com/group"')


def test_a_grant_to_an_unknown_account_is_refused(s3, put):
    with refused("InvalidArgument", 400):
        s3.put_object_acl(**put(), GrantRead='id="nobody-has-this-id"')


def test_a_canned_acl_beside_grants_is_refused(s3, put, owner):
    with refused("InvalidRequest", 400):
        s3.put_object_acl(**put(), ACL="private", GrantRead=f'id="{owner}"')


def test_a_document_without_owner_is_malformed(s3, put, owner):
    grant = {"Grantee": {"Type": "CanonicalUser", "ID": owner}, "Permission": "READ"}
    with refused("MalformedACLError", 400):
        s3.put_object_acl(**put(), AccessControlPolicy={"Grants": [grant]})


def test_an_unknown_permission_is_malformed(s3, put, owner):
    grant = {"Grantee": {"Type": "CanonicalUser", "ID": owner}, "Permission": "DANCE"}
    with refused("MalformedACLError", 400):
        s3.put_object_acl(**put(), AccessControlPolicy={"Owner": {"ID": owner}, "Grants": [grant]})


def test_the_acl_of_a_missing_key_is_no_such_key(s3, acl_bucket):
    with refused("NoSuchKey", 404):
        s3.get_object_acl(Bucket=acl_bucket, Key="missing")
    with refused("NoSuchKey", 404):
        s3.put_object_acl(Bucket=acl_bucket, Key="missing", ACL="private")


def test_an_overwritten_object_is_private_again(s3, put, owner):
    put("public-read")
    assert grants(s3.get_object_acl(**put())) == [(owner, "FULL_CONTROL")]


def test_a_copy_is_private_though_its_source_was_public(s3, put, owner):
    names = put("public-read")
    s3.copy_object(Bucket=names["Bucket"], Key="copy", CopySource=names)
    assert grants(s3.get_object_acl(Bucket=names["Bucket"], Key="copy")) == [(owner, "FULL_CONTROL")]


def test_a_multipart_object_has_the_acl_it_was_begun_with(s3, acl_bucket, anonymous):
    names = {"Bucket": acl_bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**names, ACL="public-read")["UploadId"]
    part = s3.upload_part(**names, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**names, UploadId=upload, MultipartUpload=parts)
    assert anonymous.get_object(**names)["Body"].read() == b"x"


def test_a_change_of_the_acl_changes_nothing_else(s3, put):
    names = put(Metadata={"a": "1"})
    before = s3.head_object(**names)
    s3.put_object_acl(**names, ACL="public-read")
    after = s3.head_object(**names)
    assert [before[n] for n in ("ETag", "LastModified", "Metadata")] == [
        after[n] for n in ("ETag", "LastModified", "Metadata")
    ]


# --- anonymous requests -----------------------------------------------------------------------------------


def test_private_objects_are_closed_to_the_public(anonymous, put):
    names = put()
    with refused("AccessDenied", 403):
        anonymous.get_object(**names)
    with refused("403", 403):
        anonymous.head_object(**names)
    with refused("AccessDenied", 403):
        anonymous.get_object_acl(**names)
    with refused("AccessDenied", 403):
        anonymous.list_objects_v2(Bucket=names["Bucket"])


def test_a_public_object_is_read_by_anybody(anonymous, put):
    names = put("public-read")
    assert anonymous.get_object(**names)["Body"].read() == b"content"
    assert anonymous.head_object(**names)["ContentLength"] == 7


def test_a_public_object_is_neither_changed_nor_listed_by_anybody(s3, anonymous, put):
    names = put("public-read")
    with refused("AccessDenied", 403):
        anonymous.put_object(**names, Body=b"x")
    with refused("AccessDenied", 403):
        anonymous.delete_object(**names)
    with refused("AccessDenied", 403):
        anonymous.list_objects_v2(Bucket=names["Bucket"])
    assert s3.get_object(**names)["Body"].read() == b"content"


def test_a_public_bucket_is_listed_but_its_objects_stay_closed(s3, anonymous, put):
    names = put()
    s3.put_bucket_acl(Bucket=names["Bucket"], ACL="public-read")
    assert anonymous.list_objects_v2(Bucket=names["Bucket"])["KeyCount"] == 1
    anonymous.head_bucket(Bucket=names["Bucket"])
    with refused("AccessDenied", 403):
        anonymous.get_object(**names)


def test_a_missing_key_is_404_only_for_who_may_list(s3, endpoint, acl_bucket):
    """S3-CHECKLIST 51"""
    closed = fetch(f"{endpoint}/{acl_bucket}/missing")
    assert (closed.status, closed.code) == (403, "AccessDenied")
    s3.put_bucket_acl(Bucket=acl_bucket, ACL="public-read")
    opened = fetch(f"{endpoint}/{acl_bucket}/missing")
    assert (opened.status, opened.code) == (404, "NoSuchKey")


def test_a_publicly_writable_bucket_takes_objects_from_anybody(s3, endpoint, acl_bucket):
    url = f"{endpoint}/{acl_bucket}/from-anybody"
    assert send(url, "PUT", b"x", {}).status == 403
    s3.put_bucket_acl(Bucket=acl_bucket, ACL="public-read-write")
    assert send(url, "PUT", b"x", {}).status == 200
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=acl_bucket)["Contents"]] == ["from-anybody"]


def test_a_publicly_readable_acl_is_read_by_anybody(anonymous, put, owner):
    names = put(GrantReadACP=f'uri="{ALL}"', GrantFullControl=f'id="{owner}"')
    assert anonymous.get_object_acl(**names)["Owner"]["ID"] == owner
    with refused("AccessDenied", 403):
        anonymous.get_object(**names)


def test_withdrawn_permission_is_gone(s3, anonymous, put):
    names = put("public-read")
    anonymous.get_object(**names)
    s3.put_object_acl(**names, ACL="private")
    with refused("AccessDenied", 403):
        anonymous.get_object(**names)


# --- another account ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(other):
    """The canonical id of the second account."""
    return other.list_buckets()["Owner"]["ID"]


@pytest.mark.second_account
class TestAnotherAccount:
    def test_private_objects_are_closed_to_it(self, other, put):
        names = put()
        with refused("AccessDenied", 403):
            other.get_object(**names)
        with refused("AccessDenied", 403):
            other.put_object(**names, Body=b"x")
        with refused("AccessDenied", 403):
            other.delete_object(**names)
        with refused("AccessDenied", 403):
            other.get_object_tagging(**names)
        with refused("AccessDenied", 403):
            other.get_bucket_tagging(Bucket=names["Bucket"])

    def test_keys_are_not_deleted_at_once_by_it(self, s3, other, put):
        """S3-CHECKLIST 36"""
        names = put()
        keys = {"Objects": [{"Key": names["Key"]}]}
        reply = other.delete_objects(Bucket=names["Bucket"], Delete=keys)
        assert [error["Code"] for error in reply["Errors"]] == ["AccessDenied"]
        assert "Deleted" not in reply
        s3.head_object(**names)

    def test_authenticated_read_opens_to_it_and_not_to_the_public(self, other, anonymous, put):
        names = put("authenticated-read")
        assert other.get_object(**names)["Body"].read() == b"content"
        with refused("AccessDenied", 403):
            anonymous.get_object(**names)

    def test_a_grant_to_its_id_opens_to_it_alone(self, other, anonymous, put, stranger):
        names = put(GrantRead=f'id="{stranger}"')
        assert other.get_object(**names)["Body"].read() == b"content"
        with refused("AccessDenied", 403):
            other.get_object_acl(**names)
        with refused("AccessDenied", 403):
            anonymous.get_object(**names)

    def test_write_acp_lets_it_change_the_acl_but_not_read_the_object(self, other, put, stranger):
        names = put(GrantWriteACP=f'id="{stranger}"')
        with refused("AccessDenied", 403):
            other.get_object(**names)
        other.put_object_acl(**names, GrantRead=f'id="{stranger}"')
        assert other.get_object(**names)["Body"].read() == b"content"

    def test_write_on_the_bucket_lets_it_put_and_it_owns_what_it_put(self, s3, other, acl_bucket, stranger):
        s3.put_bucket_acl(Bucket=acl_bucket, GrantWrite=f'id="{stranger}"')
        names = {"Bucket": acl_bucket, "Key": "theirs"}
        other.put_object(**names, Body=b"x")
        assert other.get_object_acl(**names)["Owner"]["ID"] == stranger
        # The owner of the bucket may delete it, but not read it.
        with refused("AccessDenied", 403):
            s3.get_object(**names)
        s3.delete_object(**names)

    def test_bucket_owner_full_control_shares_what_it_put(self, s3, other, acl_bucket, stranger, owner):
        s3.put_bucket_acl(Bucket=acl_bucket, GrantWrite=f'id="{stranger}"')
        names = {"Bucket": acl_bucket, "Key": "shared"}
        other.put_object(**names, Body=b"x", ACL="bucket-owner-full-control")
        assert s3.get_object(**names)["Body"].read() == b"x"
        expected = sorted([(stranger, "FULL_CONTROL"), (owner, "FULL_CONTROL")])
        assert grants(s3.get_object_acl(**names)) == expected

    def test_read_on_the_bucket_lets_it_list_only(self, s3, other, put, stranger):
        names = put()
        s3.put_bucket_acl(Bucket=names["Bucket"], GrantRead=f'id="{stranger}"')
        assert other.list_objects_v2(Bucket=names["Bucket"])["KeyCount"] == 1
        with refused("AccessDenied", 403):
            other.get_object(**names)
        with refused("AccessDenied", 403):
            other.put_object(Bucket=names["Bucket"], Key="new", Body=b"")

    def test_it_copies_a_source_that_it_may_read(self, other, put, make_acl_bucket):
        names = put("authenticated-read")
        theirs = make_acl_bucket(other)
        other.copy_object(Bucket=theirs, Key="copy", CopySource=names)
        assert other.get_object(Bucket=theirs, Key="copy")["Body"].read() == b"content"

    def test_it_copies_no_part_of_a_source_that_it_may_not_read(self, other, put, make_bucket):
        """S3-CHECKLIST 34"""
        names = put()
        theirs = make_bucket(other)
        upload = other.create_multipart_upload(Bucket=theirs, Key="k")["UploadId"]
        with refused("AccessDenied", 403):
            other.upload_part_copy(Bucket=theirs, Key="k", UploadId=upload, PartNumber=1, CopySource=names)

    def test_uploads_of_the_owner_are_closed_to_it(self, s3, other, acl_bucket):
        names = {"Bucket": acl_bucket, "Key": "k"}
        names["UploadId"] = s3.create_multipart_upload(**names)["UploadId"]
        with refused("AccessDenied", 403):
            other.list_parts(**names)
        with refused("AccessDenied", 403):
            other.upload_part(**names, PartNumber=1, Body=b"x")
        with refused("AccessDenied", 403):
            other.abort_multipart_upload(**names)

    def test_its_presigned_url_gives_no_more_than_it_has(self, other, put):
        answer = fetch(other.generate_presigned_url("get_object", put()))
        assert (answer.status, answer.code) == (403, "AccessDenied")

    def test_who_may_read_the_bytes_may_not_therefore_read_or_copy_the_tags(
        self, s3, other, anonymous, put, make_acl_bucket
    ):
        names = put("public-read", Tagging="salary=1")
        assert s3.get_object(**names)["TagCount"] == 1
        assert "TagCount" not in anonymous.get_object(**names)
        assert "TagCount" not in other.get_object(**names)
        mine = make_acl_bucket(other)
        with refused("AccessDenied", 403):
            other.copy_object(Bucket=mine, Key="copy", CopySource=names)
        other.copy_object(Bucket=mine, Key="copy", CopySource=names, TaggingDirective="REPLACE")
        assert other.get_object_tagging(Bucket=mine, Key="copy")["TagSet"] == []
