"""CopyObject within the bucket, by one rewrite that is pinned to the source and to the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bleepstore.storage import Blob, Target

from bleepstore_backend_gcp.objects import known_by
from bleepstore_backend_gcp.publishing import Publication, Published
from bleepstore_backend_gcp.staging import GcpStaged

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend


class GcpCopy(GcpStaged):
    """A copy of a source at its token, with headers and metadata of its own."""

    def __init__(self, backend: GcpBackend, name: str, source: Blob, target: Target) -> None:
        super().__init__(backend, name, target)
        self._source = source

    def seal_blocking(self) -> str:
        """Find the source."""
        token = self._source.token
        assert token is not None
        found = self.backend.at_token(self._source.name, token)
        self.size = found.size or 0
        return known_by(found)

    def make(self, publication: Publication) -> Published:
        """Rewrite the source over the object."""
        return publication.rewrite(self.backend.item(self._source.name), self._source.token)
