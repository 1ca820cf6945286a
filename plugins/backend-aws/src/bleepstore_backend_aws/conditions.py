"""Which preconditions a service honours: tried once, on objects of our own under the reserved prefix.

AWS honours all of them. Others speak the same protocol and ignore some, which would be noticed only
when two writes meet.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bleepstore.storage import BlobMissing, TokenMismatch
from botocore.exceptions import ClientError

from bleepstore_backend_aws.calls import Upstream, quoted, token_of
from bleepstore_backend_aws.faults import ERRORS, code, kind
from bleepstore_backend_aws.names import PROBES

_PLAIN = "900150983cd24fb0d6963f7d28e17f72"
"""MD5 of ``abc``, which is what is put to see what upstream makes of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Honoured:
    """What a service keeps to."""

    put: bool
    complete: bool
    copy: bool
    """Both the preconditions on the source and those on the object that is made."""
    delete: bool
    etags: bool
    """ETags are MD5, or ``MD5-N`` of parts: they tell what the bytes are."""
    folders: bool = True
    """A name that ends in a slash holds bytes as any other does."""

    def missing(self) -> list[str]:
        """Names of operations whose preconditions are ignored, and cannot be done without."""
        names = {"PutObject": self.put, "CompleteMultipartUpload": self.complete, "DeleteObject": self.delete}
        return [name for name, honoured in names.items() if not honoured]

    def everything(self) -> bool:
        """Whether nothing is left to hope for from another try."""
        return all(asdict(self).values())

    def noted(self) -> dict[str, bool]:
        """To be kept beside the store's id."""
        return asdict(self)


def probe(upstream: Upstream) -> Honoured:
    """Try it out: some twenty calls, once for a store."""
    name = f"{PROBES}{secrets.token_hex(8)}"
    there, other, folder = (upstream.at(at) for at in (name, f"{name}-copy", f"{name}-folder/"))
    client = upstream.client
    source = dict(there)
    try:
        etag = token_of(client.put_object(**there, Body=b"abc")["ETag"])
        bad = {"IfMatch": quoted("0" * 32)}
        absent = {"IfNoneMatch": "*"}
        put = all(_refused(client.put_object, **there, Body=b"x", **condition) for condition in (bad, absent))
        complete = all(_refused(_complete, client, there, condition) for condition in (bad, absent))
        delete = _refused(client.delete_object, **there, **bad)
        if not put or not complete or not delete:  # it is not what it was
            client.put_object(**there, Body=b"abc")
        client.put_object(**other, Body=b"abc")
        copies = ({"CopySourceIfMatch": quoted("0" * 32)}, bad, absent)
        copy = all(
            _refused(client.copy_object, **other, CopySource=source, **condition) for condition in copies
        )
        return Honoured(
            put=put,
            complete=complete,
            copy=copy,
            delete=delete,
            etags=etag == _PLAIN,
            folders=_holds_bytes(client, folder),
        )
    finally:
        for place in (there, other, folder):
            with contextlib.suppress(*ERRORS):
                client.delete_object(**place)


def remove_abandoned(upstream: Upstream, older_than: float) -> None:
    """Remove what was tried on before this time (seconds since 1970): its process died over it."""
    client, bucket = upstream.client, {"Bucket": upstream.bucket}
    pages = client.get_paginator("list_objects_v2").paginate(**bucket, Prefix=upstream.prefix + PROBES)
    for page in pages:
        for tried in page.get("Contents", ()):
            if tried["LastModified"].timestamp() >= older_than:
                continue
            with contextlib.suppress(*ERRORS):  # the next round tries again
                begun = client.list_multipart_uploads(**bucket, Prefix=tried["Key"]).get("Uploads", ())
                for upload in begun:
                    client.abort_multipart_upload(**bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                client.delete_object(**bucket, Key=tried["Key"])


def _refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Whether a precondition that does not hold is noticed: one that is not built (501) is not."""
    try:
        call(*args, **kwargs)
    except ClientError as error:
        if kind(error) in (TokenMismatch, BlobMissing):
            return True
        if code(error) in ("NotImplemented", "InvalidArgument", "InvalidRequest"):
            return False
        raise
    return False


def _holds_bytes(client: Any, place: Mapping[str, str]) -> bool:
    with contextlib.suppress(ClientError):
        client.put_object(**place, Body=b"abc")
        return int(client.head_object(**place)["ContentLength"]) == len(b"abc")
    return False


def _complete(client: Any, place: Mapping[str, str], condition: Mapping[str, str]) -> None:
    upload = {**place, "UploadId": client.create_multipart_upload(**place)["UploadId"]}
    try:
        etag = client.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        client.complete_multipart_upload(**upload, MultipartUpload=parts, **condition)
    except ERRORS:
        with contextlib.suppress(*ERRORS):
            client.abort_multipart_upload(**upload)
        raise
