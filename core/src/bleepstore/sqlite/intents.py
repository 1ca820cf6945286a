"""Intents in ``apply``: writes of native layout that are decided here and happen upstream.

A key has at most one, from Reserve until the command that it announced, or until it is found that
nothing came of it. While it is there no other write of the key is decided.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from bleepstore import commands as c
from bleepstore.metadata import Reason, Refused, Reserved
from bleepstore.sqlite import uploads
from bleepstore.sqlite.codec import encode
from bleepstore.sqlite.conditions import check, check_deletion

if TYPE_CHECKING:
    from bleepstore.sqlite.state import State


def reserve(state: State, command: c.Reserve) -> Reserved:
    """Decide a write, and record it. Raises :class:`Refused`."""
    db, announced = state.connection, command.command
    bucket, key = announced.bucket, announced.key.encode()
    state.bucket_name(bucket)
    held = find(db, bucket, key)
    if held is not None:
        raise Refused(Reason.HELD, held)
    row = state.current(bucket, key)
    if isinstance(announced, c.DeleteObject):
        row = check_deletion(announced, row)
        if row is None:
            return Reserved(blob=None, token="", seq=0)
    else:
        if isinstance(announced, c.CompleteUpload):
            upload = uploads.find(db, bucket, announced.key, announced.upload)
            if upload.completed is not None or upload.generation != announced.generation:
                raise Refused(Reason.UPLOAD_CHANGED)
        check(announced.condition, row)
    state.next()
    expected = Reserved(blob=None, token="", seq=0)
    if row is not None:
        expected = Reserved(blob=row.blob, token=row.token or "", seq=row.seq, size=row.size)
    db.execute(
        "INSERT INTO intents (bucket_id, key, reservation, holder, fingerprint, token, seq, at, upload, "
        "command) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bucket,
            key,
            command.reservation,
            command.holder,
            command.fingerprint,
            expected.token,
            expected.seq,
            command.at,
            announced.upload if isinstance(announced, c.CompleteUpload) else None,
            encode(announced),
        ),
    )
    return expected


def release(state: State, command: c.Release) -> bool:
    """End an intent that came to nothing."""
    there = _remove(state.connection, command.bucket, command.key.encode(), command.reservation)
    if there:
        state.next()
    return there


def find(connection: sqlite3.Connection, bucket: int, key: bytes) -> str | None:
    """The name of the intent on a key."""
    row = connection.execute(
        "SELECT reservation FROM intents WHERE bucket_id = ? AND key = ?", (bucket, key)
    ).fetchone()
    return None if row is None else str(row[0])


def end(connection: sqlite3.Connection, bucket: int, key: bytes, reservation: str) -> None:
    """End the intent of a write that is being recorded. Raises Refused RESERVATION_LOST."""
    if not _remove(connection, bucket, key, reservation):
        raise Refused(Reason.RESERVATION_LOST)


def _remove(connection: sqlite3.Connection, bucket: int, key: bytes, reservation: str) -> bool:
    removed = connection.execute(
        "DELETE FROM intents WHERE bucket_id = ? AND key = ? AND reservation = ?", (bucket, key, reservation)
    )
    return removed.rowcount > 0


def check_upload(connection: sqlite3.Connection, bucket: int, key: bytes, upload: str) -> None:
    """Raises Refused HELD while an intent would complete an upload."""
    row = connection.execute(
        "SELECT reservation FROM intents WHERE bucket_id = ? AND key = ? AND upload = ?",
        (bucket, key, upload),
    ).fetchone()
    if row is not None:
        raise Refused(Reason.HELD, row[0])
