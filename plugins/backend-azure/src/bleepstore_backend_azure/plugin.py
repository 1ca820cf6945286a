"""The plugin that offers ``storage.backend: azure``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bleepstore.plugin import Context, StorageSpec, hookimpl
from bleepstore.settings import REQUIRED, setting
from bleepstore.storage import StorageBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSettings:
    """Section ``storage.azure``. Credentials are not here: see the README."""

    container: str = setting(REQUIRED, "The container, which must exist.")
    account: str = setting("", "Name of the storage account; by default $AZURE_STORAGE_ACCOUNT.")
    prefix: str = setting("", "What the names of all blobs begin with, before BUCKET/KEY.")
    endpoint: str = setting("", "URL of the blob service, for emulators and other clouds of Azure.")
    threads: int = setting(32, "Calls to the service at once.")
    block_mib: int = setting(4, "Size of a block in MiB; those of large parts are up to four times that.")
    memory_mib: int = setting(32, "Blocks in memory, in MiB, from which on a write holds one, not two.")
    attempts: int = setting(3, "How often a call is tried while the service is in trouble.")
    timeout: int = setting(5, "Seconds that the service may be silent during one attempt.")


def build(context: Context) -> StorageBackend:
    """The backend of a configuration."""
    from bleepstore_backend_azure.backend import AzureBackend

    return AzureBackend(context.section)


class AzurePlugin:
    """Objects as blobs of Azure Blob Storage."""

    name = "azure"
    requires_api = (1, 0)

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        """The backend ``azure``."""
        return (StorageSpec(name="azure", build=build, section=AzureSettings),)


plugin = AzurePlugin()
