"""What a client wrote and gets back: never more than a value of a header, or the text of an element.

Authority: RFC 9110 section 5.5 and https://www.w3.org/TR/xml/#charsets
"""

import xml.etree.ElementTree as ET
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import request_bytes

OVERRIDES = [
    "content-type",
    "content-language",
    "expires",
    "cache-control",
    "content-disposition",
    "content-encoding",
]
SPLITS = [
    "a\r\nset-cookie: b",
    "a\nset-cookie: b",
    "a\rset-cookie: b",
    "\r\n\r\n<html>",
    "a\0b",
    "\u560d\u560a",
]


@pytest.fixture
def stored(wire, bucket):
    """The path of an object that everybody may read."""
    assert wire.ask("PUT", f"{bucket}/k", b"x", x_amz_acl="public-read").status == 200
    return f"{bucket}/k"


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("value", SPLITS, ids=ascii)
def test_an_override_cannot_split_the_reply(wire, stored, name, value):
    """S3-CHECKLIST 31"""
    reply = wire.ask("GET", f"{stored}?response-{name}={quote(value)}")
    assert reply.error() == (400, "InvalidArgument")
    assert "set-cookie" not in reply.headers


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(max_codepoint=0x250), min_size=1, max_size=20))
def test_an_override_is_the_value_it_says_or_refused(wire, value):
    """S3-CHECKLIST 31"""
    target = "/wire-splitting/k"
    if wire.read(target) is None:
        assert wire.ask("PUT", "/wire-splitting", b"").status == 200
        assert wire.ask("PUT", target, b"x").status == 200
    reply = wire.ask("GET", f"{target}?response-content-disposition={quote(value)}")
    if reply.status == 200:
        assert reply.headers["content-disposition"].strip() == value.strip()
    else:
        assert reply.error() == (400, "InvalidArgument")


@pytest.mark.parametrize("value", ["=?UTF-8?Q?a=0D=0Aset-cookie:_b?=", "=?UTF-8?B?YQ0KYjogYw==?="])
def test_encoded_words_cannot_split_the_reply(wire, bucket, value):
    """S3-CHECKLIST 28: metadata is decoded when it comes, and encoded when it goes."""
    assert wire.ask("PUT", f"{bucket}/k", b"x", x_amz_meta_a=value).status == 200
    reply = wire.ask("GET", f"{bucket}/k")
    assert reply.body == b"x"
    assert "set-cookie" not in reply.headers
    assert reply.headers["x-amz-meta-a"].startswith("=?UTF-8?B?")


@pytest.mark.parametrize("name", ["Content-Type", "Cache-Control", "Content-Disposition", "Expires"])
def test_what_is_kept_comes_back_as_one_value(wire, bucket, name):
    """S3-CHECKLIST 28"""
    value = "a; b=\"c\", <d>&'e' %0D%0A f"
    headers = wire.signed("PUT", f"{bucket}/k", b"x", **{name: value}).headers
    assert wire.raw(request_bytes("PUT", f"{bucket}/k", headers, b"x")).status == 200
    assert wire.ask("GET", f"{bucket}/k").headers[name.lower()] == value


INJECTIONS = [
    "</Key><Code>Injected</Code><Key>",
    "<![CDATA[x]]>",
    "]]>",
    "&lt;&amp;&#60;",
    "<!-- x -->",
    "<?xml version='1.0'?>",
    '"><Code>',
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_keys_are_text_in_errors(wire, bucket, text):
    """S3-CHECKLIST 37"""
    reply = wire.ask("GET", f"{bucket}/{quote(text)}")
    assert reply.error() == (404, "NoSuchKey")
    assert ET.fromstring(reply.body).findtext("Key") == text


@pytest.mark.parametrize("text", INJECTIONS)
def test_keys_are_text_in_listings(wire, bucket, text):
    assert wire.ask("PUT", f"{bucket}/{quote(text)}", b"x").status == 200
    for query in ("list-type=2", "", "versions", f"list-type=2&prefix={quote(text)}&delimiter=%3C"):
        reply = wire.ask("GET", f"{bucket}?{query}")
        keys = [element.text for element in ET.fromstring(reply.body).iter() if element.tag.endswith("}Key")]
        assert keys in ([text], [])
        assert b"<Code>" not in reply.body


@pytest.mark.parametrize("text", INJECTIONS)
def test_arguments_are_text_in_errors(wire, stored, text):
    bucket = stored.rpartition("/")[0]
    for target in (
        f"{bucket}?max-keys={quote(text)}",
        f"{stored}?uploadId={quote(text)}",
        f"{stored}?versionId={quote(text)}",
        f"/{quote(text, safe='')}",
    ):
        assert wire.ask("GET", target).error()[0] in (400, 404)
    headers = {"Host": wire.host, "Authorization": text}
    assert wire.raw(request_bytes("GET", stored, headers)).error() == (400, "InvalidArgument")
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={text},SignedHeaders=host,Signature=0"
    headers["x-amz-date"] = "20260101T000000Z"
    assert wire.raw(request_bytes("GET", stored, headers)).error()[0] in (400, 403)


@pytest.mark.parametrize("character", ["%01", "%0B", "%1F", "%7F", "%EF%BF%BE", "%EF%BF%BF", "%C2%85"])
def test_what_xml_cannot_hold_breaks_no_error(wire, bucket, character):
    """S3-CHECKLIST 38"""
    assert wire.ask("GET", f"{bucket}/a{character}b").error() == (404, "NoSuchKey")
    assert wire.ask("GET", f"{bucket}?max-keys={character}").error()[0] == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-meta-a: b", "v"),
        ("x-amz-meta-\u2603", "v"),
        ("x-amz-meta-a", "a\nb"),
        ("Content-Type", "a\rb"),
    ],
)
def test_a_field_of_a_form_that_no_header_could_be_is_refused(wire, bucket, name, value):
    """S3-CHECKLIST 15"""
    assert wire.ask("PUT", f"{bucket}?acl", b"", x_amz_acl="public-read-write").status == 200
    fields = {"key": "k", name: value}
    part = "--b\r\nContent-Disposition: form-data; name="
    body = "".join(f'{part}"{field}"\r\n\r\n{text}\r\n' for field, text in fields.items())
    body += f'{part}"file"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    headers = {"Host": wire.host, "Content-Type": "multipart/form-data; boundary=b"}
    headers["Content-Length"] = str(len(body.encode()))
    reply = wire.raw(request_bytes("POST", bucket, headers, body.encode()))
    assert reply.error() == (400, "InvalidArgument")
    assert wire.read(f"{bucket}/k") is None
