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

    def _seal(self) -> str:
        token = self._source.token
        assert token is not None
        found = self._backend.at_token(self._source.name, token)
        self._size = found.size or 0
        return known_by(found)

    def _publish(self, publication: Publication) -> Published:
        return publication.rewrite(self._backend.item(self._source.name), self._source.token)

    def _remove(self) -> None:
        """Nothing is private to a copy."""
