"""The writer: queued commands applied in groups, one transaction and one sync each.

A group is what came while the one before was being synced, so that grouping needs no timer. Its commands
are applied on the loop, where they cost some microseconds each and wait for nobody; a thread of its own
commits, which waits for the disk. (Applied in that thread, each of their statements waits for the
interpreter that the loop is using: measured, three quarters of a group's time.) A group with a command
that can be long is left to the thread as a whole. What waits is bounded in bytes.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bleepstore.commands import Command, CommitObject, CommitPart, CopyPart, DeleteObject, PutObjectDocument
from bleepstore.metadata import MetadataBusy, MetadataFull, MetadataUnavailable, Refused
from bleepstore.sqlite.state import State

SHORT = frozenset((CommitObject, CommitPart, CopyPart, DeleteObject, PutObjectDocument))
"""Commands that touch a few rows, whatever there is."""
LOCKED_PATIENCE = 10.0
"""Seconds in which a group waits for somebody else's tool that has the database locked."""
LOCKED_LOOK = 0.02
QUEUE_BYTES = 64 * 1024 * 1024
"""Commands that wait, by :func:`weight`."""
GROUP = 512
"""The most commands of one transaction."""

log = logging.getLogger("bleepstore.sqlite")


@dataclass(slots=True, eq=False)
class _Job:
    command: Command
    future: asyncio.Future[Any]
    weight: int
    result: Any = None
    fault: Exception | None = None


@dataclass(slots=True, eq=False)
class _Group:
    jobs: list[_Job]
    applied: bool = False
    """Whether what is left to do is the commit."""


def weight(command: Command) -> int:
    """About how many bytes a waiting command holds."""
    if isinstance(command, CommitObject | CommitPart) and command.content.data is not None:
        return 2048 + len(command.content.data)
    return 2048


