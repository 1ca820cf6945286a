"""Replies that may take long: 200 at once, whitespace while the work goes on, then the document.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
Only CompleteMultipartUpload, CopyObject and UploadPartCopy may answer so, and SDKs know it: an
``<Error>`` in such a 200 is a failure. Quick work, which is nearly all of it, has a plain reply and
an honest status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable

from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.faults import error_document
from bleepstore.http.refusals import FAULTS, s3_error
from bleepstore.s3.documents import XML_TYPE

FIRST = 10.0
"""Seconds before the status is sent without a result."""
NEXT = 10.0
"""Seconds between two spaces."""
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'

log = logging.getLogger("bleepstore.s3")


async def patiently(
    x: Exchange, work: Awaitable[Reply], *, first: float = FIRST, rest: float = NEXT
) -> Reply:
    """The reply of ``work``, or one that begins before it is known."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait((task,), timeout=first)
    except BaseException:
        task.cancel()
        raise
    if done:
        return task.result()
    return Reply(headers={"content-type": XML_TYPE}, body=_Waiting(x, task, rest))


class _Waiting:
    """The body of a reply whose end is not known yet."""

    def __init__(self, x: Exchange, task: asyncio.Future[Reply], rest: float) -> None:
        self._x = x
        self._task = task
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield DECLARATION
        while not (await asyncio.wait((self._task,), timeout=self._rest))[0]:
            yield b" "
        yield self._document().removeprefix(DECLARATION)

    def _document(self) -> bytes:
        x = self._x
        try:
            body = self._task.result().body
            assert isinstance(body, bytes)
            return body
        except S3Error as error:
            return error_document(error, x.raw_path, x.request_id, x.host_id)
        except FAULTS as fault:
            return error_document(s3_error(fault, x), x.raw_path, x.request_id, x.host_id)
        except Exception:
            log.exception("%s failed, request %s", x.operation.name, x.request_id)
            return error_document(S3Error("InternalError"), x.raw_path, x.request_id, x.host_id)

    async def aclose(self) -> None:
        """The client is gone, or has its answer: what was begun is finished all the same."""
        if not self._task.done():
            self._task.add_done_callback(_ignore)


def _ignore(task: asyncio.Future[Reply]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.info("work for a client that is gone failed: %s", task.exception())
