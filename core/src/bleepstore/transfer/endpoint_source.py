"""Another S3 endpoint as a source."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from typing import Any

from bleepstore.errors import S3Error
from bleepstore.http.checksums import FULL_OBJECT, HEADERS
from bleepstore.http.object_headers import META, stored_encoding, user_metadata
from bleepstore.metadata import Checksum
from bleepstore.s3.bucket_names import is_bucket_name
from bleepstore.s3.tagging import object_tags
from bleepstore.transfer.console import CannotRun
from bleepstore.transfer.endpoint import Endpoint, Failed, Place
from bleepstore.transfer.naming import is_key, wanted
from bleepstore.transfer.report import Report
from bleepstore.transfer.sources import PIECE, Item, Opened, Source, Unreadable, attributes_of
from bleepstore.xml.shapes import Tag

_HEADERS = {
    "ContentType": "content-type",
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentEncoding": "content-encoding",
    "ContentLanguage": "content-language",
    "ExpiresString": "expires",
    "WebsiteRedirectLocation": "x-amz-website-redirect-location",
}
RETRIES = 3
"""How often the bytes of one object may break off."""
_ETAG = re.compile(r"[0-9a-f]{32}(-[1-9][0-9]{0,4})?")


class EndpointSource(Source):
    """Objects of one bucket there, or of all."""

    def __init__(self, endpoint: Endpoint, place: Place, into: str | None, report: Report) -> None:
        """``into``: the bucket here, where it has another name."""
        self._endpoint = endpoint
        self._place = place
        self._into = into
        self._report = report

    async def buckets(self, only: Collection[str]) -> AsyncIterator[str]:
        """One, or all that the credentials may list."""
        try:
            if self._place.bucket is not None:
                # A HEAD that is refused does not say why.
                await self._endpoint.call(
                    self._endpoint.client.list_objects_v2, Bucket=self._place.bucket, MaxKeys=1
                )
                names = [self._into or self._place.bucket]
            else:
                answer = await self._endpoint.call(self._endpoint.client.list_buckets)
                names = [found["Name"] for found in answer.get("Buckets", ())]
        except Failed as error:
            raise CannotRun(f"{self._place}: {error}") from error
        for name in names:
            if is_bucket_name(name) and (not only or name in only):
                yield name

    async def items(self, only: Collection[str], prefix: str) -> AsyncIterator[Item]:
        """Objects in the endpoint's order. Raises CannotRun."""
        try:
            if self._place.bucket is not None:
                bucket = self._into or self._place.bucket
                if wanted(bucket, list(only), self._report):
                    async for item in self._objects(self._place.bucket, bucket, prefix):
                        yield item
                return
            answer = await self._endpoint.call(self._endpoint.client.list_buckets)
            for found in answer.get("Buckets", ()):
                if wanted(found["Name"], list(only), self._report):
                    async for item in self._objects(found["Name"], found["Name"], prefix):
                        yield item
        except Failed as error:
            raise CannotRun(f"{self._place}: {error}") from error

    async def _objects(self, there: str, bucket: str, prefix: str) -> AsyncIterator[Item]:
        above = self._place.prefix
        more: dict[str, Any] = {}
        while True:
            page = await self._endpoint.call(
                self._endpoint.client.list_objects_v2, Bucket=there, Prefix=above + prefix, **more
            )
            for entry in page.get("Contents", ()):
                key = entry["Key"].removeprefix(above)
                if not is_key(key):
                    if key:  # the marker of the folder itself is not meant
                        self._report.tell("unusable", bucket, key, "this cannot be a key: it is passed by")
                    continue
                yield Item(
                    bucket=bucket,
                    key=key,
                    size=entry["Size"],
                    modified=int(entry["LastModified"].timestamp() * 1000),
                    etag=entry.get("ETag", "").strip('"'),
                    place=there,
                )
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def open(self, item: Item) -> tuple[Opened, AsyncGenerator[bytes, None]]:
        """An object at the state that was listed. Raises Unreadable."""
        client, at = self._endpoint.client, {"Bucket": item.place, "Key": self._place.prefix + item.key}
        pinned = {"IfMatch": f'"{item.etag}"'} if item.etag else {}
        try:
            answer = await self._endpoint.call(client.get_object, **at, **pinned, ChecksumMode="ENABLED")
        except Failed as error:
            raise Unreadable(str(error), answered=error.answered) from error
        try:
            opened = await self._describe(item, at, answer)
        except BaseException:
            answer["Body"].close()
            raise
        return opened, self._pieces(answer["Body"], item.size, {**at, **pinned})

    async def _describe(self, item: Item, at: dict[str, str], answer: dict[str, Any]) -> Opened:
        headers = {name: answer[field] for field, name in _HEADERS.items() if field in answer}
        headers["content-encoding"] = stored_encoding(headers.get("content-encoding", ""))
        given = answer.get("Metadata", {})
        try:
            metadata = user_metadata({META + name.lower(): value for name, value in given.items()})
            attributes = attributes_of(
                headers, metadata, answer.get("StorageClass"), checksum=_checksum(answer)
            )
        except (S3Error, ValueError) as error:
            raise Unreadable(f"its metadata cannot be held here: {error}") from error
        # The ETag of what is encrypted with a key of its own is no digest.
        opaque = (
            answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "AES256") != "AES256"
        )
        tags = await self._tags(at) if answer.get("TagCount") else None
        known = _ETAG.fullmatch(item.etag) and not opaque
        return Opened(attributes=attributes, tags=tags, etag=item.etag if known else "")

    async def _tags(self, at: dict[str, str]) -> bytes | None:
        try:
            answer = await self._endpoint.call(self._endpoint.client.get_object_tagging, **at)
            return object_tags([Tag(key=tag["Key"], value=tag["Value"]) for tag in answer["TagSet"]])
        except (Failed, S3Error) as error:
            raise Unreadable(f"its tags cannot be had: {error}") from error

    async def _pieces(self, body: Any, size: int, at: dict[str, str]) -> AsyncGenerator[bytes, None]:
        """The bytes; where they break off and the state can be named, the rest is asked for."""
        passed, left = 0, RETRIES if "IfMatch" in at else 0
        while True:
            try:
                while piece := await self._endpoint.call(body.read, amt=PIECE):
                    passed += len(piece)
                    yield piece
                return
            except Failed as error:
                if not left or not passed < size:
                    raise Unreadable(str(error), answered=False) from error
                left -= 1
            finally:
                with contextlib.suppress(Exception):
                    body.close()
            try:
                answer = await self._endpoint.call(
                    self._endpoint.client.get_object, **at, Range=f"bytes={passed}-"
                )
            except Failed as error:
                raise Unreadable(str(error), answered=error.answered) from error
            body = answer["Body"]


def _checksum(answer: dict[str, Any]) -> Checksum | None:
    """The checksum of all bytes, where the answer has one: those of parts say nothing of the bytes here."""
    if answer.get("ChecksumType", FULL_OBJECT) != FULL_OBJECT:
        return None
    for name in HEADERS.values():
        value = answer.get(f"Checksum{name}")
        if value and "-" not in value:
            return Checksum(algorithm=name, value=value)
    return None
