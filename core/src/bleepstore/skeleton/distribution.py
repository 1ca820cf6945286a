"""A skeleton as files: names put in, and written all or not at all."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from importlib_metadata import entry_points

from bleepstore.plugin import API_VERSION, PROJECT

LONGEST = 40
"""Letters of a name."""
_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*")
_BOTH = {
    "pyproject.toml": "both/pyproject.toml",
    ".gitignore": "both/gitignore",
    "src/@PACKAGE@/__init__.py": "both/init.py",
    "src/@PACKAGE@/py.typed": "both/py.typed",
    "src/@PACKAGE@/plugin.py": "both/plugin.py",
    "tests/conftest.py": "both/conftest.py",
}
_OPAQUE = {
    "README.md": "opaque/README.md",
    "src/@PACKAGE@/backend.py": "opaque/backend.py",
    "src/@PACKAGE@/faults.py": "opaque/faults.py",
    "src/@PACKAGE@/staging.py": "opaque/staging.py",
    "tests/test_contract.py": "opaque/test_contract.py",
}
_NATIVE = {
    "README.md": "native/README.md",
    "src/@PACKAGE@/backend.py": "native/backend.py",
    "src/@PACKAGE@/calls.py": "native/calls.py",
    "src/@PACKAGE@/cloud.py": "native/cloud.py",
    "src/@PACKAGE@/faults.py": "native/faults.py",
    "src/@PACKAGE@/staging.py": "native/staging.py",
    "tests/test_contract.py": "native/test_contract.py",
}


class Refused(Exception):
    """What the operator must change, in a line."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A distribution to be. Raises Refused for a name that cannot be one."""

    name: str
    native: bool = False

    def __post_init__(self) -> None:
        name = self.name
        if not _NAME.fullmatch(name) or len(name) > LONGEST or keyword.iskeyword(name):
            raise Refused(
                f"{name}: a backend's name is a-z, 0-9 and single _ between them, begins with a letter "
                f"and has at most {LONGEST}"
            )
        for point in entry_points(group=PROJECT):
            if point.name == name:
                owner = point.dist.name if point.dist is not None else point.value
                raise Refused(f"{name}: {owner} is a plugin of that name")

    @property
    def distribution(self) -> str:
        """What ``pip install`` takes."""
        return f"bleepstore-backend-{self.name.replace('_', '-')}"

    def texts(self) -> Mapping[str, str]:
        """The files by their paths."""
        package = f"bleepstore_backend_{self.name}"
        names = {
            "@NAME@": self.name,
            "@DISTRIBUTION@": self.distribution,
            "@PACKAGE@": package,
            "@CLASS@": "".join(word.capitalize() for word in self.name.split("_")),
            "@API@": repr(API_VERSION),
        }

        def named(text: str) -> str:
            for mark, value in names.items():
                text = text.replace(mark, value)
            return text

        folder = files("bleepstore.skeleton")
        wanted = _BOTH | (_NATIVE if self.native else _OPAQUE)
        return {
            named(path): named((folder / f"{source}.in").read_text(encoding="utf-8"))
            for path, source in sorted(wanted.items())
        }

    def write(self, folder: Path) -> list[str]:
        """Write all files into a new folder, and return their paths. Raises Refused."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Refused(f"{folder}: exists already")
        texts = self.texts()
        made: Path | None = None
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            for path, text in texts.items():
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
            made.chmod(0o755)
            if folder.exists():
                folder.rmdir()
            made.rename(folder)
        except OSError as error:
            if made is not None:
                shutil.rmtree(made, ignore_errors=True)
            raise Refused(f"{folder}: {error.strerror or error}") from error
        return list(texts)
