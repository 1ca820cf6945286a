"""The composition root: settings -> plugins -> engines -> the ASGI application.

:func:`create_app` gives an application that any ASGI server can run (its lifespan starts and stops
the engines); :func:`serve` runs it in this process under uvicorn with BleepStore's own protocol
class, which is what the command line does, once per worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from functools import partial
from itertools import pairwise
from typing import Any, cast

import pluggy
import uvicorn
from starlette.applications import Starlette

from bleepstore.auth.accounts import ConfiguredAccounts
from bleepstore.background import BackgroundRunner
from bleepstore.commands import CreateBucket
from bleepstore.discovery import Plugins, discover, implementations, one_line
from bleepstore.errors import S3Error
from bleepstore.exchange import Services
from bleepstore.gateway.writes import Gateway
from bleepstore.http.address import Addressing
from bleepstore.http.entry import OWN_PATHS, S3Entry
from bleepstore.http.identifiers import random_digits
from bleepstore.http.pipeline import Pipeline
from bleepstore.http.protocol import S3Protocol, server_options
from bleepstore.metadata import MetadataEngine, MetadataFailed, Reason, Refused
from bleepstore.native import NativeBackend
from bleepstore.operations import Clash, OperationTable
from bleepstore.plugin import PROJECT, Context, MetadataSpec, StorageSpec
from bleepstore.s3.bucket_names import check_bucket_name
from bleepstore.settings import Settings
from bleepstore.storage import StorageBackend, StorageFault, StoreMismatch
from bleepstore.upkeep.events import delivery

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
        self._manager = manager
        self._entry: S3Entry | None = None
        self._metadata: MetadataEngine | None = None
        self._storage: StorageBackend | None = None
        self._gateway: Gateway | None = None
        self._background: BackgroundRunner | None = None
        self._hooked = False

    async def start(self) -> None:
        """Open the engines and make ready for requests. Raises :class:`StartFailed`."""
        await self._or_stop(self._start)

    async def open(self, *, create: bool = False, claim: bool = False) -> None:
        """Open the engines and nothing else, for a command. Raises :class:`StartFailed`."""
        engine = self._settings.metadata.engine
        path = getattr(self._settings.sections.get(f"metadata.{engine}"), "path", None)
        if path is not None and not create and not path.exists():
            raise StartFailed(f"{path}: there is no store")  # and a wrong path shall not make one
        await self._or_stop(partial(self._open, claim=claim))

    async def _or_stop(self, start: Callable[[], Awaitable[object]]) -> None:
        try:
            await start()
        except (MetadataFailed, StorageFault, Clash, OSError) as error:
            await self.stop()
            raise StartFailed(str(error) or type(error).__name__) from error
        except BaseException:
            await self.stop()
            raise

    async def _open(self, *, claim: bool) -> None:
        metadata, storage = self._build_engines()
        await self._start_engines(metadata, storage, claim=claim)

    async def _start_engines(
        self, metadata: MetadataEngine, storage: StorageBackend, *, claim: bool = False
    ) -> None:
        """Open both. Raises StoreMismatch, with what can be done about it."""
        await metadata.start()
        if claim and not isinstance(storage, NativeBackend):
            raise StartFailed("--claim is for what is upstream, and this backend has no upstream")
        if claim and metadata.fresh:  # else it was claimed before, or is not to be
            await cast(NativeBackend, storage).claim(metadata.store_id)
        try:
            await storage.start(metadata.store_id, fresh=metadata.fresh)
        except StoreMismatch as error:
            if not (metadata.fresh and isinstance(storage, NativeBackend)):
                raise
            hint = "if the metadata of that store is lost, `bleepstore import --claim` makes it anew"
            raise StartFailed(f"{error}; {hint}") from error

    def _build_engines(self) -> tuple[MetadataEngine, StorageBackend]:
        settings, context = self._settings, self._context()
        self._metadata = metadata = self._metadata_engine()
        self._storage = storage = self._storage_backend()
        if isinstance(storage, NativeBackend):
            self._gateway = Gateway(metadata, storage, clock, new_id)
        self.services = Services(
            settings=settings,
            accounts=ConfiguredAccounts(settings.auth),
            metadata=metadata,
            storage=storage,
            authenticators=self._all("authenticators", context=context),
            authorizers=self._all("authorizers", context=context),
            clock=clock,
            new_id=new_id,
            gateway=self._gateway,
        )
        return metadata, storage

    async def _start(self) -> None:
        settings, context = self._settings, self._context()
        metadata, storage = self._build_engines()
        services = self.services
        table = OperationTable(self._all("operations", context=context))
        await self._start_engines(metadata, storage)
        await self._create_buckets(services)
        self._hooked = True
        for name, start in self._hooks("start"):
            _run(name, start, services=services)
        resolvers = self._all("address_resolvers", context=context)
        addressing = Addressing(settings.server.domains, resolvers)
        wrappers = self._all("exchange_wrappers", context=context)
        pipeline = Pipeline(services, table, addressing, wrappers)
        self._entry = S3Entry(pipeline.answer, services, self._plain_routes(context), addressing=addressing)
        tasks = self._all("background_tasks", context=context)
        sinks = self._all("event_sinks", context=context)
        names = sorted(sink.name for sink in sinks)
        for one, next_one in pairwise(names):
            if one == next_one:  # they would share a cursor, and each miss what the other took
                raise StartFailed(f"two event sinks are named {one!r}")
        self._background = BackgroundRunner((*tasks, delivery(sinks)), services)
        self._background.start()

    async def stop(self) -> None:
        """Stop background work, call the plugins' stop hooks, close the engines. Idempotent."""
        if self._background is not None:
            await self._background.stop()
            self._background = None
        if self._hooked:
            self._hooked = False
            for name, stop in reversed(self._hooks("stop")):
                try:
                    _run(name, stop, services=self.services)
                except StartFailed:
                    log.exception("a plugin did not stop in order")
        if self._gateway is not None:
            await self._gateway.stop()
            self._gateway = None
        if self._storage is not None:
            await self._storage.stop()
            self._storage = None
        if self._metadata is not None:
            await self._metadata.stop()
            self._metadata = None

    @property
    def entry(self) -> S3Entry:
        """What answers requests. Raises RuntimeError before :meth:`start`."""
        if self._entry is None:
            raise RuntimeError("the application has not been started")
        return self._entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan of another ASGI server."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await self.entry(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            if not isinstance(error, StartFailed):
                log.exception("the application cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # --- what the parts are made from -------------------------------------------------------------

    def _hooks(self, hook: str) -> Sequence[tuple[str, pluggy.HookImpl]]:
        """The implementations of a hook with the plugins' names, in order."""
        found = implementations(self._manager, f"{PROJECT}_{hook}")
        return [(f"plugin {one.plugin_name}: {PROJECT}_{hook}", one) for one in found]

    def _all(self, hook: str, **arguments: Any) -> tuple[Any, ...]:
        """What all plugins return from a hook that returns several."""
        found = (_run(name, one, **arguments) for name, one in self._hooks(hook))
        return tuple(item for items in found for item in items or ())

    def _context(self, name: str = "plugins", section: Any = None) -> Context:
        return Context(
            settings=self._settings, section=section, log=logging.getLogger(f"bleepstore.{name}"), clock=clock
        )

    def _metadata_engine(self) -> MetadataEngine:
        name = self._settings.metadata.engine
        for spec in self._all("metadata_engines"):
            if spec.name == name:
                return cast(MetadataEngine, self._build("metadata", spec))
        raise StartFailed(f"metadata.engine: no plugin provides {name!r}")

    def _storage_backend(self) -> StorageBackend:
        name = self._settings.storage.backend
        for spec in self._all("storage_backends"):
            if spec.name == name:
                return cast(StorageBackend, self._build("storage", spec))
        raise StartFailed(f"storage.backend: no plugin provides {name!r}")

    def _build(self, kind: str, spec: StorageSpec | MetadataSpec) -> StorageBackend | MetadataEngine:
        section = self._settings.sections.get(f"{kind}.{spec.name}")
        try:
            if section is None and spec.section is not None:
                section = spec.section()
            return spec.build(self._context(spec.name, section))
        except (MetadataFailed, StorageFault):
            raise
        except Exception as error:
            raise StartFailed(f"{kind}.{spec.name}: cannot be built: {one_line(error)}") from error

    def _plain_routes(self, context: Context) -> Any:
        routes = self._all("routes", context=context, services=self.services)
        for route in routes:
            if not getattr(route, "path", "").startswith(OWN_PATHS.decode()):
                raise StartFailed(
                    f"the route {route} is not below {OWN_PATHS.decode()}, and would never be asked"
                )
        application: Any = Starlette(routes=routes)
        for wrapper in reversed(self._all("asgi_wrappers", context=context)):
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
    return App(settings, (plugins or discover(settings.plugins.disabled)).manager)


@contextlib.asynccontextmanager
async def open_store(
    settings: Settings, plugins: Plugins, *, create: bool = False, claim: bool = False
) -> AsyncIterator[Services]:
    """The engines of a configuration, for a command: no hook is called, no task runs.

    ``create``: a store that is not there is made. ``claim``: fresh metadata takes over what is upstream.
    Raises :class:`StartFailed`, also while a server has them open.
    """
    app = App(settings, plugins.manager)
    await app.open(create=create, claim=claim)
    try:
        yield app.services
    finally:
        await app.stop()


async def serve(
    settings: Settings,
    plugins: Plugins,
    sockets: Sequence[socket.socket],
    ready: Callable[[], None],
    *,
    until: int | None = None,
    beside: Callable[[_Server], Coroutine[Any, Any, None]] | None = None,
) -> int:
    """Answer requests on ``sockets`` until SIGTERM or SIGINT, then drain, and return the exit code.

    ``ready`` is called when the first request can come. A second SIGINT does not wait for requests
    under way. ``until``: also drain when this descriptor comes to its end. Raises
    :class:`StartFailed`. ``beside`` runs while it serves, and is over before the engines close.
    """
    app = create_app(settings, plugins)
    config = _uvicorn(app, settings)
    server = _Server(config, ready)
    companion: asyncio.Task[None] | None = None
    loop = asyncio.get_running_loop()
    # Before the engines open: a signal that comes while they do ends the server in order too.
    loop.add_signal_handler(signal.SIGTERM, server.drain)
    loop.add_signal_handler(signal.SIGINT, server.interrupt)
    if until is not None:
        loop.add_reader(until, server.drain)
    try:
        await app.start()
        if settings.server.http == "fast":
            cast(type[S3Protocol], config.http).entry = app.entry
        if beside is not None:
            companion = asyncio.create_task(beside(server), name="beside")
        await server.serve(list(sockets))
    finally:
        if companion is not None:
            companion.cancel()
            await asyncio.wait((companion,))
        if until is not None:
            loop.remove_reader(until)
        await app.stop()
    return 0


def _uvicorn(app: App, settings: Settings) -> uvicorn.Config:
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
    try:
        config.load()
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise StartFailed(f"server.tls: {tls.certificate}, {tls.key}: {reason}") from error
    except OSError as error:
        raise StartFailed(f"server.tls: {error.filename or tls.certificate}: {error.strerror}") from error
    return config


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

    @property
    def draining(self) -> bool:
        return bool(self.should_exit)

    @property
    def connections(self) -> int:
        return len(self.server_state.connections)

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
    return f"{clock():012x}{random_digits()}"


def _run(name: str, implementation: pluggy.HookImpl, **arguments: Any) -> Any:
    """One hook of one plugin. Raises :class:`StartFailed` with its name for whatever it raises."""
    try:
        found = implementation.function(*(arguments[argument] for argument in implementation.argnames))
        return found if found is None or not isinstance(found, Iterable) else tuple(found)
    except Exception as error:
        raise StartFailed(f"{name} failed: {one_line(error)}") from error
