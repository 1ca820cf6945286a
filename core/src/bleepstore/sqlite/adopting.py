"""AdoptObject in ``apply``: a row is made to say what upstream holds, after others have changed that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bleepstore import commands as c
from bleepstore.sqlite import intents
from bleepstore.sqlite.records import dump_attributes, load_attributes
from bleepstore.sqlite.uploads import Made

if TYPE_CHECKING:
    from bleepstore.sqlite.state import State


def adopt(state: State, command: c.AdoptObject) -> bool:
    """Adopt, if the key is still as it was when upstream was looked at. Raises NO_SUCH_BUCKET."""
    db, bucket, key = state.connection, command.bucket, command.key.encode()
    name, row = state.bucket_name(bucket), state.current(bucket, key)
    if (0 if row is None else row.seq) != command.seq or intents.find(db, bucket, key) != command.reservation:
        return False
    if command.reservation is not None:
        intents.end(db, bucket, key, command.reservation)
    content = command.content
    if content is None:
        if row is not None:
            state.remove(bucket, name, key, row, command.at)
        return True
    kept = db.execute(
        "SELECT owner, acl, tags, attributes FROM current WHERE bucket_id = ? AND key = ?", (bucket, key)
    ).fetchone()
    owner, acl, tags, before = kept or (command.owner, None, None, None)
    attributes = command.attributes
    if before is not None:
        attributes = replace(attributes, storage_class=load_attributes(before).storage_class)
    made = Made(bucket=bucket, at=command.modified, etag=command.etag, owner=owner, acl=acl, tags=tags)
    seq = state.next()
    state.put_current(
        made,
        key,
        seq,
        row,
        size=content.size,
        attributes=dump_attributes(attributes),
        blob=content.blob,
        token=content.token,
    )
    state.event(seq, "s3:ObjectCreated:Put", name, key, content.size, command.etag, command.at)
    return True
