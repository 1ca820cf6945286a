"""The Authorization header: what it must say, what it may leave out, and what nobody may add to it.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

from typing import Any

import pytest
from bleepstore.auth.sigv4 import SKEW, SignatureV4
from bleepstore.errors import S3Error
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
NOW = 1_369_353_600_000


async def refusal(authenticator: SignatureV4, x: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        await authenticator.authenticate(x)
    return caught.value


async def test_a_request_without_signature_is_left_to_others(authenticator: Any, ask: Any) -> None:
    assert await authenticator.authenticate(ask("GET", "/b/k", {"Host": "localhost"})) is None


async def test_a_signed_request_is_its_accounts(authenticator: Any, ask: Any, signed: Any) -> None:
    x = ask("GET", "/b/k", signed("GET", "/b/k", key=("second", "second-secret")))
    found = await authenticator.authenticate(x)
    assert found.identity.access_key == "second"
    assert found.identity.account.email == "second@example.com"


@pytest.mark.parametrize("spaces", [",", ", ", " ,  "])
async def test_spaces_between_its_fields_do_not_matter(
    authenticator: Any, ask: Any, signed: Any, spaces: str
) -> None:
    """S3-CHECKLIST 54"""
    headers = signed("GET", "/b/k")
    headers["authorization"] = headers["authorization"].replace(", ", spaces)
    assert await authenticator.authenticate(ask("GET", "/b/k", headers))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Signature=", "Nothing=", "AuthorizationHeaderMalformed"),
        ("SignedHeaders=", "Nothing=", "AuthorizationHeaderMalformed"),
        ("Credential=", "Nothing=", "AuthorizationHeaderMalformed"),
        ("/us-east-1/", "/", "AuthorizationHeaderMalformed"),
        ("/us-east-1/", "/mars-1/", "AuthorizationHeaderMalformed"),
        ("/s3/", "/sqs/", "AuthorizationHeaderMalformed"),
        ("aws4_request", "aws5_request", "AuthorizationHeaderMalformed"),
        ("/20130524/", "/20130525/", "AuthorizationHeaderMalformed"),
        ("SignedHeaders=host;", "SignedHeaders=", "AuthorizationHeaderMalformed"),
        ("SignedHeaders=host;", "SignedHeaders=Host;", "AuthorizationHeaderMalformed"),
        ("SignedHeaders=host;", "SignedHeaders=host;\xe9;", "AuthorizationHeaderMalformed"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF", "InvalidAccessKeyId"),
        ("AKIAIOSFODNN7EXAMPLE", "", "InvalidAccessKeyId"),
        ("AKIAIOSFODNN7EXAMPLE", "\xe9", "InvalidAccessKeyId"),
        ("AKIAIOSFODNN7EXAMPLE", "second", "SignatureDoesNotMatch"),
        ("Signature=", "Signature=0", "SignatureDoesNotMatch"),
        ("Signature=", "Signature=\xe9\xff", "SignatureDoesNotMatch"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 ", "InvalidArgument"),
        ("AWS4-HMAC-SHA256 ", "Basic ", "InvalidArgument"),
        ("AWS4-HMAC-SHA256 ", "AWS ", "InvalidRequest"),
    ],
)
async def test_an_authorization_that_is_bent_is_refused(
    authenticator: Any, ask: Any, signed: Any, old: str, new: str, code: str
) -> None:
    headers = signed("GET", "/b/k")
    assert old in headers["authorization"]
    headers["authorization"] = headers["authorization"].replace(old, new)
    assert (await refusal(authenticator, ask("GET", "/b/k", headers))).code == code


async def test_an_empty_signature_is_refused(authenticator: Any, ask: Any, signed: Any) -> None:
    headers = signed("GET", "/b/k")
    headers["authorization"] = headers["authorization"].partition("Signature=")[0] + "Signature="
    assert (await refusal(authenticator, ask("GET", "/b/k", headers))).code == "SignatureDoesNotMatch"


async def test_the_wrong_region_is_told_the_right_one(accounts: Any, ask: Any, signed: Any) -> None:
    """S3-CHECKLIST 16"""
    authenticator = SignatureV4(accounts, "eu-west-3")
    error = await refusal(authenticator, ask("GET", "/b/k", signed("GET", "/b/k")))
    assert (error.code, error.status) == ("AuthorizationHeaderMalformed", 400)
    assert error.elements["Region"] == "eu-west-3"
    assert error.headers["x-amz-bucket-region"] == "eu-west-3"
    assert "the region 'us-east-1' is wrong; expecting 'eu-west-3'" in error.message


@pytest.mark.parametrize("operation", ["ListBuckets", "GetBucketLocation"])
async def test_what_finds_the_region_may_be_signed_for_the_classic_one(
    accounts: Any, ask: Any, signed: Any, operation: str
) -> None:
    """S3-CHECKLIST 16"""
    authenticator = SignatureV4(accounts, "eu-west-3")
    x = ask("GET", "/b?location", signed("GET", "/b?location"), operation=operation)
    assert await authenticator.authenticate(x)
    other = ask("GET", "/b?location", signed("GET", "/b?location", region="mars-1"), operation=operation)
    assert (await refusal(authenticator, other)).code == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize("late", [SKEW, -SKEW])
async def test_a_clock_may_be_off_by_15_minutes_and_no_more(
    authenticator: Any, ask: Any, signed: Any, late: int
) -> None:
    """S3-CHECKLIST 14"""
    headers = signed("GET", "/b/k")
    assert await authenticator.authenticate(ask("GET", "/b/k", headers, now=NOW + late))
    further = late + (1 if late > 0 else -1)
    error = await refusal(authenticator, ask("GET", "/b/k", headers, now=NOW + further))
    assert (error.code, error.status) == ("RequestTimeTooSkewed", 403)
    assert error.elements["MaxAllowedSkewMilliseconds"] == "900000"


async def test_a_date_header_is_as_good_in_both_forms(authenticator: Any, ask: Any, signed: Any) -> None:
    """What botocore signs where the caller gave a Date: the header in one form, the moment in the other."""
    for date in ("Fri, 24 May 2013 00:00:00 GMT", "20130524T000000Z"):
        names = "date;host;x-amz-content-sha256"
        headers = signed("GET", "/b/k", {"date": date}, signed=names)
        del headers["x-amz-date"]
        assert await authenticator.authenticate(ask("GET", "/b/k", headers))


async def test_x_amz_date_counts_beside_another_date(authenticator: Any, ask: Any, signed: Any) -> None:
    headers = signed("GET", "/b/k", {"date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    assert await authenticator.authenticate(ask("GET", "/b/k", headers))
    bent = {**headers, "x-amz-date": "20130524T000001Z"}
    assert (await refusal(authenticator, ask("GET", "/b/k", bent))).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "date", ["", "yesterday", "20130230T000000Z", "20130524T250000Z", "20130524T000000", "\u0662" * 16]
)
async def test_a_date_that_is_none_is_refused(authenticator: Any, ask: Any, signed: Any, date: str) -> None:
    headers = {**signed("GET", "/b/k"), "x-amz-date": date}
    assert (await refusal(authenticator, ask("GET", "/b/k", headers))).code == "AccessDenied"


async def test_the_payload_must_be_named(authenticator: Any, ask: Any, signed: Any) -> None:
    headers = signed("GET", "/b/k")
    del headers["x-amz-content-sha256"]
    assert (await refusal(authenticator, ask("GET", "/b/k", headers))).code == "InvalidRequest"


@pytest.mark.parametrize("payload", ["", "UNSIGNED", "STREAMING-NOTHING", "0" * 63, "g" * 64, "\u212a" * 64])
async def test_a_payload_that_is_none_is_refused(
    authenticator: Any, ask: Any, signed: Any, payload: str
) -> None:
    """S3-CHECKLIST 2"""
    headers = {**signed("PUT", "/b/k"), "x-amz-content-sha256": payload}
    assert (await refusal(authenticator, ask("PUT", "/b/k", headers))).code == "InvalidArgument"


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-copy-source", "x-amz-meta-a", "x-amz-anything"])
async def test_what_was_not_signed_may_not_be_added(
    authenticator: Any, ask: Any, signed: Any, name: str
) -> None:
    """S3-CHECKLIST 47"""
    headers = {**signed("PUT", "/b/k"), name: "v"}
    error = await refusal(authenticator, ask("PUT", "/b/k", headers))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.elements["HeadersNotSigned"] == name


async def test_the_payload_header_needs_no_signature_of_its_own(
    authenticator: Any, ask: Any, signed: Any
) -> None:
    """S3-CHECKLIST 47"""
    headers = signed("PUT", "/b/k", signed="host;x-amz-date")
    assert await authenticator.authenticate(ask("PUT", "/b/k", headers))
    bent = {**headers, "x-amz-content-sha256": "0" * 64}
    assert (await refusal(authenticator, ask("PUT", "/b/k", bent))).code == "SignatureDoesNotMatch"


async def test_an_encoding_that_a_proxy_rewrote_is_read_as_it_was_signed(
    authenticator: Any, ask: Any, signed: Any
) -> None:
    """S3-CHECKLIST 48"""
    headers = {**signed("GET", "/b/k", {"accept-encoding": "identity"}), "accept-encoding": "gzip, br"}
    assert await authenticator.authenticate(ask("GET", "/b/k", headers))
    other = {**signed("GET", "/b/k", {"accept-encoding": "zstd"}), "accept-encoding": "gzip, br"}
    assert (await refusal(authenticator, ask("GET", "/b/k", other))).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("where", ["header", "query"])
async def test_a_session_token_belongs_to_nobody_here(
    authenticator: Any, ask: Any, signed: Any, presigned: Any, where: str
) -> None:
    """S3-CHECKLIST 54"""
    if where == "header":
        x = ask("GET", "/b/k", signed("GET", "/b/k", {"x-amz-security-token": "FwoG"}))
    else:
        x = ask("GET", presigned("GET", "/b/k?X-Amz-Security-Token=FwoG"), {"Host": "localhost"})
    error = await refusal(authenticator, x)
    assert (error.code, error.status) == ("InvalidToken", 400)


async def test_an_empty_session_token_is_none(authenticator: Any, ask: Any, signed: Any) -> None:
    """S3-CHECKLIST 54"""
    headers = signed("GET", "/b/k", {"x-amz-security-token": ""})
    assert await authenticator.authenticate(ask("GET", "/b/k", headers))


@pytest.mark.parametrize(
    ("signed_target", "sent"),
    [
        ("/b/k", "/b/K"),
        ("/b/k", "/b//k"),
        ("/b/k", "/b/./k"),
        ("/b/k", "/b/k/"),
        ("/b/k", "/b/k?acl"),
        ("/b/k?acl", "/b/k"),
        ("/b/k?versionId=1", "/b/k?versionId=2"),
        ("/b/k?versionId=1", "/b/k?versionId=1&versionId=2"),
        ("/b/k?versionId=1", "/b/k?versionid=1"),
        ("/b/k%20l", "/b/k+l"),
        ("/b/k%252Fl", "/b/k%2Fl"),
        ("/b/k%2525", "/b/k%25"),
        ("/b?prefix=a%2525", "/b?prefix=a%25"),
        ("/b?prefix=a%2Bb", "/b?prefix=a+b"),
    ],
)
async def test_a_signature_is_good_for_its_target_alone(
    authenticator: Any, ask: Any, signed: Any, signed_target: str, sent: str
) -> None:
    """S3-CHECKLIST 11"""
    x = ask("GET", sent, signed("GET", signed_target))
    assert (await refusal(authenticator, x)).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("signed_target", "sent"),
    [
        ("/b/k%20l", "/b/k%20l"),
        ("/b/%3D%40%2B%26%24%3B%21%28%29%27", "/b/=@+&$;!()'"),
        ("/b/%C3%A9", "/b/%c3%a9"),
        ("/b/~", "/b/%7E"),
        ("/b/a%2Fb", "/b/a%2fb"),
        ("/b/a/b", "/b/a%2Fb"),
        ("/b?prefix=a%20b&uploads=", "/b?uploads&prefix=a+b"),
        ("/b?a=1&a=2", "/b?a=2&a=1"),
        ("/b?x-id=ListObjects", "/b?x-id=ListObjects"),
    ],
)
async def test_other_ways_to_write_a_target_are_the_same_target(
    authenticator: Any, ask: Any, signed: Any, signed_target: str, sent: str
) -> None:
    """S3-CHECKLIST 11, S3-CHECKLIST 12"""
    assert await authenticator.authenticate(ask("GET", sent, signed("GET", signed_target)))


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE", "get"])
async def test_a_signature_is_good_for_its_method_alone(
    authenticator: Any, ask: Any, signed: Any, method: str
) -> None:
    x = ask(method, "/b/k", signed("GET", "/b/k"))
    assert (await refusal(authenticator, x)).code == "SignatureDoesNotMatch"


async def test_a_mismatch_shows_what_was_signed_and_no_secret(
    authenticator: Any, ask: Any, signed: Any
) -> None:
    headers = {**signed("GET", "/b/k"), "host": "elsewhere"}
    error = await refusal(authenticator, ask("GET", "/b/k", headers))
    assert error.elements["CanonicalRequest"].startswith("GET\n/b/k\n\nhost:elsewhere\n")
    assert error.elements["StringToSign"].startswith("AWS4-HMAC-SHA256\n20130524T000000Z\n")
    right = signed("GET", "/b/k", {"host": "elsewhere"})["authorization"].rpartition("=")[2]
    assert right not in str(error.elements) + error.message
    assert "wJalr" not in str(error.elements) + error.message


async def test_a_request_for_two_mechanisms_is_refused(
    authenticator: Any, ask: Any, signed: Any, presigned: Any
) -> None:
    """S3-CHECKLIST 14"""
    target = presigned("GET", "/b/k")
    x = ask("GET", target, signed("GET", target))
    assert (await refusal(authenticator, x)).code == "InvalidArgument"


LATIN = st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n\0"), max_size=60)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    authorization=st.one_of(
        LATIN,
        LATIN.map("AWS4-HMAC-SHA256".__add__),
        st.builds(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
            ",SignedHeaders={},Signature={}".format,
            st.one_of(LATIN, LATIN.map("host;".__add__)),
            LATIN,
        ),
        st.builds("AWS4-HMAC-SHA256 Credential={},SignedHeaders=host,Signature=0".format, LATIN),
    ),
    date=st.one_of(st.none(), LATIN, st.just("20130524T000000Z")),
    payload=st.one_of(st.none(), LATIN, st.just("UNSIGNED-PAYLOAD")),
)
async def test_nothing_in_a_header_is_more_than_an_error_of_the_client(
    authenticator: Any, ask: Any, authorization: str, date: str | None, payload: str | None
) -> None:
    headers = {"host": "localhost", "authorization": authorization}
    if date is not None:
        headers["x-amz-date"] = date
    if payload is not None:
        headers["x-amz-content-sha256"] = payload
    error = await refusal(authenticator, ask("GET", "/b/k", headers))
    assert 400 <= error.status < 500
