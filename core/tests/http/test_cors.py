"""CORS rules: which one is about a request, and what it adds."""

import pytest
from bleepstore.http.cors import rules
from bleepstore.xml import write
from bleepstore.xml.shapes import CORSConfiguration, CORSRule


def rule(*origins: str, methods: tuple[str, ...] = ("GET",), **more):
    made = CORSRule(allowed_origins=origins, allowed_methods=methods, **more)
    return rules(write(CORSConfiguration(cors_rules=(made,))))[0]


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("*", "http://any.example", True),
        ("http://a.example", "http://a.example", True),
        ("http://a.example", "http://a.example.evil", False),
        ("http://a.example", "https://a.example", False),
        ("http://*.a.example", "http://b.a.example", True),
        ("http://*.a.example", "http://a.example", False),
        ("http://*.a.example", "http://b.a.example.evil", False),
        ("http://a.example:*", "http://a.example:8080", True),
        ("https://*", "https://any.example", True),
        ("https://*", "http://any.example", False),
        ("http://a+example", "http://aaexample", False),
    ],
)
def test_an_origin_is_compared_with_one_wildcard(pattern, origin, allowed):
    assert rule(pattern).allows(origin, "GET") is allowed


def test_methods_are_compared_exactly():
    one = rule("*", methods=("GET", "PUT"))
    assert [one.allows("o", method) for method in ("GET", "PUT", "POST", "get")] == [True, True, False, False]


def test_every_header_of_a_preflight_must_be_allowed():
    one = rule("*", allowed_headers=("X-Amz-*", "Content-Type"))
    assert one.allows("o", "GET", ("x-amz-date", "content-type"))
    assert not one.allows("o", "GET", ("x-amz-date", "authorization"))
    assert rule("*", allowed_headers=("*",)).allows("o", "GET", ("anything",))
    assert not rule("*").allows("o", "GET", ("anything",))


def test_a_page_of_a_named_origin_may_send_credentials_and_of_any_may_not():
    named = rule("http://a.example").reply_headers("http://a.example")
    assert named["access-control-allow-origin"] == "http://a.example"
    assert named["access-control-allow-credentials"] == "true"
    anybody = rule("*").reply_headers("http://a.example")
    assert anybody["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in anybody


def test_the_reply_says_what_the_rule_says():
    one = rule("*", methods=("GET", "PUT"), expose_headers=("ETag", "x-amz-meta-a"), max_age_seconds=0)
    assert one.reply_headers("o", ("a", "b")) == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "a, b",
        "access-control-expose-headers": "ETag, x-amz-meta-a",
        "access-control-max-age": "0",
    }
