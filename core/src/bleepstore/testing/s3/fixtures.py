"""The fixtures of the kit: clients of the server under test, and buckets that are gone after each test.

``from bleepstore.testing.s3.fixtures import *`` in a ``conftest.py`` gives them to tests; override
``target`` to say which server is meant, or ``endpoint`` to start one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bleepstore.testing.s3.buckets import Ledger, connect, create, open_to_acls, remove
from bleepstore.testing.s3.target import Account, Target

__all__ = [
    "acl_bucket",
    "anonymous",
    "bucket",
    "endpoint",
    "ledger",
    "make_acl_bucket",
    "make_bucket",
    "make_client",
    "new_name",
    "other",
    "s3",
    "target",
    "virtual",
]

TARGET = pytest.StashKey[Target]()
"""Where who runs the kit puts its target; otherwise the environment names it."""
LEDGER = pytest.StashKey[Ledger]()

Client = Any
MakeBucket = Callable[..., str]


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    """Where the tests go and who they are."""
    return pytestconfig.stash.get(TARGET, None) or Target.from_environment()


@pytest.fixture(scope="session")
def endpoint(target: Target) -> str:
    """The URL of the endpoint, without a slash at its end."""
    assert target.url, "set BLEEPSTORE_ENDPOINT, or override the fixture `target` or `endpoint`"
    return target.url.rstrip("/")


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> Ledger:
    """The buckets that this run made."""
    return pytestconfig.stash.setdefault(LEDGER, Ledger())


@pytest.fixture(scope="session")
def make_client(endpoint: str, target: Target, ledger: Ledger) -> Callable[..., Client]:
    """``make_client(account=None, **config)``: a client of the first account with other settings."""

    def make(account: Account | None = None, **options: Any) -> Client:
        return ledger.watch(connect(endpoint, target, account or target.first, **options))

    return make


@pytest.fixture(scope="session")
def s3(make_client: Callable[..., Client]) -> Client:
    """The client of the first account."""
    return make_client()


@pytest.fixture(scope="session")
def other(make_client: Callable[..., Client], target: Target) -> Client:
    """The client of a second account."""
    if target.second is None:
        pytest.skip(NO_SECOND)
    return make_client(target.second)


NO_SECOND = "needs a second account of the server"


@pytest.fixture(scope="session")
def anonymous(endpoint: str, target: Target) -> Client:
    """A client that signs nothing."""
    return connect(endpoint, target, None)


@pytest.fixture
def make_bucket(s3: Client, target: Target) -> Iterator[MakeBucket]:
    """``make_bucket(client=s3, name=None, **parameters)``: a new bucket, removed after the test."""
    made: list[tuple[Client, str]] = []

    def make(client: Client = s3, name: str | None = None, **parameters: Any) -> str:
        name = name or target.new_name()
        made.append((client, name))
        return create(client, name, target.region, **parameters)

    yield make
    for client, name in made:
        remove(client, name)


@pytest.fixture
def bucket(make_bucket: MakeBucket) -> str:
    """The name of a new bucket."""
    return make_bucket()


@pytest.fixture
def make_acl_bucket(s3: Client, make_bucket: MakeBucket) -> MakeBucket:
    """Like ``make_bucket``; the bucket takes ACLs, public ones too, which AWS's new buckets do not."""

    def make(client: Client = s3, **parameters: Any) -> str:
        acl = parameters.pop("ACL", None)
        name = make_bucket(client, ObjectOwnership="ObjectWriter", **parameters)
        open_to_acls(client, name)
        if acl:
            client.put_bucket_acl(Bucket=name, ACL=acl)
        return name

    return make


@pytest.fixture
def acl_bucket(make_acl_bucket: MakeBucket) -> str:
    """The name of a new bucket that takes ACLs."""
    return make_acl_bucket()


@pytest.fixture
def new_name(target: Target) -> Callable[..., str]:
    """Makes names that no bucket has."""
    return target.new_name


@pytest.fixture(scope="session")
def virtual(endpoint: str, target: Target, ledger: Ledger) -> Client:
    """A client that names the bucket in the Host header, and needs no DNS for it.

    It signs for ``BUCKET.localhost:PORT`` (or the endpoint's own name) and connects to the endpoint.
    """
    parts = urlsplit(endpoint)
    named = endpoint
    if parts.hostname in ("127.0.0.1", "localhost"):
        named = f"{parts.scheme}://localhost:{parts.port}"
    client = ledger.watch(connect(named, target, target.first, s3={"addressing_style": "virtual"}))

    def connect_to_endpoint(request: Any, **_: Any) -> None:
        signed = urlsplit(request.url)
        request.headers["Host"] = signed.netloc
        request.url = endpoint + request.url.partition(signed.netloc)[2]

    client.meta.events.register("before-send.s3", connect_to_endpoint)
    return client
