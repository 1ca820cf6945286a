"""Reading a span of an object: one piece ahead, at the token of its row.

One GetObject with If-Match streams the span. No thread waits for the client: it reads a piece and
ends. Where the connection breaks meanwhile (a slow client, for which upstream would not wait) the rest
is asked for, at the same token. An object that is read whole, and whose ETag is its MD5, is checked
against it before its last piece is given out.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from bleepstore.storage import Blob, BlobReader, Damaged, TokenMismatch, Unavailable

from bleepstore_backend_aws.calls import MIB, quoted, token_of
from bleepstore_backend_aws.faults import ERRORS, kind

if TYPE_CHECKING:
    from bleepstore.native_calls import Calls

    from bleepstore_backend_aws.calls import Upstream

PIECE = MIB
"""Bytes that are read at once."""
RESUMES = 3
"""How often a broken connection is replaced before a piece has come."""
_MD5 = re.compile(r"[0-9a-f]{32}")


class AwsReader(BlobReader):
    """An open span of one object. Made in a thread, by :meth:`AwsReader.open`."""

    def __init__(self, calls: Calls, upstream: Upstream, blob: Blob, start: int, end: int) -> None:
        self._calls = calls
        self._upstream = upstream
        self._blob = blob
        self._at = start
        self._end = end
        self._body: Any = None
        self._first = b""
        self._whole = hashlib.md5(usedforsecurity=False) if (start, end) == (0, blob.size) else None
        self._running: asyncio.Future[bytes] | None = None

    @classmethod
    def open(
        cls, calls: Calls, upstream: Upstream, blob: Blob, start: int, length: int | None, *, digests: bool
    ) -> AwsReader:
        """Find the object at its token and read the first piece. ``digests``: ETags tell an MD5."""
        end = blob.size if length is None else min(start + length, blob.size)
        reader = cls(calls, upstream, blob, start, end)
        if not digests or _MD5.fullmatch(blob.token or "") is None:
            reader._whole = None
        try:
            if start < end:
                reader._ask()
                reader._first = reader._read()
            else:
                arguments = {"IfMatch": quoted(blob.token)} if blob.token else {}
                answer = upstream.client.head_object(**upstream.at(blob.name), **arguments)
                reader._check(answer, answer["ContentLength"], blob.size)
        except BaseException:
            reader.release()
            raise
        return reader

    def _ask(self) -> None:
        arguments = dict(self._upstream.at(self._blob.name))
        if self._blob.token:
            arguments["IfMatch"] = quoted(self._blob.token)
        if (self._at, self._end) != (0, self._blob.size):
            arguments["Range"] = f"bytes={self._at}-{self._end - 1}"
        answer = self._upstream.client.get_object(**arguments)
        self._body = answer["Body"]
        self._check(answer, answer["ContentLength"], self._end - self._at)
        if str(answer.get("ServerSideEncryption", "")).startswith("aws:kms"):
            self._whole = None  # an ETag that only looks like an MD5

    def _check(self, answer: dict[str, Any], length: int, expected: int) -> None:
        token = token_of(answer.get("ETag"))
        if self._blob.token and token != self._blob.token:
            raise TokenMismatch(f"{self._blob.name}: upstream holds {token}")
        if length != expected:
            raise Damaged(f"{self._blob.name}: upstream has {length} bytes, and the row {expected}")

    def _read(self) -> bytes:
        """The next piece, by another connection where this one broke."""
        want = min(PIECE, self._end - self._at)
        for left in reversed(range(RESUMES)):
            try:
                if self._body is None:
                    self._ask()
                piece = bytes(self._body.read(want))
            except (*ERRORS, OSError) as error:
                self._drop()
                broken = isinstance(error, OSError) or kind(error) is Unavailable
                if not left or not broken:
                    raise
                continue
            if len(piece) == want:
                break
            self._drop()
            if not left:
                raise Unavailable(f"{self._blob.name}: upstream ends too early")
        self._at += len(piece)
        if self._whole is not None:
            self._whole.update(piece)
            if self._at == self._end and self._whole.hexdigest() != self._blob.token:
                raise Damaged(f"{self._blob.name}: the bytes are not those of its ETag")
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; the next is read while one is sent."""
        piece, self._first = self._first, b""
        while piece:
            running = None
            if self._at < self._end:
                self._running = running = self._calls.run(self._blob.name, self._read)
            yield piece
            if running is None:
                return
            # A read under way outlives its reader's cancellation: ``close`` waits for it.
            piece = await asyncio.shield(running)

    async def close(self) -> None:
        """Close the connection, after a read under way. Idempotent."""
        running = self._running
        if running is not None:
            await asyncio.wait((running,))
            if not running.cancelled():
                running.exception()  # nobody else will look
        self.release()

    def release(self) -> None:
        """Close the connection while nothing reads."""
        self._first = b""
        self._drop()

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()
