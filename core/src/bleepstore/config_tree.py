"""All settings as one tree: the dataclasses of the core and of plugins, walked by path."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any

from bleepstore.config_file import Path_, dotted
from bleepstore.config_values import Place, convert
from bleepstore.settings import Settings, has_default


@dataclass(frozen=True, slots=True)
class Given:
    """One value, as its source has it."""

    value: Any
    place: Place


class SettingsTree:
    """What can be set, and the settings made from what was given."""

    def __init__(self, sections: Mapping[str, type], absent: Collection[Path_] = ()) -> None:
        """``sections``: dataclasses of plugins by dotted path; ``absent``: sections to pass over."""
        self.leaves: dict[Path_, Any] = {}
        """Type by path."""
        self._shapes: dict[Path_, type] = {}
        self._plugins = {tuple(name.split(".")): shape for name, shape in sections.items()}
        self._absent = frozenset(absent) - self._plugins.keys()
        self._walk(Settings, ())
        for at, shape in self._plugins.items():
            self._walk(shape, at)

    @property
    def plugin_sections(self) -> Collection[Path_]:
        """The paths of the sections that plugins bring."""
        return self._plugins.keys()

    def _walk(self, shape: type, at: Path_) -> None:
        self._shapes[at] = shape
        hints = typing.get_type_hints(shape)
        for item in settable(shape):
            if is_dataclass(hints[item.name]):
                self._walk(typing.cast(type, hints[item.name]), (*at, item.name))
            else:
                self.leaves[(*at, item.name)] = hints[item.name]

    def take(self, tree: Any, place: Place, given: dict[Path_, Given]) -> None:
        """Read a section of a file. Raises ConfigError."""
        if tree is None:
            return  # a section with all its keys commented out
        if not isinstance(tree, dict):
            raise place.wrong("a section with keys", tree)
        for name, value in tree.items():
            inside = place.inside(str(name))
            if inside.at in self.leaves:
                given[inside.at] = Given(value, inside)
            elif inside.at in self._shapes:
                self.take(value, inside, given)
            elif inside.at not in self._absent:
                raise inside.error(f"unknown key{self._meant(inside.at)}")

    def _meant(self, at: Path_) -> str:
        """The nearest valid key: in the same section, then of the same name, then all of the section."""
        paths = [path for path in (*self.leaves, *self._shapes) if path]
        siblings = {path[-1]: path for path in paths if path[:-1] == at[:-1]}
        found = difflib.get_close_matches(at[-1], siblings, n=1, cutoff=0.5)
        if found:
            return f", did you mean {dotted(siblings[found[0]])}?"
        for path in paths:
            if path[-1] == at[-1]:
                return f", did you mean {dotted(path)}?"
        return f"; there are {', '.join(siblings)}"

    def build(self, given: Mapping[Path_, Given]) -> Settings:
        """The dataclasses with what was given. Raises ConfigError.

        A section of a plugin that needs a key which is not given is left out: whether it is needed is
        decided with the engine that is chosen, see :meth:`missing`.
        """
        sections = {
            ".".join(at): self._build(shape, at, given)
            for at, shape in self._plugins.items()
            if self.missing(at, given) is None
        }
        return Settings(**self._values(Settings, (), given), sections=sections)

    def missing(self, at: Path_, given: Mapping[Path_, Given]) -> Path_ | None:
        """A key without default that is not given, in a plugin's section."""
        shape = self._plugins.get(at)
        if shape is None:
            return None
        needed = (item.name for item in settable(shape) if not has_default(item))
        return next(((*at, name) for name in needed if (*at, name) not in given), None)

    def _build(self, shape: type, at: Path_, given: Mapping[Path_, Given]) -> Any:
        return shape(**self._values(shape, at, given))

    def _values(self, shape: type, at: Path_, given: Mapping[Path_, Given]) -> dict[str, Any]:
        values = {}
        for item in settable(shape):
            path = (*at, item.name)
            if path in self._shapes:
                values[item.name] = self._build(self._shapes[path], path, given)
            elif path in given:
                values[item.name] = convert(given[path].value, self.leaves[path], given[path].place)
        return values


def settable(shape: type) -> Iterator[Field[Any]]:
    """The fields that a configuration may set."""
    return (item for item in fields(shape) if not item.metadata.get("internal"))
