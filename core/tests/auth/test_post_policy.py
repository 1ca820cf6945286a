"""Policies of POST forms."""

import base64
import json
from typing import Any

import pytest
from bleepstore.auth.post_policy import read_policy
from bleepstore.errors import S3Error
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_369_353_600_000
FIELDS = {"key": "user/a", "content-type": "image/png", "policy": "...", "x-amz-signature": "..."}


def encoded(*conditions: Any, expiration: Any = "2013-05-24T00:00:01.000Z", **more: Any) -> str:
    policy = {"expiration": expiration, "conditions": list(conditions), **more}
    return base64.b64encode(json.dumps(policy).encode()).decode()


def refused(policy: str, fields: dict[str, str] | None = None, now: int = NOW) -> str:
    with pytest.raises(S3Error) as caught:
        read_policy(policy).check(fields or FIELDS, "b", now)
    assert caught.value.code == "AccessDenied"
    return caught.value.message


WHOLE = ({"bucket": "b"}, ["starts-with", "$key", "user/"], ["eq", "$Content-Type", "image/png"])


def test_a_form_that_is_as_its_policy_says_passes():
    read_policy(encoded(*WHOLE)).check(FIELDS, "b", NOW)


@pytest.mark.parametrize(
    "condition",
    [
        {"bucket": "other"},
        {"key": "user/b"},
        ["eq", "$key", "user/"],
        ["starts-with", "$key", "/user"],
        {"acl": "private"},
        ["starts-with", "$x-amz-meta-a", "1"],
        ["starts-with", "$x-amz-meta-a", ""],
        {"x-amz-meta-a": ""},
    ],
)
def test_a_condition_that_does_not_hold_is_named(condition):
    said = refused(encoded(*WHOLE, condition))
    assert said.startswith("Invalid according to Policy: Policy Condition failed: [")


def test_every_field_must_be_covered():
    """S3-CHECKLIST 15: a field that no condition is about is refused, but for the four that sign."""
    said = refused(encoded(*WHOLE), {**FIELDS, "acl": "public-read"})
    assert said == "Invalid according to Policy: Extra input fields: acl"
    read_policy(encoded(*WHOLE)).check({**FIELDS, "x-ignore-this": "1"}, "b", NOW)


def test_any_content_is_a_prefix_that_is_empty():
    read_policy(encoded(*WHOLE, ["starts-with", "$x-amz-meta-tag", ""])).check(
        {**FIELDS, "x-amz-meta-tag": "whatever"}, "b", NOW
    )


def test_each_of_several_content_types_must_begin_so():
    policy = encoded({"bucket": "b"}, ["starts-with", "$key", ""], ["starts-with", "$Content-Type", "image/"])
    read_policy(policy).check({**FIELDS, "content-type": "image/jpg, image/gif"}, "b", NOW)
    refused(policy, {**FIELDS, "content-type": "image/jpg, text/html"})


def test_a_policy_expires():
    assert refused(encoded(*WHOLE), now=NOW + 1001) == "Invalid according to Policy: Policy expired."


def test_the_range_of_lengths_is_read():
    assert read_policy(encoded(*WHOLE, ["content-length-range", 1, "10"])).length == (1, 10)
    assert read_policy(encoded(*WHOLE)).length is None
    both = encoded(*WHOLE, ["content-length-range", 1, 10], ["content-length-range", 5, 50])
    assert read_policy(both).length == (5, 10)


@pytest.mark.parametrize(
    "policy",
    [
        "%%%",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        encoded(expiration=None),
        encoded(expiration="tomorrow"),
        encoded(more=1),
        encoded("key"),
        encoded({}),
        encoded({"key": ["a"]}),
        encoded(["eq", "key", "a"]),
        encoded(["ends-with", "$key", "a"]),
        encoded(["eq", "$key"]),
        encoded(["content-length-range", 5, 1]),
        encoded(["content-length-range", "a", "b"]),
        encoded(["content-length-range", 1]),
        encoded(["content-length-range", 0, float("inf")]),
        encoded(["content-length-range", True, 5]),
        base64.b64encode(
            b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [], "conditions": []}'
        ).decode(),
        base64.b64encode(b'{"expiration": "2013-05-24T00:00:01.000Z"}').decode(),
    ],
    ids=lambda text: text[:24],
)
def test_what_cannot_be_read_is_an_invalid_policy(policy):
    with pytest.raises(S3Error) as caught:
        read_policy(policy)
    assert (caught.value.code, caught.value.status) == ("InvalidPolicyDocument", 400)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_no_document_allows_a_form_that_it_does_not_name(value):
    policy = json.dumps({"expiration": "2030-01-01T00:00:00Z", "conditions": value}).encode()
    with pytest.raises(S3Error, match=r"AccessDenied|InvalidPolicyDocument"):
        read_policy(base64.b64encode(policy).decode()).check(FIELDS, "b", NOW)
