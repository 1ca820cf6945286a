"""The hooks. One sentence each says what a plugin may return; nothing else is here.

Every hook runs while the server starts or stops. Lists of all plugins are concatenated in the
order of plugin names, built-ins first (``tryfirst`` before all, ``trylast`` after all). A misspelt
hook refuses to start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

from bleepstore.plugin import PROJECT

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

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
    )

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def bleepstore_storage_backends() -> Iterable[StorageSpec]:
    """Return the storage backends that ``storage.backend`` may name."""
    return ()


@hookspec
def bleepstore_metadata_engines() -> Iterable[MetadataSpec]:
    """Return the metadata engines that ``metadata.engine`` may name."""
    return ()


@hookspec
def bleepstore_sections() -> Iterable[SectionSpec]:
    """Return the top-level configuration sections that this plugin reads."""
    return ()


@hookspec
def bleepstore_commands() -> Iterable[CommandSpec]:
    """Return subcommands of the ``bleepstore`` command line."""
    return ()


@hookspec
def bleepstore_authenticators(context: Context) -> Iterable[Authenticator]:
    """Return authenticators, asked in order until one recognises a request."""
    return ()


@hookspec
def bleepstore_authorizers(context: Context) -> Iterable[Authorizer]:
    """Return authorizers, all of which vote on every access."""
    return ()


@hookspec
def bleepstore_operations(context: Context) -> Iterable[Operation]:
    """Return rows of the operation table."""
    return ()


@hookspec
def bleepstore_address_resolvers(context: Context) -> Iterable[AddressResolver]:
    """Return resolvers of host and path to bucket and key, asked before the built-in one."""
    return ()


@hookspec
def bleepstore_exchange_wrappers(context: Context) -> Iterable[ExchangeWrapper]:
    """Return wrappers around every handler, the first outermost."""
    return ()


@hookspec
def bleepstore_routes(context: Context, services: Services) -> Iterable[BaseRoute]:
    """Return Starlette routes below ``/_bleepstore/`` that are not S3."""
    return ()


@hookspec
def bleepstore_asgi_wrappers(context: Context) -> Sequence[object]:
    """Return callables ``(ASGIApp) -> ASGIApp`` around the non-S3 routes, the first outermost."""
    return ()


@hookspec
def bleepstore_background_tasks(context: Context) -> Iterable[BackgroundTask]:
    """Return tasks that run in the process with the writer role."""
    return ()


@hookspec
def bleepstore_event_sinks(context: Context) -> Iterable[EventSink]:
    """Return receivers of events."""
    return ()


@hookspec
def bleepstore_start(services: Services) -> None:
    """Do what must be done before the first request; raising refuses to start."""


@hookspec
def bleepstore_stop(services: Services) -> None:
    """Release what ``bleepstore_start`` took; called once, also after a failed start."""
