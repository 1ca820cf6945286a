"""Documents that no shape describes, read by the SDK's own parser."""

import dataclasses
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from bleepstore import xml
from bleepstore.errors import S3Error
from bleepstore.exchange import Reply
from bleepstore.http.faults import error_document
from bleepstore.s3.buckets import get_bucket_location
from bleepstore.s3.unconfigured import UNCONFIGURED
from bleepstore.settings import Settings
from bleepstore.xml import shapes
from bleepstore.xml.shape import NAMESPACE
from botocore.handlers import parse_get_bucket_location
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"), "s3")
CONSTANT: dict[str, tuple[str, dict[str, Any]]] = {
    "GetBucketAccelerateConfiguration": ("AccelerateConfiguration", {}),
    "GetBucketLogging": ("BucketLoggingStatus", {}),
    "GetBucketNotificationConfiguration": ("NotificationConfiguration", {}),
    "GetBucketRequestPayment": ("RequestPaymentConfiguration", {"Payer": "BucketOwner"}),
    "GetBucketVersioning": ("VersioningConfiguration", {}),
    "ListBucketAnalyticsConfigurations": ("ListBucketAnalyticsConfigurationResult", {"IsTruncated": False}),
    "ListBucketIntelligentTieringConfigurations": (
        "ListBucketIntelligentTieringConfigurationsOutput",
        {"IsTruncated": False},
    ),
    "ListBucketInventoryConfigurations": ("ListInventoryConfigurationsResult", {"IsTruncated": False}),
    "ListBucketMetricsConfigurations": ("ListMetricsConfigurationsResult", {"IsTruncated": False}),
}
"""Root element, by the operations' pages in the API reference, and what the SDK reads."""


def parsed(operation: str, body: bytes, status: int = 200) -> dict[str, Any]:
    """What the SDK makes of a body."""
    response = {"status_code": status, "headers": {}, "body": body, "context": {"operation_name": operation}}
    found: dict[str, Any] = create_parser("rest-xml").parse(
        response, MODEL.operation_model(operation).output_shape
    )
    del found["ResponseMetadata"]
    return found


def exchange(settings: Settings) -> Any:
    return SimpleNamespace(bucket_name="bucket", services=SimpleNamespace(settings=settings))


async def answer(handler: Any, settings: Settings) -> Reply | S3Error:
    try:
        reply = await handler(exchange(settings))
    except S3Error as error:
        return error
    assert isinstance(reply, Reply)
    return reply


@pytest.mark.anyio
async def test_unconfigured_documents_are_read_by_the_sdk():
    found = {}
    for operation, handler in UNCONFIGURED.items():
        reply = await answer(handler, Settings())
        if isinstance(reply, Reply) and reply.body:
            assert isinstance(reply.body, bytes)
            assert reply.headers["content-type"] == "application/xml"
            namespace, _, root = ElementTree.fromstring(reply.body).tag.rpartition("}")
            assert namespace == "{" + NAMESPACE
            found[operation] = (root, parsed(operation, reply.body))
    assert found == CONSTANT


@pytest.mark.anyio
async def test_ownership_controls_where_acls_are_disabled_are_read_by_the_sdk():
    settings = Settings(auth=dataclasses.replace(Settings().auth, acls="disabled"))
    reply = await answer(UNCONFIGURED["GetBucketOwnershipControls"], settings)
    assert isinstance(reply, Reply)
    assert isinstance(reply.body, bytes)
    assert parsed("GetBucketOwnershipControls", reply.body) == {
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    }


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("region", "expected"), [("us-east-1", None), ("eu-west-1", "eu-west-1"), ("a<b", "a<b")]
)
async def test_location_is_read_by_the_sdk(region: str, expected: str | None):
    """S3-CHECKLIST 16: empty in us-east-1."""
    settings = Settings(server=dataclasses.replace(Settings().server, region=region))
    reply = await answer(get_bucket_location, settings)
    assert isinstance(reply, Reply)
    assert isinstance(reply.body, bytes)
    # The shape says the same as the handler.
    named = shapes.LocationConstraint(region=expected)
    assert ElementTree.canonicalize(reply.body) == ElementTree.canonicalize(xml.write(named))
    found: dict[str, Any] = {}
    parse_get_bucket_location(found, SimpleNamespace(raw=True, content=reply.body))
    assert found == {"LocationConstraint": expected}


@pytest.mark.parametrize("key", ["a", "<&>\"'", "tab\tline\nreturn\r", "ключ"])
def test_errors_are_read_by_the_sdk(key: str):
    """S3-CHECKLIST 37: code, message and resource, where the SDK looks for them."""
    body = error_document(S3Error("NoSuchKey", Key=key), "/bucket/key", "request", "host")
    assert parsed("GetObject", body, 404)["Error"] == {
        "Code": "NoSuchKey",
        "Message": "The specified key does not exist.",
        "Key": key,
        "Resource": "/bucket/key",
    }
