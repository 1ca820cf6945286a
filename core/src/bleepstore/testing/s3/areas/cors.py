"""Cross-origin resource sharing.

Authority: API_PutBucketCors, API_GetBucketCors, API_DeleteBucketCors and RESTOPTIONSobject in
https://docs.aws.amazon.com/AmazonS3/latest/API/ , and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

import pytest

from bleepstore.testing.s3.expectations import refused, send

APP = "http://app.example"
RULES = {
    "CORSRules": [
        {
            "ID": "app",
            "AllowedOrigins": [APP, "https://*.app.example"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["Content-Type", "x-amz-*"],
            "ExposeHeaders": ["ETag", "x-amz-request-id"],
            "MaxAgeSeconds": 3000,
        },
        {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},
    ]
}


@pytest.fixture
def open_bucket(s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    return bucket


def preflight(url, **headers):
    return send(url, "OPTIONS", None, {name.replace("_", "-"): value for name, value in headers.items()})


def asks(method, origin=APP, headers=None):
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return {**asked, "Access-Control-Request-Headers": headers} if headers else asked


# --- the configuration ----------------------------------------------------------------------------------


def test_what_was_put_is_read_back_element_for_element(s3, open_bucket):
    """S3-CHECKLIST 45."""
    assert s3.get_bucket_cors(Bucket=open_bucket)["CORSRules"] == RULES["CORSRules"]


def test_without_rules_there_is_no_configuration(s3, bucket):
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=bucket)


def test_deleted_rules_are_gone(s3, open_bucket, endpoint):
    reply = s3.delete_bucket_cors(Bucket=open_bucket)
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=open_bucket)
    assert preflight(f"{endpoint}/{open_bucket}/k", **asks("GET")).status == 403


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"AllowedMethods": ["PATCH"]}, "InvalidRequest"),
        ({"AllowedOrigins": ["http://*.*.example"]}, "InvalidRequest"),
        ({"AllowedHeaders": ["x-*-*"]}, "InvalidRequest"),
        ({"ExposeHeaders": ["x-amz-*"]}, "InvalidRequest"),
        ({"ExposeHeaders": ["ETag: a"]}, "InvalidRequest"),
        ({"AllowedMethods": []}, "MalformedXML"),
        ({"AllowedOrigins": []}, "MalformedXML"),
        ({"ID": "x" * 256}, "MalformedXML"),
    ],
    ids=str,
)
def test_rules_that_cannot_be_are_refused(s3, bucket, rule, code):
    whole = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], **rule}
    with refused(code, 400):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [whole]})
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=bucket)


def test_a_bucket_has_a_hundred_rules_at_most(s3, bucket):
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule] * 100})
    with refused("MalformedXML", 400):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule] * 101})


# --- preflight --------------------------------------------------------------------------------------------


def test_a_preflight_that_a_rule_allows_needs_no_signature(endpoint, open_bucket):
    """S3-CHECKLIST 45."""
    headers = asks("PUT", headers="content-type, X-Amz-Date")
    answer = preflight(f"{endpoint}/{open_bucket}/k", **headers)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == "GET, PUT"
    assert answer.headers["access-control-allow-headers"] == "content-type, x-amz-date"
    assert answer.headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
    assert answer.headers["access-control-max-age"] == "3000"
    assert "Origin" in answer.headers["vary"]


def test_the_first_rule_that_allows_everything_asked_decides(endpoint, open_bucket):
    answer = preflight(f"{endpoint}/{open_bucket}/k", **asks("GET", "http://other.example"))
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        asks("PUT", "http://other.example"),
        asks("PUT", "http://app.example.evil"),
        asks("DELETE"),
        asks("PUT", headers="content-type, authorization"),
    ],
    ids=str,
)
def test_a_preflight_that_no_rule_allows_is_forbidden(endpoint, open_bucket, headers):
    answer = preflight(f"{endpoint}/{open_bucket}/k", **headers)
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert "access-control-allow-origin" not in answer.headers


def test_a_bucket_without_rules_forbids(endpoint, bucket):
    answer = preflight(f"{endpoint}/{bucket}/k", **asks("GET"))
    assert (answer.status, answer.code) == (403, "AccessForbidden")


@pytest.mark.parametrize("headers", [{}, {"Origin": APP}, asks("BREW")], ids=str)
def test_a_preflight_that_says_too_little_is_a_bad_request(endpoint, open_bucket, headers):
    assert preflight(f"{endpoint}/{open_bucket}/k", **headers).status == 400


# --- requests ---------------------------------------------------------------------------------------------


def test_replies_to_an_allowed_origin_say_so_and_others_do_not(s3, endpoint, open_bucket):
    s3.put_object(Bucket=open_bucket, Key="k", Body=b"content")
    url = s3.generate_presigned_url("get_object", {"Bucket": open_bucket, "Key": "k"})
    answer = send(url, "GET", None, {"Origin": "https://www.app.example"})
    assert (answer.status, answer.body) == (200, b"content")
    assert answer.headers["access-control-allow-origin"] == "https://www.app.example"
    assert answer.headers["access-control-expose-headers"] == "ETag, x-amz-request-id"
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-origin" not in send(url, "GET", None, {}).headers


def test_a_method_that_no_rule_allows_is_served_without_permission_to_read(s3, open_bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": open_bucket, "Key": "k"})
    answer = send(url, "PUT", b"x", {"Origin": "http://other.example"})
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


def test_errors_have_the_headers_too(endpoint, open_bucket):
    """S3-CHECKLIST 45: a page must be able to read why it was refused."""
    for path in ("k", "?acl"):
        answer = send(f"{endpoint}/{open_bucket}/{path}", "GET", None, {"Origin": APP})
        assert (answer.status, answer.code) == (403, "AccessDenied")
        assert answer.headers["access-control-allow-origin"] == APP
