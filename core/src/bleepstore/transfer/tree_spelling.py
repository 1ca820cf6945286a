"""File systems that take some names for the same: ``A`` and ``a``, or two spellings of one accent.

Keys that differ so are two objects, and one file: the second one needs another name. Which is the second
depends on what is there already, so that every later run comes to the same.
"""

from __future__ import annotations

import contextlib
import unicodedata
from pathlib import Path


class Spelling:
    """Names that are taken in the folders of a tree."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folds = False
        """Whether the file system is such a one."""
        self._names: dict[Path, dict[str, str]] = {}
        """By folder and by what the file system makes of a name, the name that is there."""

    def probe(self, name: str) -> None:
        """Find out by a file of this name, which nobody else has. Raises OSError."""
        made = self._root / f"{name}-\u00c9"
        made.touch(exist_ok=False)
        try:
            others = (f"{name}-\u00e9", f"{name}-E\u0301")
            self.folds = any((self._root / other).exists() for other in others)
        finally:
            made.unlink(missing_ok=True)

    def forget(self) -> None:
        """The tree's other folders are not of interest any more."""
        self._names.clear()

    def fits(self, path: str) -> bool:
        """Take the names of a path below the tree, unless others are there that look the same."""
        if not self.folds:
            return True
        folder = self._root
        for name in path.split("/"):
            names = self._names.get(folder)
            if names is None:
                names = self._names[folder] = _listed(folder)
            if names.setdefault(_folded(name), name) != name:
                return False
            folder = folder / name
        return True


def _listed(folder: Path) -> dict[str, str]:
    with contextlib.suppress(OSError):
        return {_folded(found.name): found.name for found in folder.iterdir()}
    return {}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
