"""One value of the configuration: where it stands, and how it becomes what a field holds."""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from bleepstore.config_file import ConfigError, Path_, dotted
from bleepstore.secret import Secret
from bleepstore.settings import has_default

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def nearest(name: str, names: Collection[str]) -> str:
    """A hint at the name that was meant, for the end of a message; empty when nothing is like it."""
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f", did you mean {found[0]}?" if found else ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, for messages."""

    at: Path_
    """Its path in the configuration; ``[1]`` is the second item of a list."""
    source: Callable[[Path_], str]
    """``FILE:LINE`` of a path, or the name of a variable."""
    folder: Path | None = None
    """What a relative path is relative to."""

    def inside(self, name: str) -> Place:
        """The place of a key or of an item."""
        return Place((*self.at, name), self.source, self.folder)

    def error(self, text: str) -> ConfigError:
        """What is wrong here."""
        return ConfigError(f"{self.source(self.at)}: {dotted(self.at)}: {text}")

    def wrong(self, wanted: str, value: Any) -> ConfigError:
        """Something else was expected."""
        return self.error(f"expected {wanted}, found {_shown(value)}")


def _shown(value: Any) -> str:
    """A value as a file would have it, and not all of a long one."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:80]}..."


def convert(value: Any, kind: Any, place: Place) -> Any:
    """A value of a source as a field's type. Raises ConfigError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _either(value, [a for a in arguments if a is not type(None)], place)
    if origin is tuple:
        return _list(value, arguments[0], place)
    if origin is typing.Literal:
        if value is False and "off" in arguments:
            return "off"  # what YAML makes of the word without quotes
        if value not in arguments:
            raise place.wrong(" or ".join(json.dumps(a) for a in arguments), value)
        return value
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return _item(value, kind, place)
    if kind is Path:
        return _path(value, place)
    if kind is Secret:
        if not isinstance(value, str):
            raise place.error("expected a text (put numbers in quotes)")
        return Secret(value)
    return _plain(value, kind, place)


def _either(value: Any, kinds: Sequence[Any], place: Place) -> Any:
    """One of several kinds: words that mean something, and otherwise the first."""
    first, *others = kinds
    words = [word for other in others for word in typing.get_args(other)]
    if value in words:
        return value
    try:
        return convert(value, first, place)
    except ConfigError:
        if not words:
            raise
        names = " or ".join(json.dumps(word) for word in words)
        raise place.wrong(f"a whole number or {names}", value) from None


def _path(value: Any, place: Place) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise place.wrong("a path", value)
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise place.error(f"{value}: there is no such user") from None
    return place.folder / path if place.folder is not None else path


def _plain(value: Any, kind: Any, place: Place) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in _BOOLEANS:
            return _BOOLEANS[value.lower()]
        raise place.wrong("true or false", value)
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r" *-?[0-9]{1,20} *", value):
            return int(value)
        raise place.wrong("a whole number", value)
    if kind is str:
        if isinstance(value, str):
            return value
        raise place.wrong("a text (put numbers in quotes)", value)
    raise TypeError(f"{dotted(place.at)}: a setting cannot be a {kind}")


def _list(value: Any, kind: Any, place: Place) -> tuple[Any, ...]:
    """A list, or its text in one variable: JSON, or where items are plain, between commas."""
    items = value
    if value is None:
        items = []
    elif isinstance(value, str):
        items = _parsed(value, place, plain=not is_dataclass(kind))
    if not isinstance(items, Sequence) or isinstance(items, bytes):
        # A list of users has secrets in it: what was found is not shown.
        raise place.error("expected a list") if is_dataclass(kind) else place.wrong("a list", value)
    return tuple(convert(item, kind, place.inside(f"[{n}]")) for n, item in enumerate(items))


def _parsed(text: str, place: Place, *, plain: bool) -> Any:
    if not text.strip():
        return []
    if plain and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list):
        commas = ", or names between commas" if plain else ""
        raise place.error(f"expected a list in JSON{commas}")
    return items


def _item(value: Any, kind: type, place: Place) -> Any:
    if not isinstance(value, dict):
        raise place.error("expected a section with keys")
    hints = typing.get_type_hints(kind)
    names = [item.name for item in fields(kind)]
    for key in value:
        if key not in names:
            hint = nearest(str(key), names) or f"; there are {', '.join(names)}"
            raise place.inside(str(key)).error(f"unknown key{hint}")
    for item in fields(kind):
        if not has_default(item) and item.name not in value:
            raise place.inside(item.name).error("must be given")
    return kind(**{key: convert(inner, hints[key], place.inside(key)) for key, inner in value.items()})
