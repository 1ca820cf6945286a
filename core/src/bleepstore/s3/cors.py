"""The CORS rules of a bucket. What they do to requests is in :mod:`bleepstore.http.cors`.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html and its relatives.
"""

from __future__ import annotations

from bleepstore import xml
from bleepstore.commands import PutBucketDocument
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.cors import DOCUMENT, METHODS
from bleepstore.http.headers import is_header
from bleepstore.s3.documents import XML_TYPE, read_document
from bleepstore.xml.shapes import CORSConfiguration, CORSRule

MOST_RULES = 100
ID_LENGTH = 255
DOCUMENT_BYTES = 64 * 1024


async def get_bucket_cors(x: Exchange) -> Reply:
    """GetBucketCors: what was put, element for element."""
    assert x.bucket is not None
    stored = None
    if DOCUMENT in x.bucket.documents:
        stored = await x.services.metadata.bucket_document(x.bucket.id, DOCUMENT)
    if stored is None:
        raise S3Error("NoSuchCORSConfiguration", BucketName=x.bucket.name)
    return Reply(headers={"content-type": XML_TYPE}, body=stored)


async def put_bucket_cors(x: Exchange) -> Reply:
    """PutBucketCors: replace the rules."""
    configuration = await read_document(x, CORSConfiguration)
    if not 1 <= len(configuration.cors_rules) <= MOST_RULES:
        raise S3Error("MalformedXML")
    for rule in configuration.cors_rules:
        _check(rule)
    document = xml.write(configuration)
    if len(document) > DOCUMENT_BYTES:
        raise S3Error("MalformedXML")
    return await _set(x, document, 200)


async def delete_bucket_cors(x: Exchange) -> Reply:
    """DeleteBucketCors: no page of another origin may do anything from now on."""
    return await _set(x, None, 204)


async def _set(x: Exchange, document: bytes | None, status: int) -> Reply:
    assert x.bucket is not None
    command = PutBucketDocument(
        id=x.services.new_id(), at=x.now, bucket=x.bucket.id, name=DOCUMENT, body=document
    )
    await x.services.metadata.apply(command)
    return Reply(status=status)


def _check(rule: CORSRule) -> None:
    """Raise S3Error MalformedXML, InvalidRequest for a rule that AWS would not take."""
    if not rule.allowed_methods or not rule.allowed_origins or len(rule.id or "") > ID_LENGTH:
        raise S3Error("MalformedXML")
    if rule.max_age_seconds is not None and not 0 <= rule.max_age_seconds < 1 << 31:
        raise S3Error("MalformedXML")
    for method in rule.allowed_methods:
        if method not in METHODS:
            message = f"Found unsupported HTTP method in CORS config. Unsupported method is {method[:64]}"
            raise S3Error("InvalidRequest", message)
    for name, values in (("AllowedOrigin", rule.allowed_origins), ("AllowedHeader", rule.allowed_headers)):
        for value in values:
            if value.count("*") > 1:
                message = f'{name} "{value[:256]}" can not have more than one wildcard.'
                raise S3Error("InvalidRequest", message)
    for value in rule.expose_headers:
        if not value or not is_header(value.lower(), ""):
            raise S3Error("InvalidRequest", f'ExposeHeader "{value[:256]}" is no name of a header.')
        if "*" in value:
            message = (
                f'ExposeHeader "{value[:256]}" contains wildcard. We currently do not support wildcard '
                "for ExposeHeader."
            )
            raise S3Error("InvalidRequest", message)
