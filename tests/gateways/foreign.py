"""What others do upstream, behind the gateway's back: by each cloud's own SDK, as somebody would use it.

Names are those upstream, with the gateway's prefix.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PART = 5 * 1024 * 1024
"""Bytes from which an object goes up in parts, blocks or pieces."""


@dataclass(frozen=True)
class Held:
    """An object as the SDK shows it."""

    body: bytes
    content_type: str
    cache_control: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Cloud(ABC):
    """One bucket upstream."""

    @abstractmethod
    def put(self, name: str, held: Held) -> None:
        """Write an object."""

    @abstractmethod
    def get(self, name: str) -> Held:
        """Read one."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove one."""

    def etag(self, name: str) -> str | None:
        """Its ETag, where that is one of S3's."""
        return None


class Aws(Cloud):
    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, name: str, held: Held) -> None:
        from boto3.s3.transfer import TransferConfig

        described: dict[str, Any] = {"ContentType": held.content_type, "Metadata": dict(held.metadata)}
        if held.cache_control is not None:
            described["CacheControl"] = held.cache_control
        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
        self._client.upload_fileobj(
            io.BytesIO(held.body), self._bucket, name, ExtraArgs=described, Config=config
        )

    def get(self, name: str) -> Held:
        got = self._client.get_object(Bucket=self._bucket, Key=name)
        return Held(got["Body"].read(), got["ContentType"], got.get("CacheControl"), got["Metadata"])

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=name)

    def etag(self, name: str) -> str | None:
        found: str = self._client.head_object(Bucket=self._bucket, Key=name)["ETag"]
        return found.strip('"')


class Google(Cloud):
    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    def put(self, name: str, held: Held) -> None:
        blob = self._bucket.blob(name, chunk_size=PART // 262144 * 262144)
        blob.metadata, blob.cache_control = dict(held.metadata), held.cache_control
        blob.upload_from_file(io.BytesIO(held.body), size=len(held.body), content_type=held.content_type)

    def get(self, name: str) -> Held:
        blob = self._bucket.get_blob(name)
        return Held(
            blob.download_as_bytes(), blob.content_type, blob.cache_control or None, blob.metadata or {}
        )

    def remove(self, name: str) -> None:
        self._bucket.blob(name).delete()


class Azure(Cloud):
    def __init__(self, container: Any) -> None:
        """``container``: a client that puts blobs of more than :data:`PART` as blocks."""
        self._container = container

    def put(self, name: str, held: Held) -> None:
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(content_type=held.content_type, cache_control=held.cache_control)
        self._container.upload_blob(
            name, held.body, metadata=dict(held.metadata), content_settings=settings, overwrite=True
        )

    def get(self, name: str) -> Held:
        got = self._container.download_blob(name)
        settings = got.properties.content_settings
        return Held(
            got.readall(), settings.content_type, settings.cache_control, dict(got.properties.metadata)
        )

    def remove(self, name: str) -> None:
        self._container.delete_blob(name)
