import os
import secrets
from collections.abc import Callable, Iterator

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from azurite import azurite, connection_string
from bleepstore_backend_azure.backend import AzureBackend
from bleepstore_backend_azure.plugin import AzureSettings

pytest.register_assert_rewrite(
    "bleepstore.testing.storage", "bleepstore.testing.native_storage", "bleepstore.testing.plugin_hygiene"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The endpoint of a running emulator."""
    with azurite() as endpoint:
        yield endpoint


@pytest.fixture
def container(emulator: str) -> Iterator[ContainerClient]:
    """A new container."""
    with BlobServiceClient.from_connection_string(connection_string(emulator)) as service:
        container = service.get_container_client(f"c{secrets.token_hex(8)}")
        container.create_container()
        yield container
        container.delete_container()


@pytest.fixture(autouse=True)
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's credentials, and none of the machine's."""
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    if "container" in request.fixturenames:
        endpoint = request.getfixturevalue("emulator")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string(endpoint))


@pytest.fixture
def make(container: ContainerClient) -> Callable[..., AzureBackend]:
    """Make a backend over the container, not started."""

    def make(**settings: object) -> AzureBackend:
        settings = {"container": container.container_name, "prefix": "some/where"} | settings
        return AzureBackend(AzureSettings(**settings))

    return make
