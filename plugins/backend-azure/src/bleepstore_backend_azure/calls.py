"""Calls to the service: which client, how often and how long they are tried."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
from azure.core import MatchConditions
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient, ExponentialRetry
from bleepstore.storage import BackendFailed
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from bleepstore_backend_azure.plugin import AzureSettings

CONNECT_SECONDS = 3
SLOW_SECONDS = 60
"""Silence that is allowed to calls that work on the whole of a large blob."""
SINGLE = 1 << 30
"""One buffer is one request, however large."""
MIB = 1 << 20
SCOPE = "https://storage.azure.com/.default"


class Retried:
    """Whether a call was tried again: a precondition may then have been broken by its own success."""

    def __init__(self) -> None:
        self.yes = False

    def __call__(self, response: Any = None, **_: Any) -> None:
        """Called by the SDK's retry policy, which leaves the connection of an unread answer open."""
        self.yes = True
        if response is not None:
            response.internal_response.close()


def at(expect: str | None) -> dict[str, Any]:
    """Arguments of a call that may only find this token; ``""`` is absence."""
    if expect is None:
        return {}
    if not expect:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": quoted(expect), "match_condition": MatchConditions.IfNotModified}


def quoted(token: str) -> str:
    """A token as an entity-tag."""
    return f'"{token}"'


def token_of(etag: str | None) -> str:
    """The token of an entity-tag, which listings give without quotes."""
    return (etag or "").strip('"')


# --- the client -------------------------------------------------------------------------------------


def connect(section: AzureSettings, environ: Mapping[str, str] | None = None) -> ContainerClient:
    """A client of the container; nothing is sent yet. Raises BackendFailed.

    Credentials are those that Azure's own tools take: see the README.
    """
    environ = os.environ if environ is None else environ
    text = environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    account = section.account or environ.get("AZURE_STORAGE_ACCOUNT", "")
    options = _options(section)
    try:
        if text and section.account in ("", _account(text)):
            if section.endpoint:
                text = ";".join(part for part in text.split(";") if not part.startswith("BlobEndpoint="))
                text = f"{text.rstrip(';')};BlobEndpoint={section.endpoint}"
            return ContainerClient.from_connection_string(text, section.container, **options)
        if account or section.endpoint:
            url = section.endpoint or f"https://{account}.blob.core.windows.net"
            return ContainerClient(url, section.container, _credential(account, environ), **options)
    except ValueError as error:
        raise BackendFailed(f"storage.azure: {error}") from error
    raise BackendFailed("storage.azure: needs an account, or AZURE_STORAGE_CONNECTION_STRING")


def _account(connection: str) -> str:
    parts = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
    return parts.get("AccountName", "")


def _credential(account: str, environ: Mapping[str, str]) -> Any:
    if key := environ.get("AZURE_STORAGE_KEY"):
        return {"account_name": account, "account_key": key}
    if signature := environ.get("AZURE_STORAGE_SAS_TOKEN"):
        return signature
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def _options(section: AzureSettings) -> dict[str, Any]:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=section.threads))
    return {
        # By the policy's own arithmetic each pause is anything up to two seconds.
        "retry_policy": ExponentialRetry(
            initial_backoff=0, increment_base=1, retry_total=section.attempts - 1, random_jitter_range=1
        ),
        "max_single_put_size": SINGLE,
        "max_single_get_size": SINGLE,
        "transport": RequestsTransport(
            session=session, connection_timeout=CONNECT_SECONDS, read_timeout=section.timeout
        ),
    }
