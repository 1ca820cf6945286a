"""The canonical encoding of commands and of their results: equal values have equal bytes.

A value is a tag byte and what the tag says::

    N                       None            T F            booleans
    I len(u8) two's complement, big-endian  integers       (the shortest form)
    S len(u32) UTF-8        strings         B len(u32)     bytes
    L count(u32) values     tuples, lists   X count(u32)   frozensets of strings, sorted
    M count(u32) pairs      mappings        (sorted by key)
    R name values           records: the name of a class below, its fields in order of definition

An encoding begins with the version byte. A newer version only adds records and trailing fields, so
what an older version wrote is read with the defaults of what it did not know.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from bleepstore import commands, metadata
from bleepstore.commands import Command

VERSION = 1

_RECORDS: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        commands.AbortUpload,
        commands.AdoptObject,
        commands.CommitObject,
        commands.CommitPart,
        commands.CompleteUpload,
        commands.Condition,
        commands.Content,
        commands.CopyObject,
        commands.CopyPart,
        commands.CreateBucket,
        commands.CreateUpload,
        commands.DeleteBucket,
        commands.DeleteObject,
        commands.FollowEvents,
        commands.ForgetGarbage,
        commands.MoveCursor,
        commands.PutBucketDocument,
        commands.PutObjectDocument,
        commands.Release,
        commands.Reserve,
        commands.Source,
        metadata.Attributes,
        metadata.BucketRecord,
        metadata.Checksum,
        metadata.Committed,
        metadata.Reserved,
        metadata.UploadRecord,
    )
}
_FIELDS = {cls: tuple(f.name for f in fields(cls)) for cls in _RECORDS.values()}
_OPTIONAL = {
    cls: {f.name for f in fields(cls) if f.default is not MISSING or f.default_factory is not MISSING}
    for cls in _RECORDS.values()
}
_U32 = struct.Struct(">I")


class Undecodable(ValueError):
    """The bytes are not an encoding that this version reads."""


def encode(value: Any) -> bytes:
    """The canonical bytes of a command, or of a command's result."""
    out = bytearray((VERSION,))
    _encode(value, out)
    return bytes(out)


def decode(data: bytes | memoryview) -> Any:
    """The value of :func:`encode`. Raises :class:`Undecodable`."""
    view = memoryview(data)
    try:
        if view[0] != VERSION:
            raise Undecodable(f"encoding version {view[0]}")
        value, end = _decode(view, 1)
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, TypeError, RecursionError) as error:
        raise Undecodable(str(error)) from error
    if end != len(view):
        raise Undecodable("bytes after the end")
    return value


def decode_command(data: bytes | memoryview) -> Command:
    """A command. Raises :class:`Undecodable`."""
    command = decode(data)
    if not isinstance(command, Command):
        raise Undecodable("not a command")
    return command


def _encode(value: Any, out: bytearray) -> None:
    if value is None:
        out += b"N"
    elif value is True:
        out += b"T"
    elif value is False:
        out += b"F"
    elif isinstance(value, str):
        data = value.encode()
        out += b"S" + _U32.pack(len(data)) + data
    elif isinstance(value, int):
        size = (value if value >= 0 else ~value).bit_length() // 8 + 1
        out += b"I" + bytes((size,)) + value.to_bytes(size, "big", signed=True)
    elif isinstance(value, bytes | bytearray | memoryview):
        out += b"B" + _U32.pack(len(value))
        out += value
    elif isinstance(value, tuple | list):
        out += b"L" + _U32.pack(len(value))
        for item in value:
            _encode(item, out)
    elif isinstance(value, frozenset):
        out += b"X" + _U32.pack(len(value))
        for item in sorted(value):
            _encode(item, out)
    elif isinstance(value, Mapping):
        out += b"M" + _U32.pack(len(value))
        for name in sorted(value):
            _encode(name, out)
            _encode(value[name], out)
    else:
        _encode_record(value, out)


def _encode_record(value: Any, out: bytearray) -> None:
    names = _FIELDS[type(value)]
    out += b"R"
    _encode(type(value).__name__, out)
    out += _U32.pack(len(names))
    for name in names:
        _encode(getattr(value, name), out)


def _decode(view: memoryview, at: int) -> tuple[Any, int]:
    tag = view[at]
    at += 1
    if tag == 0x4E:
        return None, at
    if tag == 0x54:
        return True, at
    if tag == 0x46:
        return False, at
    if tag == 0x49:
        end = at + 1 + view[at]
        return int.from_bytes(_span(view, at + 1, end), "big", signed=True), end
    (count,) = _U32.unpack_from(view, at) if tag != 0x52 else (0,)
    at += 4 if tag != 0x52 else 0
    if tag == 0x53:
        return str(_span(view, at, at + count), "utf-8"), at + count
    if tag == 0x42:
        return bytes(_span(view, at, at + count)), at + count
    if tag == 0x52:
        return _decode_record(view, at)
    if tag == 0x4D:
        return _decode_mapping(view, at, count)
    if tag not in (0x4C, 0x58):
        raise Undecodable(f"tag {tag:#x}")
    items = []
    for _ in range(count):
        item, at = _decode(view, at)
        items.append(item)
    return (tuple(items) if tag == 0x4C else frozenset(items)), at


def _decode_mapping(view: memoryview, at: int, count: int) -> tuple[dict[Any, Any], int]:
    pairs = {}
    for _ in range(count):
        name, at = _decode(view, at)
        pairs[name], at = _decode(view, at)
    return pairs, at


def _decode_record(view: memoryview, at: int) -> tuple[Any, int]:
    name, at = _decode(view, at)
    cls = _RECORDS[name]
    (count,) = _U32.unpack_from(view, at)
    at += 4
    names = _FIELDS[cls]
    if count > len(names) or not _OPTIONAL[cls].issuperset(names[count:]):
        raise Undecodable(f"{name} with {count} fields")
    values = {}
    for field in names[:count]:
        values[field], at = _decode(view, at)
    return cls(**values), at


def _span(view: memoryview, start: int, end: int) -> memoryview:
    if end > len(view):
        raise Undecodable("cut short")
    return view[start:end]
