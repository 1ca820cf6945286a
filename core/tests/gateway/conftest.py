"""Servers in front of an upstream in memory: over HTTP, killed at any point, and started again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from bleepstore.auth.accounts import ConfiguredAccounts
from bleepstore.commands import CreateBucket
from bleepstore.exchange import (
    Access,
    Account,
    Authentication,
    Authenticator,
    Authorizer,
    Decision,
    Exchange,
    Identity,
    Services,
)
from bleepstore.gateway.writes import Gateway
from bleepstore.http.address import Addressing
from bleepstore.http.entry import S3Entry
from bleepstore.http.identifiers import random_digits
from bleepstore.http.pipeline import Pipeline
from bleepstore.http.protocol import server_options
from bleepstore.metadata import BucketRecord, Intent, ObjectRecord
from bleepstore.operations import OperationTable
from bleepstore.s3.table import ROWS
from bleepstore.settings import Settings
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.testing.memory_upstream import Upstream
from uvicorn.server import ServerState


class Anybody(Authenticator, Authorizer):
    """Believes everybody to be the first account, and lets it do everything."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def authenticate(self, x: Exchange) -> Authentication:
        return Authentication(identity=Identity(account=self.account, access_key="key"))

    async def authorize(self, access: Access) -> Decision:
        return Decision.ALLOW


@dataclass
class Answer:
    """A reply as it came: ``whole`` when no byte of it is missing."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def whole(self) -> bool:
        return len(self.body) == int(self.headers.get("content-length", 0))

    @property
    def code(self) -> str:
        return self.body.decode().partition("<Code>")[2].partition("</Code>")[0]

    def text(self, element: str) -> str:
        return self.body.decode().partition(f"<{element}>")[2].partition(f"</{element}>")[0]


@dataclass
class Server:
    """A server in this process, and what is behind it."""

    services: Services
    engine: SqliteEngine
    upstream: Upstream
    gateway: Gateway
    port: int
    state: ServerState
    closing: AsyncExitStack
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened.append(writer)
        return reader, writer

    async def send(self, method: str, path: str, body: bytes = b"", **headers: Any) -> Answer:
        """One request over a connection of its own; names of headers have ``_`` for ``-``."""
        reader, writer = await self.connect()
        writer.write(head(method, path, {"content_length": len(body), "connection": "close", **headers}))
        writer.write(body)
        async with asyncio.timeout(20):
            answer = parse(await reader.read())
        writer.close()
        return answer

    async def put(self, path: str, body: bytes, **headers: Any) -> Answer:
        answer = await self.send("PUT", path, body, **headers)
        assert answer.status == 200, answer.body
        return answer

    async def get(self, path: str, **headers: Any) -> bytes:
        answer = await self.send("GET", path, **headers)
        assert answer.status in (200, 206), answer.body
        assert answer.whole
        return answer.body

    async def bucket(self) -> BucketRecord:
        found = await self.engine.bucket("bucket")
        assert found is not None
        return found

    async def row(self, key: str) -> ObjectRecord | None:
        return (await self.engine.object("bucket", key))[1]

    def engine_seq(self) -> int:
        """How many commands have changed something."""
        return self.engine._readers.seq

    async def intents(self) -> list[Intent]:
        return list(await self.engine.intents(1000))

    async def stop(self) -> None:
        """As the server stops in order."""
        await self.closing.aclose()

    async def die(self) -> None:
        """As it is killed: nothing that it does reaches upstream or the database any more."""
        self.upstream.kill()

        async def dead(command: Any) -> Any:
            await asyncio.Event().wait()

        self.engine.apply = dead  # type: ignore[method-assign]
        for task in [*self.gateway._tasks, *self.state.tasks]:
            task.cancel()
        await self.closing.aclose()


def head(method: str, path: str, headers: dict[str, Any]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "\r\n")).encode()


def parse(raw: bytes) -> Answer:
    start, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), {name.lower(): value for name, value in pairs}, body)


@pytest.fixture
def upstream() -> Upstream:
    """Override it for clouds that do other things."""
    return Upstream()


@pytest.fixture
async def launch(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Callable[..., Any]]:
    """Starts servers over one database and one upstream: one after the other, or two workers of one."""
    servers: list[Server] = []

    async def start() -> Server:
        servers.append(await _start(tmp_path, upstream))
        return servers[-1]

    yield start
    upstream.heal()
    for server in reversed(servers):
        for task in [*server.gateway._tasks, *server.state.tasks]:
            task.cancel()  # what a test that failed has left standing
        await server.stop()


@pytest.fixture
async def server(launch: Callable[..., Any]) -> Server:
    """A running server with the bucket ``bucket``."""
    started: Server = await launch()
    return started


async def _start(folder: Path, upstream: Upstream) -> Server:
    async with AsyncExitStack() as stack:
        engine = SqliteEngine(folder / "metadata.db", durable=False, token="one")
        await engine.start()
        stack.push_async_callback(engine.stop)
        storage = NativeMemoryBackend(upstream)
        await storage.start(engine.store_id, fresh=engine.fresh)
        stack.push_async_callback(storage.stop)
        settings = Settings()
        accounts = ConfiguredAccounts(settings.auth)
        anybody = Anybody(accounts.first)

        def clock() -> int:
            return time.time_ns() // 1_000_000

        def new_id() -> str:
            return f"{clock():012x}{random_digits()}"

        gateway = Gateway(engine, storage, clock, new_id)
        stack.push_async_callback(gateway.stop)
        services = Services(
            settings=settings,
            accounts=accounts,
            metadata=engine,
            storage=storage,
            authenticators=(anybody,),
            authorizers=(anybody,),
            clock=clock,
            new_id=new_id,
            gateway=gateway,
        )
        if await engine.bucket("bucket") is None:
            owner = accounts.first.id
            await engine.apply(CreateBucket(id="b", at=1, name="bucket", owner=owner, region="us-east-1"))
        addressing = Addressing(settings.server.domains)
        pipeline = Pipeline(services, OperationTable(ROWS), addressing)
        nothing: Any = None
        entry = S3Entry(pipeline.answer, services, nothing, addressing=addressing)
        config = uvicorn.Config(entry, log_config=None, **server_options(settings))
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Fri, 02 Jan 2026 03:04:05 GMT"), *config.encoded_headers]
        make: Callable[..., Any] = config.http_protocol_class
        listening = await asyncio.get_running_loop().create_server(
            lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        port = listening.sockets[0].getsockname()[1]
        server = Server(services, engine, upstream, gateway, port, state, stack.pop_all())

        async def close() -> None:
            listening.close()
            for writer in server.opened:
                writer.close()
            for connection in list(state.connections):
                connection.transport.abort()  # type: ignore[union-attr]
            async with asyncio.timeout(10):
                while state.connections or state.tasks:
                    await asyncio.sleep(0)

        server.closing.push_async_callback(close)
        return server
