"""The canonical request, piece by piece, and the keys that sign it."""

from urllib.parse import quote, unquote_to_bytes

import pytest
from bleepstore.auth.canonical import (
    SigningKeys,
    canonical_headers,
    canonical_path,
    canonical_query,
    signing_key,
)
from bleepstore.http.headers import percent_decode
from hypothesis import given
from hypothesis import strategies as st

RAW = st.text(st.characters(min_codepoint=33, max_codepoint=255, blacklist_characters="?#"), max_size=40)
KEYS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


@given(KEYS)
def test_a_path_is_canonical_when_every_byte_but_the_unreserved_is_encoded(key: str) -> None:
    """S3-CHECKLIST 11"""
    encoded = quote(key, safe="/-._~")
    assert canonical_path("/" + encoded) == "/" + encoded


@given(KEYS)
def test_what_a_client_left_unencoded_is_encoded(key: str) -> None:
    """S3-CHECKLIST 11"""
    sent = key.replace("%", "%25").encode().decode("latin-1")
    assert canonical_path("/" + sent) == "/" + quote(key, safe="/-._~")


@given(RAW)
def test_the_canonical_form_of_a_path_is_its_own(raw: str) -> None:
    assert canonical_path(canonical_path(raw)) == canonical_path(raw)


@given(RAW)
def test_a_path_means_the_same_key_in_its_canonical_form(raw: str) -> None:
    """Otherwise a signature for one key would open another."""
    assert unquote_to_bytes(canonical_path(raw)) == unquote_to_bytes(raw.encode("latin-1"))


@given(KEYS, KEYS)
def test_two_keys_never_have_the_same_canonical_path(one: str, other: str) -> None:
    paths = [canonical_path("/" + quote(key, safe="/-._~")) for key in (one, other)]
    assert (paths[0] == paths[1]) == (one == other)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("", ""),
        ("uploads", "uploads="),
        ("uploads=", "uploads="),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1&a=", "a=&a=1&a=2"),
        ("a=1&&b=2&", "a=1&b=2"),
        ("a=b=c", "a=b%3Dc"),
        ("a+b=c+d", "a%20b=c%20d"),
        ("a=%2B", "a=%2B"),
        ("a=%c3%a9", "a=%C3%A9"),
        ("a=/", "a=%2F"),
        ("a=~-._", "a=~-._"),
        ("x-id=GetObject", "x-id=GetObject"),
        ("B=1&a=1&A=1", "A=1&B=1&a=1"),
    ],
)
def test_a_query_is_sorted_and_encoded(raw: str, canonical: str) -> None:
    """S3-CHECKLIST 12, S3-CHECKLIST 54"""
    assert canonical_query(raw) == canonical


@given(st.lists(st.tuples(KEYS, KEYS)))
def test_the_order_of_a_query_does_not_matter(pairs: list[tuple[str, str]]) -> None:
    """S3-CHECKLIST 12"""
    parts = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs]
    found = canonical_query("&".join(parts))
    assert found == canonical_query("&".join(reversed(parts)))
    given = sorted((name.encode(), value.encode()) for name, value in pairs)
    read = [tuple(map(unquote_to_bytes, part.split("="))) for part in found.split("&") if found]
    assert sorted(read) == given


@given(st.text("%+=&aB0\u00e9", max_size=20))
def test_a_query_is_signed_as_handlers_read_it(raw: str) -> None:
    sent = raw.encode().decode("latin-1")
    found = canonical_query("a=" + sent.replace("&", "").replace("%", "%25"))
    value = percent_decode(found.removeprefix("a="))
    assert value == raw.replace("&", "").replace("+", " ")


def test_a_signature_is_left_out_wherever_it_stands() -> None:
    query = "X-Amz-Signature=1&a=1&X-Amz-Signature=2&X%2DAmz%2DSignature=3&x-amz-signature=4"
    assert canonical_query(query, "X-Amz-Signature") == "a=1&x-amz-signature=4"


def test_runs_of_spaces_in_headers_become_one() -> None:
    headers = {"host": "h", "x-amz-meta-a": "a  b   c", "x-amz-meta-b": "a\tb"}
    lines = canonical_headers(headers, ["host", "x-amz-meta-a", "x-amz-meta-b", "x-amz-meta-c"])
    assert lines == "host:h\nx-amz-meta-a:a b c\nx-amz-meta-b:a b\nx-amz-meta-c:\n"


def test_bytes_of_utf_8_are_no_spaces_whatever_latin_1_makes_of_them() -> None:
    value = "\u00e0  \u00c5\u2003".encode().decode("latin-1")
    assert canonical_headers({"x-amz-meta-a": value}, ["x-amz-meta-a"]) == "x-amz-meta-a:" + (
        "\u00e0 \u00c5\u2003\n".encode().decode("latin-1")
    )


def test_a_key_is_derived_once() -> None:
    keys = SigningKeys()
    first = keys.get("k", "secret", "20130524", "us-east-1")
    assert first == signing_key("secret", "20130524", "us-east-1")
    assert keys.get("k", "another", "20130524", "us-east-1") is first
    assert keys.get("l", "another", "20130524", "us-east-1") != first


def test_remembered_keys_are_bounded() -> None:
    """A client chooses the day that it signs for."""
    keys = SigningKeys(limit=8)
    for day in range(100):
        keys.get("k", "secret", f"{20130000 + day}", "us-east-1")
        assert len(keys._keys) <= 8
    assert keys.get("k", "secret", "20130524", "us-east-1") == signing_key("secret", "20130524", "us-east-1")
