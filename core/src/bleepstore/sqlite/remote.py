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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

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


class _End(asyncio.Protocol):
    """One end of a connection: whole frames in, and frames out that are gathered while the loop runs once.

    A protocol and not streams: a command costs no task and no wake-ups but those of its future.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = HEAD.size
        """Bytes that make something of what is held."""
        self._out = bytearray()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is none by its type

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand on the frames that are whole now."""
        if self._pieces or len(data) < self._needed:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        view, at, end = memoryview(data), 0, len(data)
        self._needed = HEAD.size
        while end - at >= HEAD.size:
            size, number = HEAD.unpack_from(data, at)
            if size > FRAME:
                log.error("a frame of %d bytes on the socket of commands: the connection is closed", size)
                self.transport.close()
                return
            after = at + HEAD.size + size
            if after > end:
                self._needed = HEAD.size + size
                break
            self.frame(number, view[at + HEAD.size : after])
            at = after
        if at < end:
            self._pieces.append(data[at:])
        self._held = end - at

    def frame(self, number: int, payload: memoryview) -> None:
        """A frame came."""
        raise NotImplementedError

    def put(self, number: int, payload: bytes) -> None:
        """Send a frame, with others."""
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out += HEAD.pack(len(payload), number) + payload

    def flush(self) -> None:
        """Send what was gathered."""
        out, self._out = self._out, bytearray()
        if out and not self.transport.is_closing():
            self.transport.write(bytes(out))


class CommandServer:
    """The writer's end."""

    def __init__(self, path: Path, submit: Callable[[Command], asyncio.Future[Any]]) -> None:
        self._path = path
        self.submit = submit
        self._server: asyncio.Server | None = None
        self.leaving = False
        self.workers: set[_Worker] = set()

    async def start(self) -> None:
        """Listen. A socket that a dead writer left is replaced."""
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Worker(self), sock=_listening(self._path))

    async def stop(self, patience: float = PATIENCE) -> None:
        """Tell the workers, answer what they have sent, and close. Idempotent."""
        if self._server is None:
            return
        self.leaving = True
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)
        for worker in self.workers:
            worker.put(WRITER, LEAVING)
        if self.workers:
            await asyncio.wait([worker.closed for worker in self.workers], timeout=patience)
        for worker in list(self.workers):
            log.warning("a worker did not hear that the writer stops")
            worker.transport.abort()
        if self.workers:
            await asyncio.wait([worker.closed for worker in self.workers])


class _Worker(_End):
    """The writer's end of a connection to one worker."""

    def __init__(self, server: CommandServer) -> None:
        super().__init__()
        self._server = server
        self._answers = 0
        """Commands that were queued and are not answered."""
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.workers.add(self)
        self.put(WRITER, LEAVING if self._server.leaving else READY)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.workers.discard(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        self._ended = True
        self._close_when_answered()
        return True  # the replies are still to be sent

    def frame(self, number: int, payload: memoryview) -> None:
        try:
            future = self._server.submit(decode_command(payload))
        except Exception as error:
            self.put(number, _failure(error))
            return
        self._answers += 1
        future.add_done_callback(partial(self._answer, number))

    def _answer(self, number: int, future: asyncio.Future[Any]) -> None:
        self._answers -= 1
        error = future.exception()
        self.put(number, bytes((DONE,)) + encode(future.result()) if error is None else _failure(error))
        self._close_when_answered()

    def _close_when_answered(self) -> None:
        if self._ended and not self._answers:
            self.flush()
            self.transport.close()


class CommandClient(_End):
    """A worker's end: one connection."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._waiting: dict[int, tuple[asyncio.Future[Any], int]] = {}
        self._sent = 0
        """Bytes of the commands that wait for replies."""
        self._greeting: asyncio.Future[bool] = self._loop.create_future()
        self.open = False
        """Whether commands can be sent: the writer is there, and did not say that it stops."""

    @classmethod
    async def connect(cls, path: Path) -> CommandClient:
        """Connect to the writer. Raises OSError while there is none."""
        with _short(path) as name:
            _, client = await asyncio.get_running_loop().create_unix_connection(cls, name)
        try:
            if not await client._greeting:
                raise ConnectionAbortedError("the writer is stopping")
        except BaseException:
            client.transport.close()
            raise
        return client

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Send a command; the future has its result. Raises MetadataBusy."""
        payload = encode(command)
        if self._sent + len(payload) > FRAME:
            raise MetadataBusy("the queue of commands is full")
        self._sent += len(payload)
        self._number = self._number % 0xFFFFFFFF + 1
        future = self._loop.create_future()
        self._waiting[self._number] = (future, len(payload))
        self.put(self._number, payload)
        return future

    async def close(self) -> None:
        """Wait for the replies to all that was sent, and close. Idempotent."""
        self._end()
        await asyncio.wait((self.closed,))

    def _end(self) -> None:
        """Send nothing more; replies can still come."""
        if self.open:
            self.open = False
            self.flush()
            with contextlib.suppress(OSError, RuntimeError):  # the connection is lost already
                self.transport.write_eof()

    def frame(self, number: int, payload: memoryview) -> None:
        """A reply, or what the writer says by itself."""
        if not self._greeting.done():
            self.open = (number, bytes(payload)) == (WRITER, READY)
            self._greeting.set_result(self.open)
            return
        if number == WRITER:
            self._end()
            return
        try:
            future, size = self._waiting[number]
            if not future.done():
                _settle(future, payload)
            del self._waiting[number]
            self._sent -= size
        except Exception:
            log.exception("a reply of the writer cannot be understood")
            self.open = False
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end: nobody waits any longer."""
        self.open = False
        if not self._greeting.done():
            self._greeting.set_result(False)
        waiting, self._waiting = self._waiting, {}
        for future, _ in waiting.values():
            if not future.done():
                future.set_exception(MetadataUnavailable("the writing process is gone"))
        super().connection_lost(exc)


def _failure(error: BaseException) -> bytes:
    if isinstance(error, Refused):
        return bytes((REFUSED,)) + encode((error.reason.name, error.detail))
    kinds = ((MetadataFull, FULL), (MetadataBusy, BUSY))
    status = next((status for kind, status in kinds if isinstance(error, kind)), UNAVAILABLE)
    return bytes((status,)) + encode(str(error))


def _settle(future: asyncio.Future[Any], payload: memoryview) -> None:
    status, value = payload[0], decode(payload[1:])
    if status == DONE:
        future.set_result(value)
    elif status == REFUSED:
        future.set_exception(Refused(Reason[value[0]], value[1]))
    else:
        fault = {FULL: MetadataFull, BUSY: MetadataBusy}.get(status, MetadataUnavailable)
        future.set_exception(fault(value))
