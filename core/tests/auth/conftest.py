"""Requests for the authenticator and the authorizer, without a server: facts go in, findings come out."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from bleepstore.auth.accounts import ConfiguredAccounts
from bleepstore.auth.canonical import (
    UNSIGNED,
    canonical_headers,
    canonical_path,
    canonical_query,
    canonical_request,
    sign,
    signing_key,
    string_to_sign,
)
from bleepstore.auth.sigv4 import SignatureV4
from bleepstore.exchange import Exchange
from bleepstore.http.headers import parse_query
from bleepstore.secret import Secret
from bleepstore.settings import AuthSettings, Settings, UserSettings

NOW = 1_369_353_600_000
"""20130524T000000Z, the moment of the documentation's examples."""
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

AUTH = AuthSettings(
    access_key=ACCESS_KEY,
    secret_key=Secret(SECRET_KEY),
    display_name="first",
    email="First@Example.com",
    users=(
        UserSettings(access_key="second", secret_key=Secret("second-secret"), email="second@example.com"),
        UserSettings(access_key="third", secret_key=Secret("third-secret"), user_id="the third"),
    ),
)


@pytest.fixture(scope="session")
def accounts() -> ConfiguredAccounts:
    return ConfiguredAccounts(AUTH)


@pytest.fixture
def authenticator(accounts: ConfiguredAccounts) -> SignatureV4:
    return SignatureV4(accounts, "us-east-1")


def request(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    now: int = NOW,
    operation: str = "GetObject",
    acls: Any = "enabled",
) -> Exchange:
    """The exchange of a request that was sent with these headers."""
    x = Exchange()
    path, _, query = target.partition("?")
    x.method, x.raw_path, x.raw_query = method, path, query
    x.query = parse_query(query)
    x.headers = {name.lower(): value.strip(" \t") for name, value in (headers or {}).items()}
    x.host = x.headers.get("host", "")
    x.client, x.now = "127.0.0.1", now
    settings = Settings(auth=AuthSettings(acls=acls))
    x.services = SimpleNamespace(accounts=ConfiguredAccounts(AUTH), settings=settings)  # type: ignore[assignment]
    x.operation = SimpleNamespace(name=operation)  # type: ignore[assignment]
    return x


@pytest.fixture(scope="session")
def ask() -> Callable[..., Exchange]:
    return request


def sign_headers(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    payload: str = UNSIGNED,
    date: str = "20130524T000000Z",
    region: str = "us-east-1",
    signed: str | None = None,
    key: tuple[str, str] = (ACCESS_KEY, SECRET_KEY),
) -> dict[str, str]:
    """The headers with a valid Authorization over all of them, or over those that ``signed`` names."""
    given = {"host": "localhost", "x-amz-date": date, "x-amz-content-sha256": payload, **(headers or {})}
    given = {name.lower(): value for name, value in given.items()}
    signed = ";".join(sorted(given)) if signed is None else signed
    path, _, query = target.partition("?")
    request = canonical_request(
        method,
        canonical_path(path),
        canonical_query(query),
        canonical_headers(given, signed.split(";")),
        signed,
        payload,
    )
    scope = f"{date[:8]}/{region}/s3/aws4_request"
    signature = sign(signing_key(key[1], date[:8], region), string_to_sign(date, scope, request))
    given["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key[0]}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return given


@pytest.fixture(scope="session")
def signed() -> Callable[..., dict[str, str]]:
    return sign_headers


def sign_query(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    payload: str = UNSIGNED,
    date: str = "20130524T000000Z",
    expires: str = "3600",
    signed: str | None = None,
    key: tuple[str, str] = (ACCESS_KEY, SECRET_KEY),
) -> str:
    """The target with a valid signature in its query."""
    given = {"host": "localhost", **(headers or {})}
    signed = ";".join(sorted(given)) if signed is None else signed
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    more = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{key[0]}/{scope}",
        "X-Amz-Date": date,
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": signed,
    }
    path, _, query = target.partition("?")
    query = "&".join(
        [query] * bool(query) + [f"{name}={quote(value, safe='')}" for name, value in more.items()]
    )
    request = canonical_request(
        method,
        canonical_path(path),
        canonical_query(query),
        canonical_headers(given, signed.split(";")),
        signed,
        payload,
    )
    signature = sign(signing_key(key[1], date[:8], "us-east-1"), string_to_sign(date, scope, request))
    return f"{path}?{query}&X-Amz-Signature={signature}"


@pytest.fixture(scope="session")
def presigned() -> Callable[..., str]:
    return sign_query
