"""Shapes to documents.

Each shape becomes one function that appends strings, made from its description at first use:
a listing of 1,000 keys is written in a few milliseconds.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable
from typing import Any

from bleepstore.xml.shape import NAMESPACE, XSI, Part, parts, root_name

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

# What XML 1.0 has no way to say becomes U+FFFD: such keys are asked for with encoding-type=url.
_TEXT: dict[int, str] = dict.fromkeys((*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd")
_TEXT |= {0x09: "\t", 0x0A: "\n", 0x0D: "&#13;"}
_TEXT |= {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}


class Fragment(str):
    """Elements that are written already, in the place of a list of shapes."""

    __slots__ = ()


Append = Callable[[str], None]
Emit = Callable[[Any, Append], None]


def write(shape: Any, *, namespace: str | None = NAMESPACE) -> bytes:
    """The document of a shape, in UTF-8, with declaration and namespace."""
    out: list[str] = [HEAD]
    kind: Any = type(shape)
    name = root_name(kind)
    out.append(f'<{name} xmlns="{namespace}">' if namespace else f"<{name}>")
    _emitter(kind)(shape, out.append)
    out.append(f"</{name}>")
    return "".join(out).encode()


def escape(text: str) -> str:
    """Text as the content of an element or an attribute."""
    # Most texts hold nothing to escape but the quotes of an ETag, and to see that takes less than to
    # translate them.
    return text.translate(_TEXT) if _special(text) else text.replace('"', "&quot;")


def is_plain(text: str) -> bool:
    """Whether :func:`escape` leaves the text as it is."""
    return '"' not in text and not _special(text)


_special = re.compile(f"[{re.escape(''.join(chr(c) for c in _TEXT if c != 0x22))}]").search


@functools.cache
def _emitter(shape: type) -> Emit:
    """Writes what is inside the element of a shape."""
    content = [part for part in parts(shape) if not part.attribute]
    if len(content) == 1:
        only = _part_emitter(content[0])
        field = content[0].field

        def emit_only(value: Any, append: Append) -> None:
            child = getattr(value, field)
            if child is not None:
                only(child, append)

        return emit_only
    children = operator.attrgetter(*(part.field for part in content))
    emits = [_part_emitter(part) for part in content]

    def emit(value: Any, append: Append) -> None:
        for one, child in zip(emits, children(value), strict=True):
            if child is not None:
                one(child, append)

    return emit


def _part_emitter(part: Part) -> Emit:
    """Writes the value of a field, which is not ``None``."""
    if part.text:
        return lambda child, append: append(escape(child))
    inner = _value_emitter(part)
    if not part.many:
        return inner

    def emit_many(children: Any, append: Append) -> None:
        if isinstance(children, Fragment):
            append(children)
            return
        for child in children:
            inner(child, append)

    if part.wrapped is None:
        return emit_many
    opening, closing = f"<{part.name}>", f"</{part.name}>"

    def emit_wrapped(children: Any, append: Append) -> None:
        append(opening)
        emit_many(children, append)
        append(closing)

    return emit_wrapped


def _value_emitter(part: Part) -> Emit:
    """Writes one element with its content."""
    name = part.wrapped or part.name
    opening, closing = f"<{name}>", f"</{name}>"
    if part.kind is bool:
        return lambda value, append: append(opening + ("true" if value else "false") + closing)
    if part.kind is int:
        return lambda value, append: append(f"{opening}{value}{closing}")
    if part.kind is str:
        return lambda value, append: append(f"{opening}{escape(value)}{closing}")
    attributes = [p for p in parts(part.kind) if p.attribute]
    content = _emitter(part.kind)

    def emit_shape(value: Any, append: Append) -> None:
        if attributes:
            append(f'<{name} xmlns:xsi="{XSI}"')
            for a in attributes:
                text = escape(getattr(value, a.field) or "")
                # As they are, a parser makes spaces of them there (XML 1.0 section 3.3.3).
                text = text.replace("\t", "&#9;").replace("\n", "&#10;")
                append(f' xsi:{a.name}="{text}"')
            append(">")
        else:
            append(opening)
        content(value, append)
        append(closing)

    return emit_shape
