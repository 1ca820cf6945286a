#!/usr/bin/env python3
"""Fill a bucket of a stopped BleepStore with empty objects, by commands to its metadata engine.

    python tests/performance/fill_store.py DATABASE BUCKET SHAPE COUNT

A million PUTs over HTTP would take minutes that measure nothing. These are the commands that a PUT of an
empty object gives, applied by the engine itself, in groups and without syncing; the bucket must exist.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path

from bleepstore.commands import CommitObject, Content
from bleepstore.metadata import Attributes
from bleepstore.sqlite.engine import SqliteEngine
from keyspace import SHAPES

EMPTY = "d41d8cd98f00b204e9800998ecf8427e"
AT_ONCE = 4096


async def fill(database: Path, name: str, shape: str, count: int) -> None:
    """Apply a command for each key."""
    engine = SqliteEngine(database, durable=False)
    await engine.start()
    try:
        bucket = await engine.bucket(name)
        if bucket is None:
            raise SystemExit(f"no bucket {name}")
        attributes = Attributes(headers={"content-type": "binary/octet-stream"})
        run, at, key = uuid.uuid4().hex, int(time.time() * 1000), SHAPES[shape].key
        for first in range(0, count, AT_ONCE):
            commands = (
                CommitObject(
                    id=f"{run}-{number}",
                    at=at,
                    bucket=bucket.id,
                    key=key(number, count),
                    content=Content(size=0),
                    etag=EMPTY,
                    owner=bucket.owner,
                    attributes=attributes,
                )
                for number in range(first, min(first + AT_ONCE, count))
            )
            await asyncio.gather(*(engine.apply(command) for command in commands))
    finally:
        await engine.stop()


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
