"""The plugin that offers ``storage.backend: sqlitefs``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bleepstore.plugin import Context, StorageSpec, hookimpl
from bleepstore.settings import setting
from bleepstore.storage import StorageBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFsSettings:
    """Section ``storage.sqlitefs``."""

    path: Path = setting(Path("bleepstore-data/blobs.db"), "The file; it is made, with its folder.")


def build(context: Context) -> StorageBackend:
    """The backend of a configuration."""
    from bleepstore_backend_sqlitefs.backend import SqliteFsBackend

    section: SqliteFsSettings = context.section
    return SqliteFsBackend(section.path, durable=context.settings.metadata.durability == "full")


class SqliteFsPlugin:
    """Blobs in one SQLite file."""

    name = "sqlitefs"
    requires_api = (1, 0)

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        """The backend ``sqlitefs``."""
        return (StorageSpec(name="sqlitefs", build=build, section=SqliteFsSettings),)


plugin = SqliteFsPlugin()
