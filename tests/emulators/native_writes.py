"""Writes and reads of a native backend, as the tests of the clouds' plugins make them."""

import asyncio
import secrets
from typing import Any

from bleepstore.native import NativeBackend
from bleepstore.storage import Blob, Target


async def staged(storage: NativeBackend, body: bytes, target: Target) -> Any:
    """A write that holds the body, not sealed."""
    write = await storage.stage(secrets.token_hex(16), target=target)
    await write.write(body)
    return write


async def read(storage: NativeBackend, blob: Blob, start: int = 0, length: int | None = None) -> bytes:
    """All bytes of a span."""
    reader = await storage.open(blob, start, length)
    try:
        return b"".join([piece async for piece in reader])
    finally:
        await reader.close()


async def held_in_memory(storage: Any, size: int) -> None:
    """Wait until so much is: a thread lets go of a call a moment after it was answered."""
    async with asyncio.timeout(10):
        while sum(storage.buffers._out.values()) != size:
            await asyncio.sleep(0.001)
