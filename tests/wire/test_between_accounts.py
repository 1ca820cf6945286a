"""What one account may do with what is another's, and what nobody may without a name.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
"""

import base64
import hashlib
import xml.etree.ElementTree as ET

import pytest
from raw_http import request_bytes
from server_process import SECOND
from signed_wire import Unsigned, Wire
from sigv4_by_hand import UNSIGNED

DENIED = (403, "AccessDenied")


@pytest.fixture
def stranger(server):
    """The second account."""
    return Wire(server, SECOND)


@pytest.fixture
def nobody(server):
    """Requests without a signature."""
    return Unsigned(server)


@pytest.fixture
def open_bucket(wire, bucket):
    """A bucket of the first account in which everybody may write."""
    assert wire.ask("PUT", f"{bucket}?acl", b"", x_amz_acl="public-read-write").status == 200
    return bucket


def text(reply, name):
    """The text of the first element of a name."""
    for element in ET.fromstring(reply.body).iter():
        if element.tag.rpartition("}")[2] == name:
            return element.text
    raise AssertionError(f"no <{name}> in {reply.body!r}")


def canonical_id(asker, bucket):
    """The id of who asks."""
    return text(asker.ask("GET", "/"), "ID")


# --- multipart uploads -----------------------------------------------------------------------------------


def begin(asker, target):
    reply = asker.ask("POST", f"{target}?uploads", b"")
    assert reply.status == 200
    return text(reply, "UploadId")


def complete(asker, target, upload, etag):
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    return asker.ask("POST", f"{target}?uploadId={upload}", f"{body}</CompleteMultipartUpload>".encode())


def test_an_upload_of_another_is_closed_to_who_may_write(wire, stranger, nobody, open_bucket):
    target = f"{open_bucket}/k"
    upload = begin(wire, target)
    part = wire.ask("PUT", f"{target}?partNumber=1&uploadId={upload}", b"mine")
    for asker in (stranger, nobody):
        assert asker.ask("PUT", f"{target}?partNumber=1&uploadId={upload}", b"theirs").error() == DENIED
        copy = {"x_amz_copy_source": f"{open_bucket}/other"}
        assert asker.ask("PUT", f"{target}?partNumber=2&uploadId={upload}", b"", **copy).error() == DENIED
        assert asker.ask("GET", f"{target}?uploadId={upload}").error() == DENIED
        assert complete(asker, target, upload, part.headers["etag"]).error() == DENIED
        assert asker.ask("DELETE", f"{target}?uploadId={upload}").error() == DENIED
    assert complete(wire, target, upload, part.headers["etag"]).status == 200
    assert wire.read(target) == b"mine"


def test_the_buckets_owner_ends_an_upload_of_another_but_adds_nothing(wire, stranger, open_bucket):
    target = f"{open_bucket}/k"
    upload = begin(stranger, target)
    part = stranger.ask("PUT", f"{target}?partNumber=1&uploadId={upload}", b"theirs")
    assert wire.ask("PUT", f"{target}?partNumber=1&uploadId={upload}", b"mine").error() == DENIED
    assert complete(wire, target, upload, part.headers["etag"]).error() == DENIED
    assert wire.ask("GET", f"{target}?uploadId={upload}").status == 200
    assert wire.ask("DELETE", f"{target}?uploadId={upload}").status == 204
    assert complete(stranger, target, upload, part.headers["etag"]).error() == (404, "NoSuchUpload")


def test_who_may_write_no_more_cannot_complete(wire, stranger, open_bucket):
    target = f"{open_bucket}/k"
    upload = begin(stranger, target)
    part = stranger.ask("PUT", f"{target}?partNumber=1&uploadId={upload}", b"theirs")
    assert wire.ask("PUT", f"{open_bucket}?acl", b"", x_amz_acl="private").status == 200
    assert complete(stranger, target, upload, part.headers["etag"]).error() == DENIED
    assert wire.read(target) is None


def test_nobody_begins_an_upload(nobody, open_bucket):
    assert nobody.ask("POST", f"{open_bucket}/k?uploads", b"").error() == DENIED


def test_an_upload_is_found_by_its_own_key_and_bucket_alone(wire, bucket):
    upload = begin(wire, f"{bucket}/k")
    for target in (f"{bucket}/other", f"{bucket}/k/", f"{bucket}/K"):
        assert wire.ask("GET", f"{target}?uploadId={upload}").error() == (404, "NoSuchUpload")


# --- objects --------------------------------------------------------------------------------------------


def test_what_another_wrote_is_the_others(wire, stranger, open_bucket):
    """The bucket's owner may throw it away, and nothing else, until it is granted."""
    target = f"{open_bucket}/k"
    assert stranger.ask("PUT", target, b"theirs").status == 200
    for method, query in (("GET", ""), ("HEAD", ""), ("GET", "?acl"), ("GET", "?attributes")):
        reply = wire.ask(method, f"{target}{query}")
        assert reply.status == 403
    assert wire.ask("PUT", f"{target}?acl", b"", x_amz_acl="public-read").error() == DENIED
    assert wire.ask("PUT", f"{open_bucket}/copy", b"", x_amz_copy_source=target).error() == DENIED
    assert stranger.ask("GET", target).body == b"theirs"
    assert wire.ask("DELETE", target).status == 204


