"""What is in the folder, for ``scrub``: names of files, and moving one out of the way.

A file that is where a blob of its name belongs goes by that name, any other by its path below the
root. Nothing is ever removed, and nothing that was set aside before is replaced.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from bleepstore.storage import Aside

from bleepstore_backend_local.journal import is_name
from bleepstore_backend_local.staging import sync_folder

HELD = ("blobs", "tmp")
"""Folders whose files are blobs or will be."""


def names(root: Path, endings: range) -> list[str]:
    """What is stored or being written and ends so; a file that can be no blob ends as its folder, or in 0."""
    found: list[str] = []
    for ending in endings:
        for name in _files(root / "blobs" / f"{ending:02x}"):
            at_home = is_name(name.encode()) and int(name[-2:], 16) == ending
            found.append(name if at_home else f"blobs/{ending:02x}/{name}")
    for name in _files(root / "tmp"):
        if is_name(name.encode()):
            if int(name[-2:], 16) in endings:
                found.append(name)
        elif 0 in endings:
            found.append(f"tmp/{name}")
    if 0 in endings:
        found += (f"blobs/{name}" for name in _files(root / "blobs"))
    return found


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry.name


def set_aside(root: Path, name: str, where: Aside, *, durable: bool) -> str | None:
    """Move a file that :func:`names` named; where it is now, below the root."""
    source = _find(root, name)
    if source is None:
        return None
    folder = root / where.value
    folder.mkdir(mode=0o700, exist_ok=True)
    places = (folder / (f"{source.name}.{n}" if n else source.name) for n in itertools.count())
    target = next(place for place in places if not os.path.lexists(place))
    source.rename(target)
    if durable:
        for changed in (folder, root, source.parent):
            sync_folder(changed)
    return f"{where.value}/{target.name}"


def _find(root: Path, name: str) -> Path | None:
    if is_name(name.encode()):
        places = [root / "blobs" / name[-2:] / name, root / "tmp" / name]
    else:
        parts = name.split("/")
        if parts[0] not in HELD or len(parts) > 3 or not {"", ".", ".."}.isdisjoint(parts):
            return None
        places = [root.joinpath(*parts)]
    return next((place for place in places if os.path.lexists(place)), None)
