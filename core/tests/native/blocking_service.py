"""A service that blocks, as an SDK's calls would."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bleepstore.native_calls import Block, Buffers, Calls
from bleepstore.native_staging import Filling, ThreadedStaged
from bleepstore.storage import BackendFailed, Buffer, TokenMismatch

NAME = "bucket/key"
SIZE = 4
"""Bytes of a buffer."""


class Refusal(Exception):
    """What the SDK raises."""


@contextmanager
def faults(what: str) -> Iterator[None]:
    try:
        yield
    except Refusal as error:
        raise BackendFailed(f"{what}: {error}") from error


class Service:
    """One object, and what was sent of it. Each call is a step, which can be held or fail."""

    def __init__(self) -> None:
        self.token = ""
        self.sent: list[bytes] = []
        self.steps: list[str] = []
        self.threads: set[str] = set()
        self.most = 0
        self._under_way = 0
        self._actions: dict[str, deque[Callable[[], None]]] = {}

    def when(self, step: str, action: Callable[[], None]) -> None:
        """Do something in the next call of a kind, before it has any effect."""
        self._actions.setdefault(step, deque()).append(action)

    def hold(self, step: str) -> tuple[threading.Event, threading.Event]:
        """Hold the next call of a kind; it has come, it may go."""
        come, go = threading.Event(), threading.Event()

        def wait() -> None:
            come.set()
            assert go.wait(30)

        self.when(step, wait)
        return come, go

    def fail(self, step: str) -> None:
        """Let the next call of a kind fail."""

        def refuse() -> None:
            raise Refusal("no")

        self.when(step, refuse)

    def call(self, step: str) -> None:
        """A call begins."""
        self.steps.append(step)
        self.threads.add(threading.current_thread().name)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            if self._actions.get(step):
                self._actions[step].popleft()()
        finally:
            self._under_way -= 1


class Backend:
    """What writes need of a backend."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.calls = Calls("test", 4, faults, long=1)
        self.buffers = Buffers(SIZE, 2 * SIZE)

    def delete_at(self, name: str, token: str | None) -> None:
        self.service.call("delete")
        if self.service.token != token:
            raise TokenMismatch(name)
        self.service.token = ""


class Write(ThreadedStaged[Backend]):
    """A body in buffers."""

    def __init__(self, backend: Backend, name: str = "write", *, expected: int | None = None) -> None:
        super().__init__(backend, name, NAME)
        self.filling = Filling(backend.buffers, size=SIZE, expected=expected, grain=2)
        self.released = 0

    async def write(self, data: Buffer) -> None:
        await self.filling.append(data, self, self._send)

    def _send(self, block: Block) -> None:
        self.backend.service.call("send")
        self.backend.service.sent.append(block[:])
        self.size += len(block)

    def seal_blocking(self) -> str:
        self.backend.service.call("seal")
        if (rest := self.filling.rest()) is not None:
            self._send(rest)
        return f"of {self.size}"

    def publish_blocking(self, expect: str | None) -> str:
        service = self.backend.service
        service.call("publish")
        if expect not in (None, service.token):
            raise TokenMismatch(self.blob_name)
        service.token = self.name
        return self.name

    def release(self) -> None:
        self.released += 1
        self.filling.rest()
