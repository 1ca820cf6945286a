"""Documents to shapes: strict about what XML is, tolerant about what clients vary.

Children come in any order, with or without S3's namespace; elements that the shape does not know
are skipped. Declarations of types and entities are refused, nesting is bounded, and the size of a
document is bounded before it comes here, so that a small document cannot become a large one.
"""

from __future__ import annotations

from typing import Any, TypeVar
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import DefusedXMLParser

from bleepstore.errors import S3Error
from bleepstore.xml.shape import NAMESPACE, XSI, Part, parts, root_name

T = TypeVar("T")
DEPTH = 16
"""The deepest nesting; the deepest shape needs six."""
ATTRIBUTES = 16
"""The most attributes of one element."""
OLD_NAMESPACE = "http://doc.s3.amazonaws.com/2006-03-01/"
NAMESPACES = frozenset({"", *(n for full in (NAMESPACE, OLD_NAMESPACE) for n in (full, full.rstrip("/")))})
"""S3's own, none, and the one of old documents and clients; without their last slash too."""
ENCODINGS = frozenset({"utf-8", "utf-16", "us-ascii", "iso-8859-1"})
"""What the parser decodes itself; for any other it would ask Python's codecs, ``unicode_escape`` too."""


def read(shape: type[T], data: bytes) -> T:
    """The document as a shape. Raises S3Error MalformedXML."""
    reader = _Reader(shape)
    parser = DefusedXMLParser(target=reader, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.parser.XmlDeclHandler = reader.declaration
    try:
        parser.feed(data)
        parser.close()
    except (ParseError, ValueError) as error:
        # ValueError: what defusedxml forbids is one.
        raise malformed() from error
    if reader.result is None:
        raise malformed()
    return reader.result  # type: ignore[no-any-return]


def malformed() -> S3Error:
    """The document is not XML, or not what the operation takes."""
    return S3Error("MalformedXML")


class _Frame:
    """An element under way: a shape, a wrapped list, a text, or something unknown."""

    __slots__ = ("children", "part", "shape", "text", "values")

    def __init__(self, shape: type | None, part: Part | None) -> None:
        self.shape = shape
        self.part = part
        self.values: dict[str, Any] = {}
        self.text: list[str] = []
        self.children: dict[str, Part] = _children(shape) if shape is not None else {}
        if part is not None and part.many and part.wrapped is not None and shape is None:
            self.children = {part.wrapped: part}


_known: dict[type, dict[str, Part]] = {}


def _children(shape: type) -> dict[str, Part]:
    found = _known.get(shape)
    if found is None:
        found = _known[shape] = {p.name: p for p in parts(shape) if not (p.attribute or p.text)}
    return found


class _Reader:
    """The handlers of one parse."""

    def __init__(self, shape: type) -> None:
        self._shape = shape
        self._stack: list[_Frame] = []
        self._skipping = 0
        self.result: Any = None

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            raise malformed()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._stack) + self._skipping >= DEPTH or len(attributes) > ATTRIBUTES:
            raise malformed()
        namespace, _, name = tag.rpartition("}")
        if self._skipping or namespace.removeprefix("{") not in NAMESPACES:
            if not self._stack:
                raise malformed()
            self._skipping += 1
            return
        if not self._stack:
            if name != root_name(self._shape):
                raise malformed()
            self._stack.append(_Frame(self._shape, None))
            return
        parent = self._stack[-1]
        part = parent.children.get(name)
        if part is None:
            self._skipping = 1
            return
        if part.many and part.wrapped is not None and parent.part is not part:
            if part.field in parent.values:
                raise malformed()
            frame = _Frame(None, part)
        elif part.kind in (str, int, bool):
            frame = _Frame(None, Part(part.field, name, part.kind, part.many, None, False, False, False))
        else:
            frame = _Frame(part.kind, part)
            for attribute in parts(part.kind):
                if attribute.attribute:
                    frame.values[attribute.field] = attributes.get(f"{{{XSI}}}{attribute.name}")
        self._stack.append(frame)

    def data(self, data: str) -> None:
        if self._skipping:
            return
        self._stack[-1].text.append(data)

    def end(self, tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        frame = self._stack.pop()
        if not self._stack:
            self.result = _build(frame, self._shape)
            return
        part = frame.part
        assert part is not None
        parent = self._stack[-1]
        if frame.shape is not None:
            value = _build(frame, frame.shape)
        elif frame.children:
            if "".join(frame.text).strip():
                raise malformed()
            value = tuple(frame.values.get(part.field, ()))
            parent.values[part.field] = value
            return
        else:
            value = _scalar(part.kind, "".join(frame.text))
        if part.many:
            parent.values.setdefault(part.field, []).append(value)
        elif part.field in parent.values:
            raise malformed()
        else:
            parent.values[part.field] = value


def _build(frame: _Frame, shape: type) -> Any:
    values = frame.values
    text = "".join(frame.text)
    for part in parts(shape):
        if part.text:
            values[part.field] = text
            text = ""
        elif part.many and part.field in values:
            values[part.field] = tuple(values[part.field])
        elif part.required and values.get(part.field) is None:
            raise malformed()
    if text.strip():
        raise malformed()
    return shape(**values)


def _scalar(kind: type, text: str) -> Any:
    if kind is str:
        return text
    text = text.strip()
    if kind is bool:
        if text in ("true", "1"):
            return True
        if text in ("false", "0"):
            return False
        raise malformed()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
        raise malformed()
    return int(text)
