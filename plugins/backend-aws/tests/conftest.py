import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import native_writes
import pytest
from aws import BUCKET, KEYS, UPSTREAMS, Endpoint, settings
from bleepstore.storage import Blob
from bleepstore_backend_aws import names
from bleepstore_backend_aws.backend import AwsBackend
from bleepstore_backend_aws.plugin import AwsSettings

pytest.register_assert_rewrite(
    "bleepstore.testing.storage", "bleepstore.testing.native_storage", "bleepstore.testing.plugin_hygiene"
)

_numbers = itertools.count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of the upstreams, and none of the machine's."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in {**KEYS, **nothing, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Endpoint]]:
    """Upstreams by name, each started when it is first asked for."""
    endpoints: dict[str, Endpoint] = {}
    with ExitStack() as stack:

        def start(name: str) -> Endpoint:
            if name not in endpoints:
                endpoint = stack.enter_context(UPSTREAMS[name](tmp_path_factory.mktemp(name) / "server"))
                endpoint.client().create_bucket(Bucket=BUCKET)
                endpoints[name] = endpoint
            return endpoints[name]

        yield start


@pytest.fixture
def upstream_name() -> str:
    """Which upstream a test runs against."""
    return "bleepstore"


@pytest.fixture
def endpoint(upstream_name: str, started: Callable[[str], Endpoint]) -> Endpoint:
    """The upstream of a test."""
    return started(upstream_name)


@pytest.fixture
def prefix() -> str:
    """A place of its own in the bucket."""
    return f"some/where/{next(_numbers)}"


@pytest.fixture
def make(endpoint: Endpoint, upstream_name: str, prefix: str) -> Callable[..., AwsBackend]:
    """Make a backend over the bucket, not started."""

    def make(**more: object) -> AwsBackend:
        section = {"bucket": BUCKET, "prefix": prefix, **settings(endpoint, upstream_name), **more}
        return AwsBackend(AwsSettings(**section))

    return make


@pytest.fixture
async def storage(make: Callable[..., AwsBackend]) -> AsyncIterator[AwsBackend]:
    """A started backend."""
    from bleepstore.testing.storage import STORE

    storage = make()
    await storage.start(STORE, fresh=True)
    yield storage
    await storage.stop()


@pytest.fixture
def read(storage: AwsBackend) -> Callable[..., Awaitable[bytes]]:
    """All bytes of a span."""

    async def read(blob: Blob, start: int = 0, length: int | None = None) -> bytes:
        return await native_writes.read(storage, blob, start, length)

    return read


@pytest.fixture
def upstream(endpoint: Endpoint, prefix: str) -> Callable[..., dict[str, Any]]:
    """What the cloud's own SDK says of an object."""

    def get(name: str) -> dict[str, Any]:
        answer = endpoint.client().get_object(Bucket=BUCKET, Key=f"{prefix}/{name}")
        return {**answer, "Body": answer["Body"].read()}

    return get


@pytest.fixture
def uploads(storage: AwsBackend) -> Callable[[], list[str]]:
    """Ids of multipart uploads, and keys of their notes."""

    def found() -> list[str]:
        place = {"Bucket": storage.upstream.bucket, "Prefix": storage.upstream.prefix}
        client = storage.upstream.client
        uploads = client.list_multipart_uploads(**place).get("Uploads", ())
        objects = client.list_objects_v2(**place).get("Contents", ())
        return [u["UploadId"] for u in uploads] + [o["Key"] for o in objects if names.WRITES in o["Key"]]

    return found
