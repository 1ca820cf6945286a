"""The built-in plugin with the background tasks and the command ``scrub``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from bleepstore.exchange import Services
from bleepstore.plugin import API_VERSION, BackgroundTask, CommandSpec, Context, hookimpl


class UpkeepPlugin:
    """Writes that were cut off, garbage, abandoned blobs, old uploads; scrub."""

    name = "upkeep"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_background_tasks(self, context: Context) -> Iterable[BackgroundTask]:
        """One task for each kind of round."""
        from bleepstore.upkeep.rounds import (
            BATCH,
            AbandonedWrites,
            expire_uploads,
            remove_garbage,
            resolve_intents,
        )

        interval = context.settings.upkeep.interval
        tasks = [
            BackgroundTask(name="intents", run=every(interval, resolve_intents)),
            BackgroundTask(name="garbage", run=every(interval, remove_garbage)),
            BackgroundTask(name="abandoned", run=every(interval, AbandonedWrites().round)),
            BackgroundTask(name="uploads", run=every(interval, expire_uploads, most=BATCH)),
        ]
        if days := context.settings.upkeep.scrub_days:
            from bleepstore.upkeep.patrol import patrol

            tasks.append(BackgroundTask(name="scrub", run=patrol(days)))
        return tasks

    @hookimpl
    def bleepstore_commands(self) -> Iterable[CommandSpec]:
        """The command ``scrub``."""
        text = "read and check all that is stored, while no server runs"
        return (CommandSpec(name="scrub", help=text, configure=_configure, run=_scrub, store=True),)


def every(
    seconds: float, work: Callable[[Services], Awaitable[int]], *, most: float = math.inf
) -> Callable[[Services], Awaitable[None]]:
    """Rounds with pauses; after one that found ``most`` to do, without."""

    async def run(services: Services) -> None:
        while True:
            if await work(services) < most:
                await asyncio.sleep(seconds)

    return run


def _configure(parser: Any) -> None:
    from bleepstore.upkeep.command import configure

    configure(parser)


def _scrub(options: Any) -> int:
    from bleepstore.upkeep.command import run

    return run(options)


plugin = UpkeepPlugin()
