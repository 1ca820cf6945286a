"""The encoding of commands: any bytes are a value or undecodable, and a value survives being encoded."""

from __future__ import annotations

from bleepstore.sqlite.codec import VERSION, Undecodable, decode, decode_command, encode

WORDS = (
    *(
        b"R",
        b"N",
        b"T",
        b"F",
        b"I\x01\x00",
        b"S\x00\x00\x00\x01a",
        b"B\x00\x00\x00\x01a",
        b"L\x00\x00\x00\x01",
        b"X\x00\x00\x00\x01",
    ),
    *(
        b"M\x00\x00\x00\x01",
        b"CommitObject",
        b"DeleteBucket",
        b"Condition",
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"L\x00\x00\x00\x01" * 99,
    ),
)


def check(data: bytes) -> None:
    """Check one encoding."""
    for encoded in (data, bytes((VERSION,)) + data):
        try:
            value = decode(encoded)
        except Undecodable:
            continue
        try:
            again = encode(value)
        except (TypeError, KeyError):
            continue  # sets and names of what is not text, which nothing writes
        assert decode(again) == value
        assert encode(decode(again)) == again
    try:
        decode_command(data)
    except Undecodable:
        return
