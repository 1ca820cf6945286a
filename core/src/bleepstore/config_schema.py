"""The JSON Schema of the configuration, for editors and for CI: generated, never written by hand."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from bleepstore.secret import Secret
from bleepstore.settings import Settings, default_of, doc_of, has_default

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SECTION = ["object", "null"]
"""A section whose keys are all commented out is null."""


def config_schema(sections: Mapping[str, type]) -> dict[str, Any]:
    """The schema with the sections of plugins."""
    schema = _object(Settings, "", sections)
    return {"$schema": DIALECT, "title": "BleepStore configuration", **schema}


def _object(shape: Any, at: str, sections: Mapping[str, type]) -> dict[str, Any]:
    hints = typing.get_type_hints(shape)
    properties: dict[str, Any] = {}
    for item in fields(shape):
        if item.metadata.get("internal"):
            continue
        kind = hints[item.name]
        if is_dataclass(kind):
            schema = _object(kind, f"{at}{item.name}.", sections)
        else:
            schema = _value(kind)
            default = default_of(item) if has_default(item) else None
            if default is not None and not isinstance(default, Secret):
                schema["default"] = _plain(default)
        described = {"description": doc_of(item)} if doc_of(item) else {}
        properties[item.name] = {**described, **schema}
    for name, section in sections.items():
        head, _, last = name.rpartition(".")
        if (f"{head}." if head else "") == at:
            properties[last] = _object(section, f"{name}.", {})
    if at in ("storage.", "metadata."):
        # Sections of backends that are not installed here are read by the servers that have them.
        return {"type": SECTION, "properties": properties}
    needed = [item.name for item in fields(shape) if not has_default(item)]
    required = {"required": needed} if needed else {}
    return {"type": SECTION, "properties": properties, "additionalProperties": False, **required}


def _value(kind: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kinds = [a for a in arguments if a is not type(None)]
        if len(kinds) > 1:
            return {"anyOf": [_value(kind) for kind in kinds]}
        (kind,) = kinds
        return _value(kind) | {"type": [_value(kind)["type"], "null"]}
    if origin is tuple:
        item = arguments[0]
        items = {**_object(item, "-", {}), "type": "object"} if is_dataclass(item) else _value(item)
        return {"type": "array", "items": items}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return {"type": "integer"}
    return {"type": "string"}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
