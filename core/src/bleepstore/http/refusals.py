"""What metadata engines and storage backends raise, as S3 errors: the one translation."""

from __future__ import annotations

import logging

from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange
from bleepstore.metadata import MetadataBusy, MetadataFull, MetadataUnavailable, Reason, Refused
from bleepstore.storage import KeyTooLong, OutOfSpace, StorageFault, Unavailable, Unsupported

FAULTS = (Refused, MetadataBusy, MetadataFull, MetadataUnavailable, StorageFault)
"""What :func:`s3_error` translates."""

log = logging.getLogger("bleepstore.http")


def s3_error(fault: Exception, x: Exchange) -> S3Error:
    """The error that a client is answered with; what an operator must know is logged."""
    if isinstance(fault, Refused):
        return _refused(fault, x)
    if isinstance(fault, MetadataBusy | Unavailable):
        return S3Error("SlowDown")
    if isinstance(fault, MetadataFull | OutOfSpace):
        log.error("no room on the disk: %s", fault)
        return S3Error("InsufficientStorage")
    if isinstance(fault, KeyTooLong):
        return S3Error("KeyTooLongError", f"Your key is too long: {fault}")
    if isinstance(fault, Unsupported):
        return S3Error("InvalidRequest", f"The storage backend cannot hold this object: {fault}")
    log.error(
        "%s %s failed, request %s: %s: %s",
        x.method,
        x.operation.name,
        x.request_id,
        type(fault).__name__,
        fault,
        exc_info=fault,
    )
    return S3Error("InternalError")


def _refused(refused: Refused, x: Exchange) -> S3Error:
    bucket, key = x.bucket_name or "", x.key or ""
    match refused.reason:
        case Reason.NO_SUCH_BUCKET:
            return S3Error("NoSuchBucket", BucketName=bucket)
        case Reason.BUCKET_NOT_EMPTY:
            return S3Error("BucketNotEmpty", BucketName=bucket)
        case Reason.BUCKET_EXISTS:
            return S3Error("BucketAlreadyExists", BucketName=bucket)
        case Reason.NO_SUCH_KEY:
            return S3Error("NoSuchKey", Key=key)
        case Reason.NO_SUCH_VERSION:
            return S3Error("NoSuchVersion", Key=key, VersionId=x.query.get("versionId", "null"))
        case Reason.NO_SUCH_UPLOAD:
            return S3Error("NoSuchUpload", UploadId=x.query.get("uploadId", ""))
        case Reason.IF_MATCH | Reason.IF_NONE_MATCH:
            return S3Error("PreconditionFailed", Condition=refused.reason.value)
        case Reason.UPLOAD_CHANGED | Reason.SOURCE_CHANGED:
            return S3Error("OperationAborted")
        case Reason.HELD:
            return S3Error("SlowDown")
        case Reason.RESERVATION_LOST:
            return S3Error("InternalError")
