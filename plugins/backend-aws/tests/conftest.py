import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from aws import BUCKET, KEYS, UPSTREAMS, Endpoint, settings
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
