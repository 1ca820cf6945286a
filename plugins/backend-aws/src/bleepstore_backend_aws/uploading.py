"""A multipart upload upstream that is one write of ours: begun, noted, filled, completed.

Its note, ``.bleepstore/writes/NAME``, says key and upload id. It is written before the first part, so
what a death leaves without a note is an upload without parts, which costs nothing. Living writes renew their
notes; upkeep of any process aborts the uploads of notes that are older than :data:`LEASE_SECONDS`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bleepstore.storage import BackendFailed, BlobMissing
from botocore.exceptions import ClientError

from bleepstore_backend_aws.calls import Upstream, quoted, token_of
from bleepstore_backend_aws.faults import ERRORS, kind
from bleepstore_backend_aws.names import WRITES
from bleepstore_backend_aws.objects import opaque
from bleepstore_backend_aws.publishing import Wanted, change
from bleepstore_backend_aws.spooling import Body

if TYPE_CHECKING:
    from bleepstore_backend_aws.backend import AwsBackend

log = logging.getLogger("bleepstore.aws")

LEASE_SECONDS = 3600.0


class Upload:
    """One upload. Every method is a call or two, made in a thread."""

    def __init__(
        self, backend: AwsBackend, write: str, blob_name: str, properties: Mapping[str, Any]
    ) -> None:
        self._backend = backend
        self._upstream = backend.upstream
        self._place = self._upstream.at(blob_name)
        self._note = self._upstream.at(WRITES + write)
        self._properties = properties
        self._id = ""
        self._noted = 0.0

    def begin(self) -> None:
        """Create it, and note it."""
        self._id = create(self._upstream, self._place, self._properties)
        self._renew()

    def _renew(self) -> None:
        now = time.monotonic()
        if self._noted and now - self._noted < LEASE_SECONDS / 4:
            return
        text = json.dumps({"key": self._place["Key"], "upload": self._id})
        self._upstream.client.put_object(**self._note, Body=text.encode(), ContentType="application/json")
        self._noted = now

    def send(self, number: int, body: Body, digest: bytes) -> str:
        """Send a part; its token."""
        self._renew()
        return send(self._backend, {**self._place, "UploadId": self._id}, number, body, digest)

    def copy(self, number: int, source: Mapping[str, Any]) -> str:
        """Copy a part from where ``source`` says; its token."""
        self._renew()
        return copy(self._upstream, {**self._place, "UploadId": self._id}, number, source)

    def complete(self, parts: Sequence[tuple[int, str]], wanted: Wanted) -> str:
        """Make it the object; its token."""
        return complete(self._backend, {**self._place, "UploadId": self._id}, parts, wanted)

    def abort(self) -> None:
        """Remove it with its parts."""
        if self._id:
            abort(self._upstream, {**self._place, "UploadId": self._id})

    def forget(self) -> None:
        """Remove its note."""
        if self._noted:
            self._upstream.client.delete_object(**self._note)


# --- calls ------------------------------------------------------------------------------------------


def create(upstream: Upstream, place: Mapping[str, str], properties: Mapping[str, Any]) -> str:
    """Begin an upload of the object at ``place``; its id."""
    return str(upstream.client.create_multipart_upload(**place, **properties)["UploadId"])


def send(backend: AwsBackend, upload: Mapping[str, str], number: int, body: Body, digest: bytes) -> str:
    """Send a part; its token."""
    answer = backend.upstream.client.upload_part(
        **upload, PartNumber=number, Body=body, ContentMD5=base64.b64encode(digest).decode()
    )
    token = token_of(answer["ETag"])
    if token != digest.hex() and backend.honoured.etags and not opaque(answer):
        raise BackendFailed(f"{upload['Key']}: part {number} is {token} upstream, and not what was sent")
    return token


def copy(upstream: Upstream, upload: Mapping[str, str], number: int, source: Mapping[str, Any]) -> str:
    """Copy a part within upstream; its token. Raises BlobMissing where the source has another state."""
    try:
        answer = upstream.patient.upload_part_copy(**upload, PartNumber=number, **source)
    except ClientError as error:
        if getattr(error, "response", {}).get("Error", {}).get("Code") == "PreconditionFailed":
            raise BlobMissing(f"{source['CopySource']['Key']}: is not there at its token") from error
        raise
    return token_of(answer["CopyPartResult"]["ETag"])


def copy_source(upstream: Upstream, name: str, token: str, span: tuple[int, int] | None) -> dict[str, Any]:
    """Arguments that say what to copy: an object at its token, or its bytes ``[start, end)``."""
    source: dict[str, Any] = {"CopySource": upstream.at(name), "CopySourceIfMatch": quoted(token)}
    if span is not None:
        source["CopySourceRange"] = f"bytes={span[0]}-{span[1] - 1}"
    return source


def complete(
    backend: AwsBackend, upload: Mapping[str, str], parts: Sequence[tuple[int, str]], wanted: Wanted
) -> str:
    """Make the object of these parts; its token."""
    listed = [{"PartNumber": number, "ETag": quoted(token)} for number, token in parts]
    arguments = {**upload, "MultipartUpload": {"Parts": listed}}
    upstream = backend.upstream
    token, _ = change(
        upstream,
        wanted,
        upstream.patient.complete_multipart_upload,
        arguments,
        honoured=backend.honoured.complete,
    )
    return token


def abort(upstream: Upstream, upload: Mapping[str, str]) -> None:
    """Remove an upload with its parts. One that is not there is no error."""
    try:
        upstream.client.abort_multipart_upload(**upload)
    except ClientError as error:
        if kind(error) is not BlobMissing:
            raise


# --- what a dead process left -----------------------------------------------------------------------


def abort_abandoned(upstream: Upstream, older_than: float) -> int:
    """Abort uploads whose notes were written before this time (seconds since 1970); how many."""
    aborted = 0
    pages = upstream.client.get_paginator("list_objects_v2").paginate(
        Bucket=upstream.bucket, Prefix=upstream.prefix + WRITES
    )
    for page in pages:
        for note in page.get("Contents", ()):
            if note["LastModified"].timestamp() >= older_than:
                continue
            with contextlib.suppress(*ERRORS, ValueError, KeyError):  # the next round tries again
                _abort_noted(upstream, {"Bucket": upstream.bucket, "Key": note["Key"]})
                aborted += 1
    if aborted:
        log.info("aborted %d uploads of writes that were cut off", aborted)
    return aborted


def _abort_noted(upstream: Upstream, place: Mapping[str, str]) -> None:
    answer = upstream.client.get_object(**place)
    with contextlib.closing(answer["Body"]) as body:
        noted = json.loads(body.read())
    abort(upstream, {"Bucket": upstream.bucket, "Key": noted["key"], "UploadId": noted["upload"]})
    upstream.client.delete_object(**place)
