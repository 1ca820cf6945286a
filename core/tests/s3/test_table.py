"""The rows of S3 against the SDK's model, which is the oracle: every operation finds its row."""

import functools
from typing import Any
from urllib.parse import parse_qsl

import pytest
from bleepstore.operations import AclRight, Load, Operation, OperationTable, Scope
from bleepstore.s3.table import EXCLUDED, ROWS
from bleepstore.s3.unconfigured import UNCONFIGURED
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"), "s3")
TABLE = OperationTable(ROWS)
BY_NAME = {name: row for row in ROWS for name in (row.name, *row.aliases)}
BEYOND = {"PostObject"}
"""Rows of operations that the API reference has and the model does not."""
MODELLED = sorted(set(BY_NAME) - BEYOND)
SCOPES = {"/": Scope.SERVICE, "/{Bucket}": Scope.BUCKET, "/{Bucket}/{Key+}": Scope.OBJECT}
MORE_TOLERANT = {"SelectObjectContent": {"select-type=2"}}
"""What the model asks for and a row does not: 501 without it too."""


def request_uri(operation: OperationModel) -> tuple[Scope, list[str]]:
    """Path and query of an operation, as the model has them."""
    path, _, query = operation.http["requestUri"].partition("?")
    return SCOPES[path], [item for item in query.split("&") if item]


def required(operation: OperationModel) -> set[str]:
    """Query names and headers without which the operation cannot be asked for."""
    shape = operation.input_shape
    members = [shape.members[name].serialization for name in shape.required_members] if shape else []
    return {m["name"].lower() if m["location"] == "header" else m["name"] for m in members if "location" in m}


# --- rows and the model -----------------------------------------------------------------------------


def test_every_operation_of_the_model_has_a_row_or_is_excluded():
    assert set(MODEL.operation_names) == set(MODELLED) | EXCLUDED
    assert not set(BY_NAME) & EXCLUDED


def test_aliases_are_the_deprecated_operations_of_the_model():
    aliases = {alias for row in ROWS for alias in row.aliases}
    assert aliases == {name for name in MODEL.operation_names if MODEL.operation_model(name).deprecated}


@pytest.mark.parametrize("name", MODELLED)
def test_row_agrees_with_the_model(name: str):
    row, operation = BY_NAME[name], MODEL.operation_model(name)
    scope, constants = request_uri(operation)
    assert (row.method, row.scope) == (operation.http["method"], scope)
    # Constant query names come first: they are the sub-resource.
    said = [item for item in constants if item not in MORE_TOLERANT.get(name, ())]
    assert list(row.query[: len(said)]) == said
    # What else tells a row apart is something the model requires.
    assert {*row.query[len(said) :], *row.headers} <= required(operation)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_loads_what_its_permission_is_about(row: Operation):
    if row.permission.on is Scope.OBJECT:
        assert row.loads in (Load.OBJECT, Load.OBJECT_DATA)
    assert (row.loads is Load.NOTHING) == (row.permission.on is Scope.SERVICE)
    assert (row.permission.right is AclRight.SIGNED) == (row.permission.on is Scope.SERVICE)
    assert (row.source is not None) == ("x-amz-copy-source" in row.headers)
    assert (row.loads is Load.UPLOAD) == ("uploadId" in row.query)


def test_every_unconfigured_answer_belongs_to_a_row():
    assert set(UNCONFIGURED) <= {row.name for row in ROWS}


# --- reachable --------------------------------------------------------------------------------------


@functools.cache
def sdk_request(name: str) -> tuple[str, Scope, dict[str, str], dict[str, str]]:
    """Method, scope, query and headers of the smallest request that the SDK sends."""
    operation = MODEL.operation_model(name)
    serializer = create_serializer("rest-xml", include_validation=False)
    shape = operation.input_shape
    parameters = {member: _value(shape.members[member]) for member in shape.required_members} if shape else {}
    request = serializer.serialize_to_request(parameters, operation)
    path, _, query = request["url_path"].partition("?")
    scope = Scope.SERVICE if path == "/" else Scope.OBJECT if path.count("/") > 1 else Scope.BUCKET
    asked = dict(parse_qsl(query, keep_blank_values=True)) | {
        k: str(v) for k, v in request["query_string"].items()
    }
    return request["method"], scope, asked, {k.lower(): v for k, v in request["headers"].items()}


def _value(shape: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {name: _value(shape.members[name]) for name in shape.required_members}
        case "list":
            return [_value(shape.member)]
        case "integer" | "long":
            return 1
        case "boolean":
            return True
        case "timestamp":
            return "2026-01-02T03:04:05Z"
        case "blob":
            return b""
        case _:
            return "name"


@pytest.mark.parametrize("name", MODELLED)
def test_request_of_the_sdk_finds_its_row(name: str):
    assert TABLE.find(*sdk_request(name)) is BY_NAME[name]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_reachable(row: Operation):
    query = {name: value for name, _, value in (item.partition("=") for item in row.query)}
    assert TABLE.find(row.method, row.scope, query, dict.fromkeys(row.headers, "value")) is row


@given(st.permutations(ROWS))
def test_order_of_the_rows_does_not_matter(rows: list[Operation]):
    shuffled = OperationTable(rows)
    for name in MODELLED:
        assert shuffled.find(*sdk_request(name)) is BY_NAME[name]


# --- never another row ------------------------------------------------------------------------------

SUBRESOURCES = sorted({row.query[0] for row in ROWS if row.query and "=" not in row.query[0]})
SIMPLE = [row for row in ROWS if not row.query]


@pytest.mark.parametrize("row", SIMPLE, ids=lambda row: row.name)
def test_subresource_never_falls_through(row: Operation):
    """S3-CHECKLIST 24: listing, reading, writing and deleting never answer for a sub-resource."""
    headers = dict.fromkeys(row.headers, "value")
    for name in SUBRESOURCES:
        taken = TABLE.find(row.method, row.scope, {name: ""}, headers)
        assert taken is None or taken.query[0] == name


@pytest.mark.parametrize("name", ["renameObject", "annotation", "legal-hold", "retention", "encryption"])
def test_writes_that_are_not_built_are_no_put_of_the_object(name: str):
    """S3-CHECKLIST 50: ``?renameObject`` and ``?annotation`` have rows without a handler: 501."""
    row = TABLE.find("PUT", Scope.OBJECT, {name: "", "versionId": "null"}, {})
    assert row is not None
    assert (row.query[0], row.handler) == (name, None)


@pytest.mark.parametrize("row", SIMPLE, ids=lambda row: row.name)
@pytest.mark.parametrize(
    "query", [{"foo": "1"}, {"x-id": "DeleteObject"}, {"versionId": "null"}, {"ACL": ""}]
)
def test_unknown_query_names_are_ignored(row: Operation, query: dict[str, str]):
    """S3-CHECKLIST 12 and 24: ``x-id`` and unknown names select nothing."""
    assert TABLE.find(row.method, row.scope, query, dict.fromkeys(row.headers, "value")) is row


def test_empty_bucket_reads_are_built_and_their_writes_are_not():
    """S3-CHECKLIST, last part: reads answer as for a bucket where nothing is configured."""
    for name in UNCONFIGURED:
        assert name.startswith(("Get", "List", "Delete"))
        assert BY_NAME[name].handler is UNCONFIGURED[name]
