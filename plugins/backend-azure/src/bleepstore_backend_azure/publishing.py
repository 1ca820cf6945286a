"""Server-side copies within the account, by which large writes are published.

Copy Blob replaces its target at once and conditionally, takes any size, and carries properties,
metadata and the block list. Within one account it is done when the service answers; where it says
that the copy is pending, it is waited for.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties
from bleepstore.storage import BackendFailed, BlobMissing, TokenMismatch, Unavailable

from bleepstore_backend_azure.calls import SLOW_SECONDS, Retried, at, quoted, token_of
from bleepstore_backend_azure.faults import kind
from bleepstore_backend_azure.objects import copied_from, path_of

log = logging.getLogger("bleepstore.azure")

PENDING_SECONDS = 600.0


def copy(
    source: BlobClient,
    target: BlobClient,
    *,
    expect: str | None = None,
    source_token: str | None = None,
    metadata: dict[str, str] | None = None,
) -> str:
    """Copy a blob and return the target's token. Runs in a thread.

    Raises BlobMissing where the source is not at ``source_token``, TokenMismatch where the target
    is not at ``expect``.
    """
    conditions = at(expect)
    if source_token is not None:
        conditions["source_etag"] = quoted(source_token)
        conditions["source_match_condition"] = MatchConditions.IfNotModified
    retried = Retried()
    try:
        started: dict[str, Any] = target.start_copy_from_url(
            source.url, metadata=metadata, retry_hook=retried, read_timeout=SLOW_SECONDS, **conditions
        )
    except HttpResponseError as error:
        if kind(error) not in (TokenMismatch, BlobMissing):
            raise
        if retried.yes and (done := _own(source, target, expect, metadata)):
            return done
        # One code may stand for either blob: if the source is as it should be, it is the target.
        at_token(source, source_token)
        raise TokenMismatch(f"{target.blob_name}: is not at {expect or 'nothing'}") from error
    if started["copy_status"] == "success":
        return token_of(started["etag"])
    return _pending(target, started["copy_id"])


def _own(
    source: BlobClient, target: BlobClient, expect: str | None, metadata: dict[str, str] | None
) -> str | None:
    """The target's token if an attempt whose answer was lost has made it what it is."""
    try:
        found = target.get_blob_properties()
    except HttpResponseError as error:
        if kind(error) is BlobMissing:
            return None
        raise
    token = token_of(found.etag)
    if token == expect or copied_from(found) != path_of(source.url):
        return None
    return token if metadata is None or found.metadata == metadata else None


def at_token(source: BlobClient, token: str | None) -> BlobProperties:
    """The source's properties. Raises BlobMissing where it is not there at the token."""
    try:
        return source.get_blob_properties(**at(token))
    except HttpResponseError as error:
        if kind(error) in (TokenMismatch, BlobMissing):
            raise BlobMissing(f"{source.blob_name}: is not there at {token}") from error
        raise


def _pending(target: BlobClient, copy_id: str) -> str:
    """Wait for a copy that the service does later."""
    pause, until = 0.05, time.monotonic() + PENDING_SECONDS
    while time.monotonic() < until:
        found = target.get_blob_properties()
        if found.copy.id != copy_id:
            raise TokenMismatch(f"{target.blob_name}: was replaced while it was copied")
        if found.copy.status == "success":
            return token_of(found.etag)
        if found.copy.status != "pending":
            raise BackendFailed(f"{target.blob_name}: the copy {found.copy.status}")
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
    raise Unavailable(f"{target.blob_name}: the copy is still pending")


def remove(private: BlobClient) -> None:
    """Remove a private blob with all its blocks, committed or not. Raises nothing for an absent one.

    Blocks without a blob are kept for a week unless an empty list is committed.
    """
    try:
        try:
            private.delete_blob()
        except ResourceNotFoundError:
            private.commit_block_list([])
            private.delete_blob()
    except HttpResponseError as error:
        if kind(error) is not BlobMissing:
            log.warning("%s is left to upkeep: %s", private.blob_name, error)
