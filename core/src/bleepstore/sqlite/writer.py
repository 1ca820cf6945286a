"""The writer: one thread that applies queued commands in groups.

Every command that waits is applied in one transaction, synced once, and all are answered. While a
group is being synced the next one gathers, so that grouping needs no timer. What a command costs in
memory counts against a bound, beyond which callers are told to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bleepstore.commands import Command, CommitObject, CommitPart
from bleepstore.metadata import MetadataBusy, MetadataFull, MetadataUnavailable, Refused
from bleepstore.sqlite.state import State

QUEUE_BYTES = 64 * 1024 * 1024
"""Commands that wait, by :func:`weight`."""
GROUP = 512
"""The most commands of one transaction."""

log = logging.getLogger("bleepstore.sqlite")


@dataclass(slots=True, eq=False)
class _Job:
    command: Command
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    weight: int
    result: Any = None
    fault: Exception | None = None


def weight(command: Command) -> int:
    """About how many bytes a waiting command holds."""
    if isinstance(command, CommitObject | CommitPart) and command.content.data is not None:
        return 2048 + len(command.content.data)
    return 2048


class Writer:
    """Owns the writing connection; started and stopped by the engine."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        queue_bytes: int = QUEUE_BYTES,
        committed: Callable[[int], None] = lambda seq: None,
    ) -> None:
        """``committed`` is called in the writer's thread with the seq of every commit."""
        self._connection = connection
        self._state = State(connection)
        self._committed = committed
        self._file: str = connection.execute("PRAGMA database_list").fetchone()[2]
        self._identity = _identity(self._file)
        self._bound = queue_bytes
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._failed: str | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="bleepstore-writer", daemon=True)

    @property
    def seq(self) -> int:
        """The last committed sequence number, as of the start."""
        return self._state.seq

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    async def stop(self) -> None:
        """Apply what waits, and end the thread."""
        if self._thread.is_alive():
            with self._lock:
                self._ended = True
                self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Queue a command; the future has its result. Raises MetadataBusy, MetadataUnavailable."""
        if self._failed is not None:
            raise MetadataUnavailable(self._failed)
        size = weight(command)
        loop = asyncio.get_running_loop()
        job = _Job(command, loop, loop.create_future(), size)
        with self._lock:
            if self._ended:
                raise MetadataUnavailable("the engine has been stopped")
            if self._waiting + size > self._bound:
                raise MetadataBusy("the queue of commands is full")
            self._waiting += size
            self._queue.put(job)
        return job.future

    # --- in the writer's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        ending = False
        while not ending:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            while len(group) < GROUP:
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    ending = True
                    break
                group.append(job)
            try:
                self._commit(group)
            except Exception as error:
                log.exception("the writer failed")
                self._fail(group, error)
            self._answer(group)

    def _commit(self, group: list[_Job]) -> None:
        """Apply a group in one transaction; alone, each for itself, when one of them breaks it."""
        if self._failed is not None:
            self._fail(group, None)
            return
        db = self._connection
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:  # somebody else's tool has the database locked, or it cannot be read
            for job in group:
                job.fault = _translated(error)
            return
        try:
            for job in group:
                try:
                    job.result = self._state.apply(job.command)
                except Refused as refused:
                    job.fault = refused
            self._state.save()
        except Exception as error:
            self._roll_back()
            if len(group) > 1:
                for job in group:
                    job.result = job.fault = None
                    self._commit([job])
            else:
                group[0].fault = _translated(error)
            return
        if _identity(self._file) != self._identity:
            self._roll_back()
            log.error("%s is not there any more: nothing is written", self._file)
            for job in group:
                job.result, job.fault = None, MetadataBusy("the database is not where it was opened")
            return
        try:
            db.execute("COMMIT")
        except sqlite3.Error as error:
            # SQLite reports a full disk before it has written anything that counts. After any other
            # failure, a failed sync above all, nobody knows what a power cut would leave.
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                self._roll_back()
                for job in group:
                    job.fault = MetadataFull(str(error))
            else:
                log.critical(
                    "a commit failed (%s): metadata is read-only until the server is started again", error
                )
                self._fail(group, error)
            return
        self._committed(self._state.seq)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._state.load()

    def _fail(self, group: list[_Job], error: Exception | None) -> None:
        if self._failed is None:
            self._failed = f"metadata is read-only since a commit failed: {error}"
        for job in group:
            job.result, job.fault = None, MetadataUnavailable(self._failed)

    def _answer(self, group: list[_Job]) -> None:
        with self._lock:
            self._waiting -= sum(job.weight for job in group)
        loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in group:
            loops.setdefault(job.loop, []).append(job)
        for loop, jobs in loops.items():
            with contextlib.suppress(RuntimeError):  # a loop that was closed has nobody who waits
                loop.call_soon_threadsafe(_deliver, jobs)


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


def _deliver(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue  # the caller was cancelled: the command ran all the same
        if job.fault is not None:
            job.future.set_exception(job.fault)
        else:
            job.future.set_result(job.result)
