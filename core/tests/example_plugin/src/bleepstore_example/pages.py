"""What is not S3: routes below ``/_bleepstore/``, and a wrapper around all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bleepstore.exchange import Services
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def routes(services: Services) -> list[BaseRoute]:
    """The routes of one server."""

    async def bucket_count(request: Request) -> Response:
        owner = services.accounts.first.id
        listing = await services.metadata.list_buckets(owner, prefix="", after="", limit=1000)
        return PlainTextResponse(str(len(listing.entries)))

    return [Route("/_bleepstore/example/buckets", bucket_count)]


class NoStore:
    """No cache keeps these answers."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
            await send(message)

        await self._app(scope, receive, send_with_header)
