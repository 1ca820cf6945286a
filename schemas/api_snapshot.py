"""What of the published modules a plugin can depend on, as griffe reads it; and what breaks a plugin.

``python schemas/api_snapshot.py`` writes ``specs/api-snapshot.json``. It refuses where something that
the snapshot has was changed incompatibly while ``bleepstore.plugin.API_VERSION`` stayed the same major.

Incompatible, beside what griffe finds for whoever calls or reads (something is gone, or must be given
that was optional): for whoever *implements* a contract any change of an abstract method, and a new one.
Left out are docstrings, values, private names, and the tests of kits: these may change in any version.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from bleepstore.plugin import API_VERSION

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "core" / "src"
SNAPSHOT = ROOT / "specs" / "api-snapshot.json"
PUBLISHED = (
    *("plugin", "hookspecs", "settings", "secret", "storage", "native", "native_calls", "native_staging"),
    *("native_reading", "native_names", "metadata", "commands", "operations", "exchange", "errors", "events"),
    *("testing.storage", "testing.scrubbed_storage", "testing.native_storage", "testing.metadata"),
    *("testing.plugin_hygiene", "testing.memory", "testing.memory_native", "testing.memory_upstream"),
)
"""Modules below ``bleepstore`` that ``API_VERSION`` is about."""
HARMLESS = {"hookspecs": {griffe.BreakageKind.PARAMETER_ADDED_REQUIRED}}
"""A plugin's hook takes the arguments it names: more of them are offered, not demanded."""
LABELS = {"abstractmethod", "async", "dataclass", "property"}
Json = dict[str, Any]


def package() -> griffe.Module:
    """The core as griffe reads it."""
    logging.getLogger("griffe").setLevel(logging.ERROR)
    loaded = griffe.load("bleepstore", search_paths=[SOURCES], allow_inspection=False)
    assert isinstance(loaded, griffe.Module)
    return loaded


def snapshot() -> Json:
    """The snapshot of the sources as they are."""
    core = package()
    modules = {name: _pruned(core[name]) for name in PUBLISHED}
    return {"api_version": list(API_VERSION), "modules": modules}


def dump(taken: Json) -> str:
    """The text of a snapshot, an object a line where it is short."""
    lines = [f'{{"api_version": {json.dumps(taken["api_version"])}, "modules": {{']
    modules = taken["modules"]
    for n, (name, module) in enumerate(modules.items(), 1):
        head = {key: value for key, value in module.items() if key != "members"}
        lines.append(f'{json.dumps(name)}: {json.dumps(head)[:-1]}, "members": {{')
        lines.append(
            ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in module["members"].items())
        )
        lines.append("}}" + ("," if n < len(modules) else ""))
    return "\n".join([*lines, "}}"]) + "\n"


def _pruned(thing: griffe.Object) -> Json:
    """What is compared of an object."""
    tree: Json = {"kind": thing.kind.value}
    if labels := sorted(thing.labels & LABELS):
        tree["labels"] = labels
    if isinstance(thing, griffe.Class):
        tree["bases"] = [str(base) for base in thing.bases]
    if isinstance(thing, griffe.Function):
        tree["parameters"] = [_parameter(parameter) for parameter in thing.parameters]
        tree["returns"] = _text(thing.returns)
    elif isinstance(thing, griffe.Attribute):
        tree["annotation"] = _text(thing.annotation)
    else:
        tree["members"] = {name: _pruned(member) for name, member in sorted(_members(thing))}
    return tree


def _members(thing: griffe.Object) -> Iterator[tuple[str, griffe.Object]]:
    """What others may use; imports are where they come from."""
    for name, member in thing.members.items():
        private = name.startswith("_") and name not in ("__init__", "__call__", "__aiter__")
        if private or name.startswith("test_") or isinstance(member, griffe.Alias):
            continue
        if isinstance(member, griffe.Module):
            if not thing.path.startswith("bleepstore.testing"):
                continue
            yield name, member
        elif name != "pytestmark":
            yield name, member


