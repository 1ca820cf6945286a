"""Errors: codes, documents, headers, authentication, and what is not implemented.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (codes, REST error document),
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html ,
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonResponseHeaders.html
"""

import contextlib
import datetime
import xml.etree.ElementTree as ET

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from bleepstore.testing.s3.expectations import fetch, refused, send


def signed_by(endpoint, access_key, secret_key, region, **more):
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            signature_version="s3v4",
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
        **more,
    )


# --- the document -----------------------------------------------------------------------------------------


def test_the_document_has_code_message_resource_and_request_id(s3, bucket):
    """S3-CHECKLIST 37"""
    answer = fetch(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "missing"}))
    assert answer.headers["content-type"] == "application/xml"
    root = ET.fromstring(answer.body)
    assert root.tag == "Error"
    assert root.findtext("Code") == "NoSuchKey"
    assert root.findtext("Message") == "The specified key does not exist."
    assert root.findtext("RequestId") == answer.headers["x-amz-request-id"]
    assert root.findtext("HostId") == answer.headers["x-amz-id-2"]


def test_an_error_of_head_has_no_body(s3, bucket):
    """S3-CHECKLIST 37"""
    answer = fetch(s3.generate_presigned_url("head_object", {"Bucket": bucket, "Key": "missing"}), "HEAD")
    assert (answer.status, answer.body) == (404, b"")


def test_every_reply_has_its_ids_date_and_server(s3, bucket):
    """S3-CHECKLIST 53"""
    for reply in (s3.list_buckets(), s3.list_objects_v2(Bucket=bucket)):
        headers = reply["ResponseMetadata"]["HTTPHeaders"]
        assert {"x-amz-request-id", "x-amz-id-2", "date", "server"} <= set(headers)


def test_request_ids_are_unique(s3, bucket):
    ids = {s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["RequestId"] for _ in range(20)}
    assert len(ids) == 20


# --- authentication ---------------------------------------------------------------------------------------


def test_a_wrong_secret_does_not_match(endpoint, target):
    client = signed_by(endpoint, target.first.access_key, "wrong-secret", target.region)
    with refused("SignatureDoesNotMatch", 403) as reply:
        client.list_buckets()
    error = reply["Error"]
    assert error["AWSAccessKeyId"] == target.first.access_key
    assert error["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert error["CanonicalRequest"].startswith("GET\n/\n")


def test_an_unknown_key_is_an_invalid_access_key_id(endpoint, target):
    client = signed_by(endpoint, "AKIAUNKNOWN000000000", "secret", target.region)
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()


def test_another_region_is_malformed_and_the_right_one_named(endpoint, bucket, target):
    """S3-CHECKLIST 16"""
    client = signed_by(endpoint, target.first.access_key, target.first.secret_key, "eu-south-2")
    # The SDK tries again in the region that the answer names: what counts is the first answer.
    seen = []
    client.meta.events.register("response-received.s3", lambda response_dict, **_: seen.append(response_dict))
    with contextlib.suppress(ClientError):
        client.list_objects_v2(Bucket=bucket)
    first = seen[0]
    assert first["status_code"] == 400
    root = ET.fromstring(first["body"])
    assert (root.findtext("Code"), root.findtext("Region")) == ("AuthorizationHeaderMalformed", target.region)
    assert first["headers"]["x-amz-bucket-region"] == target.region


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_wrong_is_too_skewed(endpoint, bucket, target, monkeypatch, minutes):
    wrong = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: wrong)
    request = AWSRequest("GET", f"{endpoint}/{bucket}")
    keys = Credentials(target.first.access_key, target.first.secret_key)
    S3SigV4Auth(keys, "s3", target.region).add_auth(request)
    answer = send(request.url, "GET", None, dict(request.headers.items()))
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")
    assert {"RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"} <= {
        child.tag for child in ET.fromstring(answer.body)
    }


def test_a_session_token_with_a_static_key_is_invalid(endpoint, target):
    """S3-CHECKLIST 54"""
    first = target.first
    client = signed_by(endpoint, first.access_key, first.secret_key, target.region, aws_session_token="token")
    with refused("InvalidToken", 400):
        client.list_buckets()


def test_a_body_other_than_signed_is_a_mismatch(s3, bucket, make_client):
    client = make_client(
        request_checksum_calculation="when_required",
        s3={"payload_signing_enabled": True, "addressing_style": "path"},
    )

    def change_body(request, **_):
        request.body = b"changed"

    client.meta.events.register("before-send.s3.PutObject", change_body)
    with refused("XAmzContentSHA256Mismatch", 400):
        client.put_object(Bucket=bucket, Key="k", Body=b"content")
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("AWS4-HMAC-SHA256 nonsense", "AuthorizationHeaderMalformed"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=d",
            "AuthorizationHeaderMalformed",
        ),
        ("Bearer token", "InvalidArgument"),
    ],
)
def test_an_authorization_header_that_cannot_be_read(endpoint, bucket, value, code):
    headers = {
        "Authorization": value,
        "x-amz-date": "20260102T030405Z",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }
    answer = send(f"{endpoint}/{bucket}", "GET", None, headers)
    assert (answer.status, answer.code) == (400, code)


# --- methods and arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_methods_that_the_service_does_not_have(endpoint, method):
    answer = send(f"{endpoint}/", method, None, {})
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")


def test_a_bucket_that_cannot_be_one_is_answered_in_kind(endpoint):
    answer = fetch(f"{endpoint}/Not_A_Bucket/key")
    assert answer.status in (400, 403, 404)
    assert answer.code in ("InvalidBucketName", "NoSuchBucket", "AccessDenied")


@pytest.mark.parametrize(
    ("parameters", "codes"),
    [
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "no-key"}, ["KMS.NotFoundException"]),
        ({"ServerSideEncryption": "rot13"}, ["InvalidEncryptionAlgorithmError", "InvalidArgument"]),
        ({"ObjectLockMode": "GOVERNANCE"}, ["InvalidArgument", "InvalidRequest"]),
        ({"ObjectLockLegalHoldStatus": "ON"}, ["InvalidRequest"]),
    ],
    ids=["kms", "unknown encryption", "lock mode alone", "legal hold"],
)
def test_headers_that_cannot_be_honoured_are_refused_and_nothing_stored(s3, bucket, parameters, codes):
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **parameters)
    assert caught.value.response["Error"]["Code"] in [*codes, "NotImplemented"]
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    "document",
    [b"<not closed", b"<Delete><Object><Key>k</Key></Object></Delete>"],
    ids=["no XML", "of another kind"],
)
def test_a_document_that_is_not_what_the_operation_takes_is_malformed(make_client, bucket, document):
    """S3-CHECKLIST 52"""
    client = make_client()

    def change(params, **_):
        params["body"] = document

    client.meta.events.register("before-call.s3.PutBucketTagging", change)
    with refused("MalformedXML", 400):
        client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})


def test_an_archive_cannot_be_restored_that_is_none(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 1})
    assert caught.value.response["Error"]["Code"] in ("InvalidObjectState", "NotImplemented")


def test_errors_leave_the_connection_usable(s3, bucket, make_client):
    """S3-CHECKLIST 10"""
    client = make_client(max_pool_connections=1)
    for n in range(5):
        with refused("NoSuchKey", 404):
            client.get_object(Bucket=bucket, Key="missing")
        client.put_object(Bucket=bucket, Key="k", Body=str(n).encode())
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == str(n).encode()
