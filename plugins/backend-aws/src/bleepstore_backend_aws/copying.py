"""CopyObject within the bucket.

A source whose ETag is an MD5 keeps it when it is copied, by one CopyObject. One that was made of
parts would get another, which nobody knows before; and a large one would be copied for minutes
while metadata waits. These are copied part by part before, and published by completing that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bleepstore.storage import Blob, BlobMissing, Target, TokenMismatch, Unsupported
from botocore.exceptions import ClientError

from bleepstore_backend_aws.calls import MIB, token_of
from bleepstore_backend_aws.faults import kind
from bleepstore_backend_aws.publishing import change, state
from bleepstore_backend_aws.staging import AwsObject, combined, part_size
from bleepstore_backend_aws.uploading import Upload, copy_source

if TYPE_CHECKING:
    from bleepstore_backend_aws.backend import AwsBackend

AT_ONCE = 256 * MIB
"""Bytes of the largest object that one CopyObject copies."""
PART = 128 * MIB
PARALLEL = 4
"""Parts that are copied at once."""


class AwsCopy(AwsObject):
    """A copy of a source at its token, maybe onto itself."""

    long = True

    def __init__(self, backend: AwsBackend, name: str, source: Blob, target: Target) -> None:
        super().__init__(backend, name, target)
        if not backend.honoured.copy or source.token is None:
            raise Unsupported("upstream ignores preconditions of copies")
        self._source = source
        self._token = source.token
        self.size = source.size
        self._parts: list[tuple[int, str]] = []

    def seal_blocking(self) -> str:
        """Copy the parts, where one call will not do."""
        self._check_source()
        if "-" not in self._token and self.size <= AT_ONCE:
            return self._token
        if not self.size:
            raise Unsupported("an empty object has no parts to copy")
        self._upload = Upload(self.backend, self.name, self.blob_name, self._properties)
        self._upload.begin()
        size = part_size(PART, self.size, 1)
        numbered = enumerate(range(0, self.size, size), 1)
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="bleepstore-aws-copy") as threads:
            copies = [
                threads.submit(self._copy_part, number, start, min(start + size, self.size))
                for number, start in numbered
            ]
            try:
                self._parts = [(number, copy.result()) for number, copy in enumerate(copies, 1)]
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        try:
            return combined([bytes.fromhex(token) for _, token in self._parts])
        except ValueError:  # ETags that tell nothing
            return ""

    def _copy_part(self, number: int, start: int, end: int) -> str:
        assert self._upload is not None
        span = None if (start, end) == (0, self.size) else (start, end)
        source = copy_source(self._upstream, self._source.name, self._token, span)
        return self._upload.copy(number, source)

    def _check_source(self) -> None:
        found = state(self._upstream, self._source.name)
        if found is None or token_of(found["ETag"]) != self._token:
            raise BlobMissing(f"{self._source.name}: is not there at {self._token}")

    def publish_blocking(self, expect: str | None) -> str:
        """Complete the parts, or copy at once."""
        wanted = self._wanted(expect)
        if self._upload is not None:
            self._check_source()
            return self._upload.complete(self._parts, wanted)
        arguments = {
            **self._upstream.at(self.blob_name),
            **self._properties,
            **copy_source(self._upstream, self._source.name, self._token, None),
            "MetadataDirective": "REPLACE",
        }
        try:
            token, _ = change(
                self._upstream, wanted, self._upstream.patient.copy_object, arguments, honoured=True
            )
        except (ClientError, TokenMismatch) as error:
            if isinstance(error, ClientError) and kind(error) not in (TokenMismatch, BlobMissing):
                raise
            # One code stands for either object: if the source is as it should be, it is the target.
            self._check_source()
            raise TokenMismatch(f"{self.blob_name}: is not at {expect or 'nothing'}") from error
        return token
