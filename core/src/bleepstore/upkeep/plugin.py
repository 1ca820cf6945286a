"""The built-in plugin with the background tasks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable

from bleepstore.exchange import Services
from bleepstore.plugin import API_VERSION, BackgroundTask, Context, hookimpl


class UpkeepPlugin:
    """Garbage, abandoned writes, old uploads."""

    name = "upkeep"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_background_tasks(self, context: Context) -> Iterable[BackgroundTask]:
        """One task for each kind of round."""
        from bleepstore.upkeep.rounds import BATCH, AbandonedWrites, expire_uploads, remove_garbage

        interval = context.settings.upkeep.interval
        return (
            BackgroundTask(name="garbage", run=every(interval, remove_garbage, most=BATCH)),
            BackgroundTask(name="abandoned", run=every(interval, AbandonedWrites().round)),
            BackgroundTask(name="uploads", run=every(interval, expire_uploads, most=BATCH)),
        )


def every(
    seconds: float, work: Callable[[Services], Awaitable[int]], *, most: float = math.inf
) -> Callable[[Services], Awaitable[None]]:
    """Rounds with pauses; after one that found ``most`` to do, without."""

    async def run(services: Services) -> None:
        while True:
            if await work(services) < most:
                await asyncio.sleep(seconds)

    return run


plugin = UpkeepPlugin()
