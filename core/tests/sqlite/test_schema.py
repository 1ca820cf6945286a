"""Opening: what is not a database of this version is refused with one line, and left as it was."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bleepstore.metadata import MetadataFailed, MetadataUnavailable
from bleepstore.sqlite import schema
from bleepstore.sqlite.schema import connect
from bleepstore.storage import Damaged
from bleepstore.testing.metadata import Store

pytestmark = pytest.mark.anyio


def store_of(engine: Any) -> Store:
    store = Store(lambda: engine)
    store.engine = engine
    return store


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def refusal(start_engine: Any) -> str:
    with pytest.raises(MetadataFailed) as caught:
        await start_engine()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_fresh_database_says_whose_it_is(start_engine: Any, tmp_path: Path) -> None:
    engine = await start_engine(tmp_path / "new" / "folder" / "metadata.db")
    connection = connect(tmp_path / "new" / "folder" / "metadata.db", read_only=True)
    assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    row = connection.execute("SELECT store_id, feature_level, seq, applied_index FROM state").fetchone()
    assert row == (engine.store_id, schema.FEATURE_LEVEL, 0, 0)
    connection.close()


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
async def test_durable_engine_syncs_every_commit(start_engine: Any, durable: bool, synchronous: int) -> None:
    engine = await start_engine(durable=durable)
    assert engine._writing.execute("PRAGMA synchronous").fetchone() == (synchronous,)


async def test_database_of_somebody_else_is_refused_and_left_alone(start_engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    execute(path, "CREATE TABLE songs (title TEXT)", "INSERT INTO songs VALUES ('Blackbird')")
    before = path.read_bytes()
    assert "not one of BleepStore" in await refusal(start_engine)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("PRAGMA user_version = 3", "has schema version 3, and this BleepStore reads version 2"),
        ("UPDATE state SET feature_level = 9", "needs feature level 9"),
        ("DELETE FROM state", "is damaged"),
        ("DROP TABLE state", "no such table: state"),
        ("DROP TABLE sinks", "no such table: sinks"),
    ],
)
async def test_database_of_another_version_is_refused(
    start_engine: Any, tmp_path: Path, change: str, says: str
) -> None:
    await (await start_engine()).stop()
    execute(tmp_path / "metadata.db", change)
    assert says in await refusal(start_engine)


@pytest.mark.parametrize(
    "content", [b"no database at all, but a text that is longer than its header is" * 100, b"\0" * 8192]
)
async def test_file_that_is_no_database_is_refused(start_engine: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metadata.db").write_bytes(content)
    assert "not a database" in await refusal(start_engine)


async def test_refused_database_can_be_opened_when_it_was_put_right(
    start_engine: Any, tmp_path: Path
) -> None:
    """No lock and no connection is left."""
    await (await start_engine()).stop()
    execute(tmp_path / "metadata.db", "PRAGMA user_version = 3")
    await refusal(start_engine)
    execute(tmp_path / "metadata.db", f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
    assert (await start_engine()).is_writer


OLD_TABLES = {
    "uploads": ("handle",),
    "garbage": ("handle", "bucket", "key"),
}
"""Columns that version 1 did not have."""


def make_version_1(path: Path) -> None:
    """A database as version 1 left it, with something in every table that has changed since."""
    statements = [
        f"ALTER TABLE {table} DROP COLUMN {name}" for table, names in OLD_TABLES.items() for name in names
    ]
    execute(path, *statements, "DROP TABLE intents", "PRAGMA user_version = 1")


def shape(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {"version": set(connection.execute("PRAGMA user_version"))} | {
        table: set(
            connection.execute(
                'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table,)
            )
        )
        for table in tables
    }
    connection.close()
    return found


async def test_older_database_is_brought_to_this_version_with_all_that_is_in_it(
    start_engine: Any, tmp_path: Path
) -> None:
    path = tmp_path / "metadata.db"
    engine = await start_engine()
    store = store_of(engine)
    bucket = await store.make_bucket()
    await store.put(bucket, "k", blob="old")
    await store.put(bucket, "k", blob="new")
    upload = await store.begin(bucket, "m")
    await store.part(upload, 1, blob="part")
    before, wanted = await store.everything(bucket), shape(path)
    await engine.stop()
    make_version_1(path)
    assert shape(path) != wanted
    engine = store.engine = await start_engine()
    assert await store.everything(bucket) == before
    assert await store.upload(bucket, upload) == replace(upload, generation=1)
    assert list(await engine.intents(10)) == []
    await store.complete(bucket, upload, (1, 1))
    await engine.stop()
    assert shape(path) == wanted


async def test_migration_that_is_cut_off_changes_nothing(
    start_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await start_engine()).stop()
    make_version_1(tmp_path / "metadata.db")
    before = shape(tmp_path / "metadata.db")
    monkeypatch.setitem(schema.MIGRATIONS, 1, schema.MIGRATIONS[1] + "SELECT * FROM absent;")
    assert "no such table: absent" in await refusal(start_engine)
    assert shape(tmp_path / "metadata.db") == before
    monkeypatch.undo()
    assert (await start_engine()).is_writer


@pytest.mark.parametrize("name", ["metadata.db", "metadata.db-server", "metadata.db-readers"])
async def test_path_that_cannot_be_opened_is_refused(start_engine: Any, tmp_path: Path, name: str) -> None:
    if name.endswith("readers"):
        (tmp_path / name).touch()
    else:
        (tmp_path / name).mkdir()
    assert str(tmp_path) in await refusal(start_engine)


async def test_folder_that_is_a_file_is_refused(start_engine: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MetadataFailed, match="file"):
        await start_engine(tmp_path / "file" / "metadata.db")
    with pytest.raises(MetadataFailed, match="file"):
        await start_engine(tmp_path / "file" / "folder" / "metadata.db")


# --- damage ------------------------------------------------------------------------------------------------


async def damaged(start_engine: Any, path: Path, table: str) -> Any:
    """An engine over a database in which the pages of one table are overwritten."""
    engine = await start_engine()
    bucket = await store_of(engine).make_bucket()
    await store_of(engine).put(bucket, "k", data=b"small")
    await engine.stop()
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    return await start_engine()


async def test_damage_is_told_and_never_read_as_absence(start_engine: Any, tmp_path: Path) -> None:
    engine = await damaged(start_engine, tmp_path / "metadata.db", "current")
    store = store_of(engine)
    bucket = await engine.bucket("bucket")
    for read in (
        engine.object("bucket", "k"),
        engine.list_objects(bucket.id, prefix="", delimiter="", after="", limit=10),
        engine.known(["blob"]),
    ):
        with pytest.raises(MetadataUnavailable, match="malformed"):
            await read
    with pytest.raises(MetadataUnavailable, match="malformed"):
        await store.put(bucket, "k")
    assert (await store.make_bucket("another")).name == "another"


async def test_damage_of_the_state_is_one_line_at_the_start(start_engine: Any, tmp_path: Path) -> None:
    with pytest.raises(MetadataFailed, match="malformed") as caught:
        await damaged(start_engine, tmp_path / "metadata.db", "state")
    assert "\n" not in str(caught.value)


async def test_inline_bytes_are_checked(start_engine: Any, tmp_path: Path) -> None:
    """What is not what was written is never answered."""
    engine = await start_engine()
    store = store_of(engine)
    bucket = await store.make_bucket()
    await store.put(bucket, "k", data=b"small", blob="b")
    execute(tmp_path / "metadata.db", "UPDATE inline SET data = x'736d616c6d'")
    with pytest.raises(Damaged):
        await engine.object("bucket", "k", data=True)
    with pytest.raises(Damaged):
        await engine.inline_data("b")
    assert (await store.object(bucket, "k")).size == 5
    execute(tmp_path / "metadata.db", "DELETE FROM inline")
    with pytest.raises(Damaged):
        await engine.object("bucket", "k", data=True)


# --- the write-ahead log -----------------------------------------------------------------------------------


async def test_log_is_bounded_while_readers_come_and_go(
    start_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint after so many pages, and from then on it begins anew."""
    monkeypatch.setattr(schema, "CHECKPOINT_PAGES", 1000)
    engine, worker = await start_engine(), await start_engine()
    store = store_of(engine)
    bucket = await store.make_bucket()
    done = False

    async def read(reader: Any) -> None:
        while not done:
            await reader.object("bucket", "k")
            await reader.list_objects(bucket.id, prefix="", delimiter="/", after="", limit=100)

    readers = [asyncio.create_task(read(reader)) for reader in (engine, worker)]
    for number in range(60):
        await asyncio.gather(*(store.put(bucket, f"{number}-{n}", data=bytes(20_000)) for n in range(20)))
    done = True
    await asyncio.gather(*readers)
    written = 60 * 20 * 20_000
    assert (tmp_path / "metadata.db-wal").stat().st_size < written / 2


async def test_log_that_a_long_read_made_grow_is_given_back(
    start_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOG_BYTES", 1_000_000)
    monkeypatch.setattr(schema, "CHECKPOINT_PAGES", 1000)
    engine = await start_engine()
    store = store_of(engine)
    bucket = await store.make_bucket()
    log = tmp_path / "metadata.db-wal"
    long = connect(tmp_path / "metadata.db", read_only=True)
    long.execute("BEGIN")
    long.execute("SELECT * FROM buckets").fetchall()
    for number in range(30):
        await asyncio.gather(*(store.put(bucket, f"{number}-{n}", data=bytes(20_000)) for n in range(20)))
    assert log.stat().st_size > 10_000_000
    long.close()
    for number in range(20):
        await store.put(bucket, f"after-{number}", data=bytes(100_000))
    assert log.stat().st_size <= 6_000_000


def test_reader_cannot_write(new_database: Callable[[], sqlite3.Connection], tmp_path: Path) -> None:
    schema.open_writer(tmp_path / "metadata.db", durable=False, new_store_id=lambda: "id").close()
    connection = connect(tmp_path / "metadata.db", read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM state")
    connection.close()
