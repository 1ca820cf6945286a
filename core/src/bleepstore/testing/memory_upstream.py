"""The upstream of ``memory_native``: a cloud in memory, which tests look at, change and break.

An :class:`Upstream` outlives the backends over it as a cloud does: a second ``NativeMemoryBackend`` over the
same one is a restarted server, or another worker. Tests look at it (``upstream.objects["bucket/key"].data``),
change it behind its back (:meth:`Upstream.put`, :meth:`Upstream.remove`), and step in at any call::

    upstream.fail("publish", Unavailable("upstream is down"), times=3)
    upstream.when("publish", lambda: upstream.put("bucket", "key", b"somebody was faster"))
    upstream.fail("publish answered", Unavailable("nobody knows the outcome"))
    upstream.when("publish answered", upstream.kill)
    pause = upstream.pause("publish")           # await pause.reached.wait() ... pause.resume()

Each call has two points: its name (``start open read delete stat write seal publish discard begin_upload
abort_upload buckets objects``) before it has any effect, and ``NAME answered`` after that, before the
caller learns of it. ``*`` is every call's first point.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bleepstore.native import NativeUpload
from bleepstore.storage import (
    Blob,
    BlobMissing,
    Target,
    TokenMismatch,
    Unavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One object as upstream holds it."""

    data: bytes
    token: str
    etag: str
    """As S3 says it: the MD5, or ``MD5-N`` of parts. It is the fingerprint as well."""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    modified: int = 0
    """Milliseconds since 1970."""


@dataclass(slots=True)
class Upload:
    """One multipart upload as upstream keeps it."""

    target: Target
    parts: dict[str, bytes] = field(default_factory=dict)
    """By the names of the parts' blobs: a number may be there more than once."""


class Pause:
    """A call that waits at its point."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        """Set when the call is there."""
        self._going_on = asyncio.Event()

    def resume(self) -> None:
        """Let the call go on."""
        self._going_on.set()

    async def wait(self) -> None:
        """Stand still."""
        self.reached.set()
        await self._going_on.wait()


class Upstream:
    """What a cloud would be.

    ``content_tokens``: the same bytes have the same token, as ETags do; else each write has a new one,
    as generations do. ``parts_are_blobs``: parts are blobs that the core deletes; else the end of their
    upload removes them. ``copies``: it copies by itself. ``longest``: bytes of a name. ``page``: objects
    that one call of a listing gives, without headers and metadata.
    """

    def __init__(
        self,
        *,
        content_tokens: bool = False,
        parts_are_blobs: bool = False,
        copies: bool = True,
        longest: int | None = None,
        page: int = 1000,
    ) -> None:
        self.content_tokens, self.parts_are_blobs, self.copies = content_tokens, parts_are_blobs, copies
        self.longest, self.page = longest, page
        self.store_id = ""
        self.objects: dict[str, Held] = {}
        """By the names of blobs: ``bucket/key``."""
        self.uploads: dict[str, Upload] = {}
        """By their handles."""
        self.parts: dict[str, bytes] = {}
        """Parts that are blobs."""
        self.staged: dict[str, bytearray] = {}
        """Invisible writes under way, by the names that the core gave them."""
        self.calls: list[tuple[str, str]] = []
        """Every call that came, and the name it was about."""
        self.life = 0
        """Backends of an earlier life are dead: see :meth:`kill`."""
        self._numbers = itertools.count(1)
        self._actions: list[tuple[str, Callable[[], Any], int]] = []

    # --- behind the gateway's back ----------------------------------------------------------------------

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Held:
        """Write an object as the cloud's own client does."""
        target = Target(bucket=bucket, key=key, headers=headers or {}, metadata=metadata or {})
        return self.hold(f"{bucket}/{key}", data, hashlib.md5(data).hexdigest(), target)  # noqa: S324

    def remove(self, bucket: str, key: str) -> None:
        """Delete an object as the cloud's own client does."""
        del self.objects[f"{bucket}/{key}"]

    def traces(self) -> list[str]:
        """Names of everything there is, visible or not."""
        inside = (f"{handle} {name}" for handle, upload in self.uploads.items() for name in upload.parts)
        return [*self.objects, *self.staged, *self.uploads, *self.parts, *inside]

    # --- stepping in ------------------------------------------------------------------------------------

    def when(self, point: str, action: Callable[[], Any], *, times: int = 1) -> None:
        """Do something when the next call (the next ``times`` calls) comes to a point.

        What ``action`` raises the call raises, and what it returns is awaited if it can be.
        """
        self._actions.append((point, action, times))

    def fail(self, point: str, fault: BaseException, *, times: int = 1) -> None:
        """Let the next ``times`` calls fail at a point."""

        def raise_it() -> None:
            raise fault

        self.when(point, raise_it, times=times)

    def pause(self, point: str) -> Pause:
        """Let the next call wait at a point."""
        pause = Pause()
        self.when(point, pause.wait)
        return pause

    def heal(self) -> None:
        """Forget what was asked of :meth:`when`, :meth:`fail` and :meth:`pause` and did not happen yet."""
        self._actions.clear()

    def kill(self) -> None:
        """Cut off every backend there is, as if its process had died: nothing it does reaches us now."""
        self.life += 1
        self.staged.clear()

    async def reach(self, point: str, name: str, life: int) -> None:
        """A call of a backend of that life comes to a point."""
        await asyncio.sleep(0)
        self._alive(life)
        first = not point.endswith(" answered")
        if first:
            self.calls.append((point, name))
        for n, (at, action, times) in enumerate(self._actions):
            if at == point or (first and at == "*"):
                self._actions[n : n + 1] = [(at, action, times - 1)] if times > 1 else []
                if inspect.isawaitable(result := action()):
                    await result
                break
        self._alive(life)

    def _alive(self, life: int) -> None:
        if life != self.life:
            raise Unavailable("this backend was stopped, or its process was killed")

    # --- what a cloud does ------------------------------------------------------------------------------

    def check(self, name: str, expect: str | None) -> None:
        """The precondition: the token now, ``""`` for absence, ``None`` for none."""
        held = self.objects.get(name)
        if expect is not None and expect != (held.token if held else ""):
            raise TokenMismatch(f"{name}: at {held.token if held else 'nothing'}, not at {expect!r}")

    def at(self, blob: Blob) -> Held:
        """An object at exactly its token."""
        held = self.objects.get(blob.name)
        if held is None:
            raise BlobMissing(blob.name)
        self.check(blob.name, blob.token or "")
        return held

    def source(self, blob: Blob) -> Held:
        """What is copied; another state of it is a missing one."""
        try:
            return self.at(blob)
        except TokenMismatch as error:
            raise BlobMissing(str(error)) from error

    def hold(self, name: str, data: bytes, etag: str, target: Target) -> Held:
        """Store an object."""
        number = next(self._numbers)
        self.objects[name] = held = Held(
            data=data,
            token=etag if self.content_tokens else str(number),
            etag=etag,
            headers=dict(target.headers),
            metadata=dict(target.metadata),
            modified=time.time_ns() // 1_000_000,
        )
        return held

    def new_upload(self, target: Target) -> str:
        """Begin an upload."""
        handle = f"upload-{next(self._numbers)}"
        self.uploads[handle] = Upload(target)
        return handle

    def parts_of(self, upload: NativeUpload) -> dict[str, bytes]:
        """Where the parts of an upload are."""
        if self.parts_are_blobs:
            return self.parts
        if upload.handle not in self.uploads:
            raise BlobMissing(f"there is no upload {upload.handle!r}")
        return self.uploads[upload.handle].parts
