"""Configuration files, YAML and TOML alike: a tree of plain values, and the line of each key."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Path_ = tuple[str, ...]


class ConfigError(Exception):
    """The configuration cannot be used: one line for the operator."""


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
        raise ConfigError(f"{path}: {error}") from None
    return ConfigFile(path, tree, _toml_lines(text))


def _toml_lines(text: str) -> dict[Path_, int]:
    """Where keys stand. The parser does not say, and the file is valid: a look at each line does."""
    lines: dict[Path_, int] = {}
    section: Path_ = ()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            section = _toml_key(stripped.strip("[]").partition("]")[0])
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

    lines: dict[Path_, int] = {}
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return ConfigFile(path, {}, {})
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path}: expected sections with keys")
        tree = _mapping(path, loader, node, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    finally:
        loader.dispose()
    return ConfigFile(path, tree, lines)


def _mapping(path: Path, loader: Any, node: Any, at: Path_, lines: dict[Path_, int]) -> dict[str, Any]:
    import yaml

    tree: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        here = (*at, key)
        line = key_node.start_mark.line + 1
        if key in tree:
            raise ConfigError(
                f"{path}:{line}: {'.'.join(here)}: stands there twice, first in line {lines[here]}"
            )
        lines[here] = line
        if isinstance(value_node, yaml.MappingNode):
            tree[key] = _mapping(path, loader, value_node, here, lines)
        else:
            tree[key] = loader.construct_object(value_node, deep=True)
    return tree
