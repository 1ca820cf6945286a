"""Calls to the service: which client, how often and how long they are tried."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import google.auth
from bleepstore.storage import BackendFailed, TokenMismatch
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage import Bucket, Client
from requests.adapters import HTTPAdapter

from bleepstore_backend_gcp.faults import may_pass

if TYPE_CHECKING:
    from bleepstore_backend_gcp.plugin import GcpSettings

CONNECT_SECONDS = 3
SLOW_SECONDS = 60
"""Silence that is allowed to calls that work on the whole of a large object."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0
"""Seconds between attempts, of which each pause is a random part."""
MIB = 1 << 20
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
EMULATOR = "STORAGE_EMULATOR_HOST"
"""The variable by which Google's own tools find an emulator."""


class Attempts:
    """How often and how long one call is tried, and whether it was tried again.

    After a second attempt a precondition may have been broken by the success of the first.
    """

    def __init__(self, section: GcpSettings, *, slow: bool = False) -> None:
        self.retried = False
        self.timeout = (CONNECT_SECONDS, max(section.timeout, SLOW_SECONDS) if slow else section.timeout)
        # The SDK's own policy waits a random part of a pause that grows.
        self.policy = Retry(
            predicate=may_pass,
            initial=FIRST_PAUSE,
            multiplier=2.0,
            maximum=LONGEST_PAUSE,
            timeout=section.deadline,
            on_error=self._note,
        )

    def _note(self, error: Exception) -> None:
        self.retried = True

    @property
    def arguments(self) -> dict[str, Any]:
        """What calls of the SDK take."""
        return {"timeout": self.timeout, "retry": self.policy}


# --- tokens -----------------------------------------------------------------------------------------


def token_of(generation: int | str | None, metageneration: int | str | None) -> str:
    """The token of a state: both numbers, for metadata can change alone."""
    return f"{generation}.{metageneration}"


def numbers_of(token: str) -> tuple[int, int]:
    """Generation and metageneration. Raises TokenMismatch for what no state of an object has."""
    generation, dot, metageneration = token.partition(".")
    if not (dot and generation.isdecimal() and metageneration.isdecimal()):
        raise TokenMismatch(f"{token!r} is no state of an object")
    return int(generation), int(metageneration)


def at(expect: str | None) -> dict[str, Any]:
    """Arguments of a call that may only find this token; ``""`` is absence."""
    if expect is None:
        return {}
    if not expect:
        return {"if_generation_match": 0}
    generation, metageneration = numbers_of(expect)
    return {"if_generation_match": generation, "if_metageneration_match": metageneration}


# --- the client -------------------------------------------------------------------------------------


def connect(section: GcpSettings, environ: Mapping[str, str] | None = None) -> tuple[Bucket, Any]:
    """The bucket, and the session that its calls use; nothing is sent to it yet. Raises BackendFailed."""
    environ = os.environ if environ is None else environ
    endpoint = section.endpoint or environ.get(EMULATOR, "")
    if endpoint and "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    session: Any = AuthorizedSession(  # type: ignore[no-untyped-call]
        credentials(endpoint), refresh_timeout=section.timeout
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=section.threads))
    session.hooks["response"].append(_read_refusal)
    try:
        client = Client(
            project=section.project or None,
            credentials=session.credentials,
            _http=session,
            client_options={"api_endpoint": endpoint.rstrip("/")} if endpoint else None,
        )
    except ValueError as error:
        session.close()
        raise BackendFailed(f"storage.gcp: {error}") from error
    # For traces that nobody has asked for, it would look up the bucket, in a thread of its own.
    client._bucket_metadata_cache = None
    return client.bucket(section.bucket), session


def _read_refusal(answer: Any, **_: Any) -> None:
    """Read an error to its end: where a stream is refused nobody else may, and its connection is lost."""
    if answer.status_code >= 400:
        answer.content  # noqa: B018


def credentials(endpoint: str) -> Any:
    """Application Default Credentials; none for an emulator, and none are sent in the clear."""
    if endpoint.startswith("http://"):
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    try:
        return google.auth.default(scopes=[SCOPE])[0]
    except DefaultCredentialsError as error:
        if endpoint:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        raise BackendFailed(f"storage.gcp: {error}") from error
