"""Presigned URLs.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
"""

import datetime
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import boto3
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials

from bleepstore.testing.s3.expectations import fetch, send


@pytest.fixture
def stored(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    return {"Bucket": bucket, "Key": "k"}


def altered(url, **parameters):
    """The URL with these query parameters; None removes one; ``_`` stands for ``-``."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in parameters.items():
        query.pop(name.replace("_", "-"), None)
        if value is not None:
            query[name.replace("_", "-")] = value
    return urlunsplit(parts._replace(query=urlencode(query)))


def test_get(s3, stored):
    answer = fetch(s3.generate_presigned_url("get_object", stored))
    assert (answer.status, answer.body) == (200, b"content")


def test_head(s3, stored):
    answer = fetch(s3.generate_presigned_url("head_object", stored), "HEAD")
    assert (answer.status, answer.headers["content-length"]) == (200, "7")


def test_put(s3, bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    answer = send(url, "PUT", b"uploaded", {})
    assert answer.status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"uploaded"


def test_delete(s3, stored):
    assert fetch(s3.generate_presigned_url("delete_object", stored), "DELETE").status == 204
    assert s3.list_objects_v2(Bucket=stored["Bucket"])["KeyCount"] == 0


def test_list(s3, stored):
    url = s3.generate_presigned_url("list_objects_v2", {"Bucket": stored["Bucket"], "Prefix": "k"})
    answer = fetch(url)
    assert answer.status == 200
    assert b"<Key>k</Key>" in answer.body


@pytest.mark.parametrize("key", ["a b", "a+b", "a%20b", "ü/😀", "//two//", "q?x=1&y", "!'()*"])
def test_keys_that_need_encoding(s3, bucket, key):
    """S3-CHECKLIST 11"""
    s3.put_object(Bucket=bucket, Key=key, Body=b"content")
    answer = fetch(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}))
    assert (answer.status, answer.body) == (200, b"content")


def test_response_overrides_are_signed_along(s3, stored):
    url = s3.generate_presigned_url(
        "get_object", {**stored, "ResponseContentType": "text/html", "ResponseContentDisposition": "inline"}
    )
    answer = fetch(url)
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["content-disposition"] == "inline"
    changed = fetch(altered(url, response_content_type="text/plain"))
    assert (changed.status, changed.code) == (403, "SignatureDoesNotMatch")


def test_a_range_may_be_added(s3, stored):
    answer = fetch(s3.generate_presigned_url("get_object", stored), Range="bytes=0-2")
    assert (answer.status, answer.body) == (206, b"con")


def test_another_method_is_refused(s3, stored):
    url = s3.generate_presigned_url("get_object", stored)
    answer = send(url, "PUT", b"x", {})
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert s3.get_object(**stored)["Body"].read() == b"content"


def test_another_key_is_refused(s3, stored):
    url = s3.generate_presigned_url("get_object", stored).replace("/k?", "/other?")
    answer = fetch(url)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_a_changed_signature_is_refused(s3, stored):
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(altered(url, X_Amz_Signature="0" * 64))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_signed_headers_must_be_sent(s3, bucket):
    """S3-CHECKLIST 14"""
    given = {"Bucket": bucket, "Key": "k", "ContentType": "text/plain", "Metadata": {"a": "1"}}
    url = s3.generate_presigned_url("put_object", given)
    without = send(url, "PUT", b"x", {"content-type": "text/plain"})
    assert (without.status, without.code) in [(403, "SignatureDoesNotMatch"), (403, "AccessDenied")]
    other = send(url, "PUT", b"x", {"content-type": "text/html", "x-amz-meta-a": "1"})
    assert (other.status, other.code) == (403, "SignatureDoesNotMatch")
    headers = {"content-type": "text/plain", "x-amz-meta-a": "1"}
    assert send(url, "PUT", b"x", headers).status == 200
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"a": "1"})


def test_amz_headers_that_are_not_signed_are_refused(s3, bucket):
    """S3-CHECKLIST 47"""
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    answer = send(url, "PUT", b"x", {"x-amz-acl": "public-read"})
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"HeadersNotSigned" in answer.body


def signed_at(s3, url, when, expires):
    """``url`` presigned anew at another time: botocore's signer with another clock."""
    plain = urlunsplit(urlsplit(url)._replace(query=""))
    frozen = s3._request_signer._credentials.get_frozen_credentials()
    credentials = Credentials(frozen.access_key, frozen.secret_key)
    signer = S3SigV4QueryAuth(credentials, "s3", s3.meta.region_name, expires=expires)
    request = AWSRequest(method="GET", url=plain)
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    return f"{request.url}&X-Amz-Signature={signature}"


def ago(**delta):
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(**delta)


def test_an_old_url_that_lasts_is_valid(s3, stored):
    url = s3.generate_presigned_url("get_object", stored)
    assert fetch(signed_at(s3, url, ago(hours=5), 6 * 3600)).status == 200


def test_an_expired_url_is_refused(s3, stored):
    """S3-CHECKLIST 14"""
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(signed_at(s3, url, ago(seconds=61), 60))
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"<Message>Request has expired</Message>" in answer.body
    assert re.search(rb"<X-Amz-Expires>60</X-Amz-Expires><Expires>", answer.body)


def test_a_url_of_the_future_is_refused(s3, stored):
    """S3-CHECKLIST 14"""
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(signed_at(s3, url, ago(hours=-1), 3600))
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_the_longest_life_is_a_week(s3, stored):
    """S3-CHECKLIST 14"""
    url = s3.generate_presigned_url("get_object", stored, ExpiresIn=604800)
    assert fetch(url).status == 200
    longer = fetch(s3.generate_presigned_url("get_object", stored, ExpiresIn=604801))
    assert (longer.status, longer.code) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("value", ["-1", "soon", ""])
def test_a_life_must_be_a_number_of_seconds(s3, stored, value):
    """S3-CHECKLIST 14"""
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(altered(url, X_Amz_Expires=value))
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize(
    "name", ["X_Amz_Credential", "X_Amz_Date", "X_Amz_Expires", "X_Amz_SignedHeaders", "X_Amz_Signature"]
)
def test_every_parameter_is_required(s3, stored, name):
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(altered(url, **{name: None}))
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


def test_an_unknown_algorithm_is_refused(s3, stored):
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(altered(url, X_Amz_Algorithm="AWS4-HMAC-MD5"))
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


def test_a_credential_of_another_shape_is_refused(s3, stored):
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(altered(url, X_Amz_Credential="just-a-key"))
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


def test_an_unknown_access_key_is_refused(s3, stored, target):
    url = s3.generate_presigned_url("get_object", stored)
    known = target.first.access_key
    answer = fetch(url.replace(f"Credential={known}", "Credential=AKIAUNKNOWN000000000"))
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId")


def test_a_url_signed_for_another_region_is_refused(endpoint, stored, target):
    """S3-CHECKLIST 16"""
    elsewhere = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-south-2",
        aws_access_key_id=target.first.access_key,
        aws_secret_access_key=target.first.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    answer = fetch(elsewhere.generate_presigned_url("get_object", stored))
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")
    assert f"<Region>{target.region}</Region>".encode() in answer.body


def test_a_url_beside_an_authorization_header_is_refused(s3, stored):
    """S3-CHECKLIST 14"""
    url = s3.generate_presigned_url("get_object", stored)
    answer = fetch(url, Authorization="AWS4-HMAC-SHA256 Credential=x")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_a_part_is_uploaded(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    names = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    url = s3.generate_presigned_url("upload_part", {**names, "PartNumber": 1})
    answer = send(url, "PUT", b"part", {})
    assert answer.status == 200
    parts = {"Parts": [{"PartNumber": 1, "ETag": answer.headers["etag"]}]}
    s3.complete_multipart_upload(**names, MultipartUpload=parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"part"
