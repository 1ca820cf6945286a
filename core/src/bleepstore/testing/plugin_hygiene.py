"""The manners of plugins, checked for any that is installed.

A plugin's author writes one class and inherits every test::

    from bleepstore.testing.plugin_hygiene import PluginHygiene

    class TestPlugin(PluginHygiene):
        name = "shelf"

The environment is the one that the tests run in: the plugin is installed, editable or not.
"""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
from importlib_metadata import EntryPoint, entry_points, packages_distributions, requires

from bleepstore.discovery import Plugins, discover
from bleepstore.metadata import MetadataEngine
from bleepstore.plugin import PROJECT, Context, MetadataSpec, StorageSpec
from bleepstore.settings import Settings
from bleepstore.storage import StorageBackend

_IMPORT = """
import importlib, sys
import bleepstore.hookspecs
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print(*sorted(set(sys.modules) - before))
"""


class PluginHygiene:
    """What the server expects of every plugin, before any of its hooks is called."""

    name: ClassVar[str]
    """The name of the entry point."""

    # --- what a plugin may say of itself ----------------------------------------------------------

    def sdk(self, point: EntryPoint) -> frozenset[str]:
        """Top-level packages that only ``build`` may import: by default all that are required."""
        assert point.dist is not None
        required = {_project(line) for line in requires(point.dist.name) or ()}
        return frozenset(
            package
            for package, owners in packages_distributions().items()
            for owner in owners
            if _project(owner) in required and not _project(owner).startswith(PROJECT)
        )

    def section(self, spec: StorageSpec | MetadataSpec) -> Any:
        """The section to build a spec with: by default its own, with nothing configured."""
        return spec.section() if spec.section is not None else None

    # --- the checks -------------------------------------------------------------------------------

    @pytest.fixture
    def point(self) -> EntryPoint:
        """The plugin's entry point."""
        found: list[EntryPoint] = [p for p in entry_points(group=PROJECT) if p.name == self.name]
        assert len(found) == 1, f"{len(found)} entry points of the group {PROJECT} are named {self.name}"
        return found[0]

    @pytest.fixture
    def plugins(self, point: EntryPoint) -> Plugins:
        """The plugin alone, as the server finds it."""
        return discover(found=[point])

    def test_discovery_takes_it(self, plugins: Plugins) -> None:
        """It can be imported, says which contracts it needs, and spells its hooks right."""
        (installed,) = plugins.inventory
        assert installed.active

    def test_it_registers_something(self, plugins: Plugins) -> None:
        assert plugins.inventory[0].registers != ()

    def test_its_hooks_are_marked(self, plugins: Plugins) -> None:
        """A method that looks like a hook is one: without ``hookimpl`` it would never be called."""
        plugin = plugins.manager.get_plugin(self.name)
        looks = {name.removeprefix(f"{PROJECT}_") for name in dir(plugin) if name.startswith(f"{PROJECT}_")}
        assert looks == set(plugins.inventory[0].registers)

    def test_it_has_the_name_of_its_entry_point(self, plugins: Plugins) -> None:
        assert plugins.manager.get_plugin(self.name).name == self.name  # type: ignore[union-attr]

    def test_importing_it_imports_no_sdk(self, point: EntryPoint) -> None:
        """An installed plugin that nobody chose costs next to nothing."""
        run = subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", _IMPORT, point.module], capture_output=True, text=True, check=True
        )
        imported = {module.partition(".")[0] for module in run.stdout.split()}
        assert imported & self.sdk(point) == set()

    def test_its_engines_are_built_from_the_default_section(self, plugins: Plugins) -> None:
        """``build`` only builds: what it makes is opened by ``start``."""
        for spec in self.specs(plugins):
            made = spec.build(self.context(self.section(spec)))
            assert isinstance(made, StorageBackend if isinstance(spec, StorageSpec) else MetadataEngine)

    def specs(self, plugins: Plugins) -> Iterable[StorageSpec | MetadataSpec]:
        """What the plugin can build."""
        hook = plugins.manager.hook
        for specs in (*hook.bleepstore_storage_backends(), *hook.bleepstore_metadata_engines()):
            yield from specs

    def context(self, section: Any) -> Context:
        """A context without a server around it."""
        log = logging.getLogger(f"{PROJECT}.{self.name}")
        return Context(settings=Settings(), section=section, log=log, clock=lambda: 0)


def _project(requirement: str) -> str:
    """The normalized name in a requirement or of a distribution."""
    name = ""
    for letter in requirement:
        if not (letter.isalnum() or letter in "-_."):
            break
        name += letter
    return name.lower().replace("_", "-").replace(".", "-")
