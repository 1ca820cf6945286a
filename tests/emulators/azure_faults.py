"""The emulator of Azure behind ``faulty_http``, with what it has not got: Put Block From URL."""

import base64
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from azure.storage.blob import BlobClient
from azurite import ACCOUNT, KEY
from faulty_http import Act, Answer, Faults, Request, ask, error_of, listening


def refused(status: int, code: str) -> Act:
    """Answered with an error."""
    answer = error_of(status, code, x_ms_error_code=code)
    return lambda request: request.answer(*answer)


@contextmanager
def faulty(endpoint: str) -> Iterator[Faults]:
    """Start it in front of an emulator's endpoint."""
    place = urlsplit(endpoint)
    with listening(Faults(_ask, place.netloc), place.path) as faults:
        yield faults


def _ask(request: Request) -> Answer:
    from_url = "x-ms-copy-source" in request.headers and request.query.get("comp") == "block"
    return _put_block_from_url(request) if from_url else ask(request)


def _put_block_from_url(request: Request) -> Answer:
    """What the service does: read the range of the source on the condition, and stage it."""
    source = urlsplit(request.headers["x-ms-copy-source"])
    condition = {"If-Match": token} if (token := request.headers.get("x-ms-source-if-match")) else {}
    upstream = http.client.HTTPConnection(request.faults.upstream, timeout=30)
    wanted = {
        "x-ms-range": request.headers.get("x-ms-source-range", "bytes=0-"),
        "x-ms-version": "2024-11-04",
    }
    upstream.request("GET", f"{source.path}?{source.query}", headers=wanted | condition)
    response = upstream.getresponse()
    data = response.read()
    upstream.close()
    if response.status != 206:
        code = {404: "CannotVerifyCopySource", 412: "SourceConditionNotMet"}.get(response.status, "")
        return error_of(response.status, code, x_ms_error_code=code)
    path = urlsplit(request.target).path
    client = BlobClient.from_blob_url(
        f"http://{request.faults.upstream}{path}", credential={"account_name": ACCOUNT, "account_key": KEY}
    )
    client.stage_block(base64.b64decode(request.query["blockid"]).decode(), data)
    return 201, {"x-ms-request-server-encrypted": "true"}, b""
