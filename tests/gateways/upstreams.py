"""What stands behind each gateway: started, with a bucket of its own, and the settings that lead there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aws
import azurite
import gcp
import gcp_stub
from azure.storage.blob import BlobServiceClient
from foreign import PART, Aws, Azure, Cloud, Google
from server_process import ServerProcess

HERE = Path(__file__).parent
BUCKET = "upstream"
PREFIX = "gate/"
"""Before every name of the gateway's upstream."""


@dataclass(frozen=True)
class Upstream:
    """How a server reaches it."""

    storage: Mapping[str, object]
    """The section ``storage`` of the gateway's configuration."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Its credentials, where the cloud's own tools look for them."""
    cloud: Callable[[], AbstractContextManager[Cloud]] | None = None
    """What others use of it."""


@contextmanager
def local(directory: Path) -> Iterator[Upstream]:
    yield Upstream({"backend": "local"})


@contextmanager
def memory(directory: Path) -> Iterator[Upstream]:
    """The native backend without a cloud: what fails here is the core's."""
    yield Upstream({"backend": "memory-native"}, {"PYTHONPATH": str(HERE / "memory")})


def _aws(name: str) -> Callable[[Path], AbstractContextManager[Upstream]]:
    @contextmanager
    def start(directory: Path) -> Iterator[Upstream]:
        with aws.UPSTREAMS[name](directory) as endpoint:
            endpoint.client().create_bucket(Bucket=BUCKET)
            section = aws.settings(endpoint, name, bucket=BUCKET, region="us-east-1", prefix=PREFIX)
            others = nullcontext(Aws(endpoint.client(), BUCKET))
            yield Upstream({"backend": "aws", "aws": section}, aws.KEYS, lambda: others)

    return start


@contextmanager
def gcp_emulator(directory: Path) -> Iterator[Upstream]:
    with gcp.fake_gcs() as endpoint:
        yield _gcp(endpoint)


@contextmanager
def gcp_strict(directory: Path) -> Iterator[Upstream]:
    """The stub that honours what the emulator ignores: every precondition."""
    with gcp_stub.strict(gcp.BUCKET) as stub:
        yield _gcp(stub.endpoint)


def _gcp(endpoint: str) -> Upstream:
    section = {"bucket": gcp.BUCKET, "endpoint": endpoint, "prefix": PREFIX}
    return Upstream({"backend": "gcp", "gcp": section}, cloud=partial(_google, endpoint))


@contextmanager
def _google(endpoint: str) -> Iterator[Cloud]:
    client = gcp.client(endpoint)
    try:
        yield Google(client.bucket(gcp.BUCKET))
    finally:
        client.close()


@contextmanager
def azure(directory: Path) -> Iterator[Upstream]:
    with azurite.azurite() as endpoint:
        text = azurite.connection_string(endpoint)
        with BlobServiceClient.from_connection_string(text) as service:
            service.create_container(BUCKET)
        section = {"container": BUCKET, "account": azurite.ACCOUNT, "endpoint": endpoint, "prefix": PREFIX}
        environ = {"AZURE_STORAGE_CONNECTION_STRING": text}
        yield Upstream({"backend": "azure", "azure": section}, environ, partial(_blobs, text))


@contextmanager
def _blobs(text: str) -> Iterator[Cloud]:
    sizes = {"max_single_put_size": PART, "max_block_size": PART}
    with BlobServiceClient.from_connection_string(text, **sizes) as service:
        yield Azure(service.get_container_client(BUCKET))


UPSTREAMS: dict[str, Callable[[Path], AbstractContextManager[Upstream]]] = {
    "local": local,
    "memory-native": memory,
    "aws(moto)": _aws("moto"),
    "aws(seaweedfs)": _aws("seaweedfs"),
    "aws(bleepstore)": _aws("bleepstore"),
    "gcp(fake-gcs)": gcp_emulator,
    "gcp(strict)": gcp_strict,
    "azure(azurite)": azure,
}
"""By the name of the gateway."""
CLOUDS = ("aws", "gcp", "azure")


def server_of(name: str, directory: Path, upstream: Upstream) -> ServerProcess:
    """A server in front of an upstream, with the one cloud's plugin that it needs; not started."""
    backend = upstream.storage["backend"]
    settings: dict[str, Any] = {
        "storage": upstream.storage,
        "plugins": {"disabled": [cloud for cloud in CLOUDS if cloud != backend]},
    }
    return ServerProcess(directory, settings=settings, environ=upstream.environ)


@contextmanager
def gateway(name: str, directory: Path) -> Iterator[ServerProcess]:
    """A gateway that runs until the block ends, and then stops in order."""
    with UPSTREAMS[name](directory / "upstream") as upstream:
        server = server_of(name, directory / "gateway", upstream)
        try:
            yield server.start()
            status = server.stop()
            assert status == 0, f"{name} ended with {status}"
        finally:
            server.kill()
