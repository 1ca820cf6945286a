"""What the tests of this room share: an empty database of the state machine, and engines that are stopped."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from bleepstore.sqlite import schema
from bleepstore.sqlite.engine import SqliteEngine

pytest.register_assert_rewrite("bleepstore.testing.metadata")


def empty_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(f"{schema.DDL} INSERT INTO state VALUES (1, 'store', 1, 0, 0);")
    return connection


@pytest.fixture(scope="session")
def new_database() -> Callable[[], sqlite3.Connection]:
    """For tests that need a database for each example."""
    return empty_database


@pytest.fixture
async def start_engine(tmp_path: Path) -> AsyncIterator[Callable[..., object]]:
    """Starts engines of one server over one database; all are stopped in the end."""
    started: list[SqliteEngine] = []

    async def start(path: Path | None = None, *, token: str = "one", durable: bool = False) -> SqliteEngine:
        engine = SqliteEngine(path or tmp_path / "metadata.db", durable=durable, token=token)
        started.append(engine)
        await engine.start()
        return engine

    yield start
    for engine in reversed(started):
        await engine.stop()
