"""Presigned URLs: their life, what is signed in them, and what nobody may add beside them.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
from typing import Any

import pytest
from bleepstore.auth.sigv4 import SKEW, WEEK
from bleepstore.errors import S3Error
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
NOW = 1_369_353_600_000
HOST = {"Host": "localhost"}
NAMES = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")


async def refusal(authenticator: Any, x: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        await authenticator.authenticate(x)
    return caught.value


async def test_it_is_valid_from_its_clocks_skew_to_its_last_second(
    authenticator: Any, ask: Any, presigned: Any
) -> None:
    """S3-CHECKLIST 14"""
    target = presigned("GET", "/b/k", expires="60")
    for now in (NOW - SKEW, NOW, NOW + 60_000):
        assert await authenticator.authenticate(ask("GET", target, HOST, now=now))
    early = await refusal(authenticator, ask("GET", target, HOST, now=NOW - SKEW - 1))
    assert (early.code, early.status, early.message) == ("AccessDenied", 403, "Request is not yet valid")
    late = await refusal(authenticator, ask("GET", target, HOST, now=NOW + 60_001))
    assert (late.code, late.status, late.message) == ("AccessDenied", 403, "Request has expired")
    assert late.elements["X-Amz-Expires"] == "60"
    assert late.elements["Expires"] == "2013-05-24T00:01:00.000Z"


@pytest.mark.parametrize("expires", ["1", str(WEEK), "0001"])
async def test_a_second_to_a_week_is_a_life(
    authenticator: Any, ask: Any, presigned: Any, expires: str
) -> None:
    """S3-CHECKLIST 14"""
    assert await authenticator.authenticate(ask("GET", presigned("GET", "/b/k", expires=expires), HOST))


@pytest.mark.parametrize("expires", ["", "0", "-1", "1.5", "1e3", " 1", "\u0661", str(WEEK + 1), "9" * 400])
async def test_other_lives_are_refused(authenticator: Any, ask: Any, presigned: Any, expires: str) -> None:
    """S3-CHECKLIST 14"""
    error = await refusal(authenticator, ask("GET", presigned("GET", "/b/k", expires=expires), HOST))
    assert (error.code, error.status) == ("AuthorizationQueryParametersError", 400)


@pytest.mark.parametrize("name", NAMES)
async def test_every_parameter_is_needed(authenticator: Any, ask: Any, presigned: Any, name: str) -> None:
    """What has some of them is no anonymous request, but a broken one."""
    path, _, query = presigned("GET", "/b/k").partition("?")
    rest = "&".join(part for part in query.split("&") if not part.startswith(f"X-Amz-{name}="))
    assert rest != query
    error = await refusal(authenticator, ask("GET", f"{path}?{rest}", HOST))
    assert error.code == "AuthorizationQueryParametersError"


@pytest.mark.parametrize("name", NAMES)
async def test_no_parameter_may_be_changed(authenticator: Any, ask: Any, presigned: Any, name: str) -> None:
    head, mark, rest = presigned("GET", "/b/k").partition(f"X-Amz-{name}=")
    for new in ("1", "%C3%A9", "%00", ""):
        _, ampersand, more = rest.partition("&")
        error = await refusal(authenticator, ask("GET", head + mark + new + ampersand + more, HOST))
        assert 400 <= error.status < 500


@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("first", [True, False])
async def test_no_parameter_may_be_said_twice(
    authenticator: Any, ask: Any, presigned: Any, name: str, *, first: bool
) -> None:
    """Whichever of two the handler believes, the signature covers both."""
    path, _, query = presigned("GET", "/b/k", expires="1").partition("?")
    more = {"Expires": "604800", "Date": "20130524T000100Z", "SignedHeaders": "host;date"}.get(name, "x")
    again = f"X-Amz-{name}={more}"
    target = f"{path}?{again}&{query}" if first else f"{path}?{query}&{again}"
    error = await refusal(authenticator, ask("GET", target, {**HOST, "Date": "x"}, now=NOW + 2000))
    assert 400 <= error.status < 500
    assert (await refusal(authenticator, ask("GET", target, HOST))).status in (400, 403)


async def test_a_second_signature_does_not_count(authenticator: Any, ask: Any, presigned: Any) -> None:
    target = presigned("GET", "/b/k")
    assert await authenticator.authenticate(ask("GET", target + "&X-Amz-Signature=0", HOST))
    wrong = target.replace("?", "?X-Amz-Signature=0&")
    assert (await refusal(authenticator, ask("GET", wrong, HOST))).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["x-amz-signature", "X-AMZ-SIGNATURE", "X-Amz-signature"])
async def test_a_signature_by_another_name_is_none(
    authenticator: Any, ask: Any, presigned: Any, name: str
) -> None:
    target = presigned("GET", "/b/k").replace("X-Amz-Signature", name)
    assert (await refusal(authenticator, ask("GET", target, HOST))).status == 400


async def test_an_encoded_name_is_the_same_name(authenticator: Any, ask: Any, presigned: Any) -> None:
    target = presigned("GET", "/b/k").replace("X-Amz-Signature", "X%2DAmz%2DSignature")
    assert await authenticator.authenticate(ask("GET", target, HOST))


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE"])
async def test_it_is_good_for_its_method_alone(
    authenticator: Any, ask: Any, presigned: Any, method: str
) -> None:
    x = ask(method, presigned("GET", "/b/k"), HOST)
    assert (await refusal(authenticator, x)).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-copy-source", "x-amz-tagging", "x-amz-meta-a", "acl"])
async def test_nothing_may_be_added_to_its_query(
    authenticator: Any, ask: Any, presigned: Any, name: str
) -> None:
    x = ask("PUT", presigned("PUT", "/b/k") + f"&{name}=public-read", HOST)
    assert (await refusal(authenticator, x)).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-copy-source", "x-amz-tagging", "x-amz-date"])
async def test_no_amz_header_may_be_added_to_it(
    authenticator: Any, ask: Any, presigned: Any, name: str
) -> None:
    """S3-CHECKLIST 14, S3-CHECKLIST 47"""
    error = await refusal(authenticator, ask("PUT", presigned("PUT", "/b/k"), {**HOST, name: "v"}))
    assert (error.code, error.elements["HeadersNotSigned"]) == ("AccessDenied", name)


async def test_a_parameter_in_the_query_is_no_signed_header(
    authenticator: Any, ask: Any, presigned: Any
) -> None:
    target = presigned("PUT", "/b/k?x-amz-acl=private")
    assert await authenticator.authenticate(ask("PUT", target, HOST))
    error = await refusal(authenticator, ask("PUT", target, {**HOST, "x-amz-acl": "public-read"}))
    assert error.code == "AccessDenied"


async def test_a_signed_header_must_be_sent_as_it_was_signed(
    authenticator: Any, ask: Any, presigned: Any
) -> None:
    """S3-CHECKLIST 14"""
    target = presigned("PUT", "/b/k", {"content-type": "text/plain"})
    assert await authenticator.authenticate(ask("PUT", target, {**HOST, "Content-Type": "text/plain"}))
    for headers in (HOST, {**HOST, "Content-Type": "text/html"}):
        assert (await refusal(authenticator, ask("PUT", target, headers))).code == "SignatureDoesNotMatch"


async def test_the_host_must_be_signed(authenticator: Any, ask: Any, presigned: Any) -> None:
    target = presigned("GET", "/b/k", signed="date")
    error = await refusal(authenticator, ask("GET", target, {**HOST, "date": ""}))
    assert error.code == "AuthorizationQueryParametersError"


async def test_another_host_is_another_request(authenticator: Any, ask: Any, presigned: Any) -> None:
    for host in ("localhost:80", "other.localhost", "localhost.", "LOCALHOST", ""):
        x = ask("GET", presigned("GET", "/b/k"), {"Host": host})
        assert (await refusal(authenticator, x)).code == "SignatureDoesNotMatch"


async def test_the_payload_may_be_anything_unless_it_was_signed(
    authenticator: Any, ask: Any, presigned: Any
) -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    free = presigned("PUT", "/b/k")
    found = await authenticator.authenticate(ask("PUT", free, {**HOST, "x-amz-content-sha256": digest}))
    assert found.payload == digest
    bound = presigned("PUT", f"/b/k?X-Amz-Content-Sha256={digest}", payload=digest)
    assert (await authenticator.authenticate(ask("PUT", bound, HOST))).payload == digest
    for other in ("UNSIGNED-PAYLOAD", "0" * 64, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        x = ask("PUT", bound, {**HOST, "x-amz-content-sha256": other})
        assert (await refusal(authenticator, x)).code == "SignatureDoesNotMatch"


async def test_checksums_in_the_query_are_signed_and_not_enforced(
    authenticator: Any, ask: Any, presigned: Any
) -> None:
    """S3-CHECKLIST 14"""
    target = presigned("PUT", "/b/k?x-amz-checksum-crc32=AAAAAA%3D%3D")
    assert (await authenticator.authenticate(ask("PUT", target, HOST))).query_checksums_signed
    bent = target.replace("AAAAAA", "AAAAAB")
    assert (await refusal(authenticator, ask("PUT", bent, HOST))).code == "SignatureDoesNotMatch"


async def test_a_signature_of_version_2_is_refused_with_a_hint(
    authenticator: Any, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """S3-CHECKLIST 55"""
    x = ask("GET", "/b/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=c2lnbmF0dXJl&Expires=1", HOST)
    error = await refusal(authenticator, x)
    assert (error.code, error.status) == ("InvalidRequest", 400)
    assert error.message.endswith("Please use AWS4-HMAC-SHA256.")
    assert "signature_version='s3v4'" in caplog.text
    assert "c2lnbmF0dXJl" not in caplog.text


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(NAMES), TEXT, min_size=1), more=st.dictionaries(TEXT, TEXT))
async def test_no_change_of_its_query_is_more_than_an_error_of_the_client(
    authenticator: Any, ask: Any, presigned: Any, changes: dict[str, str], more: dict[str, str]
) -> None:
    from urllib.parse import parse_qsl, quote

    path, _, query = presigned("GET", "/b/k").partition("?")
    right = dict(parse_qsl(query))
    given = {**more, **right, **{f"X-Amz-{name}": value for name, value in changes.items()}}
    assume(given != right)
    encoded = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in given.items())
    error = await refusal(authenticator, ask("GET", f"{path}?{encoded}", HOST))
    assert 400 <= error.status < 500
