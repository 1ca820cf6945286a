"""What plugins depend on: the page that is made from it, and the snapshot that it is compared with."""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bleepstore import plugin

SCHEMAS = Path(__file__).parents[2] / "schemas"
IMPLEMENTED = (
    *("StorageBackend", "StagedBlob", "BlobReader", "NativeBackend", "NativeStaged", "MetadataEngine"),
    *("ThreadedStaged", "RangeReader"),
    *("Authenticator", "Authorizer", "AddressResolver", "EventSink"),
)
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def api_snapshot() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCHEMAS))
        import api_snapshot

        yield api_snapshot
        sys.modules.pop("api_snapshot")


@pytest.fixture(scope="module")
def plugin_api(api_snapshot: ModuleType) -> Iterator[ModuleType]:
    import plugin_api

    yield plugin_api
    sys.modules.pop("plugin_api")


@pytest.fixture(scope="module")
def now(api_snapshot: ModuleType) -> Tree:
    """The snapshot of the sources."""
    return api_snapshot.snapshot()


@pytest.fixture(scope="module")
def recorded(api_snapshot: ModuleType) -> Tree:
    """The snapshot that is committed."""
    return json.loads(api_snapshot.SNAPSHOT.read_text(encoding="utf-8"))


# --- the page ---------------------------------------------------------------------------------------


def test_the_page_is_the_one_that_is_made(plugin_api):
    text = plugin_api.PAGE.read_text(encoding="utf-8")
    assert plugin_api.replaced(text) == text, "run make schemas"


def test_everything_that_is_implemented_is_in_the_reference(plugin_api):
    text = plugin_api.reference()
    for name in IMPLEMENTED:
        assert f"\n#### `{name}`" in text
    for method in ("async def stage_upload(", "async def publish(", "async def abandoned("):
        assert method in text
    assert "``" not in text.replace("```", "")
    assert not [line for line in text.splitlines() if ":class:" in line or ":meth:" in line]


def test_a_hook_without_a_heading_is_an_error(plugin_api):
    text = plugin_api.PAGE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"differ in bleepstore_start$"):
        plugin_api.with_hooks(text.replace("### `bleepstore_start`", "### start"))


def test_a_stale_hook_is_made_anew(plugin_api):
    text = plugin_api.PAGE.read_text(encoding="utf-8")
    stale = text.replace("def bleepstore_start(services: Services)", "def bleepstore_start(server)")
    stale = stale.replace("Return receivers of events.\n", "Return something\nelse.\n")
    assert stale != text
    assert plugin_api.with_hooks(stale) == text


# --- the snapshot -----------------------------------------------------------------------------------


def test_no_plugin_breaks_while_the_major_version_stays(api_snapshot, recorded, now):
    if recorded["api_version"][0] == plugin.API_VERSION[0]:
        assert api_snapshot.incompatible(recorded, now) == [], "move API_VERSION, or keep what plugins use"


def test_the_snapshot_is_the_one_that_is_made(api_snapshot, recorded, now):
    assert recorded == now, "run make schemas"
    assert api_snapshot.dump(now) == api_snapshot.SNAPSHOT.read_text(encoding="utf-8"), "run make schemas"


def test_the_versions_section_names_what_is_published(api_snapshot, plugin_api):
    text = plugin_api.PAGE.read_text(encoding="utf-8").partition("\n## Versions\n")[2].partition("\n- ")[0]
    for name in api_snapshot.PUBLISHED:
        assert f"`{name.partition('.')[0]}`" in text


def member(modules: Tree, module: str, *path: str) -> Tree:
    tree = modules[module]
    for name in path:
        tree = tree["members"][name]
    return tree


def drop(module: str, *path: str) -> Callable[[Tree], object]:
    return lambda modules: member(modules, module, *path[:-1])["members"].pop(path[-1])


def change(module: str, *path: str, **values: Any) -> Callable[[Tree], object]:
    return lambda modules: member(modules, module, *path).update(values)


