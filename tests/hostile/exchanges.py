"""Exchanges from text: the head of a request as lines, without a server and without a wire.

The first line is ``METHOD TARGET``, the others ``NAME: VALUE``. What the parser of HTTP never lets
through (a control character, a target beyond ASCII) is left out, so that it is not found here.
"""

from __future__ import annotations

from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

from bleepstore.auth.accounts import ConfiguredAccounts
from bleepstore.exchange import Exchange
from bleepstore.http.headers import decode_headers, parse_query
from bleepstore.secret import Secret
from bleepstore.settings import AuthSettings, Settings

T = TypeVar("T")
NOW = 1_767_323_045_000
"""20260102T030405Z."""
KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ACCOUNTS = ConfiguredAccounts(AuthSettings(access_key=KEYS[0], secret_key=Secret(KEYS[1])))
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
_CONTROLS = dict.fromkeys((*range(0x09), *range(0x0A, 0x20), 0x7F))


def run(awaitable: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits for anything."""
    try:
        awaitable.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    awaitable.close()
    raise AssertionError("it waited")


def head(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Method, target, and header lines."""
    first, *lines = text.split("\n")
    method, _, target = first.partition(" ")
    method = method if method in METHODS else "GET"
    target = "".join(c for c in target if "!" <= c <= "~" and c != "#")
    fields = []
    for line in lines:
        name, _, value = line.translate(_CONTROLS).partition(":")
        name = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~"))
        if name:
            fields.append((name.lower(), value.strip(" \t")))
    return method, target if target[:1] == "/" else f"/{target}", fields


def exchange(
    method: str, target: str, fields: list[tuple[str, str]], operation: str = "GetObject"
) -> Exchange:
    """The exchange. Raises S3Error for headers and queries that the entry refuses."""
    x = Exchange()
    x.method = method
    x.raw_path, _, x.raw_query = target.partition("?")
    x.headers = decode_headers([(n.encode("latin-1"), v.encode("latin-1")) for n, v in fields])
    x.query = parse_query(x.raw_query)
    x.host, x.scheme, x.client, x.now = x.headers.get("host", ""), "http", "127.0.0.1", NOW
    x.services = SimpleNamespace(accounts=ACCOUNTS, settings=Settings())  # type: ignore[assignment]
    x.operation = SimpleNamespace(name=operation, query=())  # type: ignore[assignment]
    x.bucket_name = x.key = x.bucket = x.object = x.upload = x.source = None
    return x
