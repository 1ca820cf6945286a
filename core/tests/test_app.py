"""The composition root: an ASGI application that starts and stops in order, as often as one likes."""

import asyncio
import contextlib
import os
import socket
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from bleepstore.app import App, StartFailed, create_app, new_id, serve
from bleepstore.auth.presign import presign
from bleepstore.discovery import Plugins, discover
from bleepstore.operations import AclRight, Load, Operation, Permission, Scope
from bleepstore.plugin import Context, MetadataSpec, StorageSpec, hookimpl
from bleepstore.settings import ServerSettings, Settings
from bleepstore.sqlite.plugin import SqliteSettings
from bleepstore.storage import BackendFailed
from bleepstore.supervisor import bind
from bleepstore_backend_local.plugin import LocalSettings

pytestmark = pytest.mark.anyio


def settings(folder: Path, **more: Any) -> Settings:
    sections = {
        "metadata.sqlite": SqliteSettings(path=folder / "metadata.db"),
        "storage.local": LocalSettings(root_dir=folder / "objects"),
    }
    return Settings(sections=sections, **more)


def with_plugin(plugin: Any) -> Plugins:
    """What is installed, and one more."""
    plugins = discover()
    plugins.manager.register(plugin, "extra")
    plugins.manager.check_pending()
    return plugins


def url(method: str, bucket: str, key: str, endpoint: str = "http://s3") -> str:
    """A request of the first account."""
    pair = {"access_key": "bleepstore", "secret_key": "bleepstore-secret"}
    return presign(method, bucket, key, endpoint=endpoint, **pair)


@contextlib.asynccontextmanager
async def started(app: App) -> AsyncIterator[httpx.AsyncClient]:
    await app.start()
    try:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://s3") as client:
            yield client
    finally:
        await app.stop()


# --- start and stop ---------------------------------------------------------------------------------


async def test_what_was_written_is_there_after_a_restart(tmp_path):
    app = create_app(settings(tmp_path, buckets=("bucket",)))
    async with started(app) as client:
        assert (await client.put(url("PUT", "bucket", "key"), content=b"bytes")).status_code == 200
    async with started(app) as client:  # the same object, a second time
        assert (await client.get(url("GET", "bucket", "key"))).content == b"bytes"
    async with started(create_app(settings(tmp_path))) as client:
        assert (await client.get(url("GET", "bucket", "key"))).content == b"bytes"


async def test_stop_is_idempotent_and_allowed_before_start(tmp_path):
    app = create_app(settings(tmp_path))
    await app.stop()
    await app.start()
    await app.stop()
    await app.stop()


async def test_a_request_before_the_start_is_a_mistake_of_the_server_around(tmp_path):
    app = create_app(settings(tmp_path))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://s3") as client:
        with pytest.raises(RuntimeError, match="has not been started"):
            await client.get("/")


async def test_two_applications_in_one_process_share_nothing(tmp_path):
    one, two = (create_app(settings(tmp_path / name, buckets=(f"in-{name}",))) for name in ("one", "two"))
    async with started(one) as first, started(two) as second:
        await first.put(url("PUT", "in-one", "key"), content=b"1")
        await second.put(url("PUT", "in-two", "key"), content=b"2")
        assert (await first.get(url("GET", "in-one", "key"))).content == b"1"
        assert (await first.get(url("GET", "in-two", "key"))).status_code == 404
        assert one.services is not two.services
        assert one.services.metadata.store_id != two.services.metadata.store_id
    assert (tmp_path / "one" / "metadata.db").exists()


async def test_two_applications_on_one_directory_are_refused(tmp_path):
    async with started(create_app(settings(tmp_path))) as client:
        with pytest.raises(StartFailed, match=r"is already in use by another BleepStore server"):
            await create_app(settings(tmp_path)).start()
        assert (await client.get("/")).status_code == 403


async def test_ids_rise_with_time_and_are_32_hex_digits():
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


# --- starts that fail -------------------------------------------------------------------------------


async def fails(app: App) -> str:
    with pytest.raises(StartFailed) as caught:
        await app.start()
    return str(caught.value)


async def test_a_bucket_name_that_cannot_be_is_named(tmp_path):
    app = create_app(settings(tmp_path, buckets=("No",)))
    assert await fails(app) == "bucket 'No': The specified bucket is not valid."


async def test_what_was_opened_is_closed_after_a_failed_start(tmp_path):
    assert "No" in await fails(create_app(settings(tmp_path, buckets=("No",))))
    async with started(create_app(settings(tmp_path))):
        pass  # nobody holds the directory


