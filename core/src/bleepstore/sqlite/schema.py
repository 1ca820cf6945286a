"""The database: its tables, and opening one.

::

    state             one row: store id, schema version, feature level, seq, applied_index
    buckets           a row per bucket; bucket_documents its sub-resources
    current           bucket_id, key -> the current version: what a GET, a listing and a PUT touch
    history           bucket_id, key, seq DESC -> older versions and delete markers
    inline            bytes of small objects, by blob name, with their CRC32
    blobs             a row only while a blob is shared: how many rows name it
    segments          list, part, n -> a span of a blob; parts what a client knows of a part
    uploads           multipart uploads, completed ones too until they are forgotten
    garbage           blobs that nothing names since seq (inline ones only if they were in a list)
    intents           bucket_id, key -> a write that is being published upstream (native layout)
    events, sinks     what happened, and how far each sink has read

A version whose bytes are one blob names it in its own row; ``segments`` holds lists. Keys are UTF-8
bytes, so that SQLite's order is S3's. Times are milliseconds since 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from bleepstore.metadata import MetadataFailed

SCHEMA_VERSION = 2
FEATURE_LEVEL = 1
APPLICATION_ID = 0x426C6570
"""``Blep``: what SQLite's header says of whose file this is."""
CHECKPOINT_PAGES = 4000
"""Pages of the log (16 MiB) after which a commit folds it into the database. Pages that many commits
change are written there once: with SQLite's 1000 a PUT costs a fifth more."""
LOG_BYTES = 64 * 1024 * 1024
"""What is kept of the write-ahead log's file between checkpoints."""

_VERSION_COLUMNS = """
    seq         INTEGER NOT NULL,
    version     TEXT,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified    INTEGER NOT NULL,
    owner       TEXT NOT NULL,
    attributes  TEXT NOT NULL,
    acl         BLOB,
    tags        BLOB,
    blob        TEXT,
    token       TEXT,
    inline      INTEGER NOT NULL DEFAULT 0,
    segments    INTEGER,
    parts       INTEGER NOT NULL DEFAULT 0"""

_INTENTS = """CREATE TABLE intents (
    bucket_id    INTEGER NOT NULL,
    key          BLOB NOT NULL,
    reservation  TEXT NOT NULL,
    holder       TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    token        TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    upload       TEXT,
    command      BLOB NOT NULL,
    PRIMARY KEY (bucket_id, key)
) WITHOUT ROWID;
"""

