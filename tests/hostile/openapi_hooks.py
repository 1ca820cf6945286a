"""What schemathesis is told about this API: how requests are signed, which buckets there are, what must hold.

It is loaded by schemathesis (``SCHEMATHESIS_HOOKS``) in an environment without the server's code.
Every eighth request is not signed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from requests import PreparedRequest
from requests.auth import AuthBase

sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))
from sigv4_by_hand import Signer

BUCKETS = ("hostile-one", "hostile-two")
KEYS = ("a", "dir/b", "\u00e9 +%", "multipart")
NOT_BUILT = 501
EARLY = (
    *(
        "versionid",
        "content-md5",
        "x-amz-checksum-",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-server-side-",
        "x-amz-acl",
    ),
    *(
        "x-amz-expected-bucket-owner",
        "x-amz-source-expected-",
        "x-amz-object-lock",
        "x-amz-copy-source-server-side",
    ),
    *("x-amz-grant-", "x-amz-if-match-", "x-amz-write-offset"),
)
"""What a request is refused for before anything else is looked at, when it says anything at all."""
_turns = itertools.count()


class SignatureV4(AuthBase):
    """Signs what is about to be sent, whatever it is."""

    signer = Signer("bleepstore", "bleepstore-secret")
    count = itertools.count()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if next(self.count) % 8 == 7:
            return request
        parts = urlsplit(str(request.url))
        query = parts.query.replace("+", "%20")
        target = (parts.path or "/") + (f"?{query}" if query else "")
        body = request.body or b""
        payload = hashlib.sha256(body.encode() if isinstance(body, str) else bytes(body)).hexdigest()
        given = {"host": parts.netloc}
        for name, value in request.headers.items():
            name = name if isinstance(name, str) else name.decode("latin-1")
            if name.lower().startswith("x-amz-") and name.lower() not in (
                "x-amz-date",
                "x-amz-content-sha256",
            ):
                raw = value.encode() if isinstance(value, str) else value
                given[name] = raw.decode("utf-8", "surrogateescape")
        signed = self.signer.sign(str(request.method), target, given, payload)
        for name in ("x-amz-date", "x-amz-content-sha256", "Authorization"):
            request.headers[name] = signed.headers[name]
        return request


schemathesis.auth.set_from_requests(SignatureV4())


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Most requests are about what is there, by whom it belongs to: the others are answered too early."""
    turn = next(_turns)
    path, query, headers = case.path_parameters or {}, case.query or {}, case.headers or {}
    if "Bucket" in path and turn % 8:
        case.path_parameters = {**path, "Bucket": BUCKETS[turn % 2]}
        if "Key" in path and turn % 3:
            case.path_parameters["Key"] = KEYS[turn % len(KEYS)]
    if turn % 16:
        for container in (query, headers):
            for name in [name for name in container if name.lower().startswith(EARLY)]:
                del container[name]
    if "uploadId" in query and turn % 4:
        query["uploadId"] = os.environ["BLEEPSTORE_UPLOAD"]
        case.path_parameters = {"Bucket": BUCKETS[0], "Key": "multipart"}
    if "x-amz-copy-source" in headers and turn % 4:
        headers["x-amz-copy-source"] = f"{BUCKETS[turn % 2]}/a"


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Without what makes it one, query or header, a request is not of the operation it was made from."""
    query = [item.name for item in case.operation.query if item.is_required]
    headers = [item.name for item in case.operation.headers if item.is_required]
    request = response.request
    return all(name in request.url for name in query) and all(name in request.headers for name in headers)


@schemathesis.check
def what_s3_answers(context: Any, response: Any, case: Any) -> None:
    """Every error is an S3 document; 5xx is for what is not built alone."""
    status = response.status_code
    assert status < 500 or status == NOT_BUILT, f"{status} for {case.method} {response.request.url}"
    assert response.headers["x-amz-request-id"]
    if status < 400 or case.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/xml"]
    root = ET.fromstring(response.content)
    assert root.tag == "Error"
    found = {child.tag: child.text for child in root}
    assert found["Code"]
    assert found["Message"]
    assert found["Resource"]
    assert [found["RequestId"]] == response.headers["x-amz-request-id"]
