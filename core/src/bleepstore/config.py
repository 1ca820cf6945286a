"""The configuration: file, environment and command line into :class:`~bleepstore.settings.Settings`.

Keys are matched by walking the dataclasses of ``settings`` and the sections that plugins bring. The
command line wins over ``BLEEPSTORE_*``, that over the file, that over ``MINIO_ROOT_*``, and all over
the defaults. Every error is one line that names the key, and where it stands.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from bleepstore.config_file import ConfigError, read_file
from bleepstore.secret import Secret
from bleepstore.settings import Settings

__all__ = ["Choices", "ConfigError", "Configuration", "disabled_plugins", "find_file", "load"]

PREFIX = "BLEEPSTORE_"
FILES = ("bleepstore.yaml", "bleepstore.yml", "bleepstore.toml")
"""What is read where no file is named and one of these is in the current folder."""
OTHERS = frozenset({"CONFIG", "SERVER_TOKEN", "ENDPOINT", "COMMAND"})
"""``BLEEPSTORE_`` names that are no settings."""
ABSENT = ("E2E_", "STORAGE_AWS_", "STORAGE_GCP_", "STORAGE_AZURE_", "METADATA_RAFT_")
"""Beginnings of names that may be somebody else's: the suites', or those of absent plugins."""
MINIO = {"MINIO_ROOT_USER": ("auth", "access_key"), "MINIO_ROOT_PASSWORD": ("auth", "secret_key")}
PACKAGES = {
    ("storage", "aws"): "bleepstore-backend-aws",
    ("storage", "gcp"): "bleepstore-backend-gcp",
    ("storage", "azure"): "bleepstore-backend-azure",
    ("storage", "local"): "bleepstore-backend-local",
    ("metadata", "raft"): "bleepstore-metadata-raft",
}
"""Sections of plugins that may not be installed, and where they come from."""

Path_ = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the installed plugins add to the configuration."""

    sections: Mapping[str, type] = field(default_factory=dict)
    """Dataclasses by dotted path (``storage.local``)."""
    backends: Collection[str] = ()
    engines: Collection[str] = ()

    @classmethod
    def of(cls, hook: Any) -> Choices:
        """What the plugins of a pluggy manager bring."""
        backends = [spec for specs in hook.bleepstore_storage_backends() for spec in specs]
        engines = [spec for specs in hook.bleepstore_metadata_engines() for spec in specs]
        tops = [spec for specs in hook.bleepstore_sections() for spec in specs]
        named = (
            *((f"storage.{spec.name}", spec.section) for spec in backends),
            *((f"metadata.{spec.name}", spec.section) for spec in engines),
            *((spec.name, spec.section) for spec in tops),
        )
        return cls(
            sections={name: section for name, section in named if section is not None},
            backends=[spec.name for spec in backends],
            engines=[spec.name for spec in engines],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What was loaded, and what is worth telling the operator."""

    settings: Settings
    warnings: tuple[str, ...]
    credentials: bool
    """Whether anybody configured the first account's key pair."""


@dataclass(frozen=True, slots=True)
class _Given:
    """One value, as its source has it."""

    value: Any
    where: str
    folder: Path | None = None
    """What a relative path is relative to."""


def find_file(named: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file to read: the one named, ``BLEEPSTORE_CONFIG``, or the usual one in ``folder``."""
    if named is not None:
        return named
    if environ.get(PREFIX + "CONFIG"):
        return Path(environ[PREFIX + "CONFIG"])
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def disabled_plugins(path: Path | None, environ: Mapping[str, str]) -> tuple[str, ...]:
    """``plugins.disabled``, which must be known before anything else can be read."""
    text = environ.get(PREFIX + "PLUGINS_DISABLED")
    if text is not None:
        return tuple(name.strip() for name in text.split(",") if name.strip())
    if path is None:
        return ()
    section = read_file(path).tree.get("plugins")
    disabled = section.get("disabled") if isinstance(section, dict) else None
    return tuple(str(name) for name in disabled) if isinstance(disabled, list) else ()


def load(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    choices: Choices | None = None,
) -> Configuration:
    """The whole configuration. ``overrides``: values of the command line by dotted path.

    Raises :class:`ConfigError`.
    """
    choices = choices or Choices()
    tree = _Tree(choices.sections)
    given: dict[Path_, _Given] = {}
    warnings: list[str] = []
    for name, at in MINIO.items():
        if environ.get(name):
            given[at] = _Given(environ[name], name)
    if path is not None:
        file = read_file(path)
        tree.take(file.tree, (), given, file.where, path.absolute().parent)
    _take_environment(tree, environ, given, warnings)
    for dotted, value in (overrides or {}).items():
        given[tuple(dotted.split("."))] = _Given(value, "command line")
    settings = tree.build(given)
    _check_choices(settings, given, choices)
    from bleepstore.config_rules import check_settings

    def where(dotted: str) -> str:
        found = given.get(tuple(dotted.split(".")))
        return f"{found.where}: {dotted}" if found is not None else dotted

    check_settings(settings, where)
    credentials = ("auth", "access_key") in given and ("auth", "secret_key") in given
    if (("auth", "access_key") in given) != (("auth", "secret_key") in given):
        one, other = (
            ("access_key", "secret_key") if ("auth", "access_key") in given else ("secret_key", "access_key")
        )
        raise ConfigError(f"{where(f'auth.{one}')}: auth.{other} must be given too")
    return Configuration(settings=settings, warnings=tuple(warnings), credentials=credentials)


def _take_environment(
    tree: _Tree, environ: Mapping[str, str], given: dict[Path_, _Given], warnings: list[str]
) -> None:
    names = {PREFIX + "_".join(at).upper(): at for at in tree.leaves}
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        rest = name[len(PREFIX) :]
        if name in names:
            given[names[name]] = _Given(value, name)
        elif rest not in OTHERS and not rest.startswith(
            ("E2E_", "STORAGE_AWS_", "STORAGE_GCP_", "STORAGE_AZURE_")
        ):
            warnings.append(f"{name}: no such setting{_nearest(name, names)}")


def _check_choices(settings: Settings, given: Mapping[Path_, _Given], choices: Choices) -> None:
    for kind, setting, name, names in (
        ("storage", "backend", settings.storage.backend, choices.backends),
        ("metadata", "engine", settings.metadata.engine, choices.engines),
    ):
        if not names or name in names:
            continue
        found = given.get((kind, setting))
        where = f"{found.where}: " if found is not None else ""
        package = PACKAGES.get((kind, name))
        if package is not None:
            raise ConfigError(f"{where}{kind}.{setting}: {name} is not installed: pip install {package}")
        raise ConfigError(f"{where}{kind}.{setting}: no plugin provides {name!r}{_nearest(name, names)}")


def _nearest(name: str, names: Collection[str]) -> str:
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f", did you mean {found[0]}?" if found else ""


class _Tree:
    """All settings: the dataclasses by path, and the fields that hold values."""

    def __init__(self, sections: Mapping[str, type]) -> None:
        self.leaves: dict[Path_, Any] = {}
        """Type by path."""
        self.shapes: dict[Path_, type] = {}
        self._plugins = {tuple(name.split(".")): shape for name, shape in sections.items()}
        self._walk(Settings, ())
        for at, shape in self._plugins.items():
            self._walk(shape, at)

    def _walk(self, shape: type, at: Path_) -> None:
        self.shapes[at] = shape
        hints = typing.get_type_hints(shape)
        for item in fields(shape):
            if item.metadata.get("internal"):
                continue
            if is_dataclass(hints[item.name]):
                self._walk(hints[item.name], (*at, item.name))
            else:
                self.leaves[(*at, item.name)] = hints[item.name]

    def take(self, tree: Any, at: Path_, given: dict[Path_, _Given], where: Any, folder: Path) -> None:
        """Read a section of the file. Raises ConfigError."""
        if tree is None:
            return  # a section with all its keys commented out
        if not isinstance(tree, dict):
            raise ConfigError(f"{where(at)}: {'.'.join(at)}: expected a section with keys")
        for name, value in tree.items():
            path = (*at, str(name))
            if path in self.leaves:
                given[path] = _Given(value, where(path), folder)
            elif path in self.shapes:
                self.take(value, path, given, where, folder)
            elif path not in PACKAGES:
                names = {p[-1] for p in (*self.leaves, *self.shapes) if p and p[:-1] == at}
                raise ConfigError(f"{where(path)}: {'.'.join(path)}: unknown key{_nearest(str(name), names)}")

    def build(self, given: Mapping[Path_, _Given]) -> Settings:
        """The dataclasses with what was given. Raises ConfigError."""
        sections = {".".join(at): self._build(shape, at, given) for at, shape in self._plugins.items()}
        values = self._values(Settings, (), given)
        return Settings(**values, sections=sections)

    def _build(self, shape: type, at: Path_, given: Mapping[Path_, _Given]) -> Any:
        return shape(**self._values(shape, at, given))

    def _values(self, shape: type, at: Path_, given: Mapping[Path_, _Given]) -> dict[str, Any]:
        values = {}
        for item in fields(shape):
            path = (*at, item.name)
            if path in self.shapes and path not in self._plugins:
                values[item.name] = self._build(self.shapes[path], path, given)
            elif path in given:
                found = given[path]
                values[item.name] = convert(
                    found.value, self.leaves[path], ".".join(path), found.where, found.folder
                )
        return values


# --- values -----------------------------------------------------------------------------------------


def convert(value: Any, kind: Any, name: str, where: str, folder: Path | None = None) -> Any:
    """A value of a source as a field's type. Raises ConfigError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (kind,) = [a for a in arguments if a is not type(None)]
        return convert(value, kind, name, where, folder)
    if origin is tuple:
        return _convert_list(value, arguments[0], name, where, folder)
    if origin is typing.Literal:
        if value not in arguments:
            wanted = " or ".join(repr(a) for a in arguments)
            raise _wrong(where, name, f"one of {wanted}", value)
        return value
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return _convert_item(value, kind, name, where)
    if kind is Path:
        if not isinstance(value, str | Path) or not str(value):
            raise _wrong(where, name, "a path", value)
        path = Path(value).expanduser()
        return folder / path if folder is not None else path
    if kind is Secret:
        if not isinstance(value, str):
            raise ConfigError(f"{where}: {name}: expected a text (put numbers in quotes)")
        return Secret(value)
    return _convert_plain(value, kind, name, where)


def _convert_plain(value: Any, kind: Any, name: str, where: str) -> Any:
    if kind is bool:
        words = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise _wrong(where, name, "true or false", value)
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().removeprefix("-").isdecimal():
            return int(value)
        raise _wrong(where, name, "a whole number", value)
    if kind is str:
        if isinstance(value, str):
            return value
        raise _wrong(where, name, "a text (put numbers in quotes)", value)
    raise TypeError(f"{name}: a setting cannot be a {kind}")


def _convert_list(value: Any, kind: Any, name: str, where: str, folder: Path | None) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if value is None:
        value = []
    if not isinstance(value, Sequence):
        raise _wrong(where, name, "a list", value)
    return tuple(convert(item, kind, f"{name}[{n}]", where, folder) for n, item in enumerate(value))


def _convert_item(value: Any, kind: type, name: str, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, name, "a section with keys", value)
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            raise ConfigError(f"{where}: {name}.{key}: unknown key{_nearest(str(key), hints)}")
    return kind(**{key: convert(item, hints[key], f"{name}.{key}", where) for key, item in value.items()})


def _wrong(where: str, name: str, wanted: str, value: Any) -> ConfigError:
    return ConfigError(f"{where}: {name}: expected {wanted}, found {str(value)[:80]!r}")
