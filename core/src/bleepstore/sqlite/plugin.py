"""The built-in plugin that offers ``metadata.engine: sqlite``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bleepstore.metadata import MetadataEngine
from bleepstore.plugin import API_VERSION, Context, MetadataSpec, hookimpl
from bleepstore.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """Section ``metadata.sqlite``."""

    path: Path = setting(Path("bleepstore-data/metadata.db"), "The database file; its folder is made.")


def build(context: Context) -> MetadataEngine:
    """The engine of a configuration."""
    from bleepstore.sqlite.engine import SqliteEngine

    section: SqliteSettings = context.section
    return SqliteEngine(section.path, durable=context.settings.metadata.durability == "full")


class SqlitePlugin:
    """Metadata in one SQLite file."""

    name = "sqlite"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_metadata_engines(self) -> Iterable[MetadataSpec]:
        """The engine ``sqlite``."""
        return (MetadataSpec(name="sqlite", build=build, section=SqliteSettings),)


plugin = SqlitePlugin()
