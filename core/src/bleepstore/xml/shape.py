"""How a dataclass describes an XML element.

A field is a child element in the order of definition. Its element name follows from the field's
name (``next_marker`` is ``NextMarker``) unless :func:`element` gives another; its type says the
rest: ``str``, ``int``, ``bool``, another shape, or ``tuple[X, ...]`` for a list, flattened unless
``wrapped`` names the inner element. ``None`` and the empty flattened list are left out. A document
element is named as its class.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from dataclasses import dataclass, field
from typing import Any

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def element(
    name: str | None = None,
    *,
    wrapped: str | None = None,
    attribute: bool = False,
    text: bool = False,
    required: bool = False,
    last: bool = False,
    default: Any = None,
) -> Any:
    """A field that is not what its name says.

    ``wrapped``: the list is one element with children of this name. ``attribute``: an attribute of
    the XML-Schema-instance namespace. ``text``: the text of the element itself. ``required``: a
    document without it is malformed. ``last``: written after the fields of the base class.
    """
    metadata = {
        "name": name,
        "wrapped": wrapped,
        "attribute": attribute,
        "text": text,
        "required": required,
        "last": last,
    }
    if default == ():
        return field(default_factory=tuple, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a shape, compiled."""

    field: str
    name: str
    kind: type
    """``str``, ``int``, ``bool``, or a shape."""
    many: bool
    wrapped: str | None
    attribute: bool
    text: bool
    required: bool


@functools.cache
def parts(shape: type) -> tuple[Part, ...]:
    """The compiled fields of a shape: its own, then its base's, then those that are ``last``."""
    hints = typing.get_type_hints(shape)
    own = inspect.get_annotations(shape)

    def place(item: dataclasses.Field[Any]) -> int:
        return 2 if item.metadata.get("last") else int(item.name not in own)

    return tuple(_part(item, hints[item.name]) for item in sorted(dataclasses.fields(shape), key=place))


def root_name(shape: type) -> str:
    """The name of the document element."""
    return shape.__name__


def _part(item: dataclasses.Field[Any], hint: Any) -> Part:
    arguments = [a for a in typing.get_args(hint) if a is not type(None)]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = arguments
        arguments = list(typing.get_args(hint))
    many = typing.get_origin(hint) is tuple
    kind = arguments[0] if many else hint
    metadata = item.metadata
    return Part(
        field=item.name,
        name=metadata.get("name") or _camel(item.name),
        kind=kind,
        many=many,
        wrapped=metadata.get("wrapped"),
        attribute=metadata.get("attribute", False),
        text=metadata.get("text", False),
        required=metadata.get("required", False),
    )


_WORDS = {
    "crc32": "CRC32",
    "crc32c": "CRC32C",
    "crc64nvme": "CRC64NVME",
    "sha1": "SHA1",
    "sha256": "SHA256",
    "sha512": "SHA512",
    "md5": "MD5",
    "xxhash64": "XXHASH64",
    "xxhash3": "XXHASH3",
    "xxhash128": "XXHASH128",
}


def _camel(name: str) -> str:
    if name in ("id", "uri"):
        return name.upper()
    return "".join(_WORDS.get(word, word.capitalize()) for word in name.split("_"))
