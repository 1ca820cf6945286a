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
    """Query names that must be present (``uploads``), or ``name=value`` pairs (``list-type=2``).
    The first one, where it is a name, is a sub-resource: no row without one takes its requests."""
    headers: tuple[str, ...] = ()
    """Headers that must be present, lower-case (``x-amz-copy-source``)."""
    permission: Permission
    source: Permission | None = None
    """For rows with a copy source: what is needed on the source."""
    per_key: bool = False
    """The request names keys in its body: ``permission`` is asked for each of them, and not before."""
    loads: Load = Load.BUCKET
    handler: Handler | None = None
    aliases: tuple[str, ...] = ()
    """Deprecated twins of the model that share the row."""


class Clash(Exception):
    """Two rows claim the same requests; the message names both."""


_Want = tuple[str, str | None]


class OperationTable:
    """The compiled rows."""

    def __init__(self, rows: Iterable[Operation]) -> None:
        """Raises :class:`Clash`, also for two rows of one name."""
        self.rows: tuple[Operation, ...] = tuple(rows)
        self._claims: dict[tuple[str, Scope], list[_Claim]] = {}
        names: set[str] = set()
        for row in self.rows:
            for name in (row.name, *row.aliases):
                if name in names:
                    raise Clash(f"the operation {name} is registered twice")
                names.add(name)
            self._claims.setdefault((row.method, row.scope), []).append(_Claim(row))
        for claims in self._claims.values():
            claims.sort(key=lambda claim: (-claim.weight, claim.row.name))
            _check(claims)
        # Most requests name no sub-resource: they are compared with the rows that ask for none.
        self._plain = {
            at: [claim for claim in claims if not claim.query] for at, claims in self._claims.items()
        }
        claimed = [claim for claims in self._claims.values() for claim in claims]
        self._names = frozenset(name for claim in claimed for name, _ in claim.query)
        self._subresources = frozenset(claim.subresource for claim in claimed if claim.subresource)
        for claim in claimed:
            claim.special = not self._subresources.isdisjoint(name for name, _ in claim.query)

    def find(
        self, method: str, scope: Scope, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Operation | None:
        """The most specific row that matches, or ``None`` (405 MethodNotAllowed).

        A request that names a sub-resource is never taken for one that does not: deleting the ACL
        of an object is no way to delete the object.
        """
        plain = self._names.isdisjoint(query)
        any_row = plain or self._subresources.isdisjoint(query)
        for claim in (self._plain if plain else self._claims).get((method, scope), ()):
            if (any_row or claim.special) and claim.matches(query, headers):
                return claim.row
        return None


class _Claim:
    """What a row asks of a request, ready to be compared."""

    __slots__ = ("headers", "query", "row", "special", "subresource", "weight")

    def __init__(self, row: Operation) -> None:
        self.row = row
        self.headers = row.headers
        self.query: tuple[_Want, ...] = tuple(
            (name, value if equals else None)
            for name, equals, value in (wanted.partition("=") for wanted in row.query)
        )
        self.subresource = self.query[0][0] if self.query and self.query[0][1] is None else None
        self.special = False
        """Whether it asks for a sub-resource, of its own or of another row; known when all rows are."""
        # A value says more than a name. A sub-resource says what is meant, a header only how.
        self.weight = sum(100 + (value is not None) for _, value in self.query) + len(self.headers)

    def matches(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        for name, value in self.query:
            if name not in query or (value is not None and query[name] != value):
                return False
        return not self.headers or all(name in headers for name in self.headers)

    @property
    def key(self) -> tuple[frozenset[_Want], frozenset[str]]:
        return frozenset(self.query), frozenset(self.headers)


def _check(claims: list[_Claim]) -> None:
    seen: dict[tuple[frozenset[_Want], frozenset[str]], Operation] = {}
    for claim in claims:
        other = seen.setdefault(claim.key, claim.row)
        if other is not claim.row:
            raise Clash(f"the operations {other.name} and {claim.row.name} claim the same requests")