class Writer:
    """Owns the writing connection; started, used and stopped on one loop."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        queue_bytes: int = QUEUE_BYTES,
        committed: Callable[[int], None] = lambda seq: None,
    ) -> None:
        """``committed`` is called in the writer's thread with the seq of every commit."""
        self._connection = connection
        # The loop does not wait for a lock, and the thread does it by itself.
        connection.execute("PRAGMA busy_timeout = 0")
        self._state = State(connection)
        self._committed = committed
        self._file: str = connection.execute("PRAGMA database_list").fetchone()[2]
        self._identity = _identity(self._file)
        self._bound = queue_bytes
        self._loop: asyncio.AbstractEventLoop
        self._pending: collections.deque[_Job] = collections.deque()
        self._waiting = 0
        self._busy = False
        """A group is under way, or about to be: the connection is its."""
        self._failed: str | None = None
        self._idle: asyncio.Event
        self._ended = False
        self._groups: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bleepstore-writer", daemon=True)

    @property
    def seq(self) -> int:
        """The last committed sequence number, as of the start."""
        return self._state.seq

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread.start()

    async def stop(self) -> None:
        """Apply what waits, and end the thread."""
        if self._thread.is_alive():
            self._ended = True
            await self._idle.wait()
            self._groups.put(None)
            await self._loop.run_in_executor(None, self._thread.join)

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Queue a command; the future has its result. Raises MetadataBusy, MetadataUnavailable."""
        if self._failed is not None:
            raise MetadataUnavailable(self._failed)
        if self._ended:
            raise MetadataUnavailable("the engine has been stopped")
        size = weight(command)
        if self._waiting + size > self._bound:
            raise MetadataBusy("the queue of commands is full")
        self._waiting += size
        job = _Job(command, self._loop.create_future(), size)
        self._pending.append(job)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._next)  # with all that comes while the loop runs once
        return job.future

    # --- on the loop ----------------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin with the group that waits, where one does."""
        pending = self._pending
        if not pending:
            self._busy = False
            self._idle.set()
            return
        jobs = [pending.popleft() for _ in range(min(len(pending), GROUP))]
        group = _Group(jobs)
        if self._failed is None and SHORT.issuperset({type(job.command) for job in jobs}):
            group.applied = self._begin(jobs) and self._apply(jobs)
            if not group.applied and jobs[0].fault is not None:
                self._done(group)
                return
        self._groups.put(group)

    def _done(self, group: _Group) -> None:
        """Answer a group, and go on."""
        for job in group.jobs:
            self._waiting -= job.weight
            if job.future.done():
                continue  # the caller was cancelled: the command ran all the same
            if job.fault is not None:
                job.future.set_exception(job.fault)
            else:
                job.future.set_result(job.result)
        self._next()

    # --- in the writer's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            try:
                self._finish(group)
            except Exception as error:
                log.exception("the writer failed")
                self._fail(group.jobs, error)
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
                self._loop.call_soon_threadsafe(self._done, group)

    def _finish(self, group: _Group) -> None:
        """Do what is left of a group."""
        if group.applied:
            self._commit(group.jobs)
            return
        if self._failed is not None:
            self._fail(group.jobs, None)
            return
        deadline = time.monotonic() + LOCKED_PATIENCE
        while not self._begin(group.jobs):
            if group.jobs[0].fault is not None:
                return
            if time.monotonic() > deadline:
                _refuse(group.jobs, MetadataBusy("the database is locked by somebody else"))
                return
            time.sleep(LOCKED_LOOK)
        self._transact(group.jobs)

    def _transact(self, jobs: list[_Job]) -> None:
        """Apply and commit, in a transaction that has begun."""
        if self._apply(jobs):
            self._commit(jobs)
        elif len(jobs) > 1 and all(job.fault is None for job in jobs):
            # One of them broke it: each for itself.
            for job in jobs:
                if self._begin([job]):
                    self._transact([job])
                elif job.fault is None:
                    job.fault = MetadataBusy("the database is locked by somebody else")

    # --- in either: never in both, as one group is under way ----------------------------------------------

    def _begin(self, jobs: list[_Job]) -> bool:
        """Begin a transaction. ``False`` without a fault of the jobs: somebody has the database locked."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                _refuse(jobs, _translated(error))
            return False
        return True

    def _apply(self, jobs: list[_Job]) -> bool:
        """Apply all. ``False``: nothing was changed; the fault is with the jobs, or one of many broke it."""
        apply = self._state.apply
        try:
            for job in jobs:
                try:
                    job.result = apply(job.command)
                except Refused as refused:
                    job.fault = refused
            self._state.save()
        except Exception as error:
            self._roll_back()
            for job in jobs:
                job.result = job.fault = None
            if len(jobs) == 1:
                jobs[0].fault = _translated(error)
            return False
        if _identity(self._file) != self._identity:
            self._roll_back()
            log.error("%s is not there any more: nothing is written", self._file)
            _refuse(jobs, MetadataBusy("the database is not where it was opened"))
            return False
        return True

    def _commit(self, jobs: list[_Job]) -> None:
        """Make what was applied durable."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # SQLite reports a full disk before it has written anything that counts. After any other
            # failure, a failed sync above all, nobody knows what a power cut would leave.
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                self._roll_back()
                _refuse(jobs, MetadataFull(str(error)))
            else:
                log.critical(
                    "a commit failed (%s): metadata is read-only until the server is started again", error
                )
                self._fail(jobs, error)
            return
        self._committed(self._state.seq)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._state.load()

    def _fail(self, jobs: list[_Job], error: Exception | None) -> None:
        if self._failed is None:
            self._failed = f"metadata is read-only since a commit failed: {error}"
        _refuse(jobs, MetadataUnavailable(self._failed))


def _refuse(jobs: list[_Job], fault: Exception) -> None:
    for job in jobs:
        job.result, job.fault = None, fault


def _identity(file: str) -> tuple[int, int] | None:
    """Which file it is; SQLite goes on with one that was moved or deleted, and nobody would find it."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _translated(error: Exception) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            return MetadataFull(str(error))
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return MetadataBusy(str(error))
    log.error("a command could not be applied", exc_info=error)
    return MetadataUnavailable(f"{type(error).__name__}: {error}")
