"""Changing an object only from the state that is expected, and knowing whether it was changed.

S3 decides preconditions by itself, so what is here is the rest: a conflict of two writes is asked
about again; where an answer was lost, or was the answer to a second attempt, upstream is looked at;
and what a service ignores (``conditions: single_writer``) is looked up before.

Authority: "Conditional writes" and "Conditional deletes" of the S3 user guide.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bleepstore.storage import BlobMissing, Target, TokenMismatch
from botocore.exceptions import ClientError

from bleepstore_backend_aws.calls import Upstream, expecting, quoted, token_of
from bleepstore_backend_aws.faults import CONFLICT, ERRORS, code, kind, may_have_happened
from bleepstore_backend_aws.names import metadata_in
from bleepstore_backend_aws.objects import headers_in

TRIES = 4
"""How often a call is made while upstream answers that another is being decided."""
_PAUSE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What upstream is to hold after a change."""

    name: str
    fingerprint: str
    target: Target
    expect: str | None


def change(
    upstream: Upstream,
    wanted: Wanted,
    call: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    honoured: bool,
) -> tuple[str, Mapping[str, Any]]:
    """Call on the condition that is ``wanted``; returns the new token, and the answer.

    Raises TokenMismatch, and what the SDK raises. The answer is empty where it was lost.
    """
    try:
        with _looked_up(upstream, wanted.name, wanted.expect, honoured=honoured):
            condition = expecting(wanted.expect) if honoured else {}
            answer: Mapping[str, Any] = _decided(call, {**arguments, **condition})
    except ERRORS as error:
        if may_have_happened(error) and (token := _found(upstream, wanted)):
            return token, {}
        if wanted.expect and code(error) == "NoSuchKey":
            raise TokenMismatch(f"{wanted.name}: is not there any more") from error
        raise
    return token_of(answer.get("ETag") or answer.get("CopyObjectResult", {}).get("ETag")), answer


def remove(upstream: Upstream, name: str, token: str | None, *, honoured: bool) -> None:
    """Delete an object at ``token``. An absent one is no error; one without a token is TokenMismatch."""
    if not token:
        if state(upstream, name) is not None:
            raise TokenMismatch(f"{name}: is not deleted without a token")
        return
    try:
        with _looked_up(upstream, name, token, honoured=honoured):
            condition = {"IfMatch": quoted(token)} if honoured else {}
            _decided(upstream.client.delete_object, {**upstream.at(name), **condition})
    except ClientError as error:
        if kind(error) is BlobMissing:
            return
        # What is gone has no state that could match.
        if kind(error) is TokenMismatch and state(upstream, name) is None:
            return
        raise
    except TokenMismatch:
        if state(upstream, name) is not None:
            raise


def state(upstream: Upstream, name: str) -> Mapping[str, Any] | None:
    """What HeadObject says; ``None`` where there is nothing."""
    try:
        return dict(upstream.client.head_object(**upstream.at(name)))
    except ClientError as error:
        if kind(error) is BlobMissing and code(error) != "NoSuchBucket":
            return None
        raise


@contextmanager
def _looked_up(upstream: Upstream, name: str, expect: str | None, *, honoured: bool) -> Iterator[None]:
    """Where upstream ignores the precondition: one at a time in this process, after a look."""
    if honoured or expect is None:
        yield
        return
    with upstream.alone(name):
        found = state(upstream, name)
        if expect != ("" if found is None else token_of(found["ETag"])):
            raise TokenMismatch(f"{name}: upstream holds another state")
        yield


def _decided(call: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    for _ in range(TRIES - 1):
        try:
            return call(**arguments)
        except ClientError as error:
            if code(error) != CONFLICT:
                raise
        time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - no secret
    return call(**arguments)


def _found(upstream: Upstream, wanted: Wanted) -> str | None:
    """The token, where upstream holds what was wanted: whoever wrote it, it is that."""
    found = state(upstream, wanted.name)
    if found is None or token_of(found["ETag"]) != wanted.fingerprint:
        return None
    headers = headers_in(found)
    same = all(headers.get(name) == value for name, value in wanted.target.headers.items())
    same = same and metadata_in(found.get("Metadata", {})) == {
        name.lower(): value for name, value in wanted.target.metadata.items()
    }
    return wanted.fingerprint if same else None
