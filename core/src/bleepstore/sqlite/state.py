"""The state machine: ``apply`` turns one command into changes of the database.

It reads no clock, no random number and no disk but the database, so that replicas which apply the
same commands hold the same state. A command is decided before it changes anything: whatever raises
:class:`Refused` changed nothing, and needs no rollback.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from bleepstore import commands as c
from bleepstore.metadata import BucketRecord, Committed, Reason, Refused, UploadRecord
from bleepstore.sqlite import adopting, intents, uploads
from bleepstore.sqlite.codec import encode
from bleepstore.sqlite.conditions import NULL_VERSION, check, check_deletion
from bleepstore.sqlite.records import BUCKET_COLUMNS, bucket_record, dump_attributes
from bleepstore.sqlite.references import (
    CURRENT_COLUMNS,
    CurrentRow,
    add_segments,
    drop_list,
    drop_upload,
    drop_version,
    share,
    spans,
)

MOST_NAMES = 10_000


class State:
    """The database as the writer sees it, inside the writer's transaction.

    The caller begins and ends transactions, calls :meth:`load` before the first command after a
    rollback, and :meth:`save` before a commit.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.seq = 0
        """Sequence number of the last command that changed something."""
        self._applied = 0
        self._names: dict[int, str] = {}
        """Names of buckets by id, as every command asks for one: never changed, only deleted."""
        self._sinks = False
        self._appliers: dict[type, Callable[[Any], Any]] = {
            c.CreateBucket: self._create_bucket,
            c.DeleteBucket: self._delete_bucket,
            c.PutBucketDocument: self._put_bucket_document,
            c.CommitObject: self._commit_object,
            c.CopyObject: self._copy_object,
            c.DeleteObject: self._delete_object,
            c.PutObjectDocument: self._put_object_document,
            c.CreateUpload: self._create_upload,
            c.CommitPart: self._commit_part,
            c.CopyPart: self._copy_part,
            c.CompleteUpload: self._complete_upload,
            c.AbortUpload: self._abort_upload,
            c.Reserve: partial(intents.reserve, self),
            c.Release: partial(intents.release, self),
            c.AdoptObject: partial(adopting.adopt, self),
            c.ForgetGarbage: self._forget_garbage,
            c.FollowEvents: self._follow_events,
            c.MoveCursor: self._move_cursor,
        }
        self.load()

    def load(self) -> None:
        """Read the counters back from the database, and forget what a rollback may have undone."""
        self._names.clear()
        self.seq, self._applied = self.connection.execute("SELECT seq, applied_index FROM state").fetchone()
        self._sinks = self.connection.execute("SELECT 1 FROM sinks LIMIT 1").fetchone() is not None

    def save(self) -> None:
        """Write the counters."""
        self.connection.execute("UPDATE state SET seq = ?, applied_index = ?", (self.seq, self._applied))

    def apply(self, command: c.Command) -> Any:
        """Run one command and return its result. Raises :class:`Refused`."""
        self._applied += 1
        return self._appliers[type(command)](command)

    # --- what all need ------------------------------------------------------------------------------

    def next(self) -> int:
        """The sequence number of a command that changes something."""
        self.seq += 1
        return self.seq

    def bucket_name(self, bucket: int) -> str:
        """A bucket by its id. Raises Refused NO_SUCH_BUCKET."""
        name = self._names.get(bucket)
        if name is None:
            row = self.connection.execute("SELECT name FROM buckets WHERE id = ?", (bucket,)).fetchone()
            if row is None:
                raise Refused(Reason.NO_SUCH_BUCKET)
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            name = self._names[bucket] = str(row[0])
        return name

    def current(self, bucket: int, key: bytes) -> CurrentRow | None:
        """The current version of a key."""
        row = self.connection.execute(
            f"SELECT {CURRENT_COLUMNS} FROM current WHERE bucket_id = ? AND key = ?",
            (bucket, key),
        ).fetchone()
        return None if row is None else CurrentRow(*row)

    def source(self, source: c.Source) -> CurrentRow:
        """The version that a copy read. Raises Refused SOURCE_CHANGED when it is another now."""
        row = self.current(source.bucket, source.key.encode())
        if row is None or row.seq != source.seq or row.etag != source.etag:
            raise Refused(Reason.SOURCE_CHANGED)
        return row

    def event(self, seq: int, name: str, bucket: str, key: bytes, size: int, etag: str, at: int) -> None:
        """Tell the sinks, where there are any."""
        if self._sinks:
            self.connection.execute(
                "INSERT INTO events (seq, name, bucket, key, size, etag, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, name, bucket, key, size, etag, at),
            )

    def put_inline(self, blob: str, data: bytes) -> None:
        """Keep the bytes of a small blob."""
        self.connection.execute(
            "INSERT INTO inline (blob, crc, data) VALUES (?, ?, ?)", (blob, zlib.crc32(data), data)
        )

    # --- buckets --------------------------------------------------------------------------------------

    def _create_bucket(self, command: c.CreateBucket) -> BucketRecord:
        db = self.connection
        row = db.execute("SELECT owner FROM buckets WHERE name = ?", (command.name,)).fetchone()
        if row is not None:
            raise Refused(Reason.BUCKET_EXISTS, row[0])
        # Its seq is the bucket's id: never used again, so that what speaks of an old bucket of the
        # same name finds none.
        bucket = self.next()
        documents = " ".join(sorted(command.documents))
        db.execute(
            "INSERT INTO buckets (id, name, owner, region, created, acl, documents) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (bucket, command.name, command.owner, command.region, command.at, command.acl, documents),
        )
        db.executemany(
            "INSERT INTO bucket_documents (bucket_id, name, body) VALUES (?, ?, ?)",
            [(bucket, name, body) for name, body in command.documents.items()],
        )
        return bucket_record(
            db.execute(f"SELECT {BUCKET_COLUMNS} FROM buckets b WHERE id = ?", (bucket,)).fetchone()
        )

    def _delete_bucket(self, command: c.DeleteBucket) -> None:
        db, bucket = self.connection, command.bucket
        name = self.bucket_name(bucket)
        for table in ("current", "history", "intents"):
            if db.execute(f"SELECT 1 FROM {table} WHERE bucket_id = ? LIMIT 1", (bucket,)).fetchone():
                raise Refused(Reason.BUCKET_NOT_EMPTY)
        seq = self.next()
        pending = db.execute(
            "SELECT id, segments, handle, key FROM uploads WHERE bucket_id = ? AND completed IS NULL",
            (bucket,),
        ).fetchall()
        for upload, segments, handle, key in pending:
            drop_list(db, seq, segments)
            drop_upload(db, seq, upload, handle, name, key)
        # One statement for each of the two indexes.
        db.execute("DELETE FROM uploads WHERE bucket_id = ? AND completed IS NULL", (bucket,))
        db.execute("DELETE FROM uploads WHERE bucket_id = ? AND completed IS NOT NULL", (bucket,))
        db.execute("DELETE FROM bucket_documents WHERE bucket_id = ?", (bucket,))
        db.execute("DELETE FROM buckets WHERE id = ?", (bucket,))
        del self._names[bucket]

    def _put_bucket_document(self, command: c.PutBucketDocument) -> None:
        db, bucket = self.connection, command.bucket
        self.bucket_name(bucket)
        self.next()
        if command.name == "acl":
            db.execute("UPDATE buckets SET acl = ? WHERE id = ?", (command.body, bucket))
            return
        if command.body is None:
            db.execute(
                "DELETE FROM bucket_documents WHERE bucket_id = ? AND name = ?", (bucket, command.name)
            )
        else:
            db.execute(
                "INSERT INTO bucket_documents (bucket_id, name, body) VALUES (?, ?, ?) "
                "ON CONFLICT (bucket_id, name) DO UPDATE SET body = excluded.body",
                (bucket, command.name, command.body),
            )
        rows = db.execute("SELECT name FROM bucket_documents WHERE bucket_id = ? ORDER BY name", (bucket,))
        documents = " ".join(name for (name,) in rows)
        db.execute("UPDATE buckets SET documents = ? WHERE id = ?", (documents, bucket))

    # --- objects --------------------------------------------------------------------------------------

    def _commit_object(self, command: c.CommitObject) -> Committed:
        name, key = self.bucket_name(command.bucket), command.key.encode()
        old = self.current(command.bucket, key)
        if command.reservation is None:
            check(command.condition, old)
        else:
            intents.end(self.connection, command.bucket, key, command.reservation)
        seq, content = self.next(), command.content
        if content.data is not None and content.blob is not None:
            self.put_inline(content.blob, content.data)
        self.put_current(
            command,
            key,
            seq,
            old,
            size=content.size,
            attributes=dump_attributes(command.attributes),
            blob=content.blob,
            token=content.token,
            inline=content.data is not None and content.blob is not None,
        )
        self.event(seq, command.event, name, key, content.size, command.etag, command.at)
        return Committed(
            seq=seq,
            etag=command.etag,
            size=content.size,
            modified=command.at,
            checksum=command.attributes.checksum,
        )

    def put_current(
        self,
        command: Any,
        key: bytes,
        seq: int,
        old: CurrentRow | None,
        *,
        size: int,
        attributes: str,
        blob: str | None = None,
        token: str | None = None,
        inline: bool = False,
        segments: int | None = None,
        parts: int = 0,
    ) -> None:
        """Make the current version of a key, and release the bytes of the one it replaces."""
        self.connection.execute(
            "INSERT OR REPLACE INTO current (bucket_id, key, seq, version, size, etag, modified, owner, "
            "attributes, acl, tags, blob, token, inline, segments, parts) "
            "VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                command.bucket,
                key,
                seq,
                size,
                command.etag,
                command.at,
                command.owner,
                attributes,
                command.acl,
                command.tags,
                blob,
                token,
                inline,
                segments,
                parts,
            ),
        )
        if old is not None:
            drop_version(self.connection, seq, old)

    def _copy_object(self, command: c.CopyObject) -> Committed:
        db = self.connection
        name, key = self.bucket_name(command.bucket), command.key.encode()
        old = self.current(command.bucket, key)
        check(command.condition, old)
        source = self.source(command.source)
        seq, found = self.next(), spans(db, source)
        for span in found:
            share(db, span)
        listed = source.segments is not None and bool(found)
        if listed:
            add_segments(db, seq, 1, found, start=0)
        self.put_current(
            command,
            key,
            seq,
            old,
            size=source.size,
            attributes=dump_attributes(command.attributes),
            blob=None if listed else source.blob,
            token=None if listed else source.token,
            inline=not listed and source.inline == 1,
            segments=seq if listed else None,
        )
        self.event(seq, "s3:ObjectCreated:Copy", name, key, source.size, command.etag, command.at)
        return Committed(
            seq=seq,
            etag=command.etag,
            size=source.size,
            modified=command.at,
            checksum=command.attributes.checksum,
        )

    def _delete_object(self, command: c.DeleteObject) -> bool:
        name, key = self.bucket_name(command.bucket), command.key.encode()
        old = self.current(command.bucket, key)
        if command.reservation is None:
            old = check_deletion(command, old)
        else:
            intents.end(self.connection, command.bucket, key, command.reservation)
        if old is None:
            return False
        self.remove(command.bucket, name, key, old, command.at)
        return True

    def remove(self, bucket: int, name: str, key: bytes, old: CurrentRow, at: int) -> None:
        """Remove the current version of a key, and release its bytes."""
        seq = self.next()
        self.connection.execute("DELETE FROM current WHERE bucket_id = ? AND key = ?", (bucket, key))
        drop_version(self.connection, seq, old)
        self.event(seq, "s3:ObjectRemoved:Delete", name, key, old.size, old.etag, at)

    def _put_object_document(self, command: c.PutObjectDocument) -> None:
        self.bucket_name(command.bucket)
        key = command.key.encode()
        column = {"acl": "acl", "tags": "tags"}[command.name]
        if command.version not in (None, NULL_VERSION):
            raise Refused(Reason.NO_SUCH_VERSION)
        if self.current(command.bucket, key) is None:
            raise Refused(Reason.NO_SUCH_KEY)
        self.next()
        self.connection.execute(
            f"UPDATE current SET {column} = ? WHERE bucket_id = ? AND key = ?",
            (command.body, command.bucket, key),
        )

    # --- uploads: see ``uploads`` ---------------------------------------------------------------------

    def _create_upload(self, command: c.CreateUpload) -> UploadRecord:
        self.bucket_name(command.bucket)
        return uploads.create(self.connection, self.next(), command)

    def _commit_part(self, command: c.CommitPart) -> Committed:
        self.bucket_name(command.bucket)
        upload = uploads.pending(self.connection, command.bucket, command.key, command.upload)
        seq, content = self.next(), command.content
        if content.data is not None and content.blob is not None:
            self.put_inline(content.blob, content.data)
        found = uploads.whole(content)
        return uploads.put_part(self.connection, seq, upload, command, content.size, found)

    def _copy_part(self, command: c.CopyPart) -> Committed:
        db = self.connection
        self.bucket_name(command.bucket)
        upload = uploads.pending(db, command.bucket, command.key, command.upload)
        source = self.source(command.source)
        seq = self.next()
        found = spans(db, source, command.start, command.length)
        for span in found:
            share(db, span)
        return uploads.put_part(db, seq, upload, command, command.length, found)

    def _complete_upload(self, command: c.CompleteUpload) -> Committed:
        db = self.connection
        name, key = self.bucket_name(command.bucket), command.key.encode()
        upload = uploads.find(db, command.bucket, command.key, command.upload)
        if upload.completed is not None:
            return upload.completed
        old = self.current(command.bucket, key)
        if command.reservation is None:
            if upload.generation != command.generation:
                raise Refused(Reason.UPLOAD_CHANGED)
            check(command.condition, old)
        else:
            intents.end(self.connection, command.bucket, key, command.reservation)
        seq, content = self.next(), command.content
        if content is None:
            parts = uploads.adopt(db, seq, upload, command.parts)
        else:
            parts = uploads.replace_parts(db, seq, upload, command.parts)
            drop_upload(db, seq, upload.id, upload.handle, name, key)
        attributes = uploads.attributes(upload, command.checksum)
        made = uploads.Made(
            bucket=command.bucket,
            at=command.at,
            etag=command.etag,
            owner=upload.owner,
            acl=upload.acl,
            tags=upload.tags,
        )
        self.put_current(
            made,
            key,
            seq,
            old,
            size=command.size,
            attributes=attributes,
            blob=None if content is None else content.blob,
            token=None if content is None else content.token,
            segments=upload.segments,
            parts=parts,
        )
        committed = Committed(
            seq=seq, etag=command.etag, size=command.size, modified=command.at, checksum=command.checksum
        )
        db.execute("UPDATE uploads SET completed = ? WHERE id = ?", (encode(committed), upload.id))
        self.event(
            seq, "s3:ObjectCreated:CompleteMultipartUpload", name, key, command.size, command.etag, command.at
        )
        return committed

    def _abort_upload(self, command: c.AbortUpload) -> None:
        db = self.connection
        name, key = self.bucket_name(command.bucket), command.key.encode()
        upload = uploads.find(db, command.bucket, command.key, command.upload)
        if upload.completed is None:
            intents.check_upload(db, command.bucket, key, upload.id)
        seq = self.next()
        if upload.completed is None:
            drop_list(db, seq, upload.segments)
            drop_upload(db, seq, upload.id, upload.handle, name, key)
        db.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))

    # --- upkeep ---------------------------------------------------------------------------------------

    def _forget_garbage(self, command: c.ForgetGarbage) -> None:
        self.next()
        blobs = [(blob,) for blob in command.blobs]
        self.connection.executemany(
            "DELETE FROM inline WHERE blob IN (SELECT blob FROM garbage WHERE blob = ?)", blobs
        )
        self.connection.executemany("DELETE FROM garbage WHERE blob = ?", blobs)

    def _follow_events(self, command: c.FollowEvents) -> None:
        db = self.connection
        self.next()
        known = {name for (name,) in db.execute("SELECT name FROM sinks")}
        for name in sorted(set(command.sinks) - known):
            db.execute("INSERT INTO sinks (name, cursor) VALUES (?, ?)", (name, self.seq))
        for name in sorted(known - set(command.sinks)):
            db.execute("DELETE FROM sinks WHERE name = ?", (name,))
        self._sinks = bool(command.sinks)
        self._trim_events()

    def _move_cursor(self, command: c.MoveCursor) -> None:
        self.next()
        self.connection.execute(
            "UPDATE sinks SET cursor = max(cursor, ?) WHERE name = ?", (command.seq, command.sink)
        )
        self._trim_events()

    def _trim_events(self) -> None:
        self.connection.execute(
            "DELETE FROM events WHERE seq <= (SELECT coalesce(min(cursor), ?) FROM sinks)", (self.seq,)
        )
