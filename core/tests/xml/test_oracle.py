"""Our documents against the SDK's model of the API: the model is the oracle, never imported by the server.

Every operation that is built is walked. Its shapes are compared with the model's, our replies are
read by the SDK's own parser, and our reader reads what the SDK's own serializer sends.
"""

import datetime
import functools
from typing import Any
from xml.etree import ElementTree

import pytest
from bleepstore import xml
from bleepstore.http.dates import http_date, iso_time
from bleepstore.s3.table import ROWS
from bleepstore.s3.unconfigured import UNCONFIGURED
from bleepstore.xml import shapes
from bleepstore.xml.bodies import REPLIES, REQUESTS
from bleepstore.xml.shape import NAMESPACE, Part, parts
from botocore.handlers import escape_xml_payload
from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

slow = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"), "s3")
BUILT = [
    row.name
    for row in ROWS
    if row.handler not in (None, UNCONFIGURED.get(row.name)) and row.name in MODEL.operation_names
]
LOCATION = "GetBucketLocation"
"""Its root element is itself the text, which the SDK reads with a handler of its own."""
SHAPED = sorted(set(REPLIES) - {LOCATION})


# --- what the model says ----------------------------------------------------------------------------


def request_shape(operation: str) -> StructureShape | None:
    """The structure that is the XML body of a request."""
    given = MODEL.operation_model(operation).input_shape
    payload = given and given.serialization.get("payload")
    shape = given.members[payload] if payload else None
    return shape if isinstance(shape, StructureShape) else None


def reply_shape(operation: str) -> StructureShape | None:
    """The structure that is the XML body of a reply."""
    output = MODEL.operation_model(operation).output_shape
    if output is None:
        return None
    payload = output.serialization.get("payload")
    shape = output.members[payload] if payload else output
    return shape if isinstance(shape, StructureShape) and (payload or body_members(shape)) else None


def body_members(shape: StructureShape) -> dict[str, Shape]:
    """The members that are elements, or attributes, of the body."""
    return {name: member for name, member in shape.members.items() if "location" not in member.serialization}


def element_name(member_name: str, member: Shape) -> str:
    """What the element of a member is called; a flattened list is called as its members are."""
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        inner = member.member.serialization.get("name")
        if inner is not None:
            return inner
    return member.serialization.get("name", member_name)


DEVIATIONS = {
    # One shape for both versions of the listing.
    "ListObjects": [
        f"ListObjects.{name} is not in the model"
        for name in ("KeyCount", "ContinuationToken", "NextContinuationToken", "StartAfter")
    ],
    "ListObjectsV2": [f"ListObjectsV2.{name} is not in the model" for name in ("Marker", "NextMarker")],
    # Only an upload into a bucket with versions has one.
    "ListMultipartUploads": ["ListMultipartUploads.Upload.VersionId is missing"],
    # One shape for request and reply, in the order of the reply; requests have any order.
    "PutBucketAcl": ["PutBucketAcl: the order is not the model's"],
    "PutObjectAcl": ["PutObjectAcl: the order is not the model's"],
}
"""Where our shapes differ from the model's, all of it."""
KINDS = {"string": str, "timestamp": str, "integer": int, "long": int, "boolean": bool}


def differences(ours: type, model: StructureShape, where: str) -> list[str]:
    """Where a shape of ours is not what the model says."""
    known = {part.name: part for part in parts(ours)}
    found: list[str] = []
    names: list[str] = []
    for member_name, member in body_members(model).items():
        name = element_name(member_name, member).removeprefix("xsi:")
        names.append(name)
        part = known.get(name)
        if part is None:
            found.append(f"{where}.{name} is missing")
            continue
        found += member_differences(part, member, f"{where}.{name}")
    extra = [name for name in known if name not in names]
    found += [f"{where}.{name} is not in the model" for name in extra]
    if [name for name in known if name in names] != [name for name in names if name in known]:
        found.append(f"{where}: the order is not the model's")
    return found


