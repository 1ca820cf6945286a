"""Uploads by HTML form.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html and the pages on
sigv4-HTTPPOSTForms and sigv4-HTTPPOSTConstructPolicy beside it.
"""

import json
import xml.etree.ElementTree as ET

import pytest

from bleepstore.testing.s3.expectations import MIB, refused, send

BOUNDARY = "e2eformboundary"


def multipart(fields, file=b"content", filename="a.txt", late=()):
    lead, out = f"--{BOUNDARY}\r\n".encode(), []
    for name, value in fields.items():
        out.append(lead + f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    if file is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        out.append(lead + f"{head}Content-Type: text/plain\r\n\r\n".encode() + file + b"\r\n")
    for name, value in late:
        out.append(lead + f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    return b"".join(out) + f"--{BOUNDARY}--\r\n".encode()


def post(url, fields, file=b"content", **more):
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return send(url, "POST", multipart(fields, file, **more), headers)


@pytest.fixture
def presigned(s3, bucket):
    """A form: URL and fields, for key ``k`` unless another is given."""

    def make(key="k", fields=None, conditions=(), expires=300):
        made = s3.generate_presigned_post(
            bucket, key, Fields=dict(fields or {}), Conditions=list(conditions), ExpiresIn=expires
        )
        return made["url"], made["fields"]

    return make


def test_a_form_makes_an_object(s3, bucket, presigned):
    """S3-CHECKLIST 15."""
    fields = {"Content-Type": "text/x-test", "x-amz-meta-a": "1", "x-amz-storage-class": "STANDARD_IA"}
    url, filled = presigned(fields=fields, conditions=[{name: value} for name, value in fields.items()])
    answer = post(url, filled)
    assert (answer.status, answer.body) == (204, b"")
    reply = s3.get_object(Bucket=bucket, Key="k")
    assert reply["Body"].read() == b"content"
    assert (reply["ContentType"], reply["Metadata"]) == ("text/x-test", {"a": "1"})
    assert reply["StorageClass"] == "STANDARD_IA"
    assert answer.headers["etag"] == reply["ETag"]


def test_the_variable_filename_is_the_name_of_the_file(s3, bucket, presigned):
    url, fields = presigned(key="up/${filename}")
    assert post(url, fields, filename="C:\\\\folder\\\\picture.png").status == 204
    assert s3.get_object(Bucket=bucket, Key="up/picture.png")["ContentLength"] == 7


def test_a_large_file_is_streamed(s3, bucket, presigned):
    url, fields = presigned()
    body = bytes(range(256)) * (12 * MIB // 256)
    assert post(url, fields, body).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_an_empty_file_is_an_empty_object(s3, bucket, presigned):
    url, fields = presigned()
    assert post(url, fields, b"").status == 204
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 0


@pytest.mark.parametrize(("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("418", 204)])
def test_the_status_is_as_asked(bucket, presigned, asked, status):
    url, fields = presigned(
        fields={"success_action_status": asked}, conditions=[{"success_action_status": asked}]
    )
    answer = post(url, fields)
    assert answer.status == status
    if status == 201:
        found = {child.tag: child.text for child in ET.fromstring(answer.body)}
        assert (found["Bucket"], found["Key"], found["ETag"]) == (bucket, "k", answer.headers["etag"])
        assert found["Location"].endswith("/k")


def test_success_redirects_with_what_was_made(bucket, presigned):
    target = "http://app.example/done?a=1"
    url, fields = presigned(
        fields={"success_action_redirect": target}, conditions=[{"success_action_redirect": target}]
    )
    answer = post(url, fields)
    assert answer.status == 303
    location = answer.headers["location"]
    assert location.startswith(f"{target}&bucket={bucket}&key=k&etag=")


@pytest.mark.parametrize("address", ["http://[", "javascript:alert(1)", "//app.example/", "nowhere"])
def test_a_redirect_that_cannot_be_read_is_as_if_it_were_not_there(bucket, presigned, address):
    url, fields = presigned(
        fields={"success_action_redirect": address}, conditions=[{"success_action_redirect": address}]
    )
    answer = post(url, fields)
    assert answer.status == 204
    assert answer.headers["location"].endswith("/k")


def test_tags_and_acl_are_fields_too(s3, bucket, presigned):
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    fields = {"tagging": tags, "acl": "private"}
    url, filled = presigned(fields=fields, conditions=[{name: value} for name, value in fields.items()])
    assert post(url, filled).status == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}]


# --- refused ------------------------------------------------------------------------------------------------


def nothing_was_made(s3, bucket):
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_field_that_the_policy_does_not_cover_is_refused(s3, bucket, presigned):
    """S3-CHECKLIST 15."""
    url, fields = presigned()
    answer = post(url, {**fields, "acl": "public-read"})
    assert (answer.status, answer.code) == (403, "AccessDenied")
    nothing_was_made(s3, bucket)


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"key": "other"}, "AccessDenied", 403),
        ({"policy": "eyJjb25kaXRpb25zIjogW119"}, "SignatureDoesNotMatch", 403),
        ({"x-amz-signature": "0" * 64}, "SignatureDoesNotMatch", 403),
        ({"x-amz-signature": "é"}, "SignatureDoesNotMatch", 403),
        ({"x-amz-credential": "nobody/20260101/us-east-1/s3/aws4_request"}, None, None),
        ({"x-amz-algorithm": "AWS4-HMAC-MD5"}, "InvalidArgument", 400),
        ({"x-amz-date": ""}, "InvalidArgument", 400),
        ({"key": ""}, "InvalidArgument", 400),
    ],
    ids=str,
)
def test_a_form_that_was_changed_is_refused(s3, bucket, presigned, change, code, status):
    url, fields = presigned()
    answer = post(url, {**fields, **change})
    assert answer.status in ([status] if status else [400, 403])
    assert code is None or answer.code == code
    nothing_was_made(s3, bucket)


