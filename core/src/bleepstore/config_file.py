"""Configuration files, YAML and TOML alike: a tree of plain values, and the line of each key."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Path_ = tuple[str, ...]


def dotted(at: Path_) -> str:
    """``auth.users[1].access_key`` for ``("auth", "users", "[1]", "access_key")``."""
    return ".".join(at).replace(".[", "[")


class ConfigError(Exception):
    """The configuration cannot be used: one line for the operator."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.splitlines()))


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read."""

    path: Path
    tree: dict[str, Any]
    lines: dict[Path_, int]

    def where(self, at: Path_) -> str:
        """``FILE:LINE`` of a key, or of the nearest one around it."""
        while at and at not in self.lines:
            at = at[:-1]
        return f"{self.path}:{self.lines[at]}" if at else str(self.path)


def read_file(path: Path) -> ConfigFile:
    """Read a file by its suffix: ``.toml``, or YAML. Raises :class:`ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    if path.suffix == ".toml":
        return _toml(path, text)
    return _yaml(path, text)


def _toml(path: Path, text: str) -> ConfigFile:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, at = str(error).rpartition(" (at ")
        found = re.match(r"line (\d+), column \d+\)$", at)
        where = f"{path}:{found[1]}" if found else f"{path}:{text.count(chr(10)) + 1}"
        raise ConfigError(f"{where}: {message or error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    return ConfigFile(path, tree, _toml_lines(text))


def _toml_lines(text: str) -> dict[Path_, int]:
    """Where keys stand. The parser does not say, and the file is valid: a look at each line does."""
    lines: dict[Path_, int] = {}
    section: Path_ = ()
    items: dict[Path_, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            section = _toml_key(stripped.strip("[]").partition("]")[0])
            lines.setdefault(section, number)
            if stripped.startswith("[["):
                items[section] = items.get(section, -1) + 1
                section = (*section, f"[{items[section]}]")
                lines.setdefault(section, number)
        elif "=" in stripped and not stripped.startswith("#"):
            key = (*section, *_toml_key(stripped.partition("=")[0]))
            for depth in range(1, len(key) + 1):
                lines.setdefault(key[:depth], number)
    return lines


def _toml_key(text: str) -> Path_:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _yaml(path: Path, text: str) -> ConfigFile:
    import yaml

    reading = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return ConfigFile(path, {}, {})
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path}:{node.start_mark.line + 1}: expected sections with keys")
        reading = _YamlTree(path, loader)
        return ConfigFile(path, reading.value(node, ()), reading.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    except (ValueError, TypeError) as error:  # a date that is none, a key that is a list
        line = f":{reading.line}" if reading is not None else ""
        raise ConfigError(f"{path}{line}: {error}") from None


class _YamlTree:
    """Makes plain values of a document's nodes, and notes the line of each key and item."""

    def __init__(self, path: Path, loader: Any) -> None:
        self.lines: dict[Path_, int] = {}
        self.line = 1
        """The line of what is being read."""
        self._path = path
        self._loader = loader

    def value(self, node: Any, at: Path_) -> Any:
        """The value of a node. Raises ConfigError for a key that stands there twice."""
        import yaml

        self.line = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return [self._inside(item, (*at, f"[{n}]"), item) for n, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._loader.construct_object(node, deep=True)
        tree: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(self._loader.construct_object(key_node, deep=True))
            here = (*at, key)
            if key in tree:
                line, first = key_node.start_mark.line + 1, self.lines[here]
                message = f"{dotted(here)}: stands there twice, first in line {first}"
                raise ConfigError(f"{self._path}:{line}: {message}")
            tree[key] = self._inside(value_node, here, key_node)
        return tree

    def _inside(self, node: Any, at: Path_, mark: Any) -> Any:
        self.lines[at] = mark.start_mark.line + 1
        return self.value(node, at)
