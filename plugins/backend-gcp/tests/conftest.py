import os
from collections.abc import Callable, Iterator

import pytest
from bleepstore_backend_gcp.backend import GcpBackend
from bleepstore_backend_gcp.plugin import GcpSettings
from gcp import BUCKET, fake_gcs
from gcp_stub import Stub, strict

pytest.register_assert_rewrite(
    "bleepstore.testing.storage", "bleepstore.testing.native_storage", "bleepstore.testing.plugin_hygiene"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What an upstream cannot is expected to fail, so that the day it can is noticed."""
    for item in items:
        if why := getattr(getattr(item, "cls", None), "cannot", {}).get(item.name):
            item.add_marker(pytest.mark.xfail(reason=why, strict=True))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the machine's credentials, nor of its emulators."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR", "GCE_", "GCLOUD_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The endpoint of a running emulator."""
    with fake_gcs() as endpoint:
        yield endpoint


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A service that is strict, and fails as it is told."""
    with strict(BUCKET) as stub:
        yield stub


@pytest.fixture
def make(stub: Stub) -> Callable[..., GcpBackend]:
    """Make a backend over the stub, not started."""

    def make(**settings: object) -> GcpBackend:
        settings = {"bucket": BUCKET, "prefix": "some/where", "endpoint": stub.endpoint} | settings
        return GcpBackend(GcpSettings(**settings))

    return make
