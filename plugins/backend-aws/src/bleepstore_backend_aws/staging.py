"""One write: bytes in memory, or parts of an upload upstream, then the object.

A body of one part stays here and is published by one PutObject. A larger one is sent part by part to
a multipart upload, which nobody sees before it is completed; publishing completes it, on the same
condition. The upload is noted under ``.bleepstore/writes/`` before its first part, so that upkeep can
abort what a dead process left; the note of a living one is renewed.

A write holds :data:`AHEAD` parts that are being sent, and one that is being received.

Whoever is cancelled stops waiting, but the call in its thread goes on, and the next begins when it is
over. What has failed stays failed, but for a condition that was not met.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from bleepstore.native import NativeStaged
from bleepstore.storage import (
    BackendFailed,
    Blob,
    Buffer,
    OutOfSpace,
    StorageFault,
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

log = logging.getLogger("bleepstore.aws")

AHEAD = 2
"""Parts of one write that are sent at once."""
MOST_PARTS = 10_000
_STEP = 1000
"""Where the size is not known, parts double after so many: 10,000 of them hold 8 TiB."""

P = ParamSpec("P")
T = TypeVar("T")


def part_size(smallest: int, size: int | None, number: int) -> int:
    """Bytes of the part of this number, so that 10,000 hold the object."""
    if size is None:
        return smallest << ((number - 1) // _STEP)
    return max(smallest, -(-size // (MOST_PARTS * MIB)) * MIB)


def combined(digests: Sequence[bytes]) -> str:
    """The ETag of an object of these parts, by the MD5 of each."""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


class AwsStaged(NativeStaged):
    """What all writes are: one call at a time, seal, publish, discard. The hooks run in threads."""

    long = False
    """The hooks may take as long as the object is large."""

    def __init__(self, backend: AwsBackend, name: str, blob_name: str) -> None:
        self.name = name
        self._backend = backend
        self._upstream = backend.upstream
        self._blob_name = blob_name
        self._size = 0
        self._fingerprint: str | None = None
        self._replaced: str | None = None
        self._published: str | None = None
        self.running: asyncio.Future[Any] | None = None
        """The one operation that is under way in a thread, or what it raised."""
        self._ending: asyncio.Task[None] | None = None

    @abstractmethod
    def _seal(self) -> str:
        """Bring all to where it can be published from; the fingerprint."""

    @abstractmethod
    def _publish(self, expect: str | None) -> str:
        """Make it the object, on the condition; the token."""

    async def write(self, data: Buffer) -> None:
        """There are no pieces, but in bodies and parts."""
        raise Unsupported("a copy has no pieces")

    async def _finish(self) -> None:
        """Wait for the call under way. Raises what it raised, each time."""
        if self.running is not None:
            await asyncio.shield(self.running)
            self.running = None

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._finish()
        calls = self._backend.calls
        begin = calls.run_long if self.long else calls.run
        running = begin(self._blob_name, work, *args, **kwargs)
        self.running = running
        result = await asyncio.shield(running)
        self.running = None
        return result

    async def seal(self) -> str:
        """Finish the invisible part."""
        if self._size and self._blob_name.endswith("/") and not self._backend.honoured.folders:
            raise Unsupported(f"{self._blob_name}: upstream keeps no bytes under a name that ends in a slash")
        if self._fingerprint is None:
            self._fingerprint = await self._run(self._seal)
        return self._fingerprint

    async def publish(self, *, expect: str | None = None) -> Blob:
        """Replace the object."""
        await self.seal()
        try:
            token = await self._run(self._publish, expect)
        except TokenMismatch:
            self.running = None  # it may be asked again, with another ``expect``
            raise
        # Not before: whoever is cancelled does not know, and what was published stays.
        self._replaced, self._published = expect, token
        return Blob(name=self._blob_name, size=self._size, token=token)

    async def settle(self) -> None:
        """The outcome is in the metadata."""
        self._release()

    async def discard(self) -> None:
        """Remove all traces, to the end even when cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._discard(), name=f"discard {self.name}")
        await asyncio.shield(self._ending)

    async def _discard(self) -> None:
        if self.running is not None:
            await asyncio.wait((self.running,))
            if not self.running.cancelled():
                self.running.exception()
        try:
            if self._has_traces():
                await self._backend.calls.finish(self._blob_name, self._remove)
        except StorageFault as fault:
            log.warning("write %s is left to upkeep: %s", self.name, fault)
        finally:
            self._release()

    def _has_traces(self) -> bool:
        return self._published is not None

    def _remove(self) -> None:
        # The same bytes over themselves have the same ETag: what a row names is still there.
        if self._published is not None and self._published != self._replaced:
            with contextlib.suppress(TokenMismatch):
                self._backend.delete_at(self._blob_name, self._published)

    def _release(self) -> None:
        """Let go of what is held here. Idempotent; on the event loop."""


