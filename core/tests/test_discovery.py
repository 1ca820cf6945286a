"""Plugins are found by entry point, imported when enabled, refused in one line that says whose they are."""

import sys

import pytest
from bleepstore.discovery import BUILT_INS, DiscoveryError, discover, implementations
from importlib_metadata import distributions

BACKEND = """
    @hookimpl
    def bleepstore_storage_backends(self):
        from bleepstore.plugin import StorageSpec
        return [StorageSpec(name="{name}", build=None)]
"""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """``found()``: the entry points of the distributions that the test made."""

    def points():
        folder = str(tmp_path / "site")
        monkeypatch.syspath_prepend(folder)
        return [point for one in distributions(path=[folder]) for point in one.entry_points]

    yield points
    for name in [name for name in sys.modules if name.startswith("shop_")]:
        del sys.modules[name]


def refused(*arguments, **more) -> str:
    with pytest.raises(DiscoveryError) as caught:
        discover(*arguments, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- what is there ----------------------------------------------------------------------------------


def test_the_built_ins_come_through_the_same_entry_points():
    inventory = {plugin.name: plugin for plugin in discover().inventory}
    assert set(inventory) >= {*BUILT_INS, "local"}
    assert {inventory[name].distribution for name in BUILT_INS} == {"bleepstore-core"}
    assert inventory["local"].distribution == "bleepstore-backend-local"
    assert inventory["local"].registers == ("storage_backends",)
    assert inventory["auth"].registers == ("authenticators", "authorizers")
    assert all(plugin.active and plugin.version for plugin in inventory.values())


def test_the_inventory_names_distribution_version_and_hooks(distribution, found):
    distribution("shop-one", BACKEND.format(name="one"), plugin="one")
    (one,) = discover(found=found()).inventory
    assert (one.name, one.distribution, one.version) == ("one", "shop-one", "1.2.3")
    assert one.registers == ("storage_backends",)
    assert one.active


def test_a_plugin_may_be_a_module(distribution, found):
    module = "from bleepstore.plugin import hookimpl\nrequires_api = (1, 0)\n"
    module += "@hookimpl\ndef bleepstore_sections():\n    return []\n"
    distribution("shop-module", module=module)
    points = found()
    points[0] = type(points[0])(name="module", value="shop_module", group="bleepstore")
    assert discover(found=points).inventory[0].registers == ("sections",)


# --- disabled ---------------------------------------------------------------------------------------


def test_a_disabled_plugin_is_listed_and_not_imported(distribution, found):
    distribution("shop-loud", module="raise RuntimeError('imported')")
    (one,) = discover(["shop_loud"], found=found()).inventory
    assert (one.active, one.registers) == (False, ())
    assert "shop_loud" not in sys.modules


def test_disabling_what_is_not_there_is_refused(distribution, found):
    distribution("shop-one", plugin="metrics")
    points = found()
    message = refused(["metricz"], found=points, source="c.yaml:2: plugins.disabled")
    assert message == "c.yaml:2: plugins.disabled: no plugin is named 'metricz', did you mean metrics?"
    assert refused(["zzz"], found=points).endswith("no plugin is named 'zzz'; there are metrics")


# --- refusals ---------------------------------------------------------------------------------------


def test_two_plugins_of_one_name_are_refused(distribution, found):
    distribution("shop-one", plugin="same")
    distribution("shop-two", plugin="same")
    message = refused(found=found())
    assert message.startswith("plugin same: both shop-")
    assert {"shop-one", "shop-two"} <= set(message.split())
    assert message.endswith("claim this name")


def test_a_misspelt_hook_is_refused_and_the_right_one_named(distribution, found):
    body = "    @hookimpl\n    def bleepstore_storage_backend(self):\n        return []\n"
    distribution("shop-typo", body, plugin="typo")
    assert refused(found=found()) == (
        "plugin typo of shop-typo: there is no hook bleepstore_storage_backend, "
        "did you mean bleepstore_storage_backends?"
    )


def test_a_hook_without_its_mark_is_refused(distribution, found):
    body = "    def bleepstore_storage_backends(self):\n        return []\n"
    distribution("shop-unmarked", body, plugin="unmarked")
    assert refused(found=found()) == (
        "plugin unmarked of shop-unmarked: bleepstore_storage_backends is not marked with hookimpl"
    )


def test_a_hook_with_other_arguments_is_refused(distribution, found):
    body = "    @hookimpl\n    def bleepstore_sections(self, settings):\n        return []\n"
    distribution("shop-args", body, plugin="args")
    message = refused(found=found())
    assert message.startswith("plugin args of shop-args: ")
    assert "settings" in message


def test_a_hook_wrapper_is_refused(distribution, found):
    body = "    @hookimpl(wrapper=True)\n    def bleepstore_sections(self):\n        return (yield)\n"
    distribution("shop-wrap", body, plugin="wrap")
    assert refused(found=found()) == (
        "plugin wrap of shop-wrap: bleepstore_sections must not be a hook wrapper"
    )


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_sdk", "ModuleNotFoundError: No module named 'no_such_sdk'"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("this is no python", "SyntaxError: invalid syntax"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("", "AttributeError: module 'shop_broken' has no attribute 'plugin'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_refused(distribution, found, module, reason):
    distribution("shop-broken", module=module, plugin="broken")
    message = refused(found=found())
    assert message.startswith(f"plugin broken of shop-broken: cannot be imported: {reason}")


@pytest.mark.parametrize(
    ("requires_api", "reason"),
    [
        ("(2, 0)", "needs version 2.0 of the contracts, and this core has 1.0"),
        ("(0, 9)", "needs version 0.9 of the contracts, and this core has 1.0"),
        ("(1, 1)", "needs version 1.1 of the contracts, and this core has 1.0"),
        ("None", "does not say which version of the contracts it needs (requires_api)"),
        ("'1.0'", "does not say which version of the contracts it needs (requires_api)"),
    ],
)
def test_a_plugin_for_another_core_is_refused(distribution, found, requires_api, reason):
    distribution("shop-old", BACKEND.format(name="old"), requires_api=requires_api, plugin="old")
    assert refused(found=found()) == f"plugin old of shop-old: {reason}"


SECTION = """
    @hookimpl
    def bleepstore_sections(self):
        from bleepstore.plugin import SectionSpec
        return [SectionSpec(name="{name}", section=Plugin)]
"""
COMMAND = """
    @hookimpl
    def bleepstore_commands(self):
        from bleepstore.plugin import CommandSpec
        return [CommandSpec(name="{name}", help="", configure=print, run=print)]
"""


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        (BACKEND, "disk", "the storage backend disk is that of plugin a of shop-a"),
        (SECTION, "hooks", "the configuration section hooks is that of plugin a of shop-a"),
        (COMMAND, "greet", "the command greet is that of plugin a of shop-a"),
    ],
)
def test_a_name_that_another_plugin_claims_is_refused(distribution, found, body, name, message):
    distribution("shop-a", body.format(name=name), plugin="a")
    distribution("shop-b", body.format(name=name), plugin="b")
    assert refused(found=found()) == f"plugin b of shop-b: {message}"


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        (SECTION, "server", "the configuration section server is that of the core"),
        (COMMAND, "serve", "the command serve is that of the core"),
    ],
)
def test_a_name_of_the_core_is_refused(distribution, found, body, name, message):
    distribution("shop-a", body.format(name=name), plugin="a")
    assert refused(found=found()) == f"plugin a of shop-a: {message}"


def test_a_hook_that_fails_names_its_plugin(distribution, found):
    body = "    @hookimpl\n    def bleepstore_sections(self):\n        raise KeyError('x')\n"
    distribution("shop-fails", body, plugin="fails")
    assert refused(found=found()) == ("plugin fails of shop-fails: bleepstore_sections failed: KeyError: 'x'")


# --- order ------------------------------------------------------------------------------------------

ORDERED = """
    @hookimpl{options}
    def bleepstore_event_sinks(self, context):
        return []
"""


def test_built_ins_come_first_then_names_in_order_but_for_first_and_last(distribution, found):
    for name, options in (("b", ""), ("a", "(trylast=True)"), ("d", "(tryfirst=True)"), ("c", "")):
        distribution(f"shop-{name}", ORDERED.format(options=options), plugin=name)
    distribution("shop-e", ORDERED.format(options=""), plugin="upkeep")  # a built-in's name
    manager = discover(found=found()).manager
    order = [one.plugin_name for one in implementations(manager, "bleepstore_event_sinks")]
    assert order == ["d", "upkeep", "b", "c", "a"]
