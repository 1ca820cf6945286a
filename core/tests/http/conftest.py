"""A server of one handler on a real socket, and a client that sends exactly the bytes it is given."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from bleepstore.exchange import Exchange, Reply, Services
from bleepstore.http.body import RequestBody
from bleepstore.http.entry import S3Entry
from bleepstore.http.protocol import Patience, server_options
from bleepstore.settings import Settings
from uvicorn.server import ServerState

Answer = Callable[[Exchange], Awaitable[Reply]]


def services_of(settings: Settings) -> Services:
    nothing: Any = None
    return Services(
        settings=settings,
        accounts=nothing,
        metadata=nothing,
        storage=nothing,
        authenticators=(),
        authorizers=(),
        clock=lambda: time.time_ns() // 1_000_000,
        new_id=lambda: "0" * 32,
    )


async def plain_routes(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"plain"})


class Wire:
    """A listening server."""

    def __init__(self, port: int, state: ServerState) -> None:
        self.port = port
        self.state = state

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, *pieces: bytes, half_close: bool = False) -> bytes:
        """Send the pieces, read until the server closes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if half_close:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@pytest.fixture
def services() -> Callable[[Settings], Services]:
    return services_of


@pytest.fixture(params=["fast", "asgi"])
def serve(request: pytest.FixtureRequest) -> Callable[..., AbstractAsyncContextManager[Wire]]:
    @asynccontextmanager
    async def run(
        answer: Answer, settings: Settings | None = None, patience: Patience | None = None
    ) -> AsyncIterator[Wire]:
        settings = settings or Settings()
        entry = S3Entry(answer, services_of(settings), plain_routes)
        options = server_options(settings, patience)
        options["http"].entry = entry if request.param == "fast" else None
        config = uvicorn.Config(entry, log_config=None, **options)
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Fri, 02 Jan 2026 03:04:05 GMT"), *config.encoded_headers]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore
            "127.0.0.1",
            0,
        )
        try:
            yield Wire(server.sockets[0].getsockname()[1], state)
        finally:
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()  # type: ignore[union-attr]
            while state.connections or state.tasks:
                await asyncio.sleep(0)

    return run


class CountingSigner:
    """A chunk signer whose signatures depend on the place and on what is signed."""

    def __init__(self) -> None:
        self.previous = b"seed"

    def chunk(self, sha256: bytes) -> str:
        return self._sign(b"chunk", sha256)

    def trailer(self, sha256: bytes) -> str:
        return self._sign(b"trailer", sha256)

    def _sign(self, kind: bytes, sha256: bytes) -> str:
        self.previous = hmac.digest(b"key", self.previous + kind + sha256, "sha256")
        return self.previous.hex()


@pytest.fixture
def signer() -> type[CountingSigner]:
    return CountingSigner


def aws_chunked(
    data: bytes, sizes: list[int], *, signer: Any = None, trailers: dict[str, str] | None = None
) -> bytes:
    """Frame ``data`` as the AWS documentation shows it."""
    out = []
    at = 0
    rest = iter(sizes)
    while True:
        chunk = data[at : at + next(rest, len(data))] if at < len(data) else b""
        at += len(chunk)
        signature = f";chunk-signature={signer.chunk(hashlib.sha256(chunk).digest())}" if signer else ""
        out.append(f"{len(chunk):x}{signature}\r\n".encode())
        if not chunk:
            break
        out.append(chunk + b"\r\n")
    if trailers is not None:
        for name, value in trailers.items():
            out.append(f"{name}:{value}\r\n".encode())
        if signer:
            lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
            signature = signer.trailer(hashlib.sha256(lines.encode()).digest())
            out.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
    out.append(b"\r\n")
    return b"".join(out)


@pytest.fixture
def chunked() -> Callable[..., bytes]:
    return aws_chunked


@pytest.fixture
def body_of() -> Callable[..., RequestBody]:
    """A body received in the given pieces; ``gone`` ends it by a disconnect."""

    def make(
        pieces: list[bytes],
        headers: dict[str, str],
        *,
        method: str = "PUT",
        limit: int = 1 << 40,
        gone: bool = False,
        pulls: list[int] | None = None,
    ) -> RequestBody:
        waiting = list(pieces) or [b""]

        async def receive() -> dict[str, Any]:
            if pulls is not None:
                pulls.append(1)
            if not waiting:
                assert gone, "received past the end"
                return {"type": "http.disconnect"}
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting) or gone}

        return RequestBody(receive, method, headers, limit)

    return make
