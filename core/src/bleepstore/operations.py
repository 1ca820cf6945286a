"""Operations: one row each, compiled once into a lookup.

A row holds name, method, scope, what tells it apart, the permission it needs and its handler, so
routing and permission cannot drift apart. The most specific row wins, import order never matters,
and rows with equal claims refuse to start. A row without a handler answers 501, so that a
sub-resource never falls through to a listing or a delete.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bleepstore.exchange import Handler


class Scope(enum.Enum):
    """What a path names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


class Load(enum.Enum):
    """What the pipeline reads before it authorizes and calls the handler."""

    NOTHING = "nothing"
    BUCKET = "bucket"
    OBJECT = "object"
    """Bucket and object; a missing object is answered before the handler."""
    OBJECT_DATA = "object-data"
    """The same with the inline bytes."""
    UPLOAD = "upload"
    """Bucket and the upload named by ``uploadId``; a missing one is NoSuchUpload."""


class AclRight(enum.Enum):
    """What an ACL must grant."""

    READ = "READ"
    WRITE = "WRITE"
    READ_ACP = "READ_ACP"
    WRITE_ACP = "WRITE_ACP"
    OWNER = "OWNER"
    """Only the owner, whatever the ACL grants."""
    SIGNED = "SIGNED"
    """Anybody who signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What is asked of the authorizers."""

    action: str
    """IAM action, e.g. ``s3:GetObject``."""
    right: AclRight
    on: Scope
    """The resource whose ACL decides: bucket or object (SERVICE with SIGNED)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the table."""

    name: str
    method: str
    scope: Scope
    query: tuple[str, ...] = ()
    """Query names that must be present (``uploads``), or ``name=value`` pairs (``list-type=2``)."""
    headers: tuple[str, ...] = ()
    """Headers that must be present, lower-case (``x-amz-copy-source``)."""
    permission: Permission
    source: Permission | None = None
    """For rows with a copy source: what is needed on the source."""
    loads: Load = Load.BUCKET
    handler: Handler | None = None
    aliases: tuple[str, ...] = ()
    """Deprecated twins of the model that share the row."""


class Clash(Exception):
    """Two rows claim the same requests; the message names both."""


class OperationTable:
    """The compiled rows."""

    def __init__(self, rows: Iterable[Operation]) -> None:
        self.rows: tuple[Operation, ...] = tuple(rows)
        self._find: dict[tuple[str, Scope], list[tuple[Operation, ...]]] = {}
        raise NotImplementedError  # compiled by the http room's table

    def find(
        self, method: str, scope: Scope, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Operation | None:
        """The most specific row that matches, or ``None`` (405 MethodNotAllowed)."""
        raise NotImplementedError
