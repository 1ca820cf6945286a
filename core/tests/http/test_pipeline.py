"""The order in which a request is decided: nothing runs, and no body is read, before it is allowed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from bleepstore.errors import S3Error
from bleepstore.exchange import (
    ANONYMOUS,
    Access,
    Account,
    Authentication,
    Authenticator,
    Authorizer,
    Decision,
    Exchange,
    Handler,
    Identity,
    Reply,
)
from bleepstore.http.address import Addressing, DomainResolver
from bleepstore.http.headers import parse_query
from bleepstore.http.pipeline import Pipeline, allowed
from bleepstore.http.refusals import s3_error
from bleepstore.metadata import (
    BucketRecord,
    MetadataBusy,
    MetadataFull,
    MetadataUnavailable,
    Reason,
    Refused,
)
from bleepstore.operations import AclRight, Load, Operation, OperationTable, Permission, Scope
from bleepstore.settings import Settings
from bleepstore.storage import OutOfSpace, Unavailable

pytestmark = pytest.mark.anyio

READ = Permission(action="s3:GetObject", right=AclRight.READ, on=Scope.OBJECT)
BUCKET = BucketRecord(id=1, name="b", owner="owner", region="us-east-1", created=0)
ME = Authentication(identity=Identity(account=Account(id="me", display_name=""), access_key="me"))


class Bucket:
    """Metadata of one bucket without objects; what was asked of it is noted."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    async def bucket(self, name: str) -> BucketRecord | None:
        self._log.append("load")
        return BUCKET if name == "b" else None

    async def object(self, name: str, key: str, version: str | None, *, data: bool = False) -> Any:
        return await self.bucket(name), None

    @contextmanager
    def reading(self) -> Iterator[None]:
        yield


class Says(Authorizer):
    """Votes always the same, or by the action."""

    def __init__(self, decision: Decision, log: list[str], **by_action: Decision) -> None:
        self._decision, self._log, self._by_action = decision, log, by_action

    async def authorize(self, access: Access) -> Decision:
        self._log.append("authorize")
        return self._by_action.get(access.permission.action.removeprefix("s3:"), self._decision)


class Finds(Authenticator):
    """Finds always the same."""

    def __init__(self, finding: Authentication | None, log: list[str]) -> None:
        self._finding, self._log = finding, log

    async def authenticate(self, x: Exchange) -> Authentication | None:
        self._log.append("authenticate")
        return self._finding


class Untouched:
    """A body that nobody may read."""

    def authenticated(self, authentication: Authentication) -> None:
        self.authentication = authentication


ALLOW, DENY, ABSTAIN = Decision.ALLOW, Decision.DENY, Decision.ABSTAIN


@pytest.fixture
def run(services: Any) -> Any:
    """Answer one request by a table of one row; returns the reply and what happened, in order."""

    async def answer(
        *votes: Authorizer | Decision,
        finds: tuple[Authentication | None, ...] = (ME,),
        method: str = "GET",
        path: str = "/b",
        query: str = "",
        headers: dict[str, str] | None = None,
        wrappers: tuple[Any, ...] = (),
        built: bool = True,
        **row: Any,
    ) -> tuple[Reply, list[str], Exchange]:
        log: list[str] = x_log
        log.clear()

        async def handler(x: Exchange) -> Reply:
            log.append("handler")
            return Reply()

        given = {"name": "Op", "method": "GET", "scope": Scope.BUCKET, "permission": READ, **row}
        table = OperationTable([Operation(**given, handler=handler if built else None)])
        held = replace(
            services(Settings()),
            metadata=Bucket(log),
            authenticators=tuple(Finds(finding, log) for finding in finds),
            authorizers=tuple(v if isinstance(v, Authorizer) else Says(v, log) for v in votes),
        )
        x = Exchange()
        x.services, x.method, x.raw_path, x.raw_query = held, method, path, query
        x.query, x.headers, x.host = parse_query(query), headers or {}, "localhost"
        x.body = Untouched()  # type: ignore[assignment]
        x.bucket = x.object = x.upload = x.source = None
        pipeline = Pipeline(held, table, Addressing(("localhost",)), wrappers)
        return await pipeline.answer(x), log, x

    x_log: list[str] = []
    answer.log = x_log  # type: ignore[attr-defined]
    return answer


async def code_of(coroutine: Any) -> str:
    with pytest.raises(S3Error) as caught:
        await coroutine
    return caught.value.code


async def test_a_request_is_authenticated_loaded_authorized_and_run(run: Any) -> None:
    _, log, x = await run(ALLOW)
    assert log == ["authenticate", "load", "authorize", "handler"]
    assert (x.bucket, x.identity.access_key) == (BUCKET, "me")


@pytest.mark.parametrize(
    ("votes", "allows"),
    [
        ((), False),
        ((ABSTAIN,), False),
        ((ALLOW,), True),
        ((DENY,), False),
        ((ABSTAIN, ALLOW), True),
        ((ALLOW, ABSTAIN), True),
        ((ALLOW, DENY), False),
        ((DENY, ALLOW), False),
        ((ALLOW, ALLOW, DENY), False),
    ],
)
async def test_a_deny_wins_then_any_allow_else_it_is_denied(run: Any, votes: Any, allows: bool) -> None:
    if allows:
        assert (await run(*votes))[1][-1] == "handler"
    else:
        assert await code_of(run(*votes)) == "AccessDenied"
        assert "handler" not in run.log


async def test_the_first_authenticator_that_knows_is_believed(run: Any) -> None:
    _, log, x = await run(ALLOW, finds=(None, ME, None))
    assert log.count("authenticate") == 2
    assert x.identity.access_key == "me"
    assert x.body.authentication is ME


