"""Preconditions of writes, decided against the current version of a key."""

from __future__ import annotations

from bleepstore import commands as c
from bleepstore.metadata import Reason, Refused
from bleepstore.sqlite.references import CurrentRow

NULL_VERSION = "null"


def check(condition: c.Condition, row: CurrentRow | None) -> None:
    """Decide a precondition against the current version. Raises :class:`Refused`."""
    if condition.if_none_match and row is not None:
        raise Refused(Reason.IF_NONE_MATCH)
    if condition.if_match is not None:
        if row is None:
            raise Refused(Reason.NO_SUCH_KEY)
        if row.etag not in condition.if_match and "*" not in condition.if_match:
            raise Refused(Reason.IF_MATCH)


def check_deletion(command: c.DeleteObject, row: CurrentRow | None) -> CurrentRow | None:
    """The version that a deletion removes. Raises :class:`Refused` for what it must not remove."""
    if command.version not in (None, NULL_VERSION):
        row = None
    check(command.condition, row)
    if row is None:
        if command.match:
            raise Refused(Reason.NO_SUCH_KEY)
        return None
    facts = {"size": row.size, "modified": row.modified // 1000}
    if any(facts[fact] != value for fact, value in command.match.items()):
        raise Refused(Reason.IF_MATCH)
    return row