async def test_engines_that_nobody_provides_are_named(tmp_path):
    base = settings(tmp_path)
    for kind, setting_name in (("metadata", "engine"), ("storage", "backend")):
        changed = replace(base, **{kind: replace(getattr(base, kind), **{setting_name: "nothing"})})
        assert await fails(create_app(changed)) == f"{kind}.{setting_name}: no plugin provides 'nothing'"


class Broken:
    """A plugin whose hooks fail as a test wants."""

    requires_api = (1, 0)

    def __init__(self, where: str) -> None:
        self._where = where
        self.stopped = 0

    def _fail(self, where: str) -> None:
        if where == self._where:
            raise RuntimeError(f"{where}\nis broken")

    @hookimpl
    def bleepstore_storage_backends(self) -> list[StorageSpec]:
        return [StorageSpec(name="broken", build=self._build)]

    def _build(self, context: Context) -> Any:
        self._fail("build")
        raise BackendFailed("the cloud is away")

    @hookimpl
    def bleepstore_event_sinks(self, context: Context) -> list[Any]:
        self._fail("event_sinks")
        return []

    @hookimpl
    def bleepstore_start(self, services: Any) -> None:
        self._fail("start")

    @hookimpl
    def bleepstore_stop(self, services: Any) -> None:
        self.stopped += 1
        self._fail("stop")


@pytest.mark.parametrize("where", ["event_sinks", "start"])
async def test_a_hook_that_fails_is_named_with_its_plugin(tmp_path, where):
    plugin = Broken(where)
    app = create_app(settings(tmp_path), with_plugin(plugin))
    message = await fails(app)
    assert message == f"plugin extra: bleepstore_{where} failed: RuntimeError: {where} is broken"
    assert plugin.stopped == 1
    async with started(create_app(settings(tmp_path))):
        pass  # and everything was closed


async def test_a_stop_that_fails_is_logged_and_keeps_nobody_from_stopping(tmp_path, caplog):
    plugin, other = Broken("stop"), Broken("nothing")
    plugins = with_plugin(plugin)
    plugins.manager.register(other, "another")
    async with started(create_app(settings(tmp_path), plugins)):
        pass
    assert (plugin.stopped, other.stopped) == (1, 1)
    assert "plugin extra: bleepstore_stop failed: RuntimeError: stop is broken" in caplog.text
    async with started(create_app(settings(tmp_path))):
        pass


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("build", "storage.broken: cannot be built: RuntimeError: build is broken"),
        ("nothing", "the cloud is away"),
    ],
)
async def test_an_engine_that_cannot_be_built_is_one_line(tmp_path, where, message):
    base = settings(tmp_path)
    chosen = replace(base, storage=replace(base.storage, backend="broken"))
    assert await fails(create_app(chosen, with_plugin(Broken(where)))) == message


async def test_an_sdk_that_is_missing_is_one_line(tmp_path):
    def build(context: Context) -> Any:
        import no_such_sdk

        return no_such_sdk

    class Plugin:
        @hookimpl
        def bleepstore_metadata_engines(self) -> list[MetadataSpec]:
            return [MetadataSpec(name="cloud", build=build)]

    base = settings(tmp_path)
    chosen = replace(base, metadata=replace(base.metadata, engine="cloud"))
    message = "metadata.cloud: cannot be built: ModuleNotFoundError: No module named 'no_such_sdk'"
    assert await fails(create_app(chosen, with_plugin(Plugin()))) == message


async def test_operations_that_clash_refuse_to_start(tmp_path):
    class Plugin:
        @hookimpl
        def bleepstore_operations(self, context: Context) -> list[Operation]:
            permission = Permission(action="x:Get", right=AclRight.READ, on=Scope.OBJECT)
            row = Operation(
                name="MyGet", method="GET", scope=Scope.OBJECT, permission=permission, loads=Load.OBJECT
            )
            return [row]

    message = await fails(create_app(settings(tmp_path), with_plugin(Plugin())))
    assert message == "the operations GetObject and MyGet claim the same requests"


@pytest.mark.parametrize("path", ["/elsewhere", "/_bleepstore"])
async def test_a_route_that_nothing_reaches_refuses_to_start(tmp_path, path):
    from starlette.routing import Mount

    class Plugin:
        @hookimpl
        def bleepstore_routes(self, context: Context, services: Any) -> list[Any]:
            return [Mount(path, routes=[])]

    message = await fails(create_app(settings(tmp_path), with_plugin(Plugin())))
    assert path in message
    assert "is not below /_bleepstore/" in message


async def test_a_section_that_is_not_configured_has_its_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with started(create_app(Settings())):
        assert (tmp_path / "bleepstore-data" / "metadata.db").exists()


