"""What a native backend over a blocking SDK does its calls with: threads, and memory that waits for them.

Nothing here is one cloud's own. An SDK that blocks is called in a bounded set of threads, always with
whole buffers: no call waits for a slow client of ours. A call that could not begin within
:data:`PATIENCE` seconds, because all threads are busy with a service that does not answer, is not begun.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from typing import ParamSpec, TypeVar

from bleepstore.storage import BlobMissing, OutOfSpace, StorageFault, TokenMismatch, Unavailable, Unsupported

STATUSES: Mapping[int, type[StorageFault]] = {
    304: TokenMismatch,
    404: BlobMissing,
    408: Unavailable,
    412: TokenMismatch,
    413: Unsupported,
    429: Unavailable,
    500: Unavailable,
    501: Unsupported,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: OutOfSpace,
}
"""What an answer of HTTP means where the service gives it no name that says more."""
PATIENCE = 10.0
"""Seconds that a call may wait for a thread."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Calls:
    """Threads for calls. Their errors are StorageFaults."""

    def __init__(
        self,
        service: str,
        threads: int,
        faults: Callable[[str], AbstractContextManager[None]],
        *,
        long: int = 0,
    ) -> None:
        """``threads`` for calls, and ``long`` more for those that are not short, where these have their own.

        ``faults`` is entered in the thread, with what the call is for, and makes StorageFaults of
        the SDK's errors. ``service`` is a word for names of threads and logs.
        """
        self.service = service
        self._faults = faults
        self._short = ThreadPoolExecutor(threads, thread_name_prefix=f"bleepstore-{service}")
        self._long = self._short
        if long:
            self._long = ThreadPoolExecutor(long, thread_name_prefix=f"bleepstore-{service}-long")

    def run(
        self, what: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """Begin a call for ``what``. Raises Unavailable after :meth:`stop`."""
        return self._submit(self._short, what, PATIENCE, work, *args, **kwargs)

    def run_long(
        self, what: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """As :meth:`run`, for what works on the whole of a large object and would keep others waiting."""
        return self._submit(self._long, what, PATIENCE, work, *args, **kwargs)

    def finish(
        self, what: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> asyncio.Future[_T]:
        """As :meth:`run`, for what must be done however long it waits."""
        return self._submit(self._short, what, float("inf"), work, *args, **kwargs)

    def _submit(
        self,
        threads: ThreadPoolExecutor,
        what: str,
        patience: float,
        work: Callable[_P, _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> asyncio.Future[_T]:
        asked = time.monotonic()

        def call() -> _T:
            if time.monotonic() - asked > patience:
                raise Unavailable(f"{what}: all calls to the service are waiting for it")
            with self._faults(what):
                return work(*args, **kwargs)

        try:
            return asyncio.wrap_future(threads.submit(call))
        except RuntimeError as error:
            raise Unavailable(f"{what}: the server is stopping") from error

    async def stop(self) -> None:
        """Let the calls under way come to their end."""
        loop = asyncio.get_running_loop()
        for threads in (self._long, self._short):
            await loop.run_in_executor(None, threads.shutdown)


# --- memory -----------------------------------------------------------------------------------------


class Block:
    """A buffer of fixed size. It goes back to where it came from when nobody holds it any more.

    That includes a call that goes on after whoever waited for it was cancelled.
    """

    def __init__(self, buffers: Buffers, number: int, data: bytearray) -> None:
        self.data = data
        self.filled = 0
        """Bytes of it that mean something."""
        self._buffers = buffers
        self._number = number

    def __del__(self) -> None:
        self._buffers.put_back(self._number, self.data)

    @property
    def room(self) -> int:
        """Bytes that are not filled."""
        return len(self.data) - self.filled

    def append(self, data: memoryview) -> int:
        """Take as many bytes as there is room for."""
        taken = min(len(data), self.room)
        self.data[self.filled : self.filled + taken] = data[:taken]
        self.filled += taken
        return taken

    def __len__(self) -> int:
        return self.filled

    def __getitem__(self, span: slice) -> bytes:
        """A copy of a slice of what is filled."""
        with memoryview(self.data)[: self.filled][span] as view:
            return bytes(view)


class Buffers:
    """Buffers of one size that are used again: allocated anew for each block they would scatter the heap.

    Sets and lists are changed by single steps of the interpreter, from any thread.
    """

    def __init__(self, size: int, limit: int) -> None:
        """``limit``: bytes from which on writes are to be modest."""
        self._size = size
        self._limit = limit
        self._numbers = count()
        self._out: dict[int, int] = {}
        self._free: list[bytearray] = []

    @property
    def scarce(self) -> bool:
        """So much is being held that a write should wait for its own call before it takes more."""
        return sum(list(self._out.values())) >= self._limit

    def take(self, size: int) -> Block:
        """A buffer of ``size`` bytes, with anything in it."""
        data = self._spare() if size == self._size else None
        if data is None:
            data = bytearray(size)
        number = next(self._numbers)
        self._out[number] = size
        return Block(self, number, data)

    def _spare(self) -> bytearray | None:
        try:
            return self._free.pop()
        except IndexError:  # asked for first, it could be gone to another thread
            return None

    def put_back(self, number: int, data: bytearray) -> None:
        """A buffer that nobody reads any more."""
        self._out.pop(number, None)
        if len(data) == self._size and len(self._free) * self._size < self._limit // 2:
            self._free.append(data)
