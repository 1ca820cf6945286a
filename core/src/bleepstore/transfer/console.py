"""How each command of this room runs: the store is opened, work is done and counted, a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from bleepstore.exchange import Services
from bleepstore.metadata import MetadataBusy, MetadataFull, MetadataUnavailable
from bleepstore.storage import StorageFault
from bleepstore.terminal import Line, complain
from bleepstore.transfer.report import CANNOT, Report

AT_ONCE = 16
"""Objects that are looked at at once: upstream is asked about each."""
PATIENCE = 16
"""Objects that one side may not answer for, one after the other, before the run ends: it is down."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


class CannotRun(Exception):
    """A command cannot do what was asked: one line for the operator."""


class Patience:
    """Counts calls that were not answered, one after the other."""

    def __init__(self) -> None:
        self._refusals = 0

    def unanswered(self, error: Exception) -> None:
        """One more. Raises CannotRun when there were too many."""
        self._refusals += 1
        if self._refusals >= PATIENCE:
            raise CannotRun(str(error) or type(error).__name__) from error

    def answered(self) -> None:
        """It works."""
        self._refusals = 0


def add_json(parser: ArgumentParser) -> None:
    """The option that every command has."""
    parser.add_argument("--json", action="store_true", help="a JSON object a line, the summary last")


def run_on_store(
    options: Namespace,
    store: Callable[[], AbstractAsyncContextManager[Services]],
    work: Callable[[Services, Report], Awaitable[None]],
) -> int:
    """Open the store, work, print, and return the exit code."""
    return asyncio.run(_run(options, store, work))


async def _run(
    options: Namespace,
    store: Callable[[], AbstractAsyncContextManager[Services]],
    work: Callable[[Services, Report], Awaitable[None]],
) -> int:
    line = Line()
    report = Report(line, options.json)
    with _cancelled_by_signals() as caught:
        try:
            async with store() as services, line.ticking(report.under_way):
                await work(services, report)
        except (CannotRun, StorageFault, MetadataUnavailable, MetadataFull, MetadataBusy) as error:
            if report.progress.objects:
                report.conclude(whole=False)
            complain(str(error) or type(error).__name__)
            return CANNOT
        except asyncio.CancelledError:
            if not caught:
                raise
            if report.progress.objects:
                report.conclude(whole=False)
            complain("interrupted: the same command goes on from here")
            return 128 + caught[0]
    return report.conclude()


@contextlib.contextmanager
def _cancelled_by_signals() -> Iterator[list[int]]:
    """A signal cancels this task, and the next one ends the process where it is. Those that came."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    caught: list[int] = []

    def cancel(number: int) -> None:
        caught.append(number)
        for other in set(heard):
            loop.remove_signal_handler(other)
            signal.signal(other, signal.SIG_DFL)
        task.cancel()

    heard = []
    for number in SIGNALS:
        # Not in other threads than the first one, and not on Windows.
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, cancel, number)
            heard.append(number)
    try:
        yield caught
    finally:
        if not caught:
            for number in heard:
                loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def counting(report: Report, sizes: Callable[[Report], AsyncIterator[int]]) -> AsyncIterator[None]:
    """Count beside the block how much there is to do, where somebody sees the progress.

    ``sizes`` gives the bytes that are to be read of each object; what it tells, nobody reads.
    """

    async def count() -> None:
        with contextlib.suppress(CannotRun, StorageFault):  # the work itself meets it too
            async for size in sizes(Report.silent()):
                report.progress.expect(size)
            report.progress.counted = True

    if report.line is None or not report.line.shown:
        yield
        return
    task = asyncio.create_task(count(), name="count")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def for_each(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], *, at_once: int = AT_ONCE
) -> None:
    """Work on so many items at once, and ask for each when there is somebody to work on it.

    After a failure what was begun comes to its end, and the first failure is raised.
    """
    turn, failed = asyncio.Lock(), asyncio.Event()

    async def go() -> None:
        try:
            while True:
                async with turn:
                    if failed.is_set() or (item := await anext(items, None)) is None:
                        return
                await work(item)
        except BaseException:
            failed.set()
            raise

    workers = [asyncio.create_task(go(), name="transfer") for _ in range(at_once)]
    try:
        await asyncio.wait(workers)
        for worker in workers:
            worker.result()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