def test_an_object_that_was_overwritten_is_who_overwrote_its(wire, stranger, open_bucket):
    target = f"{open_bucket}/k"
    assert wire.ask("PUT", target, b"mine", x_amz_acl="public-read").status == 200
    assert stranger.ask("PUT", target, b"theirs").status == 200
    assert wire.ask("GET", target).error() == DENIED
    assert stranger.ask("GET", target).body == b"theirs"


def test_a_copy_belongs_to_who_made_it(wire, stranger, open_bucket):
    """S3-CHECKLIST 34"""
    assert wire.ask("PUT", f"{open_bucket}/k", b"mine", x_amz_acl="public-read").status == 200
    source = {"x_amz_copy_source": f"{open_bucket}/k"}
    assert stranger.ask("PUT", f"{open_bucket}/copy", b"", **source).status == 200
    assert stranger.ask("GET", f"{open_bucket}/copy").body == b"mine"
    assert wire.ask("GET", f"{open_bucket}/copy").error() == DENIED


@pytest.mark.parametrize("spelling", ["{}", "{}?versionId=null", "/{}", "%2F{}"])
def test_no_spelling_of_a_source_opens_it(wire, stranger, open_bucket, spelling):
    """S3-CHECKLIST 34"""
    assert wire.ask("PUT", f"{open_bucket}/k", b"mine").status == 200
    source = spelling.format(f"{open_bucket[1:]}/k")
    assert stranger.ask("PUT", f"{open_bucket}/copy", b"", x_amz_copy_source=source).error() == DENIED
    assert wire.read(f"{open_bucket}/copy") is None


def test_a_presigned_copy_is_authorized_as_its_signer(wire, stranger, open_bucket):
    """S3-CHECKLIST 34: the source of a copy may be a parameter of a presigned URL."""
    assert wire.ask("PUT", f"{open_bucket}/k", b"mine").status == 200
    target = f"{open_bucket}/copy?x-amz-copy-source={open_bucket[1:]}/k"
    url = stranger.signer.presign("PUT", wire.host, target)
    assert wire.raw(request_bytes("PUT", url, {"Host": wire.host, "Content-Length": "0"})).error() == DENIED


def test_what_nobody_wrote_is_the_buckets_owners(wire, nobody, open_bucket):
    target = f"{open_bucket}/k"
    assert nobody.ask("PUT", target, b"found").status == 200
    assert wire.ask("GET", target).body == b"found"
    assert nobody.ask("GET", target).error() == DENIED
    assert nobody.ask("PUT", f"{target}?acl", b"", x_amz_acl="public-read").error() == DENIED


def test_overrides_are_for_who_signed(wire, nobody, bucket):
    """S3-CHECKLIST 31"""
    assert wire.ask("PUT", f"{bucket}/k", b"x", x_amz_acl="public-read").status == 200
    assert nobody.ask("GET", f"{bucket}/k").status == 200
    assert nobody.ask("GET", f"{bucket}/k?response-content-type=text/html").error()[0] == 400
    assert (
        wire.ask("GET", f"{bucket}/k?response-content-type=text/html").headers["content-type"] == "text/html"
    )


def test_a_missing_key_is_shown_to_who_may_list_alone(wire, stranger, nobody, bucket, open_bucket):
    """S3-CHECKLIST 51"""
    for asker, status in ((wire, 404), (stranger, 404), (nobody, 404)):
        assert asker.ask("GET", f"{open_bucket}/none").status == status
        assert asker.ask("HEAD", f"{open_bucket}/none").status == status
    assert wire.ask("PUT", f"{open_bucket}?acl", b"", x_amz_acl="private").status == 200
    for asker in (stranger, nobody):
        assert asker.ask("GET", f"{open_bucket}/none").error() == DENIED
        assert asker.ask("HEAD", f"{open_bucket}/none").status == 403


def test_keys_are_deleted_at_once_by_who_may_each(wire, stranger, nobody, bucket):
    """S3-CHECKLIST 36"""
    assert wire.ask("PUT", f"{bucket}/k", b"mine").status == 200
    body = b"<Delete><Object><Key>k</Key></Object><Object><Key>none</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    for asker in (stranger, nobody):
        reply = asker.ask("POST", f"{bucket}?delete", body, Content_MD5=md5)
        assert reply.status == 200
        assert reply.body.count(b"<Code>AccessDenied</Code>") == 2
        assert b"<Deleted>" not in reply.body
    assert wire.read(f"{bucket}/k") == b"mine"


# --- the owner that is expected ------------------------------------------------------------------------