def member_differences(part: Part, member: Shape, where: str) -> list[str]:
    found: list[str] = []
    if part.attribute != bool(member.serialization.get("xmlAttribute")):
        found.append(f"{where}: attribute or element")
    if part.many != isinstance(member, ListShape):
        return [*found, f"{where}: list or not"]
    if isinstance(member, ListShape):
        flattened = bool(member.serialization.get("flattened"))
        inner = None if flattened else member.member.serialization.get("name", "member")
        if part.wrapped != inner:
            found.append(f"{where}: wrapped {part.wrapped}, the model says {inner}")
        member = member.member
    if isinstance(member, StructureShape):
        return found + differences(part.kind, member, where)
    if part.kind is not KINDS[member.type_name]:
        found.append(f"{where}: {part.kind.__name__}, the model says {member.type_name}")
    return found


# --- values: one of ours, and what the SDK calls the same -------------------------------------------


def text(*, carriage_return: bool) -> st.SearchStrategy[str]:
    """What XML can say. A raw carriage return, which the SDK's serializer sends, is read as a line feed."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")
    return st.text(
        characters.filter(lambda c: c >= " " or c in "\t\n" or (carriage_return and c == "\r")), max_size=8
    )


TIMES = st.integers(0, 4_000_000_000_000)


def pairs(ours: type, model: StructureShape, *, reply: bool) -> st.SearchStrategy[tuple[Any, dict[str, Any]]]:
    """A shape of ours with values, and the same as a dictionary of the SDK."""
    known = {part.name: part for part in parts(ours)}
    choices: dict[str, st.SearchStrategy[tuple[str, Any, Any]]] = {}
    must: set[str] = set()
    for member_name, member in body_members(model).items():
        part = known.get(element_name(member_name, member).removeprefix("xsi:"))
        if part is not None:
            value = member_pairs(part, member, reply=reply)
            choices[member_name] = value.map(functools.partial(_named, part.field))
            if part.required or part.attribute or always_written(ours, part):
                must.add(member_name)

    def build(chosen: dict[str, tuple[str, Any, Any]]) -> tuple[Any, dict[str, Any]]:
        return (
            ours(**{field: value for field, value, _ in chosen.values()}),
            {name: sdk for name, (_, _, sdk) in chosen.items()},
        )

    return st.fixed_dictionaries(
        {name: choices[name] for name in choices if name in must},
        optional={name: choices[name] for name in choices if name not in must},
    ).map(build)


def always_written(ours: type, part: Part) -> bool:
    """Whether there is an element even for no items: a list in a wrapper that is empty by default."""
    return part.wrapped is not None and getattr(ours(), part.field) == ()


def _named(field: str, pair: tuple[Any, Any]) -> tuple[str, Any, Any]:
    return field, *pair


def member_pairs(part: Part, member: Shape, *, reply: bool) -> st.SearchStrategy[tuple[Any, Any]]:
    if isinstance(member, ListShape):
        # The SDK reads a flattened list that is not there as no list.
        few = 1 if part.wrapped is None else 0
        inner = st.lists(scalar_pairs(part.kind, member.member, reply=reply), min_size=few, max_size=3)
        return inner.map(lambda items: (tuple(ours for ours, _ in items), [sdk for _, sdk in items]))
    return scalar_pairs(part.kind, member, reply=reply)


def scalar_pairs(kind: type, member: Shape, *, reply: bool) -> st.SearchStrategy[tuple[Any, Any]]:
    if isinstance(member, StructureShape):
        return pairs(kind, member, reply=reply)
    match member.type_name:
        case "boolean":
            return st.booleans().map(lambda value: (value, value))
        case "integer" | "long":
            return st.integers(-(2**31), 2**63 - 1).map(lambda value: (value, value))
        case "timestamp":
            form = member.serialization.get("timestampFormat", "iso8601")
            return TIMES.map(reply_time if reply else functools.partial(request_time, form=form))
        case _:
            enum = getattr(member, "enum", None)
            values = st.sampled_from(enum) if enum else text(carriage_return=reply)
            return values.map(lambda value: (value, value))


def moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def reply_time(milliseconds: int) -> tuple[str, datetime.datetime]:
    """What we say has whole seconds (``http.dates``)."""
    return iso_time(milliseconds), moment(milliseconds // 1000)


def request_time(milliseconds: int, form: str) -> tuple[str, datetime.datetime]:
    """What the SDK sends, in the format that the model names."""
    seconds = milliseconds // 1000
    when = moment(seconds)
    said = {"iso8601": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "rfc822": http_date(seconds * 1000)}
    return said[form], when


# --- the walk ---------------------------------------------------------------------------------------


def test_every_built_operation_with_a_document_has_a_shape():
    assert set(REQUESTS) == {name for name in BUILT if request_shape(name)}
    assert set(REPLIES) == {name for name in BUILT if reply_shape(name)}


@pytest.mark.parametrize("operation", sorted(REQUESTS))
def test_request_shape_is_the_models(operation: str):
    model = request_shape(operation)
    assert model is not None
    assert model.serialization["name"] == REQUESTS[operation].__name__
    assert model.serialization["xmlNamespace"]["uri"] == NAMESPACE
    assert differences(REQUESTS[operation], model, operation) == DEVIATIONS.get(operation, [])


@pytest.mark.parametrize("operation", SHAPED)
def test_reply_shape_is_the_models(operation: str):
    model = reply_shape(operation)
    assert model is not None
    assert differences(REPLIES[operation], model, operation) == DEVIATIONS.get(operation, [])


def test_the_walk_notices_what_is_wrong():
    wrong = differences(shapes.Owner, MODEL.shape_for("Grant"), "Owner")
    assert wrong == [
        "Owner.Grantee is missing",
        "Owner.Permission is missing",
        "Owner.DisplayName is not in the model",
        "Owner.ID is not in the model",
    ]
    assert differences(shapes.Initiator, MODEL.shape_for("Owner"), "x") == ["x: the order is not the model's"]


# --- replies: ours written, the SDK's parser --------------------------------------------------------


def parsed(operation: str, body: bytes) -> dict[str, Any]:
    """What the SDK makes of a body."""
    parser = create_parser("rest-xml")
    response = {"status_code": 200, "headers": {}, "body": body, "context": {"operation_name": operation}}
    found: dict[str, Any] = parser.parse(response, MODEL.operation_model(operation).output_shape)
    del found["ResponseMetadata"]
    return found


@pytest.mark.parametrize("operation", SHAPED)
@slow
@given(data=st.data())
def test_reply_is_read_by_the_sdk(operation: str, data: st.DataObject):
    model = reply_shape(operation)
    assert model is not None
    ours, expected = data.draw(pairs(REPLIES[operation], model, reply=True))
    body = xml.write(ours)
    assert ElementTree.fromstring(body).tag == f"{{{NAMESPACE}}}{REPLIES[operation].__name__}"
    output = MODEL.operation_model(operation).output_shape
    payload = output.serialization.get("payload") if output else None
    assert parsed(operation, body) == ({payload: expected} if payload else expected)


# --- requests: the SDK's serializer, our reader -----------------------------------------------------


def serialized(operation: str, document: dict[str, Any]) -> bytes:
    """What the SDK sends."""
    model = MODEL.operation_model(operation)
    shape = model.input_shape
    parameters: dict[str, Any] = {
        name: "name" for name in shape.required_members if name in ("Bucket", "Key")
    }
    parameters[shape.serialization["payload"]] = document
    request = create_serializer("rest-xml", include_validation=False).serialize_to_request(
        {"UploadId": "upload", **parameters} if "UploadId" in shape.members else parameters, model
    )
    body = request["body"]
    return body if isinstance(body, bytes) else body.encode()


@pytest.mark.parametrize("operation", sorted(REQUESTS))
@slow
@given(data=st.data())
def test_request_of_the_sdk_is_read(operation: str, data: st.DataObject):
    model = request_shape(operation)
    assert model is not None
    ours, document = data.draw(pairs(REQUESTS[operation], model, reply=False))
    assert xml.read(REQUESTS[operation], serialized(operation, document)) == ours


def test_line_ends_in_keys_survive_as_the_sdk_escapes_them():
    request = {"body": serialized("DeleteObjects", {"Objects": [{"Key": "a\rb\nc\r\n"}]})}
    escape_xml_payload(request)
    assert xml.read(shapes.Delete, request["body"]).objects[0].key == "a\rb\nc\r\n"
