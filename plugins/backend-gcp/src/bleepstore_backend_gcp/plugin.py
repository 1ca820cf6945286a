"""The plugin that offers ``storage.backend: gcp``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bleepstore.plugin import Context, StorageSpec, hookimpl
from bleepstore.settings import REQUIRED, setting
from bleepstore.storage import StorageBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpSettings:
    """Section ``storage.gcp``. Credentials are not here: see the README."""

    bucket: str = setting(REQUIRED, "The bucket upstream, which must exist.")
    project: str = setting("", "The client's project; by default that of the credentials.")
    prefix: str = setting("", "What the names of all objects begin with, before BUCKET/KEY.")
    endpoint: str = setting("", "URL of the service, for emulators and private endpoints.")
    threads: int = setting(32, "Calls to the service at once.")
    buffer_mib: int = setting(4, "Size of the requests of large uploads in MiB.")
    memory_mib: int = setting(32, "Buffers in memory, in MiB, from which on a write holds one, not two.")
    timeout: int = setting(5, "Seconds that the service may be silent during one attempt.")
    deadline: int = setting(6, "Seconds during which a call that failed is tried again.")


def build(context: Context) -> StorageBackend:
    """The backend of a configuration."""
    from bleepstore_backend_gcp.backend import GcpBackend

    return GcpBackend(context.section)


class GcpPlugin:
    """Objects in Google Cloud Storage."""

    name = "gcp"
    requires_api = (1, 0)

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        """The backend ``gcp``."""
        return (StorageSpec(name="gcp", build=build, section=GcpSettings),)


plugin = GcpPlugin()
