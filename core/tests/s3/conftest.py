"""A server of the S3 operations over SQLite and a storage in memory that fails when it is told to."""

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
from bleepstore.http.address import Addressing
from bleepstore.http.entry import S3Entry
from bleepstore.http.pipeline import Pipeline
from bleepstore.http.protocol import server_options
from bleepstore.operations import OperationTable
from bleepstore.s3.table import ROWS
from bleepstore.settings import Settings, StorageSettings
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.storage import Blob, BlobReader, Buffer, Damaged, StagedBlob, StorageFault
from bleepstore.testing.memory import MemoryBackend, MemoryReader, MemoryStaged
from uvicorn.server import ServerState


class Fragile(MemoryBackend):
    """Counts what is open, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.write_fault: StorageFault | None = None
        self.publish_fault: StorageFault | None = None
        self.damage: int | None = None
        """The place in a blob from which on its bytes are damaged."""
        self.reading = 0
        self.writing = 0

    async def stage(self, name: str, **_: Any) -> StagedBlob:
        return FragileStaged(self, name)

    async def open(self, blob: Blob, start: int = 0, length: int | None = None) -> BlobReader:
        await super().open(blob, start, length)
        if self.damage is not None and start <= self.damage < start + 1024 * 1024:
            raise Damaged(blob.name)
        data = self.memory.blobs[blob.name][start:][:length]
        return FragileReader(self, data, start)


class FragileStaged(MemoryStaged):
    def __init__(self, backend: Fragile, name: str) -> None:
        super().__init__(backend.memory, name)
        self.backend = backend
        self.settled = False
        self.open = True
        backend.writing += 1

    async def write(self, data: Buffer) -> None:
        if self.backend.write_fault:
            raise self.backend.write_fault
        await super().write(data)

    async def publish(self, *, expect: str | None = None) -> Blob:
        if self.backend.publish_fault:
            raise self.backend.publish_fault
        return await super().publish(expect=expect)

    async def settle(self) -> None:
        self._end()

    async def discard(self) -> None:
        self._end()
        await super().discard()

    def _end(self) -> None:
        self.backend.writing -= self.open
        self.open = False


class FragileReader(MemoryReader):
    def __init__(self, backend: Fragile, data: bytes, start: int) -> None:
        super().__init__(data)
        self.backend = backend
        self.start = start
        self.open = True
        backend.reading += 1

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at = self.start
        async for piece in super().__aiter__():
            if self.backend.damage is not None and at <= self.backend.damage < at + len(piece):
                raise Damaged("a blob")
            yield piece
            at += len(piece)

    async def close(self) -> None:
        self.backend.reading -= self.open
        self.open = False
        await super().close()


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
        return len(self.body) == int(self.headers["content-length"])


@dataclass
class House:
    """A server in this process, and what is behind it."""

    services: Services
    engine: SqliteEngine
    storage: Fragile
    entry: S3Entry
    port: int
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

    async def put(self, path: str, body: bytes) -> None:
        assert (await self.send("PUT", path, body)).status == 200

    async def garbage(self) -> list[str]:
        return [found.blob for found in await self.engine.garbage(1000)]

    def exchange(self) -> Exchange:
        x = Exchange()
        x.services = self.services
        return x


def head(method: str, path: str, headers: dict[str, Any]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "\r\n")).encode()


def parse(raw: bytes) -> Answer:
    start, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = start.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, body)


@pytest.fixture
def inline_limit() -> int:
    """Override it for tests of small objects: here every byte goes to the storage."""
    return 0


@pytest.fixture
async def house(tmp_path: Path, inline_limit: int) -> AsyncIterator[House]:
    """A running server with the bucket ``bucket``."""
    async with AsyncExitStack() as stack:
        engine = SqliteEngine(tmp_path / "metadata.db", durable=False, token="one")
        await engine.start()
        stack.push_async_callback(engine.stop)
        settings = Settings(storage=StorageSettings(inline_limit=inline_limit))
        accounts, storage, ids = ConfiguredAccounts(settings.auth), Fragile(), iter(range(10**6))
        anybody = Anybody(accounts.first)
        services = Services(
            settings=settings,
            accounts=accounts,
            metadata=engine,
            storage=storage,
            authenticators=(anybody,),
            authorizers=(anybody,),
            clock=lambda: time.time_ns() // 1_000_000,
            new_id=lambda: f"{next(ids):032x}",
        )
        command = CreateBucket(
            id=services.new_id(), at=1, name="bucket", owner=accounts.first.id, region="us-east-1"
        )
        await engine.apply(command)
        addressing = Addressing(settings.server.domains)
        pipeline = Pipeline(services, OperationTable(ROWS), addressing)
        nothing: Any = None
        entry = S3Entry(pipeline.answer, services, nothing, addressing=addressing)
        config = uvicorn.Config(entry, log_config=None, **server_options(settings))
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Fri, 02 Jan 2026 03:04:05 GMT"), *config.encoded_headers]
        make: Callable[..., Any] = config.http_protocol_class
        server = await asyncio.get_running_loop().create_server(
            lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        house = House(services, engine, storage, entry, server.sockets[0].getsockname()[1])
        try:
            yield house
        finally:
            server.close()
            for writer in house.opened:
                writer.close()
            for connection in list(state.connections):
                connection.transport.abort()  # type: ignore[union-attr]
            async with asyncio.timeout(10):
                while state.connections or state.tasks:
                    await asyncio.sleep(0)