def test_a_field_that_a_condition_is_about_must_be_there(s3, bucket, presigned):
    """As S3 does: an empty prefix is any value, and not none."""
    url, fields = presigned(conditions=[["starts-with", "$Content-Type", ""]])
    answer = post(url, fields)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    nothing_was_made(s3, bucket)
    assert post(url, {**fields, "Content-Type": "text/x-test"}).status == 204


def test_a_policy_that_expired_is_refused(s3, bucket, presigned):
    url, fields = presigned(expires=-10)
    answer = post(url, fields)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    nothing_was_made(s3, bucket)


@pytest.mark.parametrize(("size", "code"), [(9, "EntityTooSmall"), (21, "EntityTooLarge")])
def test_the_range_of_lengths_holds(s3, bucket, presigned, size, code):
    url, fields = presigned(conditions=[["content-length-range", 10, 20]])
    answer = post(url, fields, b"x" * size)
    assert (answer.status, answer.code) == (400, code)
    nothing_was_made(s3, bucket)
    assert post(url, fields, b"x" * 10).status == 204


def test_a_form_without_a_file_is_refused(presigned):
    url, fields = presigned()
    assert post(url, fields, None).code == "InvalidArgument"


def test_a_form_that_is_cut_short_makes_nothing(s3, bucket, presigned):
    url, fields = presigned()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = send(url, "POST", multipart(fields, b"x" * 100_000)[:-40], headers)
    assert (answer.status, answer.code) == (400, "MalformedPOSTRequest")
    nothing_was_made(s3, bucket)


def test_a_post_to_a_bucket_that_is_no_form_is_refused(endpoint, bucket):
    answer = send(
        f"{endpoint}/{bucket}", "POST", b"x=1", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (answer.status, answer.code) == (412, "PreconditionFailed")


def test_a_form_that_nobody_signed_needs_a_bucket_open_to_everybody(s3, endpoint, make_acl_bucket):
    closed, opened = make_acl_bucket(), make_acl_bucket()
    policy = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{opened}/*",
    }
    s3.put_bucket_policy(Bucket=opened, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    assert post(f"{endpoint}/{closed}", {"key": "k"}).code == "AccessDenied"
    assert post(f"{endpoint}/{opened}", {"key": "k"}).status == 204
    assert s3.head_object(Bucket=opened, Key="k")["ContentLength"] == 7
    with refused("404", 404):
        s3.head_object(Bucket=closed, Key="k")
