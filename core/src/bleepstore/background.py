"""Runs background tasks in the process that has the writer role.

The role can come later: when the process that had it dies, another takes it, and its upkeep too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from bleepstore.exchange import Services
from bleepstore.plugin import BackgroundTask

PAUSE = 5.0
"""Seconds before a task that raised is started again."""
LOOK = 1.0
"""Seconds between two looks for the writer role."""

log = logging.getLogger("bleepstore.background")


class BackgroundRunner:
    """The tasks of one process."""

    def __init__(
        self,
        tasks: Sequence[BackgroundTask],
        services: Services,
        *,
        pause: float = PAUSE,
        look: float = LOOK,
    ) -> None:
        self._tasks = tasks
        self._services = services
        self._pause = pause
        self._look = look
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; a task runs as soon as this process has the writer role."""
        self._running = asyncio.create_task(self._run(), name="background")

    async def stop(self) -> None:
        """Cancel what runs and wait for it. Idempotent."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    async def _run(self) -> None:
        # The role comes with a file lock that another process lets go: nobody here can be woken.
        while not self._services.metadata.is_writer:  # noqa: ASYNC110
            await asyncio.sleep(self._look)
        async with asyncio.TaskGroup() as group:
            for task in self._tasks:
                group.create_task(self._keep(task), name=task.name)

    async def _keep(self, task: BackgroundTask) -> None:
        while True:
            try:
                await task.run(self._services)
            except Exception:
                log.exception("background task %s failed, and starts again in %g s", task.name, self._pause)
                await asyncio.sleep(self._pause)
            else:
                return
