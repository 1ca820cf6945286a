"""Commands from the other workers to the one with the writer role, over a Unix socket.

``metadata.db-socket`` lies beside the database. A frame is its length (u32), a number (u32) and a
payload; requests carry an encoded command, replies a status byte and an encoded result. What a
worker queues while its loop runs once leaves in one write, and so do the replies to one group: that
keeps the socket cheap under load.

Frames with number 0 are the writer's own. It begins with one: a connection to a process that is dying
can be made, but nothing is sent over it. A writer that stops says so, and then answers all that was sent
before the worker heard it. A command whose reply does not come has an unknown outcome and is never sent
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
"""Bytes of the longest payload, and of all commands of a worker that wait for replies."""
WRITER = 0
"""The number of what the writer says by itself: that it takes commands, and that it stops."""
READY, LEAVING = b"ready", b"leaving"
PATIENCE = 5.0
"""Seconds in which a worker has to hear that the writer stops."""
DONE, REFUSED, UNAVAILABLE, FULL, BUSY = range(5)

log = logging.getLogger("bleepstore.sqlite")


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the socket that fits into an address, which holds about 100 bytes."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _listening(path: Path) -> socket.socket:
    """A socket that nobody but this user can reach, at no moment."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), 0o600)
        with _short(path) as name:
            listening.bind(name)
        path.chmod(0o600)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


class _Lines:
    """Frames out, gathered while the loop runs once."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._out = bytearray()

    def put(self, number: int, payload: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        self._out += HEAD.pack(len(payload), number) + payload

    def flush(self) -> None:
        out, self._out = self._out, bytearray()
        if out and not self._writer.is_closing():
            self._writer.write(bytes(out))


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """Frames until the other end is done, gone, or not to be understood."""
    while True:
        try:
            size, number = HEAD.unpack(await reader.readexactly(HEAD.size))
            if size > FRAME:
                log.error("a frame of %d bytes on the socket of commands: the connection is closed", size)
                return
            payload = await reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            return
        yield number, payload


class CommandServer:
    """The writer's end."""

    def __init__(self, path: Path, submit: Callable[[Command], Awaitable[Any]]) -> None:
        self._path = path
        self._submit = submit
        self._server: asyncio.Server | None = None
        self._leaving = False
        self._clients: dict[asyncio.Task[Any], tuple[asyncio.StreamWriter, _Lines]] = {}

    async def start(self) -> None:
        """Listen. A socket that a dead writer left is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, sock=_listening(self._path))

    async def stop(self, patience: float = PATIENCE) -> None:
        """Tell the workers, answer what they have sent, and close. Idempotent."""
        if self._server is None:
            return
        self._leaving = True
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)
        for _, lines in self._clients.values():
            lines.put(WRITER, LEAVING)
        if self._clients:
            await asyncio.wait(self._clients, timeout=patience)
        for writer, _ in list(self._clients.values()):
            log.warning("a worker did not hear that the writer stops")
            writer.transport.abort()
        if self._clients:
            await asyncio.wait(self._clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = _Lines(writer)
        me = asyncio.current_task()
        assert me is not None
        self._clients[me] = (writer, lines)
        lines.put(WRITER, LEAVING if self._leaving else READY)
        answers: set[asyncio.Task[None]] = set()
        try:
            async for number, payload in _frames(reader):
                task = asyncio.create_task(self._answer(lines, number, payload))
                answers.add(task)
                task.add_done_callback(answers.discard)
            while answers:
                await asyncio.wait(answers)
            lines.flush()
        finally:
            writer.close()
            del self._clients[me]

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
        self._waiting: dict[int, tuple[asyncio.Future[Any], int]] = {}
        self._held = 0
        self.open = True
        """Whether commands can be sent: the writer is there, and did not say that it stops."""
        self._task = asyncio.create_task(self._receive(reader), name="commands")

    @classmethod
    async def connect(cls, path: Path) -> CommandClient:
        """Connect to the writer. Raises OSError while there is none."""
        with _short(path) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        try:
            async for number, payload in _frames(reader):
                if (number, payload) == (WRITER, READY):
                    return cls(reader, writer)
                break
            raise ConnectionAbortedError("the writer is stopping")
        except BaseException:
            writer.close()
            raise

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Send a command; the future has its result. Raises MetadataBusy."""
        payload = encode(command)
        if self._held + len(payload) > FRAME:
            raise MetadataBusy("the queue of commands is full")
        self._held += len(payload)
        self._number = self._number % 0xFFFFFFFF + 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = (future, len(payload))
        self._lines.put(self._number, payload)
        return future

    async def close(self) -> None:
        """Wait for the replies to all that was sent, and close. Idempotent."""
        self._end()
        await asyncio.wait((self._task,))

    def _end(self) -> None:
        """Send nothing more; replies can still come."""
        if self.open:
            self.open = False
            self._lines.flush()
            with contextlib.suppress(OSError, RuntimeError):  # the connection is lost already
                self._writer.write_eof()

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        try:
            async for number, payload in _frames(reader):
                if number == WRITER:
                    self._end()
                    continue
                future, size = self._waiting[number]
                if not future.done():
                    _settle(future, payload)
                del self._waiting[number]
                self._held -= size
        except Exception:
            log.exception("a reply of the writer cannot be understood")
        finally:
            self.open = False
            self._writer.close()
            waiting, self._waiting = self._waiting, {}
            for future, _ in waiting.values():
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
