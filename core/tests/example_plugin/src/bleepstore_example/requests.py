"""An operation of our own, another form of addresses, and a wrapper around every operation."""

from __future__ import annotations

from urllib.parse import unquote

from bleepstore.exchange import Address, AddressResolver, Exchange, Handler, Reply
from bleepstore.operations import AclRight, Load, Operation, Permission, Scope


async def greeting(x: Exchange) -> Reply:
    """``GET /BUCKET?greeting``."""
    assert x.bucket is not None
    return Reply(headers={"content-type": "text/plain"}, body=f"hello from {x.bucket.name}".encode())


GREETING = Operation(
    name="GetBucketGreeting",
    method="GET",
    scope=Scope.BUCKET,
    query=("greeting",),
    permission=Permission(action="example:GetBucketGreeting", right=AclRight.READ, on=Scope.BUCKET),
    loads=Load.BUCKET,
    handler=greeting,
)


class TildeResolver(AddressResolver):
    """``/~BUCKET/KEY`` is the bucket and the key too."""

    def resolve(self, host: str, raw_path: str) -> Address | None:
        if not raw_path.startswith("/~"):
            return None
        bucket, _, key = raw_path[2:].partition("/")
        return Address(bucket, unquote(key) or None)


async def name_the_operation(x: Exchange, handler: Handler) -> Reply:
    """Tell the client which operation it asked for."""
    reply = await handler(x)
    reply.headers["x-example-operation"] = x.operation.name
    return reply
