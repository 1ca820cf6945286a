"""The built-in plugin with the background tasks."""

from __future__ import annotations

import asyncio
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
        from bleepstore.upkeep.rounds import AbandonedWrites, expire_uploads, remove_garbage

        interval = context.settings.upkeep.interval
        return (
            BackgroundTask(name="garbage", run=_every(interval, remove_garbage)),
            BackgroundTask(name="abandoned", run=_every(interval, AbandonedWrites().round)),
            BackgroundTask(name="uploads", run=_every(interval, expire_uploads)),
        )


def _every(
    seconds: float, work: Callable[[Services], Awaitable[int]]
) -> Callable[[Services], Awaitable[None]]:
    """Rounds with pauses; while there is much to do, without."""

    async def run(services: Services) -> None:
        from bleepstore.upkeep.rounds import BATCH

        while True:
            if await work(services) < BATCH:
                await asyncio.sleep(seconds)

    return run


plugin = UpkeepPlugin()
