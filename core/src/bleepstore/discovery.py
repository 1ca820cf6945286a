"""Finding plugins: entry points of the group ``bleepstore``, listed by name, imported when enabled.

What cannot be used is refused in one line that names the distribution it came from: a plugin that
is broken must not be a server that works a little differently.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import pluggy
from importlib_metadata import EntryPoint, entry_points

from bleepstore import hookspecs
from bleepstore.plugin import API_VERSION, PROJECT
from bleepstore.settings import Settings

BUILT_INS = ("admin", "auth", "s3", "sqlite", "transfer", "upkeep")
"""Plugins of the core itself, registered first."""
COMMANDS = ("serve", "presign", "plugins", "config", "conformance", "plugin")
"""Commands of the core itself."""


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


def discover(
    disabled: Collection[str] = (),
    found: Iterable[EntryPoint] | None = None,
    *,
    source: str = "plugins.disabled",
) -> Plugins:
    """Import all enabled plugins. Raises :class:`DiscoveryError`.

    ``found`` replaces the entry points of the environment; ``source`` says where ``disabled`` stands.
    """
    points = sorted(
        entry_points(group=PROJECT) if found is None else found,
        key=lambda point: (point.name not in BUILT_INS, point.name),
    )
    _check_names(points)
    unknown = sorted(set(disabled) - {point.name for point in points})
    if unknown:
        names = [point.name for point in points]
        near = difflib.get_close_matches(unknown[0], names, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
        raise DiscoveryError(f"{source}: no plugin is named {unknown[0]!r}{hint}")
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
    _check_claims(manager, {point.name: _distribution(point) for point in points})
    return Plugins(manager, tuple(inventory))


def implementations(manager: pluggy.PluginManager, hook: str) -> Sequence[pluggy.HookImpl]:
    """Who implements a hook: in the order of registration, but for ``tryfirst`` and ``trylast``."""
    found = getattr(manager.hook, hook).get_hookimpls()
    return sorted(found, key=lambda one: (not one.tryfirst, one.trylast))


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
    except (Exception, SystemExit) as error:
        raise DiscoveryError(f"{where}: cannot be imported: {one_line(error)}") from error
    _check_api(where, plugin)
    _check_marked(where, plugin)
    try:
        manager.register(plugin, point.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise DiscoveryError(f"{where}: {_mistake(error, plugin)}") from error
    prefix = f"{PROJECT}_"
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if any(one.plugin is plugin and (one.wrapper or one.hookwrapper) for one in caller.get_hookimpls()):
            raise DiscoveryError(f"{where}: {caller.name} must not be a hook wrapper")
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


def _check_marked(where: str, plugin: Any) -> None:
    """A method that looks like a hook and is not marked would silently do nothing."""
    for name in dir(plugin):
        method = getattr(plugin, name, None) if name.startswith(f"{PROJECT}_") else None
        if callable(method) and not hasattr(method, f"{PROJECT}_impl"):
            raise DiscoveryError(f"{where}: {name} is not marked with hookimpl")


def _mistake(error: pluggy.PluginValidationError, plugin: Any) -> str:
    """What pluggy says in several lines, as one."""
    text = " ".join(str(error).split())
    found = re.search(r"unknown hook '(\w+)'", text)
    if found is None:
        return text.partition(": ")[2] if text.startswith("Plugin ") else text
    hooks = [name for name in dir(hookspecs) if name.startswith(f"{PROJECT}_")]
    near = difflib.get_close_matches(found[1], hooks, n=1)
    return f"there is no hook {found[1]}" + (f", did you mean {near[0]}?" if near else "")


_CLAIMS = {
    "storage_backends": "storage backend",
    "metadata_engines": "metadata engine",
    "sections": "configuration section",
    "commands": "command",
}
"""Hooks whose specs have names that only one plugin may claim."""


def _check_claims(manager: pluggy.PluginManager, distributions: dict[str, str]) -> None:
    reserved = {
        "configuration section": {item.name for item in fields(Settings)},
        "command": set(COMMANDS),
    }
    for hook, what in _CLAIMS.items():
        claimed = dict.fromkeys(reserved.get(what, ()), "the core")
        for implementation in implementations(manager, f"{PROJECT}_{hook}"):
            name = implementation.plugin_name
            who = f"plugin {name} of {distributions.get(name, name)}"
            try:
                specs: tuple[Any, ...] = tuple(cast(Any, implementation.function()) or ())
            except Exception as error:
                raise DiscoveryError(f"{who}: {PROJECT}_{hook} failed: {one_line(error)}") from error
            for spec in specs:
                if spec.name in claimed:
                    raise DiscoveryError(f"{who}: the {what} {spec.name} is that of {claimed[spec.name]}")
                claimed[spec.name] = who


def one_line(error: BaseException) -> str:
    """An exception as the end of a message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module.partition(".")[0]
