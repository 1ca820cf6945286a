"""The configuration: file, environment and command line into :class:`~bleepstore.settings.Settings`.

Keys are matched by walking the dataclasses of ``settings`` and the sections that plugins bring. The
command line wins over ``BLEEPSTORE_*``, that over the file, that over ``MINIO_ROOT_*``, and all over
the defaults. Every error is one line that names the key, and where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import importlib_metadata

from bleepstore.config_file import ConfigError, Path_, dotted, read_file
from bleepstore.config_rules import check_settings
from bleepstore.config_tree import Given, SettingsTree
from bleepstore.config_values import Place, convert, nearest
from bleepstore.settings import Settings

__all__ = [
    "Choices",
    "ConfigError",
    "Configuration",
    "Disabled",
    "disabled_plugins",
    "find_file",
    "load",
]

PREFIX = "BLEEPSTORE_"
FILES = ("bleepstore.yaml", "bleepstore.yml", "bleepstore.toml")
"""What is read where no file is named and one of these is in the current folder."""
OTHERS = frozenset({"CONFIG", "SERVER_TOKEN", "ENDPOINT", "COMMAND"})
"""``BLEEPSTORE_`` names that are no settings."""
SUITES = "E2E_"
"""Beginning of the names that belong to the test suites."""
MINIO = {"MINIO_ROOT_USER": ("auth", "access_key"), "MINIO_ROOT_PASSWORD": ("auth", "secret_key")}
PACKAGES = {
    ("storage", "aws"): "bleepstore-backend-aws",
    ("storage", "gcp"): "bleepstore-backend-gcp",
    ("storage", "azure"): "bleepstore-backend-azure",
    ("storage", "local"): "bleepstore-backend-local",
    ("metadata", "raft"): "bleepstore-metadata-raft",
}
"""Sections of plugins that may not be installed, and where they come from."""

Where = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the installed plugins add to the configuration."""

    sections: Mapping[str, type] = field(default_factory=dict)
    """Dataclasses by dotted path (``storage.local``)."""
    backends: Collection[str] | None = None
    """Names that ``storage.backend`` may have; ``None`` where that is not known."""
    engines: Collection[str] | None = None
    """Names that ``metadata.engine`` may have."""

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


def find_file(named: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file to read: the one named, ``BLEEPSTORE_CONFIG``, or the usual one in ``folder``."""
    if named is not None:
        return named
    if environ.get(PREFIX + "CONFIG"):
        return Path(environ[PREFIX + "CONFIG"])
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


@dataclass(frozen=True, slots=True)
class Disabled:
    """Plugins that are not to be loaded."""

    names: tuple[str, ...]
    source: str
    """Where they are named, for messages."""


def disabled_plugins(path: Path | None, environ: Mapping[str, str]) -> Disabled:
    """``plugins.disabled``, which must be known before anything else can be read."""
    at, name = ("plugins", "disabled"), PREFIX + "PLUGINS_DISABLED"
    value: Any = environ.get(name)
    place = Place(at, lambda _: name)
    if value is None and path is not None:
        file = read_file(path)
        section = file.tree.get("plugins")
        value = section.get("disabled") if isinstance(section, dict) else None
        place = Place(at, file.where)
    if value is None:
        return Disabled((), dotted(at))
    return Disabled(convert(value, tuple[str, ...], place), f"{place.source(at)}: {dotted(at)}")


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
    tree = SettingsTree(choices.sections, absent=PACKAGES)
    given: dict[Path_, Given] = {}
    for name, at in MINIO.items():
        if environ.get(name):
            given[at] = _from_variable(environ[name], at, name)
    if path is not None:
        file = read_file(path)
        tree.take(file.tree, Place((), file.where, path.absolute().parent), given)
    warnings = _take_environment(tree, environ, given)
    for name, value in (overrides or {}).items():
        option = tuple(name.split("."))
        given[option] = Given(value, Place(option, lambda _: "command line"))
    settings = tree.build(given)

    def where(*at: str) -> str:
        around = (at[:length] for length in range(len(at), 0, -1))
        found = next((given[one] for one in around if one in given), None)
        return f"{found.place.source(at)}: {dotted(at)}" if found is not None else dotted(at)

    _check_choice(settings, ("storage", "backend"), choices.backends, where)
    _check_choice(settings, ("metadata", "engine"), choices.engines, where)
    _check_complete(settings, tree, given)
    check_settings(settings, where)
    return Configuration(settings=settings, warnings=warnings, credentials=_credentials(given, where))


def _from_variable(value: str, at: Path_, name: str) -> Given:
    return Given(value, Place(at, lambda _: name))


def _take_environment(
    tree: SettingsTree, environ: Mapping[str, str], given: dict[Path_, Given]
) -> tuple[str, ...]:
    """Read ``BLEEPSTORE_*``; returns warnings of those that are no settings."""
    names = {PREFIX + "_".join(at).upper(): at for at in tree.leaves}
    absent = (at for at in PACKAGES if at not in tree.plugin_sections)
    others = (SUITES, *("_".join((*at, "")).upper() for at in absent))
    warnings = []
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        rest = name.removeprefix(PREFIX)
        if name in names:
            given[names[name]] = _from_variable(value, names[name], name)
        elif rest not in OTHERS and not rest.startswith(others):
            warnings.append(f"{name}: no such setting{nearest(name, names)}")
    return tuple(warnings)


def _check_choice(settings: Settings, at: Path_, names: Collection[str] | None, where: Where) -> None:
    kind, setting = at
    name = getattr(getattr(settings, kind), setting)
    if names is None or name in names:
        return
    if name in settings.plugins.disabled:
        raise ConfigError(f"{where(*at)}: the plugin {name} is disabled ({where('plugins', 'disabled')})")
    package = PACKAGES.get((kind, name))
    if package is not None:
        raise ConfigError(f"{where(*at)}: {_how_to_install(name, package)}")
    raise ConfigError(f"{where(*at)}: no plugin provides {name!r}{nearest(name, names)}")


def _how_to_install(name: str, package: str) -> str:
    try:
        version = importlib_metadata.version(package)
    except importlib_metadata.PackageNotFoundError:
        return f"{name} is not installed: pip install {package}"
    # The first releases of some distributions only hold their place.
    return f"{package} {version} does not provide {name}: pip install --upgrade {package}"


def _check_complete(settings: Settings, tree: SettingsTree, given: Mapping[Path_, Given]) -> None:
    """The sections in use have all that they need; those of other engines need not."""
    chosen = {"storage": settings.storage.backend, "metadata": settings.metadata.engine}
    for at in tree.plugin_sections:
        if len(at) == 2 and chosen.get(at[0]) != at[1]:
            continue
        missing = tree.missing(at, given)
        if missing is not None:
            raise ConfigError(f"{dotted(missing)}: must be given")


def _credentials(given: Mapping[Path_, Given], where: Where) -> bool:
    """Whether the first key pair was configured: both halves of it, or neither."""
    halves = [("auth", "access_key"), ("auth", "secret_key")]
    for one, other in (halves, reversed(halves)):
        if one in given and other not in given:
            raise ConfigError(f"{where(*one)}: {dotted(other)} must be given too")
    return halves[0] in given
