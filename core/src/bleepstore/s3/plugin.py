"""The built-in plugin with the operations of S3."""

from __future__ import annotations

from collections.abc import Iterable

from bleepstore.operations import Operation
from bleepstore.plugin import API_VERSION, Context, hookimpl


class S3Plugin:
    """The S3 API."""

    name = "s3"
    requires_api = API_VERSION

    @hookimpl
    def bleepstore_operations(self, context: Context) -> Iterable[Operation]:
        """The rows of :mod:`bleepstore.s3.table`."""
        from bleepstore.s3.table import ROWS

        return ROWS


plugin = S3Plugin()
