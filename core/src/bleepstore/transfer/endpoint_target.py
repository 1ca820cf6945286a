"""Another S3 endpoint as a target: small objects by one request, others by a multipart upload."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any

from bleepstore.http.object_headers import META, metadata_headers
from bleepstore.metadata import BucketRecord, ObjectRecord
from bleepstore.transfer.console import CannotRun
from bleepstore.transfer.endpoint import Endpoint, Failed, Place
from bleepstore.transfer.report import Report
from bleepstore.transfer.sources import PIECE
from bleepstore.transfer.targets import State, Target, Unwritable
from bleepstore.transfer.verifying import MD5

PART = 8 * 1024 * 1024
"""Bytes of a part; larger ones where 10,000 of these are too few."""
PARTS = 10_000
_HEADERS = {
    "content-type": "ContentType",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
}
ABSENT = ("404", "NoSuchKey", "NotFound")
_EXPIRES: ContextVar[str | None] = ContextVar("expires", default=None)
"""The header as it is, of the call that this context makes: boto3 takes dates only."""


class EndpointTarget(Target):
    """Objects in one bucket there, or in those of the same names."""

    def __init__(self, endpoint: Endpoint, place: Place) -> None:
        self._endpoint = endpoint
        self._place = place
        self._dry_run = False
        self._large = asyncio.Lock()
        for name in ("PutObject", "CreateMultipartUpload"):
            endpoint.client.meta.events.register(f"before-call.s3.{name}", _say_expires)

    async def start(self, report: Report, *, dry_run: bool) -> None:
        """Nothing: its buckets are made when they come."""
        self._dry_run = dry_run

    async def stop(self) -> None:
        """Nothing is kept."""

    async def bucket(self, bucket: BucketRecord) -> None:
        """Make the bucket, where it is missing. Raises CannotRun."""
        name = self._place.bucket or bucket.name
        client = self._endpoint.client
        try:
            await self._endpoint.call(client.head_bucket, Bucket=name)
        except Failed as error:
            if error.code not in ("404", "NoSuchBucket"):
                raise CannotRun(f"s3://{name}: {error}") from error
        else:
            return
        if self._dry_run:
            return
        where = {"CreateBucketConfiguration": {"LocationConstraint": self._endpoint.region}}
        try:
            await self._endpoint.call(
                client.create_bucket, Bucket=name, **({} if self._endpoint.region == "us-east-1" else where)
            )
        except Failed as error:
            raise CannotRun(f"s3://{name}: {error}") from error

    def _at(self, bucket: BucketRecord, row: ObjectRecord) -> dict[str, str]:
        return {"Bucket": self._place.bucket or bucket.name, "Key": self._place.prefix + row.key}

    async def state(self, bucket: BucketRecord, row: ObjectRecord) -> State:
        """By size and ETag; where one of the ETags is no digest, what is there must be the younger."""
        try:
            found = await self._endpoint.call(self._endpoint.client.head_object, **self._at(bucket, row))
        except Failed as error:
            if error.code in ABSENT or (self._dry_run and error.code == "NoSuchBucket"):
                return State.ABSENT
            raise Unwritable(str(error), answered=error.answered) from error
        etag = found.get("ETag", "").strip('"')
        if found["ContentLength"] != row.size:
            return State.OTHER
        if etag == row.etag:
            return State.SAME
        digests = MD5.fullmatch(etag) and MD5.fullmatch(row.etag)
        younger = found["LastModified"].timestamp() * 1000 + 999 >= row.modified
        return State.SAME if younger and not digests else State.OTHER

    async def put(self, bucket: BucketRecord, row: ObjectRecord, pieces: AsyncGenerator[bytes, None]) -> None:
        """Send it; what arrives is compared with its digests there. Raises Unwritable."""
        at, part = self._at(bucket, row), max(PART, -(-row.size // PARTS))
        _EXPIRES.set(row.attributes.headers.get("expires"))
        try:
            if part > PART:  # one such object at a time: a part of it is in memory
                async with self._large:
                    await self._put_parts(at, row, part, pieces)
            elif row.size <= part:
                body = b"".join([piece async for piece in pieces])
                client = self._endpoint.client
                await self._endpoint.call(
                    client.put_object, **at, **_described(row), Body=body, ContentMD5=_md5(body)
                )
            else:
                await self._put_parts(at, row, part, pieces)
        except Failed as error:
            raise Unwritable(str(error), answered=error.answered) from error

    async def _put_parts(
        self, at: dict[str, str], row: ObjectRecord, size: int, pieces: AsyncGenerator[bytes, None]
    ) -> None:
        client, call = self._endpoint.client, self._endpoint.call
        upload = {
            **at,
            "UploadId": (await call(client.create_multipart_upload, **at, **_described(row)))["UploadId"],
        }
        parts: list[dict[str, Any]] = []

        async def send(body: bytes) -> None:
            number = len(parts) + 1
            answer = await call(
                client.upload_part, **upload, PartNumber=number, Body=body, ContentMD5=_md5(body)
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})

        try:
            waiting, held = [], 0
            async for piece in pieces:
                waiting.append(piece)
                held += len(piece)
                if held >= size:  # by less than a piece: parts need not be of one size
                    await send(b"".join(waiting))
                    waiting, held = [], 0
            if waiting:
                await send(b"".join(waiting))
            await call(client.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with contextlib.suppress(Failed):
                await call(client.abort_multipart_upload, **upload)
            raise

    async def read(self, bucket: BucketRecord, row: ObjectRecord) -> AsyncGenerator[bytes, None]:
        """The object there. Raises Unwritable."""
        try:
            answer = await self._endpoint.call(self._endpoint.client.get_object, **self._at(bucket, row))
            body = answer["Body"]
            try:
                while piece := await self._endpoint.call(body.read, amt=PIECE):
                    yield piece
            finally:
                body.close()
        except Failed as error:
            raise Unwritable(str(error), answered=error.answered) from error


def _say_expires(params: dict[str, Any], **_: Any) -> None:
    if expires := _EXPIRES.get():
        params["headers"]["Expires"] = expires


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _described(row: ObjectRecord) -> dict[str, Any]:
    attributes = row.attributes
    kept = {_HEADERS[name]: value for name, value in attributes.headers.items() if name in _HEADERS}
    metadata = metadata_headers(attributes.metadata)
    described: dict[str, Any] = {
        **kept,
        "Metadata": {name.removeprefix(META): value for name, value in metadata.items()},
    }
    if row.tags is not None:
        described["Tagging"] = row.tags.decode()
    return described