def _parameter(parameter: griffe.Parameter) -> list[str | None]:
    """Name, kind, annotation, and whether there is a default."""
    assert parameter.kind is not None
    default = None if parameter.default is None else "..."
    return [parameter.name, parameter.kind.value, _text(parameter.annotation), default]


def _text(expression: griffe.Expr | str | None) -> str | None:
    return None if expression is None else str(expression)


# --- comparing --------------------------------------------------------------------------------------


def incompatible(old: Json, new: Json) -> list[str]:
    """What breaks plugins written for ``old``, a line each."""
    found: list[str] = []
    for name, was in old["modules"].items():
        if name not in new["modules"]:
            found.append(f"bleepstore.{name} is not published any more")
            continue
        now = new["modules"][name]
        for breakage in griffe.find_breaking_changes(_module(name, was), _module(name, now)):
            if breakage.kind not in HARMLESS.get(name, ()):
                found.append(f"bleepstore.{name}.{_explained(breakage)}")
        found += [f"bleepstore.{name}.{text}" for text in _beyond(was, now)]
    return found


def _module(name: str, tree: Json) -> griffe.Module:
    """The snapshot of a module as griffe reads what it wrote itself."""
    module = griffe.Module.from_json(json.dumps(_whole(name, tree)))
    assert isinstance(module, griffe.Module)
    return module


def _whole(name: str, tree: Json) -> Json:
    whole = {**tree, "name": name, "lineno": 0, "decorators": [], "filepath": f"{name}.py"}
    if "members" in tree:
        whole["members"] = {key: _whole(key, value) for key, value in tree["members"].items()}
    if "parameters" in tree:
        fields = ("name", "kind", "annotation", "default")
        whole["parameters"] = [dict(zip(fields, given, strict=True)) for given in tree["parameters"]]
    return whole


def _explained(breakage: griffe.Breakage) -> str:
    text: str = breakage.explain(griffe.ExplanationStyle.ONE_LINE)
    return re.sub(r"\x1b\[\d+m", "", text).partition(": ")[2]


def _beyond(old: Json, new: Json) -> Iterator[str]:
    """What griffe does not look at: types, bases, coroutines, and whoever implements."""
    for name, tree in new.get("members", {}).items():
        was = old.get("members", {}).get(name)
        abstract = "abstractmethod" in tree.get("labels", ())
        if was is None:
            if abstract:
                yield f"{name}: a new abstract method"
        elif was["kind"] != tree["kind"]:
            continue  # griffe has said so
        elif tree["kind"] == "function":
            before, after = _signature(was), _signature(tree)
            if before != after and (abstract or _outcome(was) != _outcome(tree)):
                yield f"{name}: was {before}, is {after}"
        elif tree["kind"] == "attribute":
            if was["annotation"] != tree["annotation"]:
                yield f"{name}: was {was['annotation']}, is {tree['annotation']}"
        else:
            if gone := set(was.get("bases", ())) - set(tree.get("bases", ())):
                yield f"{name}: is no {', '.join(sorted(gone))} any more"
            yield from (f"{name}.{text}" for text in _beyond(was, tree))


def _outcome(tree: Json) -> tuple[Any, ...]:
    return ("async" in tree.get("labels", ()), "property" in tree.get("labels", ()), tree["returns"])


def _signature(tree: Json) -> str:
    given, bare = [], False
    for name, kind, annotation, default in tree["parameters"]:
        if kind == "keyword-only" and not bare:
            given.append("*")
        bare = bare or kind in ("keyword-only", "variadic positional")
        given.append(name + (f": {annotation}" if annotation else "") + (f" = {default}" if default else ""))
    labels = " ".join((*tree.get("labels", ()), "def"))
    return f"{labels}({', '.join(given)}) -> {tree['returns']}"


def main() -> int:
    """Write the snapshot, or say what may not be written."""
    new = snapshot()
    if SNAPSHOT.exists():
        old = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
        broken = incompatible(old, new)
        if broken and old["api_version"][0] == new["api_version"][0]:
            sys.stderr.write("\n".join([*broken, "", "Plugins break: move API_VERSION's major number.\n"]))
            return 1
    SNAPSHOT.write_text(dump(new), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
