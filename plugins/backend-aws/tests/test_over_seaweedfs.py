"""The AWS backend keeps the contract over SeaweedFS."""

import asyncio
import functools
from typing import Any

import pytest
from aws_kit import AwsKit
from bleepstore.storage import Blob
from bleepstore.testing.native_storage import objects
from bleepstore_backend_aws import names


class TestOverSeaweedFS(AwsKit):
    fingerprints = False  # a copied part has the ETag of its whole source

    def spoils(self, key: str) -> bool:
        """Keys are paths of files, whose slashes are joined and whose names have at most 255 bytes."""
        segments = names.name_of("kit", key, 10_000).replace("\\", "/").split("/")
        return "\\" in key or "" in segments or any(len(segment.encode()) > 255 for segment in segments)

    @pytest.fixture(autouse=True)
    def without_empty_metadata(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It drops a value that is empty."""
        monkeypatch.setattr(objects, "METADATA", {k: v for k, v in objects.METADATA.items() if v})

    def together(self, some: tuple[str, ...]) -> tuple[str, ...]:
        """No file where a folder is."""
        held = super().together(some)
        return tuple(key for key in held if not any(other.startswith(f"{key}/") for other in held))

    @functools.cached_property
    def _alone(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def complete(self, *upload: Any, expect: str | None = None) -> Blob:
        """One at a time: of two at once it lets both succeed, whatever they expect."""
        async with self._alone:
            return await super().complete(*upload, expect=expect)

    @pytest.fixture
    def upstream_name(self) -> str:
        return "seaweedfs"
