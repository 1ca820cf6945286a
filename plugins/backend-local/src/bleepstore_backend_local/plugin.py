"""The plugin that offers ``storage.backend: local``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bleepstore.plugin import Context, StorageSpec, hookimpl
from bleepstore.settings import setting
from bleepstore.storage import StorageBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Section ``storage.local``."""

    root_dir: Path = setting(Path("bleepstore-data/objects"), "The folder of the blobs; it is made.")


def build(context: Context) -> StorageBackend:
    """The backend of a configuration."""
    from bleepstore_backend_local.backend import LocalBackend

    section: LocalSettings = context.section
    return LocalBackend(section.root_dir, durable=context.settings.metadata.durability == "full")


class LocalPlugin:
    """Blobs on the local disk."""

    name = "local"
    requires_api = (1, 0)

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        """The backend ``local``."""
        return (StorageSpec(name="local", build=build, section=LocalSettings),)


plugin = LocalPlugin()
