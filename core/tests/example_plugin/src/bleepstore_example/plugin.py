"""The plugin object: what the entry point names. Imports nothing that is large."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bleepstore.events import EventSink
from bleepstore.exchange import AddressResolver, Authenticator, Authorizer, ExchangeWrapper, Services
from bleepstore.operations import Operation
from bleepstore.plugin import (
    BackgroundTask,
    CommandSpec,
    Context,
    MetadataSpec,
    SectionSpec,
    StorageSpec,
    hookimpl,
)
from bleepstore.secret import Secret
from bleepstore.settings import REQUIRED, setting

if TYPE_CHECKING:
    from bleepstore.metadata import MetadataEngine
    from bleepstore.storage import StorageBackend
    from starlette.routing import BaseRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSettings:
    """Section ``example``."""

    token: Secret = setting(lambda: Secret(""), "Whoever shows this token is the first account.")
    frozen: tuple[str, ...] = setting((), "Buckets in which nothing may be changed.")
    journal: Path | None = setting(None, "File that gets a line for every change.")
    inbox: str = setting("", "A bucket that is made when it is missing.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfSettings:
    """Section ``storage.shelf``."""

    label: str = setting(REQUIRED, "Name of the shelf.")


def build_shelf(context: Context) -> StorageBackend:
    """The backend of a configuration: an SDK would be imported here, not above."""
    from bleepstore_example.shelf import ShelfBackend

    section: ShelfSettings = context.section
    return ShelfBackend(section.label)


def build_scratch(context: Context) -> MetadataEngine:
    """An engine whose database goes with the process."""
    from bleepstore_example.scratch import ScratchEngine

    return ScratchEngine()


def configure(parser: ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("name")


def greet(options: Namespace) -> int:
    """``bleepstore greet NAME``."""
    print(f"hello {options.name}")
    return 0


def section_of(context: Context) -> ExampleSettings:
    """The section ``example``, also where the settings were made by hand."""
    section: ExampleSettings = context.settings.sections.get("example", ExampleSettings())
    return section


class ExamplePlugin:
    """One of everything."""

    name = "example"
    requires_api = (1, 0)

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        return [StorageSpec(name="shelf", build=build_shelf, section=ShelfSettings)]

    @hookimpl
    def bleepstore_metadata_engines(self) -> Iterable[MetadataSpec]:
        return [MetadataSpec(name="scratch", build=build_scratch)]

    @hookimpl
    def bleepstore_sections(self) -> Iterable[SectionSpec]:
        return [SectionSpec(name="example", section=ExampleSettings)]

    @hookimpl
    def bleepstore_commands(self) -> Iterable[CommandSpec]:
        return [CommandSpec(name="greet", help="say hello", configure=configure, run=greet)]

    @hookimpl(tryfirst=True)
    def bleepstore_authenticators(self, context: Context) -> Iterable[Authenticator]:
        from bleepstore_example.access import BearerToken

        return [BearerToken(section_of(context).token)]

    @hookimpl
    def bleepstore_authorizers(self, context: Context) -> Iterable[Authorizer]:
        from bleepstore_example.access import Frozen

        return [Frozen(section_of(context).frozen)]

    @hookimpl
    def bleepstore_operations(self, context: Context) -> Iterable[Operation]:
        from bleepstore_example.requests import GREETING

        return [GREETING]

    @hookimpl
    def bleepstore_address_resolvers(self, context: Context) -> Iterable[AddressResolver]:
        from bleepstore_example.requests import TildeResolver

        return [TildeResolver()]

    @hookimpl
    def bleepstore_exchange_wrappers(self, context: Context) -> Iterable[ExchangeWrapper]:
        from bleepstore_example.requests import name_the_operation

        return [name_the_operation]

    @hookimpl
    def bleepstore_routes(self, context: Context, services: Services) -> Iterable[BaseRoute]:
        from bleepstore_example.pages import routes

        return routes(services)

    @hookimpl
    def bleepstore_asgi_wrappers(self, context: Context) -> Sequence[object]:
        from bleepstore_example.pages import NoStore

        return [NoStore]

    @hookimpl
    def bleepstore_background_tasks(self, context: Context) -> Iterable[BackgroundTask]:
        from bleepstore_example.beside import inbox_keeper

        inbox = section_of(context).inbox
        return [BackgroundTask(name="inbox", run=inbox_keeper(inbox))] if inbox else []

    @hookimpl
    def bleepstore_event_sinks(self, context: Context) -> Iterable[EventSink]:
        from bleepstore_example.beside import Journal

        journal = section_of(context).journal
        return [Journal(journal)] if journal is not None else []

    @hookimpl
    def bleepstore_start(self, services: Services) -> None:
        section: ExampleSettings = services.settings.sections.get("example", ExampleSettings())
        if section.token and len(section.token.reveal()) < 8:
            raise ValueError("example.token: must have 8 characters or more")
        if section.journal is not None:
            section.journal.touch()

    @hookimpl
    def bleepstore_stop(self, services: Services) -> None:
        section: ExampleSettings = services.settings.sections.get("example", ExampleSettings())
        if section.journal is not None and section.journal.stat().st_size == 0:
            section.journal.unlink()


plugin = ExamplePlugin()
