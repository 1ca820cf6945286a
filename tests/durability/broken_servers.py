"""Servers that promise too early: what is done to one before it starts, so that a harness must find it."""

ROW_BEFORE_BYTES = """
import asyncio
from bleepstore.storage import Blob
from bleepstore_backend_local.staging import LocalStaged

publish = LocalStaged.publish

async def promise(self, *, expect=None):
    await self._finish()
    return Blob(name=self.name, size=self._sums.size)

async def keep(self):
    await asyncio.sleep(0.05)
    await publish(self)

LocalStaged.publish, LocalStaged.settle = promise, keep
"""
"""The row is committed, and then the blob gets its name."""
BYTES_UNSYNCED = """
import bleepstore_backend_local.staging as staging
staging.sync_file = lambda file: None
"""
NAMES_UNSYNCED = """
import bleepstore_backend_local.staging as staging
staging.sync_folder = lambda folder: None
"""
ROWS_UNSYNCED = """
import bleepstore.sqlite.engine as engine
open_writer = engine.open_writer
engine.open_writer = lambda path, *, durable, **more: open_writer(path, durable=False, **more)
"""
ROOT_UNSYNCED = """
from bleepstore_backend_local.backend import LocalBackend
LocalBackend._make_root = lambda self: self._root.mkdir(parents=True, exist_ok=True)
"""
REPLY_BEFORE_COMMIT = """
import asyncio
from bleepstore.commands import CommitObject
from bleepstore.metadata import Committed
from bleepstore.sqlite.engine import SqliteEngine

apply = SqliteEngine.apply
waiting = set()

async def promise(self, command):
    running = asyncio.ensure_future(apply(self, command))
    if not isinstance(command, CommitObject) or command.condition.if_none_match or command.condition.if_match:
        return await running
    waiting.add(running)
    running.add_done_callback(waiting.discard)
    return Committed(seq=0, etag=command.etag, size=command.content.size, modified=command.at)

SqliteEngine.apply = promise
"""
"""A plain PUT is answered while its command waits for the writer."""

# --- gateways ---------------------------------------------------------------------------------------

ROW_BEFORE_UPSTREAM = """
import asyncio
import dataclasses
from bleepstore.commands import CommitObject, Content
from bleepstore.gateway.writes import Gateway

publish = Gateway._publish

async def commit_first(self, write):
    command = write.command
    if not isinstance(command, CommitObject):
        return await publish(self, write)
    with self._acting() as reservation:
        expected = await self._reserve(reservation, write.fingerprint, command)
        name = self.storage.name_of(write.bucket.name, command.key)
        content = Content(size=command.content.size, blob=name, token=command.etag)
        done = await self._record(dataclasses.replace(command, content=content, reservation=reservation))
        await asyncio.sleep(0.02)
        await write.staged.publish(expect=expected.token)
        write.published = True
        await write.staged.settle()
        return done

Gateway._publish = commit_first
"""
"""The row says what upstream is to hold soon, with the ETag that AWS is going to give."""
REPLY_BEFORE_UPSTREAM = """
import asyncio
from bleepstore.commands import CommitObject
from bleepstore.gateway.writes import Gateway
from bleepstore.metadata import Committed

write = Gateway.write

async def promise(self, bucket, staged, fingerprint, command):
    running = asyncio.ensure_future(write(self, bucket, staged, fingerprint, command))
    if not isinstance(command, CommitObject) or command.condition.if_none_match or command.condition.if_match:
        return await running
    self._tasks.add(running)
    running.add_done_callback(self._finished)
    return Committed(seq=0, etag=command.etag, size=command.content.size, modified=command.at)

Gateway.write = promise
"""
"""A plain PUT is answered while it is on its way upstream."""
INTENTS_FORGOTTEN = """
from bleepstore.commands import Release
from bleepstore.gateway import resolving, writes

async def forget(engines, intent):
    await engines.apply(Release, bucket=intent.bucket, key=intent.key, reservation=intent.reservation)

resolving.resolve = writes.resolve = forget
"""
"""What was cut off is taken for what has not happened."""