async def test_a_request_that_nobody_knows_is_anonymous(run: Any) -> None:
    _, _, x = await run(ALLOW, finds=(None, None))
    assert x.identity is ANONYMOUS


async def test_what_is_not_built_is_told_to_who_may_alone(run: Any) -> None:
    assert await code_of(run(ALLOW, built=False)) == "NotImplemented"
    assert await code_of(run(ABSTAIN, built=False)) == "AccessDenied"


async def test_a_method_that_no_row_has_is_refused_before_anything_is_asked(run: Any) -> None:
    assert await code_of(run(ALLOW, method="PUT")) == "MethodNotAllowed"
    assert run.log == []


async def test_a_missing_bucket_is_no_such_bucket_for_anybody(run: Any) -> None:
    assert await code_of(run(DENY, path="/none")) == "NoSuchBucket"


async def test_a_missing_object_is_told_to_who_may_list(run: Any) -> None:
    """S3-CHECKLIST 51"""
    about = {"path": "/b/k", "scope": Scope.OBJECT, "loads": Load.OBJECT}
    lists = Says(ABSTAIN, [], ListBucket=ALLOW)
    reads = Says(ABSTAIN, [], GetObject=ALLOW)
    assert await code_of(run(lists, **about)) == "NoSuchKey"
    assert await code_of(run(reads, **about)) == "AccessDenied"
    assert await code_of(run(lists, **about, query="versionId=abc")) == "NoSuchVersion"


@pytest.mark.parametrize("expected", ["", "other", "OWNER"])
async def test_another_owner_than_expected_is_denied_before_authorizers_are_asked(
    run: Any, expected: str
) -> None:
    headers = {"x-amz-expected-bucket-owner": expected}
    assert await code_of(run(ALLOW, headers=headers)) == "AccessDenied"
    assert "authorize" not in run.log
    assert await run(ALLOW, headers={"x-amz-expected-bucket-owner": "owner"})


async def test_an_operation_that_names_its_keys_decides_for_each(run: Any) -> None:
    """S3-CHECKLIST 36"""
    _, log, _ = await run(DENY, per_key=True)
    assert log == ["authenticate", "load", "handler"]


async def test_a_copy_source_is_found_and_authorized_before_the_handler(run: Any) -> None:
    """S3-CHECKLIST 34"""
    headers = {"x-amz-copy-source": "b/k"}
    source = Permission(action="s3:ReadSource", right=AclRight.READ, on=Scope.OBJECT)
    votes = Says(ALLOW, [], ListBucket=ABSTAIN)
    assert await code_of(run(votes, headers=headers, source=source)) == "AccessDenied"
    assert await code_of(run(ALLOW, headers=headers, source=source)) == "NoSuchKey"
    assert await code_of(run(ALLOW, headers={"x-amz-copy-source": "none/k"}, source=source)) == "NoSuchBucket"
    assert "handler" not in run.log


async def test_wrappers_stand_around_the_handler_the_first_outermost(run: Any) -> None:
    def named(name: str) -> Any:
        async def wrapper(x: Exchange, handler: Handler) -> Reply:
            run.log.append(f"{name} before")
            reply = await handler(x)
            run.log.append(f"{name} after")
            return reply

        return wrapper

    _, log, _ = await run(ALLOW, wrappers=(named("a"), named("b")))
    assert log[3:] == ["a before", "b before", "handler", "b after", "a after"]
    await code_of(run(DENY, wrappers=(named("a"),)))
    assert "a before" not in run.log


async def test_nobody_to_ask_is_a_denial(services: Any) -> None:
    access = Access(identity=ANONYMOUS, permission=READ, exchange=Exchange())
    assert not await allowed(services(Settings()), access)


NO_MISTAKE_OF_THE_CLIENT = (Reason.HELD, Reason.RESERVATION_LOST)


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        *[(Refused(reason), None, None) for reason in Reason if reason not in NO_MISTAKE_OF_THE_CLIENT],
        (Refused(Reason.HELD), "SlowDown", 503),
        (Refused(Reason.RESERVATION_LOST), "InternalError", 500),
        *[(Refused(r), "OperationAborted", 409) for r in (Reason.SOURCE_CHANGED, Reason.UPLOAD_CHANGED)],
        (MetadataBusy(), "SlowDown", 503),
        (Unavailable("x"), "SlowDown", 503),
        (MetadataFull("x"), "InsufficientStorage", 507),
        (OutOfSpace("x"), "InsufficientStorage", 507),
        (MetadataUnavailable("x"), "InternalError", 500),
    ],
    ids=repr,
)
def test_every_fault_is_an_error_of_s3(fault: Exception, code: str | None, status: int | None) -> None:
    x = Exchange()
    x.method, x.bucket_name, x.key, x.query, x.request_id = "GET", "b", "k", {}, "ID"
    x.operation = Operation(name="Op", method="GET", scope=Scope.BUCKET, permission=READ)
    error = s3_error(fault, x)
    if code is None:
        assert 400 <= error.status < 500
    else:
        assert (error.code, error.status) == (code, status)


def test_hosts_that_are_remembered_are_few_and_short() -> None:
    """A client chooses its Host header: 32 KB each would be a lot to remember."""
    resolver = DomainResolver(("localhost",))
    for n in range(3000):
        assert resolver.bucket_of(f"b{n}.localhost") == f"b{n}"
        assert resolver.bucket_of(f"{'b' * 1000}{n}.localhost") == f"{'b' * 1000}{n}"
    remembered = resolver._bucket.cache_info()
    assert remembered.currsize <= 1024
    assert remembered.misses == 3000
