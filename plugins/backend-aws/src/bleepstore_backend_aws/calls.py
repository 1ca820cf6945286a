"""Calls to S3: which client, in which threads, how often and how long they are tried.

The SDK blocks, so its calls run in a bounded set of threads, always with whole buffers: none waits
for a slow client of ours. A call that could not begin within :data:`PATIENCE` seconds, because all
threads are busy with a service that does not answer, is not begun.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import boto3
from bleepstore.storage import BackendFailed, Unavailable
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from bleepstore_backend_aws.faults import faults

if TYPE_CHECKING:
    from bleepstore_backend_aws.plugin import AwsSettings

PATIENCE = 10.0
"""Seconds that a call may wait for a thread."""
CONNECT_SECONDS = 3
SLOW_SECONDS = 60
"""Silence that is allowed to calls that work on the whole of a large object."""
MIB = 1 << 20
EXPIRES = "BleepStoreExpires"
"""A parameter of our own: the SDK takes a date apart, and ``0`` for 1970."""
_WITH_EXPIRES = ("PutObject", "CreateMultipartUpload", "CopyObject")

P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """Threads for calls. Their errors are StorageFaults."""

    def __init__(self, threads: int) -> None:
        """``threads`` for calls that are short, and a quarter as many for those that are not."""
        self._short = ThreadPoolExecutor(threads, thread_name_prefix="bleepstore-aws")
        self._long = ThreadPoolExecutor(max(threads // 4, 1), thread_name_prefix="bleepstore-aws-long")

    def run(self, what: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Begin a call for ``what``. Raises Unavailable after :meth:`stop`."""
        return _submit(self._short, what, PATIENCE, work, *args, **kwargs)

    def run_long(
        self, what: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """As :meth:`run`, for what works on the whole of a large object and would keep others waiting."""
        return _submit(self._long, what, PATIENCE, work, *args, **kwargs)

    def finish(self, what: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """As :meth:`run`, for what must be done however long it waits."""
        return _submit(self._short, what, float("inf"), work, *args, **kwargs)

    async def stop(self) -> None:
        """Let the calls under way come to their end."""
        loop = asyncio.get_running_loop()
        for threads in (self._long, self._short):
            await loop.run_in_executor(None, threads.shutdown)


def _submit(
    threads: ThreadPoolExecutor,
    what: str,
    patience: float,
    work: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> asyncio.Future[T]:
    asked = time.monotonic()

    def call() -> T:
        if time.monotonic() - asked > patience:
            raise Unavailable(f"{what}: all calls to the service are waiting for it")
        with faults(what):
            return work(*args, **kwargs)

    try:
        return asyncio.wrap_future(threads.submit(call))
    except RuntimeError as error:
        raise Unavailable(f"{what}: the server is stopping") from error


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
