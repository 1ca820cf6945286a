"""What the kit cannot know: damage in the file, processes that died."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from bleepstore.storage import Blob, Damaged
from bleepstore.testing.storage import STORE
from bleepstore_backend_sqlitefs.backend import SqliteFsBackend
from bleepstore_backend_sqlitefs.database import PIECE

pytestmark = pytest.mark.anyio
NAME = "ab" * 16


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def started(path: Path, *, fresh: bool = False) -> SqliteFsBackend:
    backend = SqliteFsBackend(path)
    await backend.start(STORE, fresh=fresh)
    return backend


async def put(backend: SqliteFsBackend, data: bytes) -> Blob:
    staged = await backend.stage(NAME)
    await staged.write(data)
    blob = await staged.publish()
    await staged.settle()
    return blob


async def read_into(read: bytearray, backend: SqliteFsBackend, blob: Blob) -> None:
    async for piece in await backend.open(blob):
        read += piece


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE pieces SET data = zeroblob(length(data)) WHERE n = 1",
        "UPDATE pieces SET data = substr(data, 2) WHERE n = 1",
        "DELETE FROM pieces WHERE n = 1",
        "UPDATE blobs SET size = size + 1",
    ],
)
async def test_damage_is_found_before_wrong_bytes_are_read(tmp_path: Path, damage: str) -> None:
    backend = await started(tmp_path / "blobs.db", fresh=True)
    data = bytes(range(256)) * (2 * PIECE // 256) + b"end"
    blob = await put(backend, data)
    with sqlite3.connect(tmp_path / "blobs.db") as other:
        other.execute(damage)
    other.close()
    read = bytearray()
    with pytest.raises(Damaged):
        await read_into(read, backend, blob)
    assert data.startswith(read)
    with pytest.raises(Damaged):
        await backend.verify(blob)
    await backend.stop()


DIES = """
import asyncio, os, sys
from pathlib import Path
from bleepstore_backend_sqlitefs.backend import SqliteFsBackend

async def main():
    backend = SqliteFsBackend(Path(sys.argv[1]))
    await backend.start(sys.argv[2], fresh=False)
    staged = await backend.stage(sys.argv[3])
    await staged.write(bytes(1_000_000))
    if sys.argv[4] == "published":
        await staged.publish()
    sys.stdout.write("there\\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(1)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["staged", "published"])
async def test_what_a_process_had_in_flight_is_told_once_it_is_dead(tmp_path: Path, how: str) -> None:
    path = tmp_path / "blobs.db"
    backend = await started(path, fresh=True)
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, str(path), STORE, NAME, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        assert list(await backend.abandoned()) == []
        assert set(await backend.in_flight()) == {NAME}
        process.kill()
    assert list(await backend.abandoned()) == [NAME]
    if how == "published":
        await backend.open(Blob(name=NAME, size=1_000_000))
    await backend.delete(NAME)
    await backend.resolve([NAME])
    assert list(await backend.abandoned()) == []
    assert list(await backend.in_flight()) == []
    assert backend.database.all("SELECT * FROM pieces") == []
    await backend.stop()
