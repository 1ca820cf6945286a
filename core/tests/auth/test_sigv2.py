"""Signature Version 2, where it is asked for: the published examples, botocore, and what it must not cover.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from bleepstore.auth.sigv2 import SKEW, SignatureV2
from bleepstore.errors import S3Error
from bleepstore.http.dates import parse_http_date
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

HOST = {"Host": "johnsmith.s3.amazonaws.com"}
EXAMPLES = {
    "Object GET": (
        "GET",
        "/photos/puppy.jpg",
        {"Date": "Tue, 27 Mar 2007 19:36:42 +0000"},
        "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
    ),
    "Object PUT": (
        "PUT",
        "/photos/puppy.jpg",
        {"Content-Type": "image/jpeg", "Date": "Tue, 27 Mar 2007 21:15:45 +0000"},
        "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
    ),
    "List": (
        "GET",
        "/?prefix=photos&max-keys=50&marker=puppy",
        {"Date": "Tue, 27 Mar 2007 19:42:41 +0000"},
        "htDYFYduRNen8P9ZfE/s9SuKy0U=",
    ),
    "Fetch": ("GET", "/?acl", {"Date": "Tue, 27 Mar 2007 19:44:46 +0000"}, "c2WLPFtWHVgbEmeEG93a4cG37dM="),
}
QUERY = (
    "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE"
    "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
)
MOMENT = 1_175_024_202_000
CREDENTIALS = Credentials("second", "second-secret")


@pytest.fixture
def legacy(accounts: Any) -> SignatureV2:
    return SignatureV2(accounts, headers=True)


@pytest.fixture
def about(ask: Any) -> Any:
    """A request about a key in a bucket that the host names, or that the path names."""

    def make(
        method: str, target: str, headers: Any, *, bucket: str = "", query: Any = (), **more: Any
    ) -> Any:
        x = ask(method, target, headers, **more)
        x.operation = SimpleNamespace(name="GetObject", query=query)
        name, _, key = x.raw_path[1:].partition("/")
        x.bucket_name, x.key = (bucket, x.raw_path[1:] or None) if bucket else (name, key or None)
        return x

    return make


async def refusal(legacy: Any, x: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        await legacy.authenticate(x)
    return caught.value


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
async def test_a_request_that_is_signed_as_documented_is_its_accounts(
    legacy: Any, about: Any, example: Any
) -> None:
    """S3-CHECKLIST 55"""
    method, target, headers, signature = example
    for sent in (signature, "A" + signature[1:]):
        given = {**HOST, **headers, "Authorization": f"AWS AKIAIOSFODNN7EXAMPLE:{sent}"}
        x = about(method, target, given, bucket="johnsmith", now=parse_http_date(headers["Date"]))
        if sent == signature:
            assert (await legacy.authenticate(x)).identity.access_key == "AKIAIOSFODNN7EXAMPLE"
        else:
            assert (await refusal(legacy, x)).code == "SignatureDoesNotMatch"


async def test_the_documented_url_is_valid_until_it_expires(legacy: Any, about: Any) -> None:
    """S3-CHECKLIST 55"""
    last = 1_175_139_620_000
    x = about("GET", QUERY, HOST, bucket="johnsmith", now=last)
    assert (await legacy.authenticate(x)).identity.access_key == "AKIAIOSFODNN7EXAMPLE"
    error = await refusal(legacy, about("GET", QUERY, HOST, bucket="johnsmith", now=last + 1))
    assert (error.code, error.message) == ("AccessDenied", "Request has expired")


KEY = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30)
SUBRESOURCE = st.sampled_from(["", "acl", "versionId=a%2Bb", "uploadId=x&partNumber=1", "prefix=a"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEY, query=SUBRESOURCE, presigned=st.booleans())
async def test_what_botocore_signs_is_valid(
    legacy: Any, about: Any, key: str, query: str, *, presigned: bool
) -> None:
    """S3-CHECKLIST 55"""
    url = f"http://127.0.0.1:9000/bucket/{quote(key, safe='/-._~')}" + f"?{query}" * bool(query)
    request = AWSRequest(
        method="PUT", url=url, headers={"x-amz-acl": "private", "Content-Type": "text/plain"}
    )
    signer = HmacV1QueryAuth(CREDENTIALS, 1_000_000_000) if presigned else HmacV1Auth(CREDENTIALS)
    signer.add_auth(request)
    split = urlsplit(request.url)
    headers = {"host": split.netloc, **({} if presigned else dict(request.headers))}
    x = about(
        "PUT", f"{split.path}?{split.query}".removesuffix("?"), headers, now=time.time_ns() // 1_000_000
    )
    assert (await legacy.authenticate(x)).identity.access_key == "second"


def presigned(method: str, target: str, headers: Any = None) -> str:
    request = AWSRequest(method=method, url=f"http://127.0.0.1{target}", headers=headers or {})
    HmacV1QueryAuth(CREDENTIALS, 1_000_000_000).add_auth(request)
    split = urlsplit(request.url)
    return f"{split.path}?{split.query}"


@pytest.mark.parametrize(
    "more",
    [
        "acl",
        "%61cl",
        "%61%63%6C=",
        "acl=",
        "uploads",
        "%75ploads",
        "versionId=1",
        "version%49d=1",
        "uploadId=1&partNumber=1",
        "response-content-type=text%2Fhtml",
        "x-amz-acl=public-read",
        "X-Amz-Acl=public-read",
        "x-amz-copy-source=b%2Fk",
        "x-amz-meta-a=b",
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_nothing_that_makes_it_another_request_is_added_to_its_query(
    legacy: Any, about: Any, more: str, *, first: bool
) -> None:
    """Its query is not signed as a whole: however a parameter that matters is written, it must be."""
    target = presigned("PUT", "/bucket/k")
    bent = target.replace("?", f"?{more}&") if first else f"{target}&{more}"
    assert await legacy.authenticate(about("PUT", target, {"Host": "h"}))
    assert (await refusal(legacy, about("PUT", bent, {"Host": "h"}))).code == "SignatureDoesNotMatch"


async def test_a_signed_wish_in_the_query_is_changed_by_no_other_letters(legacy: Any, about: Any) -> None:
    target = presigned("PUT", "/bucket/k", {"x-amz-meta-a": "b"})
    assert "x-amz-meta-a=b" in target
    assert await legacy.authenticate(about("PUT", target, {"Host": "h"}))
    for other in ("%E2%98%83", "%3F", "%C3%A9"):
        x = about("PUT", target.replace("x-amz-meta-a=b", f"x-amz-meta-a={other}"), {"Host": "h"})
        assert (await refusal(legacy, x)).code == "SignatureDoesNotMatch"


async def test_an_operation_that_it_cannot_cover_is_refused(legacy: Any, about: Any) -> None:
    x = about("PUT", presigned("PUT", "/bucket/k?renameObject"), {"Host": "h"}, query=("renameObject",))
    assert (await refusal(legacy, x)).code == "InvalidRequest"


@pytest.mark.parametrize("signature", ["", "%E2%98%83", "%C3%A9", "AAAA", "%00"])
async def test_what_is_no_signature_does_not_match(legacy: Any, about: Any, signature: str) -> None:
    target = f"/bucket/k?AWSAccessKeyId=second&Signature={signature}&Expires=9999999999"
    assert (await refusal(legacy, about("GET", target, {"Host": "h"}))).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("expires", ["", "x", "-1", "1.5", "\u0661", "9" * 13])
async def test_a_life_must_end_at_a_second(legacy: Any, about: Any, expires: str) -> None:
    target = f"/bucket/k?AWSAccessKeyId=second&Signature=AAAA&Expires={quote(expires)}"
    assert (await refusal(legacy, about("GET", target, {"Host": "h"}))).code == "AccessDenied"


@pytest.mark.parametrize("late", [SKEW + 1000, -SKEW - 1000])
async def test_a_clock_may_be_off_by_15_minutes(legacy: Any, about: Any, late: int) -> None:
    _, target, headers, signature = EXAMPLES["Object GET"]
    given = {**HOST, **headers, "Authorization": f"AWS AKIAIOSFODNN7EXAMPLE:{signature}"}
    x = about("GET", target, given, bucket="johnsmith", now=MOMENT + late)
    assert (await refusal(legacy, x)).code == "RequestTimeTooSkewed"


async def test_headers_count_only_where_they_are_asked_for(accounts: Any, about: Any) -> None:
    urls_only = SignatureV2(accounts, headers=False)
    _, target, headers, signature = EXAMPLES["Object GET"]
    given = {**HOST, **headers, "Authorization": f"AWS AKIAIOSFODNN7EXAMPLE:{signature}"}
    x = about("GET", target, given, bucket="johnsmith", now=MOMENT)
    assert await urls_only.authenticate(x) is None


async def test_other_schemes_are_left_to_others(legacy: Any, about: Any, signed: Any) -> None:
    assert await legacy.authenticate(about("GET", "/b/k", signed("GET", "/b/k"))) is None
    assert await legacy.authenticate(about("GET", "/b/k", {"Host": "h"})) is None
