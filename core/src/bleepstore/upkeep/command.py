"""``bleepstore scrub``: a scrub of a store that no server has open."""

from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser, Namespace
from typing import Any

from bleepstore.metadata import MetadataUnavailable
from bleepstore.storage import StorageFault
from bleepstore.terminal import Line, complain
from bleepstore.upkeep.scrub import Finding, Scrub
from bleepstore.upkeep.texts import as_json, describe, summary, totals_as_json

CLEAN, FOUND, CANNOT = 0, 1, 2
"""Exit codes."""


def configure(parser: ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--quick", action="store_true", help="compare names only, and read no bytes")
    parser.add_argument("--quarantine", action="store_true", help="move damaged blobs to quarantine/")
    parser.add_argument("--trash", action="store_true", help="move files that no row names to trash/")
    parser.add_argument("--json", action="store_true", help="a JSON object a line, the summary last")


def run(options: Namespace) -> int:
    """Scrub, print, and return the exit code."""
    return asyncio.run(_run(options))


async def _run(options: Namespace) -> int:
    try:
        async with options.open_store() as services:
            if not services.storage.capabilities.scrub:
                return _cannot("the storage backend cannot be scrubbed")
            return await _scrub(options, services)
    except (StorageFault, MetadataUnavailable) as error:
        return _cannot(str(error) or type(error).__name__)


async def _scrub(options: Namespace, services: Any) -> int:
    line = Line()

    def report(finding: Finding) -> None:
        line.say(json.dumps(as_json(finding)) if options.json else describe(finding))

    scrub = Scrub(
        services, report, read=not options.quick, quarantine=options.quarantine, trash=options.trash
    )
    async with line.ticking(lambda: f"{scrub.progress:4.0%}  {summary(scrub.totals)}"):
        await scrub.run()
    line.say(json.dumps(totals_as_json(scrub.totals)) if options.json else summary(scrub.totals))
    return CLEAN if scrub.totals.clean else FOUND


def _cannot(text: str) -> int:
    complain(text)
    return CANNOT