def test_the_expected_owner_of_a_bucket_must_be_its_owner(wire, stranger, bucket):
    me, other = canonical_id(wire, bucket), canonical_id(stranger, bucket)
    assert wire.ask("PUT", f"{bucket}/k", b"x", x_amz_expected_bucket_owner=me).status == 200
    for method, target in (
        ("GET", bucket),
        ("GET", f"{bucket}/k"),
        ("GET", f"{bucket}/none"),
        ("GET", f"{bucket}?acl"),
        ("GET", f"{bucket}?location"),
        ("PUT", f"{bucket}/k"),
        ("POST", f"{bucket}/k?uploads"),
        ("POST", f"{bucket}?delete"),
        ("DELETE", f"{bucket}/k"),
        ("DELETE", bucket),
    ):
        body = b"" if method in ("PUT", "POST") else None
        for expected in (other, "", "000000000000"):
            reply = wire.ask(method, target, body, x_amz_expected_bucket_owner=expected)
            assert reply.error() == DENIED
    assert wire.read(f"{bucket}/k") == b"x"


def test_the_expected_owner_of_a_source_must_be_its_owner(wire, stranger, bucket):
    me, other = canonical_id(wire, bucket), canonical_id(stranger, bucket)
    assert wire.ask("PUT", f"{bucket}/k", b"x").status == 200
    source = {"x_amz_copy_source": f"{bucket}/k"}
    for expected, status in ((other, 403), (me, 200)):
        reply = wire.ask("PUT", f"{bucket}/copy", b"", x_amz_source_expected_bucket_owner=expected, **source)
        assert reply.status == status


def test_an_expected_owner_in_a_presigned_query_counts(wire, stranger, bucket):
    assert wire.ask("PUT", f"{bucket}/k", b"x").status == 200
    for expected, status in ((canonical_id(stranger, bucket), 403), (canonical_id(wire, bucket), 200)):
        target = f"{bucket}/k?x-amz-expected-bucket-owner={expected}"
        url = wire.signer.presign("GET", wire.host, target)
        assert wire.raw(request_bytes("GET", url, {"Host": wire.host})).status == status


# --- ACLs ---------------------------------------------------------------------------------------------


def test_an_acl_names_its_owner_and_no_other(wire, stranger, bucket):
    other = canonical_id(stranger, bucket)
    body = f"<AccessControlPolicy><Owner><ID>{other}</ID></Owner><AccessControlList/></AccessControlPolicy>"
    assert wire.ask("PUT", f"{bucket}?acl", body.encode()).error() == DENIED


def test_an_owner_without_a_grant_is_still_the_owner(wire, bucket):
    me = canonical_id(wire, bucket)
    body = f"<AccessControlPolicy><Owner><ID>{me}</ID></Owner><AccessControlList/></AccessControlPolicy>"
    assert wire.ask("PUT", f"{bucket}?acl", body.encode()).status == 200
    assert wire.ask("GET", f"{bucket}?acl").status == 200
    assert wire.ask("PUT", f"{bucket}?acl", b"", x_amz_acl="private").status == 200


def test_an_upload_by_another_grants_nothing_that_it_was_not_told(wire, stranger, nobody, open_bucket):
    assert stranger.ask("PUT", f"{open_bucket}/k", b"x", x_amz_acl="bucket-owner-read").status == 200
    assert wire.ask("GET", f"{open_bucket}/k").body == b"x"
    assert wire.ask("GET", f"{open_bucket}/k?acl").error() == DENIED
    assert nobody.ask("GET", f"{open_bucket}/k").error() == DENIED


def test_buckets_are_listed_to_their_owner_alone(wire, stranger, nobody, bucket):
    assert bucket[1:].encode() in wire.ask("GET", "/").body
    assert bucket[1:].encode() not in stranger.ask("GET", "/").body
    assert nobody.ask("GET", "/").error() == DENIED


def test_a_bucket_is_made_by_who_signed_and_once(stranger, nobody, bucket):
    assert stranger.ask("PUT", bucket, b"").error() == (409, "BucketAlreadyExists")
    assert nobody.ask("PUT", bucket, b"").error() == DENIED
    assert nobody.ask("PUT", f"{bucket}x", b"").error() == DENIED
    assert stranger.ask("DELETE", bucket).error() == DENIED


def test_a_presigned_url_of_another_gives_what_the_other_has(wire, stranger, bucket):
    assert wire.ask("PUT", f"{bucket}/k", b"x").status == 200
    url = stranger.signer.presign("GET", wire.host, f"{bucket}/k")
    assert wire.raw(request_bytes("GET", url, {"Host": wire.host})).error() == DENIED
    bent = url.replace(SECOND.access_key, "bleepstore")
    assert wire.raw(request_bytes("GET", bent, {"Host": wire.host})).error() == (403, "SignatureDoesNotMatch")


def test_a_body_is_not_read_for_who_may_not(stranger, nobody, bucket):
    """S3-CHECKLIST 9"""
    for asker in (stranger, nobody):
        headers = asker.signed("PUT", f"{bucket}/k", None, UNSIGNED, Content_Length="1000000000").headers
        with asker.connect() as connection:
            connection.send(request_bytes("PUT", f"{bucket}/k", headers, b"x" * 1000))
            assert connection.reply().error() == DENIED