class AwsBody(AwsStaged):
    """A write of pieces."""

    def __init__(self, backend: AwsBackend, name: str, target: Target, size: int | None) -> None:
        super().__init__(backend, name, backend.name_of(target.bucket, target.key))
        self._target = target
        self._properties = properties_out(target)
        self._expected = size
        self._spool = Spool(backend.budget)
        self._upload: Upload | None = None
        self._sending: set[asyncio.Future[None]] = set()
        self._number = 0
        """Of the last part that was sent."""
        self._digests: dict[int, bytes] = {}
        self._tokens: dict[int, str] = {}

    # --- pieces -----------------------------------------------------------------------------------------

    async def write(self, data: Buffer) -> None:
        """Append; returns while parts are being sent, and raises for those before."""
        await self._finish()
        self._look()
        view = memoryview(data)
        while view:
            limit = part_size(self._backend.part, self._expected, self._number + 1)
            room = limit - self._spool.size
            if not room:
                await self._flush()
                continue
            piece = bytes(view[:room])
            await keep(self, self._spool, piece)
            self._size += len(piece)
            view = view[room:]

    def _look(self) -> None:
        """Raise what a part that was sent has raised."""
        for part in [part for part in self._sending if part.done()]:
            part.result()
            self._sending.discard(part)

    async def _flush(self) -> None:
        """Send the part that is full, when fewer than :data:`AHEAD` are under way."""
        if self._upload is None:
            self._upload = Upload(self._backend, self.name, self._blob_name, self._properties)
            self._backend.writes.add(self)
            await self._run(self._upload.begin)
        while len(self._sending) >= AHEAD:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            self._look()
        if self._number >= MOST_PARTS:
            raise Unsupported(f"{self._blob_name}: more than {MOST_PARTS} parts")
        self._number += 1
        spool, self._spool = self._spool, Spool(self._backend.budget)
        part = self._backend.calls.run(self._blob_name, self._send, self._number, spool)
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
        if self._fingerprint is None and self._upload is not None:
            if self._spool.size:
                await self._flush()
            while self._sending:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
                self._look()
        return await super().seal()

    def _seal(self) -> str:
        if self._upload is None:
            return self._spool.body()[1].hex()
        return combined([digest for _, digest in sorted(self._digests.items())])

    def _publish(self, expect: str | None) -> str:
        assert self._fingerprint is not None
        wanted = Wanted(
            name=self._blob_name, fingerprint=self._fingerprint, target=self._target, expect=expect
        )
        if self._upload is not None:
            return self._upload.complete(sorted(self._tokens.items()), wanted)
        return self._put(wanted)

    def _put(self, wanted: Wanted) -> str:
        body, digest = self._spool.body()
        arguments = {
            **self._upstream.at(self._blob_name),
            **self._properties,
            "Body": body,
            "ContentMD5": base64.b64encode(digest).decode(),
        }
        honoured = self._backend.honoured
        token, answer = change(
            self._upstream, wanted, self._upstream.client.put_object, arguments, honoured=honoured.put
        )
        if token != digest.hex() and honoured.etags and not opaque(answer):
            self._compare(token, digest)
        return token

    def _compare(self, token: str, digest: bytes) -> None:
        """An ETag that is not what was sent: either it tells nothing, or the bytes are others."""
        answer = self._upstream.client.get_object(**self._upstream.at(self._blob_name))
        if token_of(answer["ETag"]) != token:
            return  # replaced already
        held = hashlib.md5(usedforsecurity=False)
        with contextlib.closing(answer["Body"]) as body:
            while piece := body.read(MIB):
                held.update(piece)
        if held.digest() != digest:
            with contextlib.suppress(TokenMismatch):
                self._backend.delete_at(self._blob_name, token)
            raise BackendFailed(f"{self._blob_name}: upstream stored other bytes than were sent")

    # --- the end ----------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """The note of the upload goes; nobody waits for that."""
        await super().settle()
        if self._upload is not None:
            self._backend.writes.discard(self)
            self._backend.later(self._blob_name, self._upload.forget)

    async def stop(self) -> None:
        """The backend stops: what is published waits for its settling, which may come from upkeep."""
        if self._published is None:
            await self.discard()

    async def _discard(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending)
            for part in self._sending:
                if not part.cancelled():
                    part.exception()
        await super()._discard()
        self._backend.writes.discard(self)

    def _has_traces(self) -> bool:
        return self._upload is not None or super()._has_traces()

    def _remove(self) -> None:
        super()._remove()
        if self._upload is not None:
            if self._published is None:
                self._upload.abort()
            self._upload.forget()

    def _release(self) -> None:
        self._spool.close()


async def keep(staged: AwsStaged, spool: Spool, data: bytes) -> None:
    """Append to a spool, in a thread where it is a file. Raises OutOfSpace."""
    if spool.keep(data):
        return
    writing = asyncio.get_running_loop().run_in_executor(None, _spill, staged.name, spool, data)
    staged.running = writing
    await asyncio.shield(writing)
    staged.running = None
    spool.release()


def _spill(name: str, spool: Spool, data: bytes) -> None:
    try:
        spool.spill(data)
    except OSError as error:
        raise OutOfSpace(f"{name}: no room for a temporary file: {error.strerror}") from error
