"""Errors of the SDK as the contract's faults: one table.

Authority: "Blob service error codes" and "Common REST API error codes" of Azure Storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from bleepstore.native_calls import STATUSES
from bleepstore.storage import (
    BackendFailed,
    BlobMissing,
    Damaged,
    StorageFault,
    TokenMismatch,
    Unavailable,
    Unsupported,
)

_CODES: dict[str, type[StorageFault]] = {
    "BlobAlreadyExists": TokenMismatch,  # 409: If-None-Match: *
    "BlobArchived": Unavailable,  # 409: somebody moved it to the archive
    "BlobBeingRehydrated": Unavailable,
    "BlobNotFound": BlobMissing,
    "CannotVerifyCopySource": BlobMissing,
    "ConditionNotMet": TokenMismatch,
    "ContainerBeingDeleted": BackendFailed,
    "ContainerNotFound": BackendFailed,
    "InvalidBlockList": BlobMissing,  # 400: blocks of parts that are gone
    "InvalidBlobOrBlock": BlobMissing,
    "InvalidMetadata": Unsupported,
    "InvalidRange": Damaged,  # 416: shorter than its row says
    "InvalidResourceName": Unsupported,
    "InvalidUri": Unsupported,
    "LeaseIdMissing": BackendFailed,  # 412: somebody holds a lease on the blob
    "MetadataTooLarge": Unsupported,
    "OutOfRangeInput": Unsupported,
    "PendingCopyOperation": Unavailable,  # 409
    "RequestBodyTooLarge": Unsupported,
    "RequestUrlFailedToParse": Unsupported,
    "SourceConditionNotMet": BlobMissing,
    "TargetConditionNotMet": TokenMismatch,
}
_STATUSES: dict[int, type[StorageFault]] = {
    **STATUSES,
    416: Damaged,
}
_NO_ANSWER = (ServiceRequestError, ServiceResponseError, IncompleteReadError)


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Raise what a call for ``what`` raises as a StorageFault, with the cause chained."""
    try:
        yield
    except AzureError as error:
        raise kind(error)(f"{what}: {_text(error)}") from error
    except StorageFault:
        raise
    except OSError as error:  # the transport's own, past what the SDK translates
        raise Unavailable(f"{what}: {error}") from error
    except Exception as error:  # an answer that the SDK stumbles over
        raise BackendFailed(f"{what}: {error!r}") from error


def kind(error: AzureError) -> type[StorageFault]:
    """Which fault an error of the SDK is."""
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _CODES.get(code(error)) or _STATUSES.get(error.status_code, BackendFailed)
    return Unavailable if isinstance(error, _NO_ANSWER) else BackendFailed


def code(error: AzureError) -> str:
    """The service's own name of an error, ``""`` where it gave none."""
    named = getattr(error, "error_code", None)
    return str(getattr(named, "value", named) or "")


def _text(error: AzureError) -> str:
    first = str(error.message).partition("\n")[0]
    return f"{code(error)} {first}".strip()
