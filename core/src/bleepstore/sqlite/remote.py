"""Commands from the other workers to the one with the writer role, over a Unix socket.

``metadata.db-socket`` lies beside the database. A frame is its length (u32), a number (u32) and a
payload; requests carry an encoded command, replies a status byte and an encoded result. What a
worker queues while its loop runs once leaves in one write, and so do the replies to one group: that
keeps the socket cheap under load.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bleepstore.commands import Command
from bleepstore.metadata import (
    MetadataBusy,
    MetadataFull,
    MetadataUnavailable,
    Reason,
    Refused,
)
from bleepstore.sqlite.codec import decode, decode_command, encode

HEAD = struct.Struct(">II")
FRAME = 64 * 1024 * 1024
"""The longest frame."""
DONE, REFUSED, UNAVAILABLE, FULL, BUSY = range(5)

log = logging.getLogger("bleepstore.sqlite")


@contextlib.contextmanager
def _short(path: Path) -> Any:
    """A name of the socket that fits into an address, which holds about 100 bytes."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Lines:
    """Frames out, gathered while the loop runs once."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._out = bytearray()

    def put(self, number: int, payload: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += HEAD.pack(len(payload), number) + payload

    def _flush(self) -> None:
        out, self._out = self._out, bytearray()
        if not self._writer.is_closing():
            self._writer.write(bytes(out))


async def _frames(reader: asyncio.StreamReader) -> Any:
    while True:
        try:
            size, number = HEAD.unpack(await reader.readexactly(HEAD.size))
            if size > FRAME:
                return
            yield number, await reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            return


class CommandServer:
    """The writer's end."""

    def __init__(self, path: Path, submit: Callable[[Command], Awaitable[Any]]) -> None:
        self._path = path
        self._submit = submit
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen. A socket that a dead writer left is replaced."""
        self._path.unlink(missing_ok=True)
        with _short(self._path) as name:
            self._server = await asyncio.start_unix_server(self._serve, name)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Answer what is under way, and close. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # the gathered replies leave
        for writer in list(self._writers):
            writer.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = _Lines(writer)
        self._writers.add(writer)
        try:
            async for number, payload in _frames(reader):
                task = asyncio.create_task(self._answer(lines, number, payload))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, lines: _Lines, number: int, payload: bytes) -> None:
        try:
            result = await self._submit(decode_command(payload))
        except Refused as refused:
            lines.put(number, bytes((REFUSED,)) + encode((refused.reason.name, refused.detail)))
        except MetadataFull as error:
            lines.put(number, bytes((FULL,)) + encode(str(error)))
        except MetadataBusy as error:
            lines.put(number, bytes((BUSY,)) + encode(str(error)))
        except Exception as error:
            lines.put(number, bytes((UNAVAILABLE,)) + encode(str(error)))
        else:
            lines.put(number, bytes((DONE,)) + encode(result))


class CommandClient:
    """A worker's end: one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._lines = _Lines(writer)
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.open = True
        self._task = asyncio.create_task(self._receive(reader), name="commands")

    @classmethod
    async def connect(cls, path: Path) -> CommandClient:
        """Connect to the writer. Raises OSError while there is none."""
        with _short(path) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        return cls(reader, writer)

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Send a command; the future has its result."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = future
        self._lines.put(self._number, encode(command))
        return future

    async def close(self) -> None:
        """Close the connection; what waits has an unknown outcome."""
        self._writer.close()
        await self._task

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        async for number, payload in _frames(reader):
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                _settle(future, payload)
        self.open = False
        self._writer.close()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(MetadataUnavailable("the writing process is gone"))


def _settle(future: asyncio.Future[Any], payload: bytes) -> None:
    status, value = payload[0], decode(memoryview(payload)[1:])
    if status == DONE:
        future.set_result(value)
    elif status == REFUSED:
        future.set_exception(Refused(Reason[value[0]], value[1]))
    else:
        fault = {FULL: MetadataFull, BUSY: MetadataBusy}.get(status, MetadataUnavailable)
        future.set_exception(fault(value))
