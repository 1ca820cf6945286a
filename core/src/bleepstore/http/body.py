"""The body of a request: received piece by piece, unwrapped, and verified before it ends.

Pieces of about 1 MiB are gathered, so that storage writes are large. Piece N is hashed in a thread
while N+1 is received; a small body is hashed on the loop, where a thread would cost more than the
hash. At most three pieces of a body are in memory. See ``framing`` for aws-chunked and ``digests``
for what is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from bleepstore.errors import S3Error
from bleepstore.exchange import Authentication, Body, ChunkSigner
from bleepstore.http.checksums import ALGORITHMS
from bleepstore.http.digests import Digests, read_declared
from bleepstore.http.framing import PLAIN, SCHEMES, ChunkDecoder, Framing, Piece
from bleepstore.http.headers import content_length

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

PIECE = 1024 * 1024
"""Bytes gathered before a piece is handed out."""
INLINE = 64 * 1024
"""Pieces up to this size are hashed on the loop."""
DRAIN = 64 * 1024
"""A rest up to this size is swallowed to keep a connection."""


class RequestBody(Body):
    """The payload of one HTTP request."""

    __slots__ = (
        "_begun",
        "_checksums",
        "_digests",
        "_ended",
        "_headers",
        "_limit",
        "_method",
        "_receive",
        "_required",
        "_scheme",
        "_sha256",
        "_signer",
        "length",
    )

    def __init__(self, receive: Receive, method: str, headers: Mapping[str, str], limit: int) -> None:
        """``limit``: the most bytes that iteration takes (``limits.put_bytes``)."""
        self._receive = receive
        self._method = method
        self._limit = limit
        self._take(headers)
        self._signer: ChunkSigner | None = None
        self._required: str | None = None
        self._checksums = True
        self._digests: Digests | None = None
        self._begun = False
        self._ended = False

    def _take(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._sha256 = headers.get("x-amz-content-sha256", "")
        self._scheme = PLAIN
        name = "content-length"
        if self._sha256.startswith("STREAMING-"):
            self._scheme = SCHEMES.get(self._sha256, PLAIN)
            name = "x-amz-decoded-content-length"
        self.length = content_length(headers.get(name))

    # what the pipeline and handlers say before the first pull

    def authenticated(self, authentication: Authentication) -> None:
        """Take what was signed; raises S3Error for a framing that cannot be read."""
        self._signer = authentication.chunk_signer
        if authentication.payload and not self._sha256:
            self._take({**self._headers, "x-amz-content-sha256": authentication.payload})
        if self._sha256.startswith("STREAMING-"):
            self._check_framing()

    def require_checksum(self, algorithm: str) -> None:
        """Compute this algorithm where the client declared none."""
        if algorithm not in ALGORITHMS:
            raise ValueError(algorithm)
        self._required = algorithm

    def ignore_checksums(self) -> None:
        """The ``x-amz-checksum-*`` headers do not describe this body (CompleteMultipartUpload)."""
        self._checksums = False

    # what is known after the end

    @property
    def md5(self) -> str:
        """Hex MD5 of all bytes."""
        return self._finished().md5

    @property
    def checksum(self) -> tuple[str, str] | None:
        """(algorithm, base64) of all bytes, where one was declared or required."""
        return self._finished().checksum

    def _finished(self) -> Digests:
        if self._digests is None or not self._ended:
            raise RuntimeError("the body has not been read to its end")
        return self._digests

    # reading

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces(self._limit, strict=True)

    async def read(self, limit: int) -> bytes:
        """The whole body, verified. A body without a length is read too (documents are small)."""
        pieces = [piece async for piece in self._pieces(limit, strict=False)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def drain(self) -> bool:
        """Swallow a small rest; False when the connection must close."""
        if self._ended or (not self._begun and self._empty()):
            return True
        left = content_length(self._headers.get("content-length"))
        if left is None or left > DRAIN or (not self._begun and "expect" in self._headers):
            return False
        try:
            while (await self._pull())[1]:
                pass
        except S3Error:
            return False
        self._ended = True
        return True

    def _empty(self) -> bool:
        """Whether there is no body on the wire."""
        return "transfer-encoding" not in self._headers and self._headers.get("content-length", "0") == "0"

    async def _pieces(self, limit: int, *, strict: bool) -> AsyncIterator[bytes]:
        digests = self._begin(limit, strict=strict)
        if self._scheme is PLAIN and self._empty() and "expect" not in self._headers:
            digests.absorb(Piece(b"", []))
            self._end(digests, None)
            return
        decoder = None
        if self._scheme.framing is not Framing.PLAIN:
            assert self.length is not None
            decoder = ChunkDecoder(self._scheme, self.length)
        running: asyncio.Future[None] | None = None
        total, more = 0, True
        while more:
            piece, more = await self._gather(decoder)
            total += len(piece.data)
            if total > limit:
                raise _too_large(total, limit)
            if running is not None:
                await running
                running = None
                digests.check()
            if len(piece.data) <= INLINE:
                digests.absorb(piece)
            else:
                running = asyncio.get_running_loop().run_in_executor(None, digests.absorb, piece)
            if not more and running is None:
                self._end(digests, decoder)
            if piece.data:
                yield piece.data
        if running is not None:
            await running
            self._end(digests, decoder)

    def _begin(self, limit: int, *, strict: bool) -> Digests:
        if self._begun:
            raise RuntimeError("a body is read once")
        headers = self._headers
        if self._sha256.startswith("STREAMING-"):
            self._check_framing()
        elif strict and self.length is None:
            if "transfer-encoding" in headers:
                raise S3Error("NotImplemented", Header="Transfer-Encoding")
            if self._method == "PUT":
                raise S3Error("MissingContentLength")
        if self.length is not None and self.length > limit:
            raise _too_large(self.length, limit)
        declared = read_declared(headers, self._scheme, checksums=self._checksums)
        signer = self._signer if self._scheme.framing is Framing.SIGNED else None
        self._digests = Digests(declared, required=self._required, signer=signer)
        self._begun = True
        return self._digests

    def _check_framing(self) -> None:
        if self._sha256 not in SCHEMES:
            if "ECDSA" in self._sha256:
                raise S3Error("NotImplemented", Header="x-amz-content-sha256")
            raise S3Error(
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
                "valid sha256 value.",
                ArgumentName="x-amz-content-sha256",
                ArgumentValue=self._sha256,
            )
        if self._scheme.framing is Framing.SIGNED and self._signer is None:
            raise S3Error("InvalidRequest", f"{self._sha256} needs a request signed in its headers.")
        if self.length is None:
            text = self._headers.get("x-amz-decoded-content-length")
            if text is None:
                raise S3Error("MissingContentLength")
            raise S3Error(
                "InvalidArgument",
                "x-amz-decoded-content-length must be a number of bytes.",
                ArgumentName="x-amz-decoded-content-length",
                ArgumentValue=text,
            )

    def _end(self, digests: Digests, decoder: ChunkDecoder | None) -> None:
        if decoder is None:
            digests.verify({}, None)
        else:
            digests.verify(decoder.trailers, decoder.trailer_signature)
        self._ended = True

    async def _gather(self, decoder: ChunkDecoder | None) -> tuple[Piece, bool]:
        """About one PIECE of decoded bytes, and whether there is more."""
        more = True
        if decoder is not None:
            while more and decoder.size < PIECE:
                data, more = await self._pull()
                decoder.feed(data)
            if not more:
                decoder.finish()
            return decoder.take(), more
        data, more = await self._pull()
        if not more:
            return Piece(data, []), False
        parts, size = [data], len(data)
        while more and size < PIECE:
            data, more = await self._pull()
            parts.append(data)
            size += len(data)
        return Piece(b"".join(parts), []), more

    async def _pull(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] != "http.request":
            raise S3Error("IncompleteBody")
        return message.get("body", b""), message.get("more_body", False)


def _too_large(size: int, limit: int) -> S3Error:
    return S3Error("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(limit))
