"""aws-chunked: chunks with signatures, and trailers, inside the body of a request.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
sigv4-streaming-trailers.html beside it. ::

    SIZE-IN-HEX[;chunk-signature=64-HEX] CRLF
    data CRLF
    ...
    0[;chunk-signature=64-HEX] CRLF
    [x-amz-checksum-NAME:VALUE CRLF ...]
    [x-amz-trailer-signature:64-HEX CRLF]
    CRLF
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bleepstore.errors import S3Error

LINE_BYTES = 1024
"""The longest chunk header."""
TRAILER_BYTES = 8 * 1024
"""All trailers together."""


class Framing(enum.Enum):
    """How the payload is wrapped, which ``x-amz-content-sha256`` alone decides."""

    PLAIN = enum.auto()
    UNSIGNED = enum.auto()
    SIGNED = enum.auto()


@dataclass(frozen=True, slots=True)
class Scheme:
    """One value ``STREAMING-*`` of ``x-amz-content-sha256``."""

    framing: Framing
    trailers: bool


PLAIN = Scheme(Framing.PLAIN, trailers=False)
SCHEMES = {
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": Scheme(Framing.SIGNED, trailers=False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": Scheme(Framing.SIGNED, trailers=True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": Scheme(Framing.UNSIGNED, trailers=True),
}


def malformed(what: str) -> S3Error:
    """The error for a body that ended early or is not framed as it says."""
    return S3Error("IncompleteBody", f"The request body is not as its headers announce: {what}.")


@dataclass(slots=True)
class Piece:
    """Decoded bytes, with the places in them where a chunk ends and the signature it must have."""

    data: bytes
    marks: list[tuple[int, str]]


class _State(enum.Enum):
    HEADER = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILER = enum.auto()
    END = enum.auto()


class ChunkDecoder:
    """Takes raw bytes as they come, and gathers decoded ones without copying them twice."""

    def __init__(self, scheme: Scheme, length: int) -> None:
        self._signed = scheme.framing is Framing.SIGNED
        self._with_trailers = scheme.trailers
        self._left = length
        """Decoded bytes still to come."""
        self._state = _State.HEADER
        self._chunk_left = 0
        self._signature = ""
        self._held = b""
        """The beginning of a line whose end has not come."""
        self._trailer_bytes = 0
        self._views: list[memoryview] = []
        self._marks: list[tuple[int, str]] = []
        self.size = 0
        """Decoded bytes gathered and not yet taken."""
        self.trailers: dict[str, str] = {}
        """By lower-case name, in the order sent, without ``x-amz-trailer-signature``."""
        self.trailer_signature: str | None = None

    def take(self) -> Piece:
        """What was gathered since the last call."""
        piece = Piece(b"".join(self._views), self._marks)
        self._views, self._marks, self.size = [], [], 0
        return piece

    def feed(self, data: bytes) -> None:
        """Take raw bytes. Raises S3Error IncompleteBody, MalformedTrailerError, SignatureDoesNotMatch."""
        if self._held:
            data, self._held = self._held + data, b""
        view = memoryview(data)
        at, end = 0, len(data)
        while at < end:
            if self._state is _State.DATA:
                take = min(self._chunk_left, end - at)
                self._views.append(view[at : at + take])
                self.size += take
                self._chunk_left -= take
                at += take
                if not self._chunk_left:
                    self._state = _State.DATA_END
                continue
            if self._state is _State.END:
                if data[at:].strip(b"\r\n"):
                    raise malformed("there is data after the last chunk")
                return
            newline = data.find(b"\n", at, at + self._line_limit())
            if newline < 0:
                if end - at >= self._line_limit():
                    raise self._too_long()
                self._held = data[at:]
                return
            self._line(data[at:newline].removesuffix(b"\r"))
            at = newline + 1

    def finish(self) -> None:
        """The raw bytes are over. Raises S3Error IncompleteBody."""
        if self._state is _State.TRAILER and self._held:
            self._line(self._held.rstrip(b"\r"))
        if self._state not in (_State.TRAILER, _State.END):
            raise malformed("its last chunk is missing")

    def _line_limit(self) -> int:
        return TRAILER_BYTES if self._state is _State.TRAILER else LINE_BYTES

    def _too_long(self) -> S3Error:
        if self._state is _State.TRAILER:
            return S3Error("MalformedTrailerError")
        return malformed("a chunk header is too long")

    def _line(self, line: bytes) -> None:
        if self._state is _State.HEADER:
            self._chunk_header(line)
        elif self._state is _State.DATA_END:
            if line:
                raise malformed("a chunk is longer than its size")
            self._end_chunk()
            self._state = _State.HEADER
        elif line:
            self._trailer(line)
        else:
            self._state = _State.END

    def _chunk_header(self, line: bytes) -> None:
        digits, _, extension = line.partition(b";")
        digits = digits.strip()
        if not 0 < len(digits) <= 16 or digits.strip(b"0123456789abcdefABCDEF"):
            raise malformed("a chunk size is no hexadecimal number")
        size = int(digits, 16)
        if size > self._left:
            raise malformed("it is longer than x-amz-decoded-content-length")
        if self._signed:
            name, _, value = extension.strip().partition(b"=")
            if name != b"chunk-signature" or len(value) != 64 or not value.isalnum():
                raise S3Error("SignatureDoesNotMatch")
            self._signature = value.decode("latin-1")
        self._left -= size
        self._chunk_left = size
        if size:
            self._state = _State.DATA
            return
        if self._left:
            raise malformed("it is shorter than x-amz-decoded-content-length")
        self._end_chunk()
        self._state = _State.TRAILER

    def _end_chunk(self) -> None:
        if self._signed:
            self._marks.append((self.size, self._signature))

    def _trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        name, colon, raw = line.partition(b":")
        key = name.strip().lower().decode("latin-1")
        value = raw.strip().decode("latin-1")
        if (
            not self._with_trailers
            or not colon
            or self._trailer_bytes > TRAILER_BYTES
            or key in self.trailers
            or self.trailer_signature is not None
        ):
            raise S3Error("MalformedTrailerError")
        if key == "x-amz-trailer-signature":
            self.trailer_signature = value
        else:
            self.trailers[key] = value
