"""Errors on the wire: the error document and the reply that carries it.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from bleepstore.errors import S3Error
from bleepstore.exchange import Reply

# What XML 1.0 cannot hold, and what must be escaped in text.
_ESCAPES = dict.fromkeys((*range(0x20), 0xFFFE, 0xFFFF), "\ufffd")
_ESCAPES |= {0x09: "\t", 0x0A: "\n", 0x0D: "&#13;"}
_TEXT = {**_ESCAPES, ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def _element(name: str, text: str) -> str:
    return f"<{name}>{text.translate(_TEXT)}</{name}>"


def error_document(error: S3Error, resource: str, request_id: str, host_id: str) -> bytes:
    """The XML document of an error, in UTF-8; ``resource`` is the path that was asked for."""
    more = error.elements
    if error.code == "InvalidURI":
        more = {"URI": resource, **more}
    elements = [
        ("Code", error.code),
        ("Message", error.message),
        *more.items(),
        ("Resource", resource),
        ("RequestId", request_id),
        ("HostId", host_id),
    ]
    inner = "".join(_element(name, text) for name, text in elements)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode(errors="replace")


def error_reply(error: S3Error, resource: str, request_id: str, host_id: str) -> Reply:
    """The reply to a failed request."""
    return Reply(
        status=error.status,
        headers={**error.headers, "content-type": "application/xml"},
        body=error_document(error, resource, request_id, host_id),
    )
