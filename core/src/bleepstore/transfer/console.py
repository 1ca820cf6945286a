"""How each command of this room runs and reports: a line for what needs one, a summary, an exit code."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bleepstore.exchange import Services
from bleepstore.metadata import MetadataBusy, MetadataFull, MetadataUnavailable
from bleepstore.storage import StorageFault
from bleepstore.terminal import Line, complain, printable

CLEAN, FOUND, CANNOT = 0, 1, 2
"""Exit codes: nothing to tell; something was told; it could not be done."""
AT_ONCE = 16
"""Objects that are looked at at once: upstream is asked about each."""
MIB = 1024 * 1024

T = TypeVar("T")


class CannotRun(Exception):
    """A command cannot do what was asked: one line for the operator."""


@dataclass(slots=True)
class Report:
    """What a command has done and found until now."""

    line: Line
    json: bool
    objects: int = 0
    """Looked at."""
    moved: int = 0
    """Bytes that were read."""
    counts: dict[str, int] = field(default_factory=dict)
    """What was done quietly, by kind."""
    found: dict[str, int] = field(default_factory=dict)
    """What has its line, by kind."""

    def count(self, kind: str) -> None:
        """One more that went as it should."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def tell(self, kind: str, bucket: str, key: str, detail: str, **more: Any) -> None:
        """A line about something that is not as it should be."""
        self.found[kind] = self.found.get(kind, 0) + 1
        self._say(kind, bucket, key, detail, more)

    def note(self, kind: str, bucket: str, key: str, detail: str, **more: Any) -> None:
        """A line about something that is worth knowing, and as it should be."""
        self.count(kind)
        self._say(kind, bucket, key, detail, more)

    def _say(self, kind: str, bucket: str, key: str, detail: str, more: dict[str, Any]) -> None:
        if self.json:
            self.line.say(json.dumps({"kind": kind, "bucket": bucket, "key": key, "detail": detail, **more}))
        else:
            name = f"{bucket}/{key}" if key else bucket
            self.line.say(f"{kind} {printable(name)}: {printable(detail)}")

    def __str__(self) -> str:
        done = [f"{self.objects:,} objects"] + ([f"{self.moved / MIB:,.1f} MiB read"] if self.moved else [])
        done += [f"{number:,} {kind}" for kind, number in self.counts.items()]
        told = ", ".join(f"{number:,} {kind}" for kind, number in self.found.items())
        return f"{', '.join(done)}: {told or 'clean'}"

    def conclude(self) -> int:
        """The last line, and the exit code."""
        if self.json:
            totals = {"objects": self.objects, "bytes_read": self.moved, **self.counts, **self.found}
            self.line.say(json.dumps({"kind": "summary", **totals}))
        else:
            self.line.say(str(self))
        return FOUND if self.found else CLEAN


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
    report = Report(Line(), options.json)
    try:
        async with store() as services, report.line.ticking(lambda: str(report)):
            await work(services, report)
    except (CannotRun, StorageFault, MetadataUnavailable, MetadataFull, MetadataBusy) as error:
        if report.objects:
            report.conclude()
        complain(str(error) or type(error).__name__)
        return CANNOT
    return report.conclude()


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