# --- under another server ---------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def plain_uvicorn(app: App) -> AsyncIterator[str]:
    """Stock uvicorn with its own protocol class and its lifespan."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))  # type: ignore[arg-type]
        serving = asyncio.create_task(server.serve([listening]))
        async with asyncio.timeout(10):
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_plain_uvicorn_runs_the_application(tmp_path):
    app = create_app(settings(tmp_path, buckets=("bucket",)))
    async with plain_uvicorn(app) as endpoint, httpx.AsyncClient() as client:
        body = os.urandom(300_000)
        assert (await client.put(url("PUT", "bucket", "k", endpoint), content=body)).status_code == 200
        assert (await client.get(url("GET", "bucket", "k", endpoint))).content == body
        assert (await client.get(f"{endpoint}/_bleepstore/health/ready")).json() == {"status": "ready"}
    async with started(create_app(settings(tmp_path))):
        pass  # its lifespan closed everything


async def lifespan(app: App) -> list[dict[str, Any]]:
    """What the application answers to a start."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_a_start_that_fails_tells_the_server_around_it(tmp_path):
    app = create_app(settings(tmp_path, buckets=("No",)))
    message = "bucket 'No': The specified bucket is not valid."
    assert await lifespan(app) == [{"type": "lifespan.startup.failed", "message": message}]


async def test_a_start_that_fails_unexpectedly_tells_it_too(tmp_path, monkeypatch, caplog):
    app = create_app(settings(tmp_path))

    async def broken() -> None:
        raise sqlite3.DatabaseError("something else")

    monkeypatch.setattr(app, "_start", broken)
    assert await lifespan(app) == [{"type": "lifespan.startup.failed", "message": "something else"}]
    assert "the application cannot start" in caplog.text


# --- serve ------------------------------------------------------------------------------------------


class Ends:
    """Servers in this process: each ends when its pipe does, as a worker whose supervisor died."""

    def __init__(self) -> None:
        self.life, self._death = os.pipe()

    def end(self) -> None:
        os.close(self._death)


async def test_two_servers_serve_side_by_side_and_end_apart(tmp_path):
    plugins = discover()
    running = []
    for name in ("one", "two"):
        ends, ready = Ends(), asyncio.Event()
        sockets = bind("127.0.0.1", 0)
        port = sockets[0].getsockname()[1]
        configured = settings(tmp_path / name, server=ServerSettings(port=port), buckets=(f"in-{name}",))
        task = asyncio.create_task(serve(configured, plugins, sockets, ready.set, until=ends.life))
        await asyncio.wait_for(ready.wait(), 20)
        running.append((f"http://127.0.0.1:{port}", ends, task))
    (first, first_ends, first_task), (second, second_ends, second_task) = running
    async with httpx.AsyncClient() as client:
        for endpoint, name in ((first, "one"), (second, "two")):
            put = await client.put(url("PUT", f"in-{name}", "key", endpoint), content=name.encode())
            assert put.status_code == 200
        first_ends.end()
        assert await asyncio.wait_for(first_task, 20) == 0
        assert (await client.get(url("GET", "in-two", "key", second))).content == b"two"
        with pytest.raises(httpx.ConnectError):
            await client.get(first)
    second_ends.end()
    assert await asyncio.wait_for(second_task, 20) == 0
    for _, ends, _ in running:
        os.close(ends.life)


async def test_serve_that_cannot_start_says_why(tmp_path):
    bad = settings(tmp_path, buckets=("No",))
    sockets = bind("127.0.0.1", 0)
    with pytest.raises(StartFailed, match="bucket 'No'"):
        await serve(bad, discover(), sockets, lambda: None)
    sockets[0].close()


class TwoSinks:
    """A plugin whose sinks would share a cursor."""

    @hookimpl
    def bleepstore_event_sinks(self, context: Context) -> list[Any]:
        return [SimpleNamespace(name="hook"), SimpleNamespace(name="hook")]


async def test_two_sinks_of_one_name_refuse_to_start(tmp_path):
    app = create_app(settings(tmp_path), with_plugin(TwoSinks()))
    with pytest.raises(StartFailed, match="two event sinks are named 'hook'"):
        await app.start()


async def test_a_store_whose_disk_is_not_mounted_refuses_to_start(tmp_path):
    configured = settings(tmp_path, buckets=("bucket",))
    async with started(create_app(configured)) as client:
        assert (await client.put(url("PUT", "bucket", "k"), content=b"kept")).status_code == 200
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    with pytest.raises(StartFailed, match="is its disk mounted"):
        await create_app(configured).start()
    (tmp_path / "objects" / "lock").unlink()
    (tmp_path / "objects").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "objects")
    async with started(create_app(configured)) as client:
        assert (await client.get(url("GET", "bucket", "k"))).content == b"kept"
