"""The configuration as text: shown with its effective values, and as a commented sample."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from bleepstore.secret import Secret
from bleepstore.settings import Settings, default_of, doc_of, has_default

_INTRO = """\
# The configuration of a BleepStore server. Every key is optional: what is commented out is the default.
# Each key is also an environment variable: server.port is BLEEPSTORE_SERVER_PORT.
"""


def show(settings: Settings) -> str:
    """All settings as YAML, secrets as ``***``."""
    lines: list[str] = []
    _show(settings, "", 0, settings.sections, lines)
    return "\n".join(lines) + "\n"


def _show(shape: Any, at: str, depth: int, sections: Mapping[str, Any], lines: list[str]) -> None:
    indent = "  " * depth
    for item in fields(shape):
        if item.metadata.get("internal"):
            continue
        value = getattr(shape, item.name)
        if is_dataclass(value):
            lines.append(f"{indent}{item.name}:")
            _show(value, f"{at}{item.name}.", depth + 1, sections, lines)
        else:
            lines.append(f"{indent}{item.name}: {_text(value)}")
    for name, section in sections.items():
        head, _, last = name.rpartition(".")
        if (f"{head}." if head else "") == at:
            lines.append(f"{indent}{last}:")
            _show(section, f"{name}.", depth + 1, {}, lines)


def _text(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return value


def sample(sections: Mapping[str, type]) -> str:
    """A file in which everything is explained and commented out, except the key pair."""
    lines = [_INTRO]
    _sample(Settings, "", 0, sections, lines)
    return "\n".join(lines).rstrip() + "\n"


def _sample(shape: Any, at: str, depth: int, sections: Mapping[str, type], lines: list[str]) -> None:
    hints = typing.get_type_hints(shape)
    indent = "  " * depth
    for item in fields(shape):
        if item.metadata.get("internal"):
            continue
        if is_dataclass(hints[item.name]):
            lines.append(f"{indent}{item.name}:{_comment(item, '  # ')}")
            _sample(hints[item.name], f"{at}{item.name}.", depth + 1, sections, lines)
            if not depth:
                lines.append("")
            continue
        if doc_of(item):
            lines.append(_comment(item, f"{indent}# "))
        lines.append(f"{indent}# {item.name}: {_default(item)}".rstrip())
    for name, section in sections.items():
        head, _, last = name.rpartition(".")
        if (f"{head}." if head else "") == at:
            lines.append(f"{indent}{last}:")
            _sample(section, f"{name}.", depth + 1, {}, lines)


def _comment(item: Field[Any], mark: str) -> str:
    return f"{mark}{doc_of(item)}" if doc_of(item) else ""


def _default(item: Field[Any]) -> str:
    if not has_default(item):
        return ""
    default = default_of(item)
    return _text(default.reveal() if isinstance(default, Secret) else default)
