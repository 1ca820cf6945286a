"""One write: bytes in memory, or parts of an upload upstream, then the object.

A body of one part stays here and is published by one PutObject. A larger one is sent part by part to
a multipart upload, which nobody sees before it is completed; publishing completes it, on the same
condition. The upload is noted under ``.bleepstore/writes/`` before its first part, so that upkeep can
abort what a dead process left; the note of a living one is renewed.

A write holds :data:`AHEAD` parts that are being sent, and one that is being received.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bleepstore.native_staging import ThreadedStaged
from bleepstore.storage import (
    BackendFailed,
    Buffer,
    OutOfSpace,
    Target,
    TokenMismatch,
    Unsupported,
)

from bleepstore_backend_aws.calls import MIB, token_of
from bleepstore_backend_aws.objects import opaque, properties_out
from bleepstore_backend_aws.publishing import Wanted, change
from bleepstore_backend_aws.spooling import Spool
from bleepstore_backend_aws.uploading import Upload

if TYPE_CHECKING:
    from bleepstore_backend_aws.backend import AwsBackend

AHEAD = 2
"""Parts of one write that are sent at once."""
MOST_PARTS = 10_000
_STEP = 1000
"""Where the size is not known, parts double after so many: 10,000 of them hold 8 TiB."""


def part_size(smallest: int, size: int | None, number: int) -> int:
    """Bytes of the part of this number, so that 10,000 hold the object."""
    if size is None:
        return smallest << ((number - 1) // _STEP)
    return max(smallest, -(-size // (MOST_PARTS * MIB)) * MIB)


def combined(digests: Sequence[bytes]) -> str:
    """The ETag of an object of these parts, by the MD5 of each."""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


class AwsStaged(ThreadedStaged["AwsBackend"]):
    """What all writes are."""

    def __init__(self, backend: AwsBackend, name: str, blob_name: str) -> None:
        super().__init__(backend, name, blob_name)
        self._upstream = backend.upstream

    async def seal(self) -> str:
        """Finish the invisible part."""
        if self.size and self.blob_name.endswith("/") and not self.backend.honoured.folders:
            raise Unsupported(f"{self.blob_name}: upstream keeps no bytes under a name that ends in a slash")
        return await super().seal()


class AwsObject(AwsStaged):
    """A write of an object, which has an upload of its own where it is large."""

    def __init__(self, backend: AwsBackend, name: str, target: Target) -> None:
        super().__init__(backend, name, backend.name_of(target.bucket, target.key))
        self._target = target
        self._properties = properties_out(target)
        self._upload: Upload | None = None

    def _wanted(self, expect: str | None) -> Wanted:
        assert self.fingerprint is not None
        return Wanted(name=self.blob_name, fingerprint=self.fingerprint, target=self._target, expect=expect)

    def has_traces(self) -> bool:
        """Also the upload."""
        return self._upload is not None or super().has_traces()

    def remove_blocking(self) -> None:
        """The object that was published, or the upload; and its note."""
        super().remove_blocking()
        if self._upload is not None:
            if self.published is None:
                self._upload.abort()
            self._upload.forget()

    async def settle(self) -> None:
        """The note of the upload goes; nobody waits for that."""
        await super().settle()
        if self._upload is not None:
            self.backend.later(self.blob_name, self._upload.forget)


class AwsBody(AwsObject):
    """A write of pieces."""

    def __init__(self, backend: AwsBackend, name: str, target: Target, size: int | None) -> None:
        super().__init__(backend, name, target)
        self._expected = size
        self._spool = Spool(backend.budget)
        self._sending: set[asyncio.Future[None]] = set()
        self._number = 0
        """Of the last part that was sent."""
        self._digests: dict[int, bytes] = {}
        self._tokens: dict[int, str] = {}

    # --- pieces -----------------------------------------------------------------------------------------

    async def write(self, data: Buffer) -> None:
        """Append; returns while parts are being sent, and raises for those before."""
        await self.finish()
        self._look()
        view = memoryview(data)
        while view:
            limit = part_size(self.backend.part, self._expected, self._number + 1)
            room = limit - self._spool.size
            if not room:
                await self._flush()
                continue
            piece = bytes(view[:room])
            await keep(self, self._spool, piece)
            self.size += len(piece)
            view = view[room:]

    def _look(self) -> None:
        """Raise what a part that was sent has raised."""
        for part in [part for part in self._sending if part.done()]:
            part.result()
            self._sending.discard(part)

    async def _flush(self) -> None:
        """Send the part that is full, when fewer than :data:`AHEAD` are under way."""
        if self._upload is None:
            self._upload = Upload(self.backend, self.name, self.blob_name, self._properties)
            self.backend.writes.add(self)
            await self.run(self._upload.begin)
        while len(self._sending) >= AHEAD:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            self._look()
        if self._number >= MOST_PARTS:
            raise Unsupported(f"{self.blob_name}: more than {MOST_PARTS} parts")
        self._number += 1
        spool, self._spool = self._spool, Spool(self.backend.budget)
        part = self.backend.calls.run(self.blob_name, self._send, self._number, spool)
        part.add_done_callback(lambda _: spool.close())
        self._sending.add(part)

    def _send(self, number: int, spool: Spool) -> None:
        assert self._upload is not None
        body, digest = spool.body()
        self._digests[number] = digest
        self._tokens[number] = self._upload.send(number, body, digest)

    # --- seal and publish -------------------------------------------------------------------------------

    async def seal(self) -> str:
        """Send what is left."""
        if self.fingerprint is None and self._upload is not None:
            if self._spool.size:
                await self._flush()
            while self._sending:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
                self._look()
        return await super().seal()

    def seal_blocking(self) -> str:
        """The ETag that it will have."""
        if self._upload is None:
            return self._spool.body()[1].hex()
        return combined([digest for _, digest in sorted(self._digests.items())])

    def publish_blocking(self, expect: str | None) -> str:
        """Complete the upload, or put what is in memory."""
        wanted = self._wanted(expect)
        if self._upload is not None:
            return self._upload.complete(sorted(self._tokens.items()), wanted)
        return self._put(wanted)

    def _put(self, wanted: Wanted) -> str:
        body, digest = self._spool.body()
        arguments = {
            **self._upstream.at(self.blob_name),
            **self._properties,
            "Body": body,
            "ContentMD5": base64.b64encode(digest).decode(),
        }
        honoured = self.backend.honoured
        token, answer = change(
            self._upstream, wanted, self._upstream.client.put_object, arguments, honoured=honoured.put
        )
        if token != digest.hex() and honoured.etags and not opaque(answer):
            self._compare(token, digest)
        return token

    def _compare(self, token: str, digest: bytes) -> None:
        """An ETag that is not what was sent: either it tells nothing, or the bytes are others."""
        answer = self._upstream.client.get_object(**self._upstream.at(self.blob_name))
        if token_of(answer["ETag"]) != token:
            return  # replaced already
        held = hashlib.md5(usedforsecurity=False)
        with contextlib.closing(answer["Body"]) as body:
            while piece := body.read(MIB):
                held.update(piece)
        if held.digest() != digest:
            with contextlib.suppress(TokenMismatch):
                self.backend.delete_at(self.blob_name, token)
            raise BackendFailed(f"{self.blob_name}: upstream stored other bytes than were sent")

    # --- the end ----------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Nothing is to be done when the backend stops."""
        await super().settle()
        self.backend.writes.discard(self)

    async def stop(self) -> None:
        """The backend stops: what is published waits for its settling, which may come from upkeep."""
        if self.published is None:
            await self.discard()

    async def end(self) -> None:
        """After the parts that are being sent."""
        if self._sending:
            await asyncio.wait(self._sending)
            for part in self._sending:
                if not part.cancelled():
                    part.exception()
        await super().end()
        self.backend.writes.discard(self)

    def release(self) -> None:
        """The spool."""
        self._spool.close()


async def keep(staged: AwsStaged, spool: Spool, data: bytes) -> None:
    """Append to a spool, in a thread where it is a file. Raises OutOfSpace."""
    if spool.keep(data):
        return
    writing = asyncio.get_running_loop().run_in_executor(None, _spill, staged.name, spool, data)
    await staged.wait_for(writing)
    spool.release()


def _spill(name: str, spool: Spool, data: bytes) -> None:
    try:
        spool.spill(data)
    except OSError as error:
        raise OutOfSpace(f"{name}: no room for a temporary file: {error.strerror}") from error