def add(parameter: list[str | None], module: str, *path: str) -> Callable[[Tree], object]:
    return lambda modules: member(modules, module, *path)["parameters"].append(parameter)


def also(name: str, like: tuple[str, ...], module: str, *path: str) -> Callable[[Tree], object]:
    return lambda modules: member(modules, module, *path)["members"].update({name: member(modules, *like)})


OPTIONAL = ["new", "keyword-only", "str", "..."]
NEEDED = ["new", "keyword-only", "str", None]
STAT, VERIFY = ("native", "NativeBackend", "stat"), ("storage", "StorageBackend", "verify")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda modules: modules.pop("events"), "bleepstore.events is not published any more"),
        (drop("storage", "Blob"), "bleepstore.storage.Blob: Public object was removed"),
        (drop(*VERIFY), "bleepstore.storage.StorageBackend.verify: Public object was removed"),
        (drop("storage", "Blob", "token"), "bleepstore.storage.Blob.token: Public object was removed"),
        (drop("testing.storage", "StorageKit", "traces"), "StorageKit.traces: Public object was removed"),
        (add(NEEDED, "storage", "Blob", "__init__"), "Blob.__init__(new): Parameter was added as required"),
        (change("storage", "Blob", "size", annotation="str"), "storage.Blob.size: was int, is str"),
        (change("storage", "Damaged", bases=["Exception"]), "Damaged: is no StorageFault any more"),
        (change(*VERIFY, labels=[]), ": was async def(self, blob: Blob) -> None, is def("),
        (change(*VERIFY, returns="int"), "is async def(self, blob: Blob) -> int"),
        (add(OPTIONAL, *STAT), "is abstractmethod async def(self, name: str, *, new: str = ...) -> "),
        (also("new", STAT, "native", "NativeBackend"), "native.NativeBackend.new: a new abstract method"),
        (
            lambda modules: member(modules, "hookspecs", "bleepstore_routes")["parameters"].pop(),
            "bleepstore.hookspecs.bleepstore_routes(services): Parameter was removed",
        ),
    ],
)  # fmt: skip
def test_what_breaks_a_plugin_is_told_in_one_line(api_snapshot, now, changed, told):
    new = copy.deepcopy(now)
    changed(new["modules"])
    (line,) = api_snapshot.incompatible(now, new)
    assert told in line


@pytest.mark.parametrize(
    "changed",
    [
        add(OPTIONAL, "storage", "Blob", "__init__"),
        add(NEEDED, "hookspecs", "bleepstore_commands"),
        also("new", VERIFY, "native", "NativeBackend"),
        also("New", ("storage", "Blob"), "storage"),
    ],
    ids=["a field with a default", "an argument of a hook", "a method with a default", "a class"],
)
def test_additions_break_nobody(api_snapshot, now, changed):
    new = copy.deepcopy(now)
    changed(new["modules"])
    assert new != now
    assert api_snapshot.incompatible(now, new) == []


def test_a_snapshot_that_breaks_plugins_is_written_with_another_major_version_only(
    api_snapshot, now, tmp_path, monkeypatch, capsys
):
    old = copy.deepcopy(now)
    old["modules"]["storage"]["members"]["Gone"] = old["modules"]["storage"]["members"]["Blob"]
    path = tmp_path / "snapshot.json"
    path.write_text(api_snapshot.dump(old))
    monkeypatch.setattr(api_snapshot, "SNAPSHOT", path)
    assert api_snapshot.main() == 1
    assert "bleepstore.storage.Gone: Public object was removed\n" in capsys.readouterr().err
    assert json.loads(path.read_text()) == old
    monkeypatch.setattr(api_snapshot, "API_VERSION", (plugin.API_VERSION[0] + 1, 0))
    assert api_snapshot.main() == 0
    assert json.loads(path.read_text())["modules"] == now["modules"]
