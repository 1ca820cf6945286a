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
from collections.abc import Callable, Mapping, Sequence
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
_HEAD = struct.Struct(">BI")
_count = _U32.unpack_from


class Undecodable(ValueError):
    """The bytes are not an encoding that this version reads."""


def encode(value: Any) -> bytes:
    """The canonical bytes of a command, or of a command's result."""
    out = bytearray((VERSION,))
    _encode(value, out)
    return bytes(out)


def decode(data: bytes | memoryview) -> Any:
    """The value of :func:`encode`. Raises :class:`Undecodable`."""
    data = bytes(data)
    try:
        if data[0] != VERSION:
            raise Undecodable(f"encoding version {data[0]}")
        value, end = _decode(data, 1)
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, TypeError, RecursionError) as error:
        raise Undecodable(str(error)) from error
    if end != len(data):
        raise Undecodable("bytes after the end")
    return value


def decode_command(data: bytes | memoryview) -> Command:
    """A command. Raises :class:`Undecodable`."""
    command = decode(data)
    if not isinstance(command, Command):
        raise Undecodable("not a command")
    return command


def _encode(value: Any, out: bytearray) -> None:
    write = _WRITERS.get(type(value)) or _writer(value)
    write(value, out)


def _writer(value: Any) -> Callable[[Any, bytearray], None]:
    """For what is a mapping, or a subclass of what is written so."""
    kinds: tuple[tuple[Any, type], ...] = (
        (str, str),
        (int, int),
        (bytes | bytearray | memoryview, bytes),
        (tuple | list, tuple),
        (frozenset, frozenset),
        (Mapping, dict),
    )
    return _WRITERS[next((known for kind, known in kinds if isinstance(value, kind)), type(value))]


def _write_str(value: str, out: bytearray) -> None:
    data = value.encode()
    out += _HEAD.pack(0x53, len(data))
    out += data


def _write_int(value: int, out: bytearray) -> None:
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    out += b"I%c" % size
    out += value.to_bytes(size, "big", signed=True)


def _write_bytes(value: bytes | bytearray | memoryview, out: bytearray) -> None:
    out += _HEAD.pack(0x42, len(value))
    out += value


def _write_list(value: Sequence[Any], out: bytearray) -> None:
    out += _HEAD.pack(0x4C, len(value))
    for item in value:
        _encode(item, out)


def _write_set(value: frozenset[str], out: bytearray) -> None:
    out += _HEAD.pack(0x58, len(value))
    for item in sorted(value):
        _encode(item, out)


def _write_mapping(value: Mapping[Any, Any], out: bytearray) -> None:
    out += _HEAD.pack(0x4D, len(value))
    for name in sorted(value):
        _encode(name, out)
        _encode(value[name], out)


def _record_writer(cls: type) -> Callable[[Any, bytearray], None]:
    names = _FIELDS[cls]
    head = bytearray(b"R")
    _write_str(cls.__name__, head)
    head += _U32.pack(len(names))

    def write(value: Any, out: bytearray) -> None:
        out += head
        for name in names:
            item = getattr(value, name)
            if item is None:
                out += b"N"
            else:
                _encode(item, out)

    return write


_WRITERS: dict[type, Callable[[Any, bytearray], None]] = {
    type(None): lambda value, out: out.extend(b"N"),
    bool: lambda value, out: out.extend(b"T" if value else b"F"),
    str: _write_str,
    int: _write_int,
    bytes: _write_bytes,
    tuple: _write_list,
    frozenset: _write_set,
    dict: _write_mapping,
    **{cls: _record_writer(cls) for cls in _FIELDS},
}


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    return _READERS[data[at]](data, at + 1)


def _read_int(data: bytes, at: int) -> tuple[int, int]:
    start = at + 1
    end = start + data[at]
    return int.from_bytes(_span(data, start, end), "big", signed=True), end


def _read_str(data: bytes, at: int) -> tuple[str, int]:
    start = at + 4
    end = start + _count(data, at)[0]
    return _span(data, start, end).decode(), end


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    start = at + 4
    end = start + _count(data, at)[0]
    return _span(data, start, end), end


def _read_items(data: bytes, at: int) -> tuple[list[Any], int]:
    items = []
    count, at = _count(data, at)[0], at + 4
    for _ in range(count):
        item, at = _READERS[data[at]](data, at + 1)
        items.append(item)
    return items, at


def _read_list(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    items, at = _read_items(data, at)
    return tuple(items), at


def _read_set(data: bytes, at: int) -> tuple[frozenset[Any], int]:
    items, at = _read_items(data, at)
    return frozenset(items), at


def _read_mapping(data: bytes, at: int) -> tuple[dict[Any, Any], int]:
    pairs = {}
    count, at = _count(data, at)[0], at + 4
    for _ in range(count):
        name, at = _READERS[data[at]](data, at + 1)
        pairs[name], at = _READERS[data[at]](data, at + 1)
    return pairs, at


def _read_record(data: bytes, at: int) -> tuple[Any, int]:
    name, at = _READERS[data[at]](data, at + 1)
    cls = _RECORDS[name]
    count, at = _count(data, at)[0], at + 4
    names = _FIELDS[cls]
    if count != len(names) and (count > len(names) or not _OPTIONAL[cls].issuperset(names[count:])):
        raise Undecodable(f"{name} with {count} fields")
    values: dict[str, Any] = {}
    for field in names[:count]:
        if data[at] == 0x4E:
            values[field] = None
            at += 1
        else:
            values[field], at = _READERS[data[at]](data, at + 1)
    return cls(**values), at


_READERS: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    0x4E: lambda data, at: (None, at),
    0x54: lambda data, at: (True, at),
    0x46: lambda data, at: (False, at),
    0x49: _read_int,
    0x53: _read_str,
    0x42: _read_bytes,
    0x4C: _read_list,
    0x58: _read_set,
    0x4D: _read_mapping,
    0x52: _read_record,
}


def _span(data: bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise Undecodable("cut short")
    return data[start:end]
