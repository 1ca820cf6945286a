"""Errors of the SDK as the contract's faults: one table.

Authority: "Error responses" of the S3 API reference, "Conditional writes" of the user guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bleepstore.native_calls import STATUSES
from bleepstore.storage import (
    BackendFailed,
    BlobMissing,
    KeyTooLong,
    OutOfSpace,
    StorageFault,
    TokenMismatch,
    Unavailable,
    Unsupported,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
    ProxyConnectionError,
)
from urllib3.exceptions import HTTPError

CONFLICT = "ConditionalRequestConflict"
"""409: another write is being decided at this moment; the same call again gives an answer."""

_CODES: dict[str, type[StorageFault]] = {
    "BadDigest": Unavailable,  # 400: the bytes were changed on the way
    CONFLICT: Unavailable,
    "EntityTooLarge": Unsupported,
    "EntityTooSmall": Unsupported,  # a part that is not the last
    "ExistingObjectIsDirectory": Unsupported,  # 409 of services that keep keys as files and folders
    "ExistingObjectIsFile": Unsupported,
    "IncompleteBody": Unavailable,
    "InternalError": Unavailable,
    "InvalidDigest": BackendFailed,
    "InvalidObjectState": Unavailable,  # 403: somebody moved it to an archive
    "InvalidPart": BlobMissing,  # 400: a part was replaced since
    "InvalidPartOrder": BackendFailed,
    "KeyTooLongError": KeyTooLong,
    "MalformedDate": Unsupported,  # 400: Expires, which AWS takes as it comes
    "MetadataTooLarge": Unsupported,
    "NoSuchBucket": BackendFailed,
    "NoSuchKey": BlobMissing,
    "NoSuchUpload": BlobMissing,
    "NotImplemented": Unsupported,
    "OperationAborted": Unavailable,  # 409
    "PreconditionFailed": TokenMismatch,
    "QuotaExceeded": OutOfSpace,
    "RequestTimeTooSkewed": BackendFailed,
    "RequestTimeout": Unavailable,  # 400
    "ServiceUnavailable": Unavailable,
    "SlowDown": Unavailable,
    "Throttling": Unavailable,
    "ThrottlingException": Unavailable,
    "TooManyRequests": Unavailable,
}
_STATUSES: dict[int, type[StorageFault]] = {
    **STATUSES,
    409: Unavailable,
    416: TokenMismatch,  # no such bytes in what is there now
}
_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError, ParamValidationError)
ERRORS = (BotoCoreError, ClientError, HTTPError)
"""What calls of the SDK, and reading the bodies it returns, raise."""


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Raise what a call for ``what`` raises as a StorageFault, with the cause chained."""
    try:
        yield
    except ERRORS as error:
        raise kind(error)(f"{what}: {_text(error)}") from error
    except OSError as error:  # the connection's own, past what the SDK translates
        raise Unavailable(f"{what}: {error}") from error


def kind(error: Exception) -> type[StorageFault]:
    """Which fault an error of the SDK is."""
    if isinstance(error, ClientError):
        return _CODES.get(code(error)) or _STATUSES.get(status(error), BackendFailed)
    if isinstance(error, ParamValidationError):
        return Unsupported
    no_answer = isinstance(error, ConnectionError | HTTPClientError | HTTPError | IncompleteReadError)
    return Unavailable if no_answer else BackendFailed


def code(error: Exception) -> str:
    """S3's own name of an error; the status where the answer had no body, ``""`` without an answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status(error: ClientError) -> int:
    """The HTTP status of an answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def may_have_happened(error: Exception) -> bool:
    """Whether upstream may have done what it was asked to, whatever it answered at last."""
    if isinstance(error, ClientError):
        retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        return bool(retried) or status(error) >= 500
    return not isinstance(error, _NEVER_SENT)


def _text(error: Exception) -> str:
    return str(error).partition("\n")[0]
