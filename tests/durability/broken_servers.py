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
