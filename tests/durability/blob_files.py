"""The files of a data directory beside what its rows name."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from bleepstore_backend_local.format import FOOTER, check_blocks, read_trailer, trailer_size
from bleepstore_backend_local.journal import WIDTH
from store_model import Violation

_NAMING = ("current", "history", "segments")
_NAMES = "SELECT blob FROM {} WHERE NOT inline AND blob IS NOT NULL"


def files(data: Path) -> dict[str, Path]:
    """All files that are blobs or may become some, by name."""
    objects = data / "objects"
    found = [*(objects / "tmp").iterdir(), *(objects / "blobs").glob("*/*")]
    return {path.name: path for path in found}


def rows(data: Path) -> tuple[set[str], set[str]]:
    """Names that versions and parts have, and those that garbage has, in one state of the database."""
    with closing(sqlite3.connect(f"{(data / 'metadata.db').as_uri()}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        named = {name for table in _NAMING for (name,) in db.execute(_NAMES.format(table))}
        return named, {name for (name,) in db.execute("SELECT blob FROM garbage")}


def journaled(data: Path) -> set[str]:
    """Names in the journals of all processes, dead ones too."""
    found: set[str] = set()
    for path in (data / "objects" / "journal").iterdir():
        content = path.read_bytes() if path.exists() else b""
        found |= {content[at : at + 32].decode().strip() for at in range(0, len(content), WIDTH)}
    return found - {""}


def check_accounted(data: Path) -> None:
    """Each file is named by a row, by garbage, or by a journal; each name of a row has a file.

    Raises Violation. What goes while this looks was accounted for.
    """
    there = files(data)
    noted = journaled(data)
    named, garbage = rows(data)
    strangers = there.keys() - named - garbage - noted
    if lost := {name for name in strangers if there[name].exists()}:
        raise Violation(f"nothing knows of {sorted(lost)}")
    if missing := {name for name in named - there.keys() if name in rows(data)[0]}:
        raise Violation(f"rows name {sorted(missing)}, which are not there")


def swept(data: Path) -> bool:
    """Whether the files are exactly those that rows name, and nothing waits to be removed."""
    there = files(data)
    named, garbage = rows(data)
    return there.keys() == named and not garbage


def check_whole(data: Path) -> None:
    """Every blob that a row names is there and whole: parts too, which nobody can read yet. Raises."""
    there = files(data)
    for name in rows(data)[0]:
        check_blob(there, name)


def check_blob(there: Mapping[str, Path], name: str) -> None:
    """One blob. Raises Violation, Damaged."""
    if name not in there or there[name].parent.name == "tmp":
        raise Violation(f"the blob {name} is not there")
    content = there[name].read_bytes()
    if len(content) < FOOTER.size:
        raise Violation(f"the blob {name} has {len(content)} bytes")
    size = FOOTER.unpack(content[-FOOTER.size :])[0]
    if len(content) != size + trailer_size(size):
        raise Violation(f"the blob {name} has not the length that it says")
    check_blocks(content[:size], 0, read_trailer(content[size:], size, name), name)
