"""Bucket policies: what is understood, what is refused, and the verdicts."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from bleepstore.auth.actions import ACTIONS
from bleepstore.auth.policy import check, compile_policy
from bleepstore.auth.policy_conditions import wildcard
from bleepstore.errors import S3Error
from bleepstore.exchange import ANONYMOUS, Access, Authentication, Decision, Identity
from bleepstore.operations import AclRight, Permission, Scope
from bleepstore.s3.table import ROWS
from hypothesis import given
from hypothesis import strategies as st

BUCKET = "b"
ALLOW: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::b/*",
}


def document(*statements: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more}).encode()


@pytest.fixture
def decide(accounts, ask):
    def decide(
        *statements: dict[str, Any],
        action: str = "s3:GetObject",
        key: str | None = "k",
        who: str | None = None,
        target: str = "/b/k",
        headers: dict[str, str] | None = None,
        client: str = "127.0.0.1",
        scheme: str = "http",
        tags: bytes | None = None,
        operation: str = "GetObject",
        payload: str = "",
        signature: str = "AWS4-HMAC-SHA256",
        version: str | None = None,
        related: tuple[str, ...] = (),
    ) -> Decision:
        x = ask("GET", target, headers, operation=operation)
        x.client, x.scheme = client, scheme
        identity = ANONYMOUS
        if who is not None:
            identity = Identity(account=accounts.credentials(who)[0], access_key=who, signature=signature)
        x.authentication = Authentication(identity=identity, payload=payload)
        access = Access(
            identity=identity,
            permission=Permission(action=action, right=AclRight.READ, on=Scope.OBJECT),
            bucket=SimpleNamespace(name=BUCKET, owner="owner"),
            object=SimpleNamespace(tags=tags, owner="owner"),
            key=key,
            version=version,
            exchange=x,
        )
        return compile_policy(document(*statements), BUCKET, accounts).decide(access, [action], related)

    return decide


def statement(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**ALLOW, **changes}.items() if value is not None}


LIST: dict[str, Any] = {"action": "s3:ListBucket", "operation": "ListObjectsV2", "key": None}
PUT: dict[str, Any] = {"action": "s3:PutObject", "operation": "PutObject"}
EVERYTHING: dict[str, Any] = {"Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]}


def test_what_no_statement_is_about_is_left_to_others(decide):
    assert decide(ALLOW, action="s3:PutObject") is Decision.ABSTAIN
    assert decide(ALLOW, key=None) is Decision.ABSTAIN
    assert decide(statement(Resource="arn:aws:s3:::b/public/*")) is Decision.ABSTAIN


def test_everybody_may_what_is_allowed_to_everybody(decide):
    assert decide(ALLOW) is Decision.ALLOW
    assert decide(statement(Principal={"AWS": ["*"]})) is Decision.ALLOW
    assert decide(statement(Action=["s3:Get*"])) is Decision.ALLOW
    assert decide(statement(Action="S3:GETOBJECT")) is Decision.ALLOW


def test_a_deny_wins_whatever_the_order(decide):
    deny = statement(Effect="Deny", Resource="arn:aws:s3:::b/k")
    assert decide(ALLOW, deny) is Decision.DENY
    assert decide(deny, ALLOW) is Decision.DENY


@pytest.mark.parametrize(
    "principal",
    [
        {"CanonicalUser": "the third"},
        {"AWS": "the third"},
        {"AWS": "arn:aws:iam::the third:root"},
        {"AWS": "arn:aws:iam::anything:user/third"},
    ],
)
def test_one_account_is_named_by_its_id_or_an_arn(decide, principal):
    assert decide(statement(Principal=principal), who="third") is Decision.ALLOW
    assert decide(statement(Principal=principal), who="second") is Decision.ABSTAIN
    assert decide(statement(Principal=principal)) is Decision.ABSTAIN


def test_a_deny_may_spare_some(decide):
    deny = statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": "the third"})
    assert decide(deny, who="second") is Decision.DENY
    assert decide(deny) is Decision.DENY
    assert decide(deny, ALLOW, who="third") is Decision.ALLOW


def test_not_action_and_not_resource_are_all_but_those(decide):
    assert decide(statement(Action=None, NotAction="s3:Put*")) is Decision.ALLOW
    assert decide(statement(Action=None, NotAction="s3:Get*")) is Decision.ABSTAIN
    assert decide(statement(Resource=None, NotResource="arn:aws:s3:::b/secret/*")) is Decision.ALLOW


@pytest.mark.parametrize(
    ("condition", "facts", "holds"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"client": "10.1.2.3"}, True),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "fd00::/8"]}}, {"client": "fd00::1"}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"client": "192.168.0.1"}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"client": "10.1.2.3"}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"scheme": "https"}, True),
        ({"Bool": {"aws:SecureTransport": True}}, {"scheme": "http"}, False),
        ({"StringEquals": {"s3:prefix": ["", "home/"]}}, {**LIST, "target": "/b?prefix=home/"}, True),
        ({"StringEquals": {"s3:prefix": "home/"}}, {**LIST, "target": "/b?prefix=home"}, False),
        ({"StringEquals": {"s3:prefix": "home/"}}, {**LIST, "target": "/b"}, False),
        ({"StringEqualsIfExists": {"s3:prefix": "home/"}}, {**LIST, "target": "/b"}, True),
        ({"StringNotEquals": {"s3:x-amz-acl": "private"}}, {}, True),
        (
            {"StringNotEquals": {"s3:x-amz-acl": "private"}},
            {**PUT, "headers": {"x-amz-acl": "private"}},
            False,
        ),
        (
            {"StringLike": {"aws:Referer": "http://a.example/*"}},
            {"headers": {"referer": "http://a.example/x"}},
            True,
        ),
        (
            {"StringLike": {"aws:Referer": "http://a.example/*"}},
            {"headers": {"referer": "http://b.example/"}},
            False,
        ),
        ({"StringNotLike": {"aws:UserAgent": "curl*"}}, {"headers": {"user-agent": "curl/8"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:UserAgent": "BOT"}}, {"headers": {"user-agent": "bot"}}, True),
        ({"Null": {"s3:if-none-match": "true"}}, {}, True),
        ({"Null": {"s3:if-none-match": "true"}}, {**PUT, "headers": {"if-none-match": "*"}}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": 10}}, {**LIST, "target": "/b?max-keys=10"}, True),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, {**LIST, "target": "/b?max-keys=10"}, False),
        ({"NumericNotEquals": {"s3:max-keys": "10"}}, {**LIST, "target": "/b?max-keys=10"}, False),
        ({"NumericEquals": {"s3:max-keys": "10"}}, {**LIST, "target": "/b?max-keys=x"}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2013-05-23T00:00:00Z"}}, {}, True),
        ({"DateLessThan": {"aws:EpochTime": "1369353600"}}, {}, False),
        ({"StringEquals": {"s3:ExistingObjectTag/kind": "public"}}, {"tags": b"kind=public"}, True),
        ({"StringEquals": {"s3:ExistingObjectTag/kind": "public"}}, {"tags": b"kind=secret"}, False),
        ({"StringEquals": {"aws:username": "third"}}, {"who": "third"}, True),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, {}, False),
    ],
)
def test_conditions_hold_as_their_operators_say(decide, condition, facts, holds):
    expected = Decision.ALLOW if holds else Decision.ABSTAIN
    assert decide(statement(Condition=condition, **EVERYTHING), **facts) is expected


@pytest.mark.parametrize(
    ("condition", "facts", "holds"),
    [
        # what a socket of both families says of a client by IPv4
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"client": "::ffff:10.1.2.3"}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": 10}}, {**LIST, "target": "/b?max-keys=nan"}, False),
        ({"StringEquals": {"s3:signatureversion": "AWS"}}, {"who": "third"}, False),
        ({"StringEquals": {"s3:signatureversion": "AWS"}}, {"who": "third", "signature": "AWS"}, True),
        ({"Null": {"s3:signatureversion": "true"}}, {}, True),
        (
            {"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}},
            {**PUT, "payload": "UNSIGNED-PAYLOAD"},
            True,
        ),
        ({"StringEquals": {"s3:VersionId": "null"}}, {"version": "null"}, True),
        ({"Bool": {"s3:ObjectCreationOperation": "true"}}, PUT, True),
        ({"Bool": {"s3:ObjectCreationOperation": "true"}}, {**PUT, "operation": "UploadPart"}, False),
        ({"Bool": {"s3:ObjectCreationOperation": "false"}}, {}, False),
    ],
)
def test_facts_are_what_the_request_is_and_not_how_it_is_written(decide, condition, facts, holds):
    expected = Decision.ALLOW if holds else Decision.ABSTAIN
    assert decide(statement(Condition=condition, **EVERYTHING), **facts) is expected


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        ({"StringEquals": {"s3:prefix": "home/"}}, {"target": "/b/k?prefix=home/"}),
        (
            {"StringEquals": {"s3:prefix": "home/"}},
            {"action": "s3:ListBucket", "target": "/b/k?prefix=home/"},
        ),
        ({"StringEquals": {"s3:x-amz-acl": "private"}}, {"headers": {"x-amz-acl": "private"}}),
        ({"StringEquals": {"s3:if-none-match": "*"}}, {"headers": {"if-none-match": "*"}}),
        ({"StringLike": {"s3:x-amz-copy-source": "*"}}, {"headers": {"x-amz-copy-source": "s/k"}}),
    ],
)
def test_what_a_request_brings_along_is_no_fact_about_it(decide, condition, facts):
    """A key is there for the actions that have it only: anybody could add a parameter or a header."""
    assert decide(statement(Condition=condition, **EVERYTHING), **facts) is Decision.ABSTAIN


@pytest.mark.parametrize(
    "header", ["src/secret/a", "/src/secret/a", "src%2Fsecret%2Fa", "src/secre%74/a?versionId=null"]
)
@pytest.mark.parametrize("pattern", ["src/secret/*", "/src/secret/*"])
def test_a_copy_source_is_the_same_however_it_is_written(decide, header, pattern):
    deny = statement(
        Effect="Deny", Action="s3:PutObject", Condition={"StringLike": {"s3:x-amz-copy-source": pattern}}
    )
    facts = {**PUT, "operation": "CopyObject", "headers": {"x-amz-copy-source": header}}
    assert decide(deny, **facts) is Decision.DENY


@pytest.mark.parametrize(
    ("headers", "holds"),
    [
        ({"x-amz-tagging": "a=%C3%BC"}, True),
        ({"x-amz-tagging": "a=\xc3\xbc"}, True),
        ({"x-amz-tagging": "a=u"}, False),
        ({}, False),
        ({"x-amz-tagging": "a=%C3%BC", "x-amz-copy-source": "s/k"}, False),
        (
            {
                "x-amz-tagging": "a=%C3%BC",
                "x-amz-copy-source": "s/k",
                "x-amz-tagging-directive": "REPLACE",
            },
            True,
        ),
    ],
)
def test_the_tags_asked_for_are_those_that_the_object_gets(decide, headers, holds):
    made = statement(Action="s3:PutObject", Condition={"StringEquals": {"s3:RequestObjectTag/a": "ü"}})
    assert decide(made, **PUT, headers=headers) is (Decision.ALLOW if holds else Decision.ABSTAIN)


def test_a_deny_of_a_related_action_holds_and_an_allow_does_not(decide):
    facts = {"action": "s3:GetObjectVersion", "related": ("s3:GetObject",), "version": "null"}
    assert decide(statement(Action="s3:GetObject"), **facts) is Decision.ABSTAIN
    assert decide(statement(Action="s3:GetObjectVersion"), **facts) is Decision.ALLOW
    deny = statement(Action="s3:GetObject", Effect="Deny")
    assert decide(statement(Action="s3:GetObjectVersion"), deny, **facts) is Decision.DENY


def test_all_conditions_must_hold_and_any_of_their_values(decide):
    condition = {
        "Bool": {"aws:SecureTransport": "true"},
        "IpAddress": {"aws:SourceIp": ["10.0.0.1", "10.0.0.2"]},
    }
    both = statement(Condition=condition)
    assert decide(both, scheme="https", client="10.0.0.2") is Decision.ALLOW
    assert decide(both, scheme="http", client="10.0.0.2") is Decision.ABSTAIN
    assert decide(both, scheme="https", client="10.0.0.3") is Decision.ABSTAIN


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "allow"},
        {"Principal": None},
        {"Principal": "somebody"},
        {"Principal": {"AWS": "arn:aws:iam::nobody:root"}},
        {"Principal": {"Service": "s3.amazonaws.com"}},
        {"NotPrincipal": "*"},
        {"Principal": None, "NotPrincipal": {"AWS": "the third"}},
        {"Action": None},
        {"Action": []},
        {"Action": "s3:GetObjct"},
        {"Action": "ec2:RunInstances"},
        {"Resource": None},
        {"Resource": "arn:aws:s3:::other/*"},
        {"Resource": "b/*"},
        {"Resource": "arn:aws:s3:::b/${aws:username}/*"},
        {"Condition": []},
        {"Condition": {"StringEquals": {"aws:MadeUp": "x"}}},
        {"Condition": {"StringResembles": {"s3:prefix": "x"}}},
        {"Condition": {"ForAnyValue:StringEquals": {"s3:prefix": "x"}}},
        {"Condition": {"StringEquals": {"s3:prefix": {"a": 1}}}},
        {"Condition": {"StringEquals": {"s3:prefix": "${aws:username}"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "not an address"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "maybe"}}},
        {"Condition": {"DateLessThan": {"aws:CurrentTime": "tomorrow"}}},
        {"Condition": {"StringEquals": {"s3:ExistingObjectTag": "x"}}},
        {"Surprise": 1},
        {"Sid": 1},
        {"Resource": "arn:aws:s3:::b"},
        {"Action": "s3:ListBucket"},
        {"Action": "s3:Put*", "Condition": {"StringEquals": {"s3:RequestObjectTag/a": "1"}}},
        {"Condition": {"NumericLessThan": {"s3:max-keys": "nan"}}},
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused_and_never_ignored(accounts, changes):
    with pytest.raises(S3Error) as caught:
        check(document(statement(**changes)), BUCKET, accounts)
    assert (caught.value.code, caught.value.status) == ("MalformedPolicy", 400)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"{}",
        b'{"Statement": []}',
        b'{"Statement": [1]}',
        b'{"Version": "2020-01-01", "Statement": [{}]}',
        b'{"Statement": [{}], "Extra": 1}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"Statement": "' + b"x" * 30_000 + b'"}',
        document(ALLOW).replace(b'"Effect": "Allow"', b'"Effect": "Deny", "Effect": "Allow"'),
        document(ALLOW).decode().encode("utf-16"),
        b" " + document(ALLOW),
        document(statement(Sid="a"), statement(Sid="a")),
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_what_is_no_policy_is_malformed(accounts, text):
    with pytest.raises(S3Error) as caught:
        check(text, BUCKET, accounts)
    assert caught.value.code == "MalformedPolicy"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Action": ["s3:GetObject", "s3:ListBucket"]},
        {"Resource": "arn:aws:s3:::b*"},
        {"Resource": "arn:aws:s3:::*"},
        {"Action": "s3:AbortMultipartUpload"},
        {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b"},
        {"Action": "s3:GetBucketObjectLockConfiguration", "Resource": "arn:aws:s3:::?"},
        {"Action": None, "NotAction": "s3:ListBucket", "Resource": "arn:aws:s3:::b"},
        {"Sid": "one"},
    ],
    ids=str,
)
def test_a_statement_about_something_is_taken(accounts, changes):
    check(document(statement(**changes)), BUCKET, accounts)


def test_an_account_that_is_gone_is_nobody(accounts, decide):
    text = document(statement(Principal={"AWS": "gone"}))
    assert compile_policy(text, BUCKET, accounts).statements[0].principals == frozenset()


@pytest.mark.parametrize(
    ("statements", "public"),
    [
        ([ALLOW], True),
        ([statement(Effect="Deny")], False),
        ([statement(Principal={"AWS": "the third"})], False),
        ([statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})], False),
        ([statement(Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}})], True),
        ([statement(Condition={"StringLike": {"aws:Referer": "x*"}})], True),
        ([statement(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}})], True),
        ([statement(Condition={"IpAddress": {"aws:SourceIp": "fc00::/7"}})], False),
        ([statement(Condition={"IpAddress": {"aws:SourceIp": "2000::/3"}})], True),
        ([statement(Condition={"Null": {"aws:SourceIp": "false"}})], True),
        ([statement(Condition={"StringLike": {"aws:userid": "*"}})], True),
        ([statement(Condition={"StringEquals": {"aws:userid": "the third"}})], False),
        ([statement(Condition={"StringEqualsIfExists": {"aws:userid": "the third"}})], True),
    ],
)
def test_a_policy_is_public_when_it_allows_everybody_something(accounts, statements, public):
    assert compile_policy(document(*statements), BUCKET, accounts).public is public


def test_every_action_that_a_row_asks_for_can_be_named():
    assert {row.permission.action.lower() for row in ROWS if row.handler} <= ACTIONS | {
        "s3:createbucket",
        "s3:listallmybuckets",
    }


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_wildcards_match_as_the_two_characters_say(pattern, text):
    def matches(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return matches(p[1:], t) or (t != "" and matches(p, t[1:]))
        return t != "" and p[0] in (t[0], "?") and matches(p[1:], t[1:])

    assert (wildcard(pattern).fullmatch(text) is not None) is matches(pattern, text)
