"""Finding plugins: entry points of the group ``bleepstore``, listed by name, imported when enabled.

What cannot be used is refused in one line that names the distribution it came from: a plugin that
is broken must not be a server that works a little differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy
from importlib_metadata import EntryPoint, entry_points

from bleepstore import hookspecs
from bleepstore.plugin import API_VERSION, PROJECT

BUILT_INS = ("admin", "auth", "s3", "sqlite", "upkeep")
"""Plugins of the core itself, registered first."""


class DiscoveryError(Exception):
    """A plugin cannot be used: one line for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One installed plugin."""

    name: str
    distribution: str
    version: str
    module: str
    active: bool
    registers: tuple[str, ...] = ()
    """The hooks that it implements, without their prefix; unknown while it is not active."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """What was found, and the plugin manager with what is active."""

    manager: pluggy.PluginManager
    inventory: tuple[Installed, ...]


def discover(disabled: Collection[str] = (), found: Iterable[EntryPoint] | None = None) -> Plugins:
    """Import all enabled plugins. Raises :class:`DiscoveryError`.

    ``found`` replaces the entry points of the environment.
    """
    points = sorted(
        entry_points(group=PROJECT) if found is None else found,
        key=lambda point: (point.name not in BUILT_INS, point.name),
    )
    _check_names(points)
    unknown = sorted(set(disabled) - {point.name for point in points})
    if unknown:
        raise DiscoveryError(f"plugins.disabled: no plugin is named {unknown[0]!r}")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    inventory = []
    for point in points:
        active = point.name not in disabled
        registers = _register(manager, point) if active else ()
        inventory.append(
            Installed(
                name=point.name,
                distribution=_distribution(point),
                version=point.dist.version if point.dist is not None else "",
                module=point.module,
                active=active,
                registers=registers,
            )
        )
    return Plugins(manager, tuple(inventory))


def _check_names(points: Sequence[EntryPoint]) -> None:
    seen: dict[str, EntryPoint] = {}
    for point in points:
        other = seen.setdefault(point.name, point)
        if other is not point:
            raise DiscoveryError(
                f"plugin {point.name}: both {_distribution(other)} and {_distribution(point)} claim this name"
            )


def _register(manager: pluggy.PluginManager, point: EntryPoint) -> tuple[str, ...]:
    where = f"plugin {point.name} of {_distribution(point)}"
    try:
        plugin = point.load()
    except Exception as error:
        raise DiscoveryError(f"{where}: cannot be imported: {type(error).__name__}: {error}") from error
    _check_api(where, plugin)
    try:
        manager.register(plugin, point.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise DiscoveryError(f"{where}: {' '.join(str(error).split())}") from error
    prefix = f"{PROJECT}_"
    callers = manager.get_hookcallers(plugin) or []
    return tuple(sorted(caller.name.removeprefix(prefix) for caller in callers))


def _check_api(where: str, plugin: Any) -> None:
    wanted = getattr(plugin, "requires_api", None)
    if not (isinstance(wanted, tuple) and len(wanted) == 2 and all(isinstance(n, int) for n in wanted)):
        raise DiscoveryError(f"{where}: does not say which version of the contracts it needs (requires_api)")
    if wanted[0] != API_VERSION[0] or wanted[1] > API_VERSION[1]:
        raise DiscoveryError(
            f"{where}: needs version {wanted[0]}.{wanted[1]} of the contracts, and this core has "
            f"{API_VERSION[0]}.{API_VERSION[1]}"
        )


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module.partition(".")[0]
