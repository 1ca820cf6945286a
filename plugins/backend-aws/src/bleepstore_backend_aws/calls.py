"""Calls to S3: which client, how often and how long they are tried."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import boto3
from bleepstore.storage import BackendFailed
from botocore.config import Config
from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from bleepstore_backend_aws.plugin import AwsSettings

CONNECT_SECONDS = 3
SLOW_SECONDS = 60
"""Silence that is allowed to calls that work on the whole of a large object."""
MIB = 1 << 20
EXPIRES = "BleepStoreExpires"
"""A parameter of our own: the SDK takes a date apart, and ``0`` for 1970."""
_WITH_EXPIRES = ("PutObject", "CreateMultipartUpload", "CopyObject")


class Upstream:
    """The bucket, and the clients that speak to it."""

    def __init__(self, section: AwsSettings) -> None:
        """Nothing is sent yet. Raises BackendFailed where the SDK cannot be configured so."""
        self.bucket = section.bucket
        self.prefix = f"{section.prefix.strip('/')}/" if section.prefix.strip("/") else ""
        self._locks = [threading.Lock() for _ in range(64)]
        self._section = section
        try:
            self._session = boto3.Session(
                profile_name=section.profile or None, region_name=section.region or None
            )
            self.client: Any = _client(self._session, section, section.timeout)
        except (BotoCoreError, ValueError) as error:
            raise BackendFailed(f"storage.aws: {error}") from error

    @functools.cached_property
    def patient(self) -> Any:
        """The client of calls that work on the whole of a large object."""
        return _client(self._session, self._section, max(self._section.timeout, SLOW_SECONDS))

    def at(self, name: str) -> dict[str, str]:
        """Arguments that say which object upstream has this name."""
        return {"Bucket": self.bucket, "Key": self.prefix + name}

    def alone(self, name: str) -> threading.Lock:
        """A lock that one call of this process for ``name`` holds at a time."""
        return self._locks[hash(name) % len(self._locks)]

    def close(self) -> None:
        """Close the connections that are kept."""
        self.client.close()
        if "patient" in self.__dict__:
            self.patient.close()


def expecting(expect: str | None) -> dict[str, str]:
    """Arguments of a call that may only find this token; ``""`` is absence."""
    if expect is None:
        return {}
    return {"IfMatch": quoted(expect)} if expect else {"IfNoneMatch": "*"}


def quoted(token: str) -> str:
    """A token as an entity-tag."""
    return f'"{token}"'


def token_of(etag: str | None) -> str:
    """The token of an entity-tag, which some services give without quotes."""
    return (etag or "").strip('"')


def _client(session: boto3.Session, section: AwsSettings, silence: float) -> Any:
    addressing = section.addressing
    if addressing == "auto" and section.endpoint_url:
        addressing = "path"
    region = session.region_name or ("us-east-1" if section.endpoint_url else None)
    client = session.client(
        "s3",
        region_name=region,
        endpoint_url=section.endpoint_url or None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": addressing},
            retries={"mode": "standard", "total_max_attempts": section.attempts},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=silence,
            max_pool_connections=section.threads,
            tcp_keepalive=True,
            # Digests are ours (Content-MD5): the SDK's own would be a second pass, as a trailer that
            # not every service takes.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    client.meta.events.register_last("before-call.s3", _send_at_once)
    for operation in _WITH_EXPIRES:
        client.meta.events.register(f"before-parameter-build.s3.{operation}", _take_expires)
        client.meta.events.register(f"before-call.s3.{operation}", _put_expires)
    return client


def _send_at_once(params: dict[str, Any], **_: Any) -> None:
    """The SDK asks before it sends a file, and waits a second where nobody answers that."""
    params["headers"].pop("Expect", None)


def _take_expires(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if EXPIRES in params:
        context[EXPIRES] = params.pop(EXPIRES)


def _put_expires(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if EXPIRES in context:
        params["headers"]["Expires"] = context[EXPIRES]
