"""Presigned URLs that BleepStore makes: as botocore makes them, and valid to our own authenticator."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from bleepstore.auth.presign import presign
from bleepstore.errors import S3Error
from bleepstore.secret import Secret
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
NOW = 1_369_353_600_000
KEYS = {"access_key": "second", "secret_key": "second-secret"}
CREDENTIALS = Credentials("second", "second-secret")

KEY = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=40)


def milliseconds(date: str) -> int:
    import calendar
    import time

    return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ")) * 1000


def parts(url: str) -> tuple[str, dict[str, str]]:
    """The target, and the Host header that belongs to it."""
    split = urlsplit(url)
    return f"{split.path}?{split.query}", {"Host": split.netloc}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEY, query=st.dictionaries(st.text("abc-=&+ %\u00e9", min_size=1), KEY, max_size=3))
async def test_what_it_makes_is_valid_to_the_authenticator(
    authenticator: Any, ask: Any, key: str, query: dict[str, str]
) -> None:
    url = presign("GET", "bucket", key, **KEYS, query=query, now=NOW)
    target, host = parts(url)
    found = await authenticator.authenticate(ask("GET", target, host))
    assert found.identity.access_key == "second"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEY, version=st.text("abc-_=&+ %\u00e9", max_size=10), method=st.sampled_from(["GET", "PUT"]))
def test_it_makes_what_botocore_makes(key: str, version: str, method: str) -> None:
    from urllib.parse import quote

    target = (
        f"http://127.0.0.1:9000/bucket/{quote(key, safe='/-._~')}?versionId={quote(version, safe='-._~')}"
    )
    request = AWSRequest(method=method, url=target)
    S3SigV4QueryAuth(CREDENTIALS, "s3", "us-east-1", expires=77).add_auth(request)
    theirs = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
    ours = presign(
        method,
        "bucket",
        key,
        **KEYS,
        expires=77,
        query={"versionId": version},
        now=milliseconds(theirs["X-Amz-Date"]),
    )
    assert dict(parse_qsl(urlsplit(ours).query, keep_blank_values=True)) == theirs
    assert urlsplit(ours).path == urlsplit(request.url).path


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=KEY,
    query=st.dictionaries(st.text("abc-=&+ %\u00e9", min_size=1), KEY, max_size=3),
    metadata=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
async def test_what_botocore_signs_in_headers_is_valid_too(
    authenticator: Any, ask: Any, key: str, query: dict[str, str], metadata: str
) -> None:
    """S3-CHECKLIST 11, S3-CHECKLIST 12"""
    from urllib.parse import quote

    # A path as botocore's serializer leaves it: encoded once, and dots and slashes untouched.
    encoded = "&".join(
        f"{quote(name, safe='-._~')}={quote(value, safe='-._~')}" for name, value in query.items()
    )
    url = f"http://127.0.0.1:9000/bucket/{quote(key, safe='/-._~')}"
    request = AWSRequest(
        method="PUT",
        url=url + f"?{encoded}" * bool(encoded),
        data=b"body",
        headers={"x-amz-meta-a": metadata},
    )
    S3SigV4Auth(CREDENTIALS, "s3", "us-east-1").add_auth(request)
    target, host = parts(request.url)
    x = ask("PUT", target.removesuffix("?"), {**host, **dict(request.headers)})
    x.now = milliseconds(request.context["timestamp"])
    assert (await authenticator.authenticate(x)).identity.access_key == "second"


async def test_what_botocore_signs_with_a_date_header_is_valid(authenticator: Any, ask: Any) -> None:
    request = AWSRequest(
        method="GET", url="http://127.0.0.1:9000/bucket/k", headers={"Date": "set by the caller"}
    )
    S3SigV4Auth(CREDENTIALS, "s3", "us-east-1").add_auth(request)
    assert "X-Amz-Date" not in request.headers
    x = ask("GET", "/bucket/k", {"Host": "127.0.0.1:9000", **dict(request.headers)})
    x.now = milliseconds(request.context["timestamp"])
    assert (await authenticator.authenticate(x)).identity.access_key == "second"


async def test_the_bucket_may_be_in_the_host(authenticator: Any, ask: Any) -> None:
    """S3-CHECKLIST 17"""
    url = presign("GET", "my.bucket", "a/b", **KEYS, endpoint="https://s3.example:444", virtual=True, now=NOW)
    assert url.startswith("https://my.bucket.s3.example:444/a/b?")
    target, host = parts(url)
    assert await authenticator.authenticate(ask("GET", target, host))


async def test_headers_that_it_signed_must_be_sent(authenticator: Any, ask: Any) -> None:
    url = presign("PUT", "b", "k", **KEYS, headers={"Content-Type": "text/plain"}, now=NOW)
    target, host = parts(url)
    assert await authenticator.authenticate(ask("PUT", target, {**host, "content-type": "text/plain"}))
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        await authenticator.authenticate(ask("PUT", target, host))


def test_a_secret_is_a_string_or_a_secret() -> None:
    plain = presign("GET", "b", "k", access_key="second", secret_key="second-secret", now=NOW)
    assert presign("GET", "b", "k", access_key="second", secret_key=Secret("second-secret"), now=NOW) == plain
    assert "second-secret" not in plain


@pytest.mark.parametrize(
    "wrong",
    [
        {"expires": 0},
        {"expires": 604_801},
        {"endpoint": "127.0.0.1:9000"},
        {"endpoint": "ftp://127.0.0.1"},
        {"bucket": ""},
        {"key": ""},
    ],
)
def test_what_no_server_would_take_is_not_made(wrong: dict[str, Any]) -> None:
    given = {"bucket": "b", "key": "k", **KEYS, **wrong}
    with pytest.raises(ValueError, match=r"expires|address|bucket"):
        presign("GET", given.pop("bucket"), given.pop("key"), **given)
