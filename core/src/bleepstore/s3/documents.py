"""XML documents in and out of an exchange."""

from __future__ import annotations

from typing import Any, TypeVar

from bleepstore import xml
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply

T = TypeVar("T")
XML_TYPE = "application/xml"


async def read_document(x: Exchange, shape: type[T]) -> T:
    """The body, verified and read as ``shape``.

    Raises S3Error MissingRequestBodyError (nothing at all), MalformedXML, EntityTooLarge.
    """
    body = await read_body(x)
    if not body:
        raise S3Error("MissingRequestBodyError")
    return xml.read(shape, body)


async def read_body(x: Exchange) -> bytes:
    """The body of an operation whose body is an XML document, verified and bounded."""
    return await x.body.read(x.services.settings.server.limits.xml_bytes)


def document(shape: Any) -> Reply:
    """A 200 with ``shape`` as its document."""
    return Reply(headers={"content-type": XML_TYPE}, body=xml.write(shape))
