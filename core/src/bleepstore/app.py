"""The composition root: settings -> plugins -> engines -> the ASGI application.

:func:`create_app` gives an application that any ASGI server can run (its lifespan starts and stops
the engines); :func:`serve` runs it in this process under uvicorn with BleepStore's own protocol
class, which is what the command line does, once per worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy
import uvicorn
from starlette.applications import Starlette

from bleepstore.auth.accounts import ConfiguredAccounts
from bleepstore.background import BackgroundRunner
from bleepstore.commands import CreateBucket
from bleepstore.errors import S3Error
from bleepstore.exchange import Services
from bleepstore.http.address import Addressing
from bleepstore.http.entry import S3Entry
from bleepstore.http.pipeline import Pipeline
from bleepstore.http.protocol import server_options
from bleepstore.metadata import MetadataEngine, MetadataFailed, Reason, Refused
from bleepstore.operations import Clash, OperationTable
from bleepstore.plugin import Context, MetadataSpec, StorageSpec
from bleepstore.s3.bucket_names import check_bucket_name
from bleepstore.settings import Settings
from bleepstore.storage import StorageBackend, StorageFault
from bleepstore.upkeep.events import delivery

if TYPE_CHECKING:
    from bleepstore.discovery import Plugins

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("bleepstore")


class StartFailed(Exception):
    """The server cannot start: the message is one line for the operator."""


class App:
    """The server as an ASGI application. Two of them fit in one process."""

    services: Services
    """What every exchange shares; set by :meth:`start`."""

    def __init__(self, settings: Settings, manager: pluggy.PluginManager) -> None:
        self._settings = settings
        self._hook = manager.hook
        self._entry: S3Entry | None = None
        self._metadata: MetadataEngine | None = None
        self._storage: StorageBackend | None = None
        self._background: BackgroundRunner | None = None
        self._hooked = False

    async def start(self) -> None:
        """Open the engines and make ready for requests. Raises :class:`StartFailed`."""
        try:
            await self._start()
        except (MetadataFailed, StorageFault, Clash, OSError) as error:
            await self.stop()
            raise StartFailed(str(error)) from error
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        settings, context = self._settings, self._context()
        self._metadata = metadata = self._metadata_engine()
        self._storage = storage = self._storage_backend()
        self.services = services = Services(
            settings=settings,
            accounts=ConfiguredAccounts(settings.auth),
            metadata=metadata,
            storage=storage,
            authenticators=_all(self._hook.bleepstore_authenticators(context=context)),
            authorizers=_all(self._hook.bleepstore_authorizers(context=context)),
            clock=clock,
            new_id=new_id,
        )
        table = OperationTable(_all(self._hook.bleepstore_operations(context=context)))
        await metadata.start()
        await storage.start(metadata.store_id, fresh=metadata.fresh)
        await self._create_buckets(services)
        self._hooked = True
        self._hook.bleepstore_start(services=services)
        resolvers = _all(self._hook.bleepstore_address_resolvers(context=context))
        addressing = Addressing(settings.server.domains, resolvers)
        wrappers = _all(self._hook.bleepstore_exchange_wrappers(context=context))
        pipeline = Pipeline(services, table, addressing, wrappers)
        self._entry = S3Entry(pipeline.answer, services, self._plain_routes(context), addressing=addressing)
        tasks = _all(self._hook.bleepstore_background_tasks(context=context))
        sinks = _all(self._hook.bleepstore_event_sinks(context=context))
        self._background = BackgroundRunner((*tasks, delivery(sinks)), services)
        self._background.start()

    async def stop(self) -> None:
        """Stop background work, call the plugins' stop hooks, close the engines. Idempotent."""
        if self._background is not None:
            await self._background.stop()
            self._background = None
        if self._hooked:
            self._hooked = False
            self._hook.bleepstore_stop(services=self.services)
        if self._storage is not None:
            await self._storage.stop()
            self._storage = None
        if self._metadata is not None:
            await self._metadata.stop()
            self._metadata = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan of another ASGI server."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if self._entry is None:
            raise RuntimeError("the application has not been started")
        await self._entry(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except StartFailed as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # --- what the parts are made from -------------------------------------------------------------

    def _context(self, name: str = "plugins", section: Any = None) -> Context:
        return Context(
            settings=self._settings, section=section, log=logging.getLogger(f"bleepstore.{name}"), clock=clock
        )

    def _metadata_engine(self) -> MetadataEngine:
        name = self._settings.metadata.engine
        for spec in _all(self._hook.bleepstore_metadata_engines()):
            if spec.name == name:
                return cast(MetadataEngine, spec.build(self._section_context("metadata", spec)))
        raise StartFailed(f"metadata.engine: no plugin provides {name!r}")

    def _storage_backend(self) -> StorageBackend:
        name = self._settings.storage.backend
        for spec in _all(self._hook.bleepstore_storage_backends()):
            if spec.name == name:
                return cast(StorageBackend, spec.build(self._section_context("storage", spec)))
        raise StartFailed(f"storage.backend: no plugin provides {name!r}")

    def _section_context(self, kind: str, spec: StorageSpec | MetadataSpec) -> Context:
        section = self._settings.sections.get(f"{kind}.{spec.name}")
        if section is None and spec.section is not None:
            section = spec.section()
        return self._context(spec.name, section)

    def _plain_routes(self, context: Context) -> Any:
        routes = _all(self._hook.bleepstore_routes(context=context, services=self.services))
        application: Any = Starlette(routes=routes)
        for wrapper in reversed(_all(self._hook.bleepstore_asgi_wrappers(context=context))):
            application = cast(Callable[[Any], Any], wrapper)(application)
        return application

    async def _create_buckets(self, services: Services) -> None:
        owner, region = services.accounts.first.id, services.settings.server.region
        for name in services.settings.buckets:
            try:
                check_bucket_name(name)
            except S3Error as error:
                raise StartFailed(f"bucket {name!r}: {error.message}") from None
            command = CreateBucket(id=new_id(), at=clock(), name=name, owner=owner, region=region)
            try:
                if await services.metadata.bucket(name) is None:
                    await services.metadata.apply(command)
            except Refused as refused:
                if refused.reason is not Reason.BUCKET_EXISTS:
                    raise


def create_app(settings: Settings, plugins: Plugins | None = None) -> App:
    """The application of a configuration, with all installed plugins unless others are given."""
    if plugins is None:
        from bleepstore.discovery import discover

        plugins = discover(settings.plugins.disabled)
    return App(settings, plugins.manager)


async def serve(
    settings: Settings,
    plugins: Plugins,
    sockets: Sequence[socket.socket],
    ready: Callable[[], None],
    until: int | None = None,
) -> int:
    """Answer requests on ``sockets`` until SIGTERM or SIGINT, then drain, and return the exit code.

    ``ready`` is called when the first request can come. A second SIGINT does not wait for requests
    under way. ``until``: also drain when this descriptor comes to its end. Raises
    :class:`StartFailed`.
    """
    app = create_app(settings, plugins)
    await app.start()
    try:
        tls = settings.server.tls
        config = uvicorn.Config(
            cast(Any, app),
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=settings.server.shutdown_grace,
            ssl_certfile=tls.certificate,
            ssl_keyfile=tls.key,
            **server_options(settings),
        )
        server = _Server(config, ready)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.drain)
        loop.add_signal_handler(signal.SIGINT, server.interrupt)
        if until is not None:
            loop.add_reader(until, server.drain)
        await server.serve(list(sockets))
    finally:
        await app.stop()
    return 0


class _Server(uvicorn.Server):
    """uvicorn's server, without its handling of signals."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def drain(self) -> None:
        self.should_exit = True

    def interrupt(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """32 lower-case hex digits: 12 of the time in milliseconds, 20 random."""
    return f"{clock():012x}{os.urandom(10).hex()}"


def _all(results: Iterable[Iterable[T]]) -> tuple[T, ...]:
    """What all plugins returned, in the order of registration (pluggy calls the last one first)."""
    return tuple(item for result in reversed(list(results)) for item in result)
