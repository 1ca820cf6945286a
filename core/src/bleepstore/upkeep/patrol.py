"""Scrub beside requests: a slice at a time, so that everything is read once in ``upkeep.scrub_days``.

Which slice is due follows from the clock alone: nothing has to be kept over a restart, and a server
that is restarted every day still comes around. It only tells: what is set aside under a running
server would be missed by requests under way, so that is for ``bleepstore scrub``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bleepstore.exchange import Services
from bleepstore.storage import ENDINGS
from bleepstore.upkeep.rounds import DAY
from bleepstore.upkeep.scrub import Finding, Scrub, Totals
from bleepstore.upkeep.texts import describe, summary

SLICES = len(ENDINGS)

log = logging.getLogger("bleepstore.scrub")


def patrol(days: int) -> Callable[[Services], Awaitable[None]]:
    """The task that goes around once in so many days."""
    turn = days * DAY / SLICES

    async def run(services: Services) -> None:
        if not services.storage.capabilities.scrub:
            log.warning("upkeep.scrub_days: the storage backend cannot be scrubbed")
            return
        scrub = Scrub(services, tell, at_once=1)
        number = int(services.clock() // turn)
        while True:
            await asyncio.sleep(max(number * turn - services.clock(), 0) / 1000)
            ending = number % SLICES
            await scrub.slice(range(ending, ending + 1))
            if ending == ENDINGS[-1]:
                log.info("%s", summary(scrub.totals))
                scrub.totals = Totals()
            # Whoever is behind by more than a round (a machine that slept) leaves the rest of it out.
            number = max(number + 1, int(services.clock() // turn) - SLICES + 1)

    return run


def tell(finding: Finding) -> None:
    """A line of the log for each finding."""
    log.error("%s", describe(finding))