DDL = f"""
CREATE TABLE state (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    store_id       TEXT NOT NULL,
    feature_level  INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    applied_index  INTEGER NOT NULL
);
CREATE TABLE buckets (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    region     TEXT NOT NULL,
    created    INTEGER NOT NULL,
    acl        BLOB,
    documents  TEXT NOT NULL DEFAULT ''
);
CREATE INDEX buckets_by_owner ON buckets (owner, name);
CREATE TABLE bucket_documents (
    bucket_id  INTEGER NOT NULL,
    name       TEXT NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (bucket_id, name)
) WITHOUT ROWID;
CREATE TABLE current (
    bucket_id   INTEGER NOT NULL,
    key         BLOB NOT NULL,{_VERSION_COLUMNS},
    PRIMARY KEY (bucket_id, key)
) WITHOUT ROWID;
CREATE TABLE history (
    bucket_id   INTEGER NOT NULL,
    key         BLOB NOT NULL,{_VERSION_COLUMNS},
    marker      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (bucket_id, key, seq DESC)
) WITHOUT ROWID;
CREATE TABLE inline (
    blob  TEXT PRIMARY KEY,
    crc   INTEGER NOT NULL,
    data  BLOB NOT NULL
);
CREATE TABLE blobs (
    id    TEXT PRIMARY KEY,
    size  INTEGER NOT NULL,
    kind  INTEGER NOT NULL,
    refs  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE segments (
    list       INTEGER NOT NULL,
    part       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    blob       TEXT NOT NULL,
    blob_size  INTEGER NOT NULL,
    token      TEXT,
    inline     INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    start      INTEGER,
    PRIMARY KEY (list, part, n)
) WITHOUT ROWID;
CREATE INDEX segments_by_start ON segments (list, start) WHERE start IS NOT NULL;
CREATE TABLE parts (
    list      INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    etag      TEXT NOT NULL,
    modified  INTEGER NOT NULL,
    checksum  TEXT,
    PRIMARY KEY (list, number)
) WITHOUT ROWID;
CREATE TABLE uploads (
    id             TEXT PRIMARY KEY,
    bucket_id      INTEGER NOT NULL,
    key            BLOB NOT NULL,
    owner          TEXT NOT NULL,
    initiator      TEXT NOT NULL,
    created        INTEGER NOT NULL,
    attributes     TEXT NOT NULL,
    algorithm      TEXT,
    checksum_type  TEXT,
    generation     INTEGER NOT NULL,
    segments       INTEGER NOT NULL,
    acl            BLOB,
    tags           BLOB,
    completed      BLOB,
    handle         TEXT
) WITHOUT ROWID;
CREATE INDEX uploads_by_key ON uploads (bucket_id, key, created, id) WHERE completed IS NULL;
CREATE INDEX uploads_completed ON uploads (bucket_id) WHERE completed IS NOT NULL;
CREATE INDEX uploads_by_age ON uploads (created);
CREATE TABLE garbage (
    seq     INTEGER NOT NULL,
    blob    TEXT NOT NULL,
    token   TEXT,
    handle  TEXT,
    bucket  TEXT,
    key     BLOB,
    PRIMARY KEY (seq, blob)
) WITHOUT ROWID;
CREATE INDEX garbage_by_blob ON garbage (blob);
{_INTENTS}CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    bucket  TEXT NOT NULL,
    key     BLOB NOT NULL,
    size    INTEGER NOT NULL,
    etag    TEXT NOT NULL,
    at      INTEGER NOT NULL
);
CREATE TABLE sinks (
    name    TEXT PRIMARY KEY,
    cursor  INTEGER NOT NULL
) WITHOUT ROWID;
"""

MIGRATIONS = {
    1: f"""{_INTENTS}
ALTER TABLE uploads ADD COLUMN handle TEXT;
ALTER TABLE garbage ADD COLUMN handle TEXT;
ALTER TABLE garbage ADD COLUMN bucket TEXT;
ALTER TABLE garbage ADD COLUMN key BLOB;
""",
}
"""What makes the next schema version of one. They change tables, and not what ``apply`` computes."""


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection in autocommit mode, usable from any one thread at a time."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=10.0,
    )
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute(f"PRAGMA cache_size = {-2048 if read_only else -4096}")
    return connection


def open_writer(path: Path, *, durable: bool, new_store_id: Callable[[], str]) -> sqlite3.Connection:
    """The writer's connection; the database is made where there is none.

    Raises :class:`MetadataFailed` for a file that is not a BleepStore database of this version.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = connect(path, read_only=False)
        new = _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        # A long read makes the log grow; when it has ended, the next checkpoint gives the room back.
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        if new:
            _create(connection, new_store_id())
        else:
            _migrate(connection)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise MetadataFailed(f"{path}: {error}") from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables == 0:
        return True
    if application != APPLICATION_ID:
        raise MetadataFailed(f"{path}: is an SQLite database, but not one of BleepStore")
    if version != SCHEMA_VERSION and version not in MIGRATIONS:
        raise MetadataFailed(
            f"{path}: has schema version {version}, and this BleepStore reads version {SCHEMA_VERSION}"
        )
    row = connection.execute("SELECT feature_level FROM state").fetchone()
    if row is None:
        raise MetadataFailed(f"{path}: is damaged: it has no state")
    level = row[0]
    if level > FEATURE_LEVEL:
        raise MetadataFailed(f"{path}: needs feature level {level}, and this BleepStore has {FEATURE_LEVEL}")
    return False


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version, one version a transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for older in range(version, SCHEMA_VERSION):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;{MIGRATIONS[older]}PRAGMA user_version = {older + 1};COMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _create(connection: sqlite3.Connection, store_id: str) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.executescript(
        f"BEGIN;{DDL}PRAGMA user_version = {SCHEMA_VERSION};"
        f"INSERT INTO state VALUES (1, '{store_id}', {FEATURE_LEVEL}, 0, 0);COMMIT;"
    )
