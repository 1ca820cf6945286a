"""CopyObject within the container.

Headers cannot be given to Copy Blob. A copy that changes them goes to a private blob first, gets them
there, and is published from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.storage.blob import BlobClient
from bleepstore.storage import Blob, Target

from bleepstore_backend_azure import names
from bleepstore_backend_azure.objects import fingerprint, headers_of, md5_of, path_of, settings_of
from bleepstore_backend_azure.publishing import at_token, copy, remove
from bleepstore_backend_azure.staging import AzureStaged

if TYPE_CHECKING:
    from bleepstore_backend_azure.backend import AzureBackend


class AzureCopy(AzureStaged):
    """CopyObject within the container, of a source at its token."""

    def __init__(self, backend: AzureBackend, name: str, source: Blob, target: Target) -> None:
        super().__init__(backend, name, target)
        self._source = source
        self._source_client = backend.blob(source.name)
        self._metadata = names.metadata_out(target.metadata)
        self._private = backend.blob(f"{names.STAGING}/{name}")
        self._direct = True

    def seal_blocking(self) -> str:
        """Copy to the private blob where headers change."""
        token = self._source.token
        assert token is not None
        found = at_token(self._source_client, token)
        self.size = found.size
        md5 = md5_of(found)
        settings = settings_of(self._target, md5)
        # Without any metadata given, that of the source is copied.
        self._direct = headers_of(settings) == headers_of(found.content_settings) and (
            bool(self._metadata) or not found.metadata
        )
        if not self._direct:
            self._staged = True
            copy(self._source_client, self._private, source_token=token, metadata=self._metadata or None)
            self._private.set_http_headers(settings)
            if not self._metadata and found.metadata:
                self._private.set_blob_metadata({})
        return fingerprint(found.size, md5, path_of(self._from.url))

    @property
    def _from(self) -> BlobClient:
        return self._source_client if self._direct else self._private

    def publish_blocking(self, expect: str | None) -> str:
        """Copy over the object."""
        token = self._source.token
        assert token is not None
        if self._direct:
            metadata = self._metadata or None
            return copy(self._from, self._to, expect=expect, source_token=token, metadata=metadata)
        at_token(self._source_client, token)
        token = copy(self._from, self._to, expect=expect)
        remove(self._private)
        self._staged = False
        return token
