"""Rows to records and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from bleepstore.metadata import (
    Attributes,
    BucketRecord,
    Checksum,
    Committed,
    EndedUpload,
    Garbage,
    Intent,
    ObjectRecord,
    PartRecord,
    UploadRecord,
)
from bleepstore.sqlite.codec import decode

BUCKET_COLUMNS = "b.id, b.name, b.owner, b.region, b.created, b.acl, b.documents"
VERSION_COLUMNS = (
    "seq, version, size, etag, modified, owner, attributes, acl, tags, blob, token, inline, segments, parts"
)
OBJECT_COLUMNS = "c.bucket_id, c.key, " + ", ".join("c." + name for name in VERSION_COLUMNS.split(", "))
UPLOAD_COLUMNS = (
    "u.id, u.bucket_id, u.key, u.owner, u.initiator, u.created, u.attributes, u.algorithm, "
    "u.checksum_type, u.generation, u.segments, u.acl, u.tags, u.completed, u.handle"
)
PART_COLUMNS = "number, size, etag, modified, checksum"
GARBAGE_COLUMNS = "seq, blob, token, handle, bucket, key"
INTENT_COLUMNS = (
    "i.reservation, i.bucket_id, b.name, i.key, i.holder, i.fingerprint, i.token, i.seq, i.at, i.command"
)


@lru_cache(maxsize=256)
def bucket_record(row: tuple[Any, ...]) -> BucketRecord:
    """A row of :data:`BUCKET_COLUMNS`; the same few rows come with every request."""
    identity, name, owner, region, created, acl, documents = row
    return BucketRecord(
        id=identity,
        name=name,
        owner=owner,
        region=region,
        created=created,
        acl=acl,
        documents=frozenset(documents.split(" ")) if documents else frozenset(),
    )


def object_record(row: Sequence[Any], data: bytes | None = None) -> ObjectRecord:
    """A row of :data:`OBJECT_COLUMNS`."""
    (
        bucket,
        key,
        seq,
        version,
        size,
        etag,
        modified,
        owner,
        attributes,
        acl,
        tags,
        blob,
        token,
        inline,
        segments,
        parts,
    ) = row
    return ObjectRecord(
        bucket=bucket,
        key=key.decode(),
        seq=seq,
        version=version,
        size=size,
        etag=etag,
        modified=modified,
        owner=owner,
        attributes=load_attributes(attributes),
        acl=acl,
        tags=tags,
        blob=blob,
        token=token,
        inline=inline == 1,
        data=data,
        segments=segments,
        parts=parts,
    )


def upload_record(row: Sequence[Any]) -> UploadRecord:
    """A row of :data:`UPLOAD_COLUMNS`."""
    completed: Committed | None = None if row[13] is None else decode(row[13])
    return UploadRecord(
        id=row[0],
        bucket=row[1],
        key=row[2].decode(),
        owner=row[3],
        initiator=row[4],
        created=row[5],
        attributes=load_attributes(row[6]),
        algorithm=row[7],
        checksum_type=row[8],
        generation=row[9],
        segments=row[10],
        acl=row[11],
        tags=row[12],
        completed=completed,
        handle=row[14],
    )


def part_record(row: Sequence[Any]) -> PartRecord:
    """A row of :data:`PART_COLUMNS`."""
    number, size, etag, modified, checksum = row
    return PartRecord(
        number=number, size=size, etag=etag, modified=modified, checksum=load_checksum(checksum)
    )


def garbage_record(row: Sequence[Any]) -> Garbage:
    """A row of :data:`GARBAGE_COLUMNS`."""
    seq, blob, token, handle, bucket, key = row
    upload = None
    if handle is not None:
        upload = EndedUpload(id=blob, handle=handle, bucket=bucket, key=key.decode())
    return Garbage(seq=seq, blob=blob, token=token, upload=upload)


def intent_record(row: Sequence[Any]) -> Intent:
    """A row of :data:`INTENT_COLUMNS`."""
    reservation, bucket, bucket_name, key, holder, fingerprint, token, seq, at, command = row
    return Intent(
        reservation=reservation,
        bucket=bucket,
        bucket_name=bucket_name,
        key=key.decode(),
        holder=holder,
        fingerprint=fingerprint,
        token=token,
        seq=seq,
        at=at,
        command=decode(command),
    )


# Headers, metadata, storage class and checksum in one column: they are read together or not at all.
# Sorted, so that a command gives the same row whether it came in this process or by its encoding.
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
_loads = json.JSONDecoder().decode


def dump_attributes(attributes: Attributes) -> str:
    """``[headers, metadata, storage class, checksum]`` as JSON."""
    checksum = attributes.checksum
    return _dumps(
        (
            dict(attributes.headers),
            dict(attributes.metadata),
            attributes.storage_class,
            None if checksum is None else (checksum.algorithm, checksum.value, checksum.type),
        )
    )


def load_attributes(text: str) -> Attributes:
    """The inverse of :func:`dump_attributes`."""
    headers, metadata, storage_class, checksum = _loads(text)
    return Attributes(
        headers=headers,
        metadata=metadata,
        storage_class=storage_class,
        checksum=None
        if checksum is None
        else Checksum(algorithm=checksum[0], value=checksum[1], type=checksum[2]),
    )


def dump_checksum(checksum: Checksum | None) -> str | None:
    """``ALGORITHM TYPE VALUE``."""
    return None if checksum is None else f"{checksum.algorithm} {checksum.type} {checksum.value}"


def load_checksum(text: str | None) -> Checksum | None:
    """The inverse of :func:`dump_checksum`."""
    if text is None:
        return None
    algorithm, kind, value = text.split(" ")
    return Checksum(algorithm=algorithm, value=value, type=kind)
