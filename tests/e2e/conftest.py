"""The endpoint under test, clients of it, and buckets that are gone after each test.

Environment:

``BLEEPSTORE_ENDPOINT``           URL of the endpoint; with it nothing is started
``BLEEPSTORE_E2E_EXISTING=1``     without it: use http://localhost:9000 when something answers there
``BLEEPSTORE_E2E_WORKERS``        worker processes of a server that the suite starts itself (1)
``AWS_ACCESS_KEY_ID`` ...         credentials, also of a server started here; the documented default
``BLEEPSTORE_E2E_ALT_ACCESS_KEY`` and ``..._ALT_SECRET_KEY``: another account of a given endpoint
``AWS_DEFAULT_REGION``            region (us-east-1)

A second account is a capability: without one the tests marked ``second_account`` are deselected,
and the header of the run says so.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.client import Config
from botocore.exceptions import ClientError
from server_process import FIRST, SECOND, Account, ServerProcess, answers

DEFAULT_ENDPOINT = "http://localhost:9000"

Client = Any
MakeBucket = Callable[..., str]


@dataclass(frozen=True)
class Target:
    """Where the tests go and who they are."""

    url: str | None
    """``None``: a server is started here."""
    first: Account
    second: Account | None
    region: str


def _target() -> Target:
    url = os.environ.get("BLEEPSTORE_ENDPOINT")
    if not url and os.environ.get("BLEEPSTORE_E2E_EXISTING") == "1" and answers(DEFAULT_ENDPOINT):
        url = DEFAULT_ENDPOINT
    first = Account(
        os.environ.get("AWS_ACCESS_KEY_ID", FIRST.access_key),
        os.environ.get("AWS_SECRET_ACCESS_KEY", FIRST.secret_key),
    )
    second = None if url else SECOND
    if os.environ.get("BLEEPSTORE_E2E_ALT_ACCESS_KEY"):
        second = Account(
            os.environ["BLEEPSTORE_E2E_ALT_ACCESS_KEY"], os.environ["BLEEPSTORE_E2E_ALT_SECRET_KEY"]
        )
    return Target(url or None, first, second, os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))


TARGET = pytest.StashKey[Target]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "second_account: needs credentials of another account")
    config.stash[TARGET] = _target()


def pytest_report_header(config: pytest.Config) -> str:
    target = config.stash[TARGET]
    second = "yes" if target.second else "NO (set BLEEPSTORE_E2E_ALT_ACCESS_KEY and _SECRET_KEY)"
    return f"e2e: endpoint {target.url or 'started here'}, second account: {second}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.stash[TARGET].second is not None:
        return
    needing = [item for item in items if item.get_closest_marker("second_account")]
    if needing:
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def endpoint(target: Target) -> Iterator[str]:
    """The URL of the endpoint, without a slash at its end."""
    if target.url:
        yield target.url.rstrip("/")
        return
    workers = int(os.environ.get("BLEEPSTORE_E2E_WORKERS", "1"))
    accounts = [target.first] + ([target.second] if target.second else [])
    with tempfile.TemporaryDirectory(prefix="bleepstore-e2e-") as directory:
        server = ServerProcess(Path(directory), workers=workers, accounts=accounts, region=target.region)
        try:
            yield server.start().url
            assert server.stop() == 0
        finally:
            server.kill()


def _client(endpoint: str, target: Target, account: Account | None, **options: Any) -> Client:
    defaults: dict[str, Any] = {
        "signature_version": "s3v4" if account else UNSIGNED,
        "retries": {"total_max_attempts": 1},
        "s3": {"addressing_style": "path"},
    }
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=target.region,
        aws_access_key_id=account.access_key if account else None,
        aws_secret_access_key=account.secret_key if account else None,
        config=Config(**{**defaults, **options}),
    )


@pytest.fixture(scope="session")
def make_client(endpoint: str, target: Target) -> Callable[..., Client]:
    """``make_client(account=None, **config)``: a client of the first account with other settings."""

    def make(account: Account | None = None, **options: Any) -> Client:
        return _client(endpoint, target, account or target.first, **options)

    return make


@pytest.fixture(scope="session")
def s3(endpoint: str, target: Target) -> Client:
    """The client of the first account."""
    return _client(endpoint, target, target.first)


@pytest.fixture(scope="session")
def other(endpoint: str, target: Target) -> Client:
    """The client of a second account."""
    return _client(endpoint, target, target.second)


@pytest.fixture(scope="session")
def anonymous(endpoint: str, target: Target) -> Client:
    """A client that signs nothing."""
    return _client(endpoint, target, None)


def unique_name(prefix: str = "bleep-e2e") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:20]}"


def create(client: Client, name: str, region: str, **parameters: Any) -> str:
    if region != "us-east-1":
        parameters.setdefault("CreateBucketConfiguration", {"LocationConstraint": region})
    client.create_bucket(Bucket=name, **parameters)
    return name


def remove(client: Client, name: str) -> None:
    """Remove a bucket with all that is in it; it may be gone already."""
    with suppress(client.exceptions.NoSuchBucket):
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                client.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=name):
            for upload in page.get("Uploads", []):
                client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        client.delete_bucket(Bucket=name)


@pytest.fixture
def make_bucket(s3: Client, target: Target) -> Iterator[MakeBucket]:
    """``make_bucket(client=s3, name=None, **parameters)``: a new bucket, removed after the test."""
    made: list[tuple[Client, str]] = []

    def make(client: Client = s3, name: str | None = None, **parameters: Any) -> str:
        name = name or unique_name()
        made.append((client, name))
        return create(client, name, target.region, **parameters)

    yield make
    for client, name in made:
        try:
            remove(client, name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise


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
        client.delete_public_access_block(Bucket=name)
        if acl:
            client.put_bucket_acl(Bucket=name, ACL=acl)
        return name

    return make


@pytest.fixture
def acl_bucket(make_acl_bucket: MakeBucket) -> str:
    return make_acl_bucket()


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Makes names that no bucket has."""
    return unique_name


@pytest.fixture(scope="session")
def virtual(endpoint: str, target: Target) -> Client:
    """A client that names the bucket in the Host header, and needs no DNS for it.

    It signs for ``BUCKET.localhost:PORT`` (or the endpoint's own name) and connects to the endpoint.
    """
    parts = urlsplit(endpoint)
    named = endpoint
    if parts.hostname in ("127.0.0.1", "localhost"):
        named = f"{parts.scheme}://localhost:{parts.port}"
    client = _client(named, target, target.first, s3={"addressing_style": "virtual"})

    def connect_to_endpoint(request: Any, **_: Any) -> None:
        signed = urlsplit(request.url)
        request.headers["Host"] = signed.netloc
        request.url = endpoint + request.url.partition(signed.netloc)[2]

    client.meta.events.register("before-send.s3", connect_to_endpoint)
    return client
