"""``server.workers: auto``: processes that come when one is not enough, and leave when it is.

One Python process is one processor. The server begins as one; while it is busy all the time and the
machine has processors left, it starts another, which answers on the same sockets and sends its commands
to the first one's writer. A process that nobody has a connection to for a while ends. So an idle server
is as small as one process, and a loaded one as fast as the machine allows.

A worker is a new process, not a fork: by then there are threads. It is given settings and sockets over
its standard input, and ends in order when that does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from bleepstore import logs
from bleepstore.settings import Settings

BUSY = 0.8
"""A share of one processor: a process that uses this much has no time to spare."""
LOOK = 0.25
"""Seconds between two looks at the clock."""
LONG_ENOUGH = 4
"""Looks in a row that find it busy, before another is started."""
IDLE = 60.0
"""Seconds without a connection after which a worker leaves."""
PAUSE = 60.0
"""Seconds after a worker that failed, before another is tried."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
PATIENCE = 5.0
"""Seconds beside ``server.shutdown_grace`` in which a worker has to end."""
SIZE = struct.Struct(">I")
MOST = 8
"""Processes: there is one writer, which more would only wait for."""

log = logging.getLogger("bleepstore.workers")


class Serving(Protocol):
    """A server, as what runs beside it sees it."""

    @property
    def draining(self) -> bool:
        """Whether it takes no more requests."""

    @property
    def connections(self) -> int:
        """How many clients are connected now."""

    def drain(self) -> None:
        """End when the requests under way have been answered."""


Beside: TypeAlias = Callable[[Serving], Coroutine[Any, Any, None]]
"""What runs while a server serves, and is cancelled at its end."""


def processors(quota: Path = QUOTA) -> int:
    """How many this process may use, by its affinity and by its control group."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        allowed, period = quota.read_text().split()
        if allowed != "max":
            count = min(count, max(1, int(allowed) // int(period)))
    return count


class Reinforcement:
    """What watches the first process of a server, and calls others."""

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket], most: int) -> None:
        """``most``: processes, this one counted."""
        self._settings = settings
        self._sockets = sockets
        self._most = most
        self.workers: list[subprocess.Popen[bytes]] = []
        self._not_before = 0.0

    async def beside(self, serving: Serving) -> None:
        """Watch until the server drains, or this is cancelled; then see that all workers have ended."""
        busy, used, at = 0, time.process_time(), time.monotonic()
        try:
            while not serving.draining:
                await asyncio.sleep(LOOK)
                now_used, now = time.process_time(), time.monotonic()
                busy = busy + 1 if now_used - used > BUSY * (now - at) else 0
                used, at = now_used, now
                self._bury()
                if busy >= LONG_ENOUGH and len(self.workers) + 1 < self._most and now >= self._not_before:
                    busy = 0
                    await asyncio.get_running_loop().run_in_executor(None, self._call)
        finally:
            await self._dismiss()

    def _call(self) -> None:
        numbers = [listening.fileno() for listening in self._sockets]
        try:
            worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "bleepstore.workers"], stdin=subprocess.PIPE, pass_fds=numbers
            )
        except OSError as error:
            log.warning("no further worker can be started: %s", error)
            self._most = len(self.workers) + 1
            return
        self.workers.append(worker)
        word = pickle.dumps((self._settings, numbers, logs.are_json()))
        assert worker.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: seen at the next look
            worker.stdin.write(SIZE.pack(len(word)) + word)
            worker.stdin.flush()
        log.info("all that this process can do is used: worker %d is started", worker.pid)

    def _bury(self) -> None:
        for worker in list(self.workers):
            code = worker.poll()
            if code is None:
                continue
            self.workers.remove(worker)
            _let_go(worker)
            if code:
                log.error("worker %d ended with %d", worker.pid, code)
                self._not_before = time.monotonic() + PAUSE

    async def _dismiss(self) -> None:
        """Tell the workers to drain, and wait for them: they need this process's writer until then."""
        for worker in self.workers:
            _let_go(worker)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, self._wait, worker) for worker in self.workers))
        self._bury()

    def _wait(self, worker: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(self._settings.server.shutdown_grace + PATIENCE)
            return
        log.error("worker %d does not end, and is killed", worker.pid)
        worker.kill()
        worker.wait()


def _let_go(worker: subprocess.Popen[bytes]) -> None:
    """End the pipe to a worker, which drains then if it lives."""
    assert worker.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()


async def leave_when_idle(serving: Serving) -> None:
    """End a worker that nobody has been connected to for a while."""
    idle_since = time.monotonic()
    while True:
        await asyncio.sleep(IDLE / 10)
        if serving.connections:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > IDLE:
            serving.drain()
            return


def _heard(size: int) -> bytes:
    """So many bytes of what the first process says. Unbuffered: later the end of this pipe is watched."""
    word = b""
    while len(word) < size:
        piece = os.read(sys.stdin.fileno(), size - len(word))
        if not piece:
            raise SystemExit(0)  # it is gone
        word += piece
    return word


def main() -> int:
    """A worker: hear what the first process has to say, and serve."""
    from bleepstore.discovery import discover
    from bleepstore.supervisor import complain, serve

    (size,) = SIZE.unpack(_heard(SIZE.size))
    settings, numbers, json_lines = pickle.loads(_heard(size))  # noqa: S301 - from whoever started this
    logs.configure(json_lines=json_lines)
    sockets = [socket.socket(fileno=number) for number in numbers]
    plugins = discover(settings.plugins.disabled)
    until = sys.stdin.fileno()
    return serve(settings, plugins, sockets, lambda: None, complain, until=until, beside=leave_when_idle)


if __name__ == "__main__":
    sys.exit(main())
