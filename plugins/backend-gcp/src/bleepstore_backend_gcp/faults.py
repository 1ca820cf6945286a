"""Errors of the SDK as the contract's faults: one table.

Authority: "HTTP status and error codes for JSON" of Cloud Storage's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from bleepstore.native_calls import STATUSES
from bleepstore.storage import (
    BackendFailed,
    Damaged,
    StorageFault,
    Unavailable,
    Unsupported,
)
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from urllib3.exceptions import HTTPError

_REASONS: dict[str, type[StorageFault]] = {
    "accountDisabled": BackendFailed,
    "objectUnderActiveHold": BackendFailed,  # 403: somebody holds the object
    "rateLimitExceeded": Unavailable,  # 403 or 429: more than one write a second of one object
    "retentionPolicyNotMet": BackendFailed,
    "uploadTooLarge": Unsupported,
    "userRateLimitExceeded": Unavailable,
}
_STATUSES: dict[int, type[StorageFault]] = {
    **STATUSES,
    416: Damaged,  # shorter than its row says
}
_NO_BUCKET = "bucket does not exist"
"""What the service says instead of a reason of its own."""
_NO_ANSWER = (requests.RequestException, HTTPError, OSError)
ERRORS = (GoogleAPICallError, RetryError, InvalidResponse)
"""What a refused call raises."""


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Raise what a call for ``what`` raises as a StorageFault, with the cause chained."""
    try:
        yield
    except StorageFault:
        raise
    except Exception as error:
        raise kind(error)(f"{what}: {_text(error)}") from error


def kind(error: Exception) -> type[StorageFault]:
    """Which fault an error is."""
    if isinstance(error, RetryError):
        return Unavailable
    if (status := _status(error)) is not None:
        if status == 404 and _NO_BUCKET in str(error):
            return BackendFailed
        return _REASONS.get(reason(error)) or _STATUSES.get(status, BackendFailed)
    if isinstance(error, DataCorruption):
        return Damaged
    if isinstance(error, GoogleAuthError):
        return Unavailable if error.retryable else BackendFailed
    # Anything else is an answer that the SDK stumbles over.
    return Unavailable if isinstance(error, _NO_ANSWER) else BackendFailed


def may_pass(error: Exception) -> bool:
    """Whether a call that failed so is tried again."""
    return kind(error) is Unavailable


def _status(error: Exception) -> int | None:
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return int(error.code) if isinstance(error, GoogleAPICallError) and error.code is not None else None


def reason(error: Exception) -> str:
    """The service's own name of an error, ``""`` where it gave none."""
    found: Any = getattr(error, "errors", None)
    if not found and (answer := getattr(error, "response", None)) is not None:
        try:
            found = answer.json()["error"]["errors"]
        except (ValueError, LookupError, TypeError):  # reads are refused in plain text
            found = None
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and one.get("reason"):
            return str(one["reason"])
    return ""


def _text(error: Exception) -> str:
    first = (str(error) or repr(error)).partition("\n")[0]
    return f"{reason(error)} {first}".strip()
