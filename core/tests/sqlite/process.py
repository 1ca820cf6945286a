"""A process with an engine, for tests that kill it: ``process.py PATH TOKEN write|read``.

It prints a line for each thing that is so now, and ends with its standard input.
"""

import asyncio
import sys
from pathlib import Path

from bleepstore.commands import Attributes, CommitObject, Content, CreateBucket
from bleepstore.metadata import Reason, Refused
from bleepstore.sqlite.engine import SqliteEngine


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def write(engine: SqliteEngine) -> None:
    """Commit objects without an end, eight at a time, and name each that was acknowledged."""
    bucket = CreateBucket(id="bucket", at=1, name="bucket", owner="o", region="r")
    try:
        await engine.apply(bucket)
    except Refused as refused:
        if refused.reason is not Reason.BUCKET_EXISTS:
            raise
    record = await engine.bucket("bucket")
    assert record is not None

    async def commit(number: int) -> None:
        key = f"{engine.store_id}-{number}"
        await engine.apply(
            CommitObject(
                id=key,
                at=number,
                bucket=record.id,
                key=key,
                content=Content(size=4, blob=f"blob-{key}", data=b"data"),
                etag="e",
                owner="o",
                attributes=Attributes(),
            )
        )
        say(key)

    number = int(sys.argv[4])
    while True:
        await asyncio.gather(*(commit(number + n) for n in range(8)))
        number += 8


async def main() -> None:
    engine = SqliteEngine(Path(sys.argv[1]), token=sys.argv[2])
    await engine.start()
    say("writer" if engine.is_writer else "worker")
    if sys.argv[3] == "write":
        await write(engine)
    with engine.reading():
        say("reading")
        await asyncio.to_thread(sys.stdin.readline)
    say("done")
    await asyncio.to_thread(sys.stdin.readline)
    await engine.stop()


asyncio.run(main())
