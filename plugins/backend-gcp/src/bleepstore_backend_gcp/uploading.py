"""Resumable uploads: an object of whole buffers, of a size that nobody knows yet.

The SDK begins the session. Its buffers are sent here, because the SDK's own upload cannot go on where
an answer was lost or where the service took a part of a buffer only: what failed is asked for first,
and sent from where the service has it.

Authority: "Perform resumable uploads" of Cloud Storage's documentation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bleepstore.storage import BackendFailed, Damaged, Unavailable
from google.api_core.exceptions import from_http_response
from google.cloud.storage import Blob as Object

from bleepstore_backend_gcp.calls import Attempts
from bleepstore_backend_gcp.objects import decoded, encoded

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend

_RANGE = re.compile(r"bytes=0-(\d+)")
_STALLS = 3
"""How often the service may take nothing of a buffer."""


class Session:
    """One upload under way. All methods run in threads, one at a time."""

    def __init__(self, backend: GcpBackend, item: Object) -> None:
        self._backend = backend
        self._item = item
        self._url = ""
        self._kept = 0
        self._done: dict[str, Any] | None = None

    def send(self, data: memoryview, start: int, *, crc: int | None = None) -> None:
        """Send the bytes from ``start`` on. The last ones come with the object's CRC-32C."""
        if not self._url:
            self._begin()
        end, stalls = start + len(data), 0
        while self._done is None and self._kept < end:
            before = self._kept
            self._send(data[self._kept - start :], None if crc is None else (end, crc))
            stalls = stalls + 1 if self._kept == before else 0
            if stalls == _STALLS and self._done is None:
                raise Unavailable(f"{self._item.name}: the service takes no more of it")
        if crc is not None:
            self._check(end, crc)

    def _begin(self) -> None:
        attempts = Attempts(self._backend.section)
        self._url = self._item.create_resumable_upload_session(
            content_type=self._item.content_type,
            checksum=None,
            if_generation_match=0,
            **attempts.arguments,
        )

    def _send(self, data: memoryview, last: tuple[int, int] | None) -> None:
        attempts = Attempts(self._backend.section)
        start = self._kept

        def attempt() -> None:
            if attempts.retried:
                self._put(None, "bytes */*" if last is None else f"bytes */{last[0]}", attempts)
                if self._done is not None:
                    return
            rest = data[self._kept - start :]
            if rest:
                span = f"bytes {self._kept}-{self._kept + len(rest) - 1}/{'*' if last is None else last[0]}"
                self._put(rest, span, attempts, last and last[1])

        attempts.policy(attempt)()

    def _put(self, data: memoryview | None, span: str, attempts: Attempts, crc: int | None = None) -> None:
        headers = {"content-range": span}
        if crc is not None:
            headers["x-goog-hash"] = f"crc32c={encoded(crc)}"
        answer = self._backend.session.put(self._url, data=data, headers=headers, timeout=attempts.timeout)
        if answer.status_code in (200, 201):
            self._done = answer.json()
        elif answer.status_code == 308:
            found = _RANGE.fullmatch(answer.headers.get("range", ""))
            kept = int(found[1]) + 1 if found else 0
            if kept < self._kept:
                raise BackendFailed(f"{self._item.name}: the service has lost what it had")
            self._kept = kept
        else:
            raise from_http_response(answer)  # type: ignore[no-untyped-call]

    def _check(self, size: int, crc: int) -> None:
        done = self._done
        if done is None or int(done["size"]) != size or decoded(done.get("crc32c")) != crc:
            raise Damaged(f"{self._item.name}: the service has other bytes than were sent")

    @property
    def generation(self) -> int:
        """Of the object that it has become."""
        assert self._done is not None
        return int(self._done["generation"])

    def cancel(self) -> None:
        """Let the service forget what it has; best effort, for it does so itself after a week."""
        if self._url and self._done is None:
            self._backend.session.delete(self._url, timeout=Attempts(self._backend.section).timeout)
