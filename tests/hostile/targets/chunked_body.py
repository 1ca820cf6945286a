"""aws-chunked: however the bytes arrive, the same is read from them; what was framed comes out again.

The first byte of the input is the scheme, the second how the rest is cut into pieces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from bleepstore.errors import S3Error
from bleepstore.exchange import ANONYMOUS, Authentication
from bleepstore.http.body import RequestBody
from bleepstore.http.framing import SCHEMES, ChunkDecoder, Scheme
from exchanges import run

WORDS = (
    *(
        b";chunk-signature=",
        b"0" * 64,
        b"0\r\n\r\n",
        b"5\r\nabcde\r\n",
        b"x-amz-checksum-crc32:",
        b"AAAAAA==\r\n",
    ),
    *(b"x-amz-trailer-signature:", b"ffffffffffffffff", b"0\r\n", b"\r\n"),
)
LENGTH = 1024
LARGEST = 2048
"""As much as can be read byte by byte in no time."""
_schemes = tuple(SCHEMES.items())


class Anything:
    """A signer that knows one signature."""

    def chunk(self, sha256: bytes) -> str:
        return "0" * 64

    trailer = chunk


def check(data: bytes) -> None:
    """Check one body."""
    if len(data) < 2:
        return
    (name, scheme), cut, body = _schemes[data[0] % len(_schemes)], data[1] % 64 + 1, data[2:]
    for length in (LENGTH, 5):
        whole = _decoded(scheme, length, [body])
        assert whole == _decoded(scheme, length, list(_cut(body, cut)))
        if not isinstance(whole, str):
            assert len(whole[0]) == length
    _framed(scheme, body[:200], cut)
    _request(name, body, cut)


def _cut(body: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


def _decoded(scheme: Scheme, length: int, pieces: list[bytes]) -> object:
    """Bytes, marks and trailers; or the code of the error."""
    decoder = ChunkDecoder(scheme, length)
    out, marks = bytearray(), []
    try:
        for piece in pieces:
            decoder.feed(piece)
            taken = decoder.take()
            marks += [(len(out) + at, signature) for at, signature in taken.marks]
            out += taken.data
            assert len(out) <= length
        decoder.finish()
    except S3Error as error:
        return error.code
    return bytes(out), marks, decoder.trailers, decoder.trailer_signature


def _framed(scheme: Scheme, data: bytes, cut: int) -> None:
    signed = _schemes[0][1].framing is scheme.framing
    extension = b";chunk-signature=" + b"0" * 64 if signed else b""
    framed = b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in _cut(data, cut))
    framed += b"0" + extension + b"\r\n\r\n"
    for pieces in ([framed], list(_cut(framed, cut))):
        found = _decoded(scheme, len(data), pieces)
        assert isinstance(found, tuple), found
        assert found[0] == data


def _request(name: str, body: bytes, cut: int) -> None:
    messages = itertools.chain(
        ({"type": "http.request", "body": piece, "more_body": True} for piece in _cut(body, cut)),
        ({"type": "http.request"} for _ in range(1)),
    )

    async def receive() -> dict[str, object]:
        return next(messages)

    headers = {
        "x-amz-content-sha256": name,
        "x-amz-decoded-content-length": "5",
        "content-length": str(len(body)),
    }
    if name.endswith("TRAILER"):
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    request = RequestBody(receive, "PUT", headers, 1 << 20)
    request.authenticated(Authentication(identity=ANONYMOUS, chunk_signer=Anything()))
    try:
        assert len(run(request.read(1 << 20))) == 5
    except S3Error:
        return
    assert request.md5
