"""Reading a span of a blob: ranges, each only at the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError
from bleepstore.native_reading import RangeReader
from bleepstore.storage import Blob, BlobMissing, Damaged, TokenMismatch

from bleepstore_backend_azure.calls import Retried, at
from bleepstore_backend_azure.faults import kind

if TYPE_CHECKING:
    from bleepstore_backend_azure.backend import AzureBackend


class AzureReader(RangeReader):
    """An open span of one blob."""

    def __init__(self, backend: AzureBackend, blob: Blob, start: int, length: int | None) -> None:
        super().__init__(backend.calls, blob, start, length)
        self._backend = backend
        self._client = backend.blob(blob.name)

    def fetch_blocking(self, start: int, want: int) -> bytes:
        """One range."""
        try:
            return self._range(start, want)
        except HttpResponseError as error:
            if kind(error) is TokenMismatch and self._backend.look(self.blob.name) is None:
                raise BlobMissing(self.blob.name) from error  # absence breaks the condition too
            raise

    def _range(self, start: int, want: int) -> bytes:
        conditions = at(self.blob.token)
        if not want:
            size = self._client.get_blob_properties(**conditions).size
            if size != self.blob.size:
                raise Damaged(f"{self.blob.name}: has {size} bytes, not {self.blob.size}")
            return b""
        data: bytes = self._client.download_blob(
            start, want, max_concurrency=1, decompress=False, retry_hook=Retried(), **conditions
        ).readall()
        if len(data) != want:
            raise Damaged(f"{self.blob.name}: is cut short")
        return data
