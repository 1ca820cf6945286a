"""The OpenAPI document of the S3 API, from the operation table and the SDK's model of the API.

OpenAPI tells operations apart by path and method, S3 by query and headers too. So each operation
has a path of its own, which is a URL that works: the query that the model writes into it
(``/{Bucket}?uploads``), and, where two operations still are alike, ``x-id=NAME``, which SDKs send
as well and the server ignores. ``{Key}`` may hold slashes.

``python schemas/generate.py`` writes the document where it is read: beside this file, and into the
package that serves it. The SDK is needed here and in tests, never by the server.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from bleepstore.errors import CODES, S3Error
from bleepstore.exchange import Reply
from bleepstore.http.object_headers import UNBUILT
from bleepstore.operations import AclRight, Load, Operation, Permission, Scope
from bleepstore.s3.table import ROWS
from bleepstore.s3.unconfigured import UNCONFIGURED
from bleepstore.settings import Settings
from bleepstore.xml.bodies import REPLIES, REQUESTS
from bleepstore.xml.shape import NAMESPACE, XSI
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from defusedxml.ElementTree import fromstring
from openapi_parts import (
    BUCKET,
    COMMON_HEADERS,
    ERROR,
    ERROR_RESPONSE,
    HEAD_ERROR_RESPONSE,
    INFO,
    KEY,
    POST_OBJECT,
    SECURITY_SCHEMES,
    USER_METADATA,
    Json,
    ref,
)

HERE = Path(__file__).parent
DOCUMENTS = (
    HERE / "s3-api.openapi.yaml",
    HERE.parent / "core" / "src" / "bleepstore" / "admin" / "s3-api.openapi.yaml",
)
"""The same bytes twice: for readers, and in the wheel for the server."""
HEAD = "# Made by schemas/generate.py (make schemas) from the operation table: edit that instead.\n"
MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"), "s3")

PATHS = {Scope.SERVICE: "/", Scope.BUCKET: "/{Bucket}", Scope.OBJECT: "/{Bucket}/{Key}"}
BEYOND = {"PostObject": POST_OBJECT}
"""Operations that the model does not have, written by hand."""
LATE = frozenset({"CompleteMultipartUpload", "CopyObject", "UploadPartCopy"})
"""Operations whose 200 may turn out to be an error: the status is sent before the work is done."""
STATUSES = {"PutBucketPolicy": 204, "PutBucketTagging": 204}
"""What the API reference shows in its examples, and AWS answers, where the model has 200."""
MISSING = {
    Load.NOTHING: (),
    Load.BUCKET: ("NoSuchBucket",),
    Load.OBJECT: ("NoSuchBucket", "NoSuchKey", "NoSuchVersion"),
    Load.OBJECT_DATA: ("NoSuchBucket", "NoSuchKey", "NoSuchVersion"),
    Load.UPLOAD: ("NoSuchBucket", "NoSuchUpload"),
}
"""What is answered where that which a row loads is not there."""
CONDITIONAL = frozenset({"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"})
OPENAPI_OWN = frozenset({"accept", "authorization", "content-type", "content-length"})
"""Headers that OpenAPI says in another way, or HTTP itself."""


def implemented() -> list[Operation]:
    """The rows that are in the document."""
    return [row for row in ROWS if row.handler is not None]


def document() -> Json:
    """The whole document."""
    return _Document().build()


def dump(content: Json) -> str:
    """As YAML, the same for the same content."""
    return HEAD + yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


# --- paths ------------------------------------------------------------------------------------------


def paths() -> dict[str, str]:
    """The path of each operation in the document, by name."""
    found: dict[str, str] = {}
    alike: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for row in implemented():
        alike[row.method, PATHS[row.scope] + _query(row)].append(row)
    for (_, path), rows in alike.items():
        # The one that asks for least has the bare path, as it has the bare request.
        rows.sort(key=lambda row: len(row.query) + len(row.headers))
        for row in rows:
            mark = "" if row is rows[0] else ("&" if "?" in path else "?") + f"x-id={row.name}"
            found[row.name] = path + mark
    return found


def _query(row: Operation) -> str:
    """The constant query of an operation, which is not among its parameters."""
    if row.name in BEYOND:
        return ""
    uri: str = MODEL.operation_model(row.name).http["requestUri"]
    _, mark, query = uri.partition("?")
    return mark + query


# --- types ------------------------------------------------------------------------------------------


def scalar(shape: Shape, *, body: bool) -> Json:
    """The JSON Schema of a value that is text on the wire."""
    limits: Json = {}
    match shape.type_name:
        case "boolean":
            return {"type": "boolean"}
        case "integer" | "long":
            for name, key in (("min", "minimum"), ("max", "maximum")):
                if name in shape.metadata:
                    limits[key] = shape.metadata[name]
            return {"type": "integer", "format": f"int{32 if shape.type_name == 'integer' else 64}", **limits}
        case "timestamp":
            form = shape.serialization.get("timestampFormat", "iso8601" if body else "rfc822")
            if form == "iso8601":
                return {"type": "string", "format": "date-time"}
            return {"type": "string", "description": "An HTTP date."}
        case "string" | "blob":
            for name, key in (("min", "minLength"), ("max", "maxLength"), ("enum", "enum")):
                if name in shape.metadata:
                    limits[key] = list(shape.metadata[name]) if name == "enum" else shape.metadata[name]
            return {"type": "string", **limits}
        case _:
            raise NotImplementedError(f"{shape.name} is a {shape.type_name}")


def element_name(member_name: str, member: Shape) -> str:
    """The element of a member; a flattened list is called as its items are."""
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        member_name = member.member.serialization.get("name", member_name)
    return str(member.serialization.get("name", member_name))


class _Document:
    """The document under way, with what its operations share."""

    def __init__(self) -> None:
        self.schemas: dict[str, Json] = {"Error": ERROR}
        self.parameters: dict[str, Json] = {"Bucket": BUCKET, "Key": KEY}
        self.headers: dict[str, Json] = dict(COMMON_HEADERS)

    def build(self) -> Json:
        items: dict[str, Json] = {}
        where = paths()
        for row in implemented():
            path = where[row.name]
            item = items.setdefault(path, {})
            names = re.findall(r"{(\w+)}", path)
            if names and "parameters" not in item:
                item["parameters"] = [ref("parameters", name) for name in names]
            item[row.method.lower()] = self.operation(row)
        return {
            "openapi": "3.1.0",
            "info": INFO,
            "servers": [{"url": "http://127.0.0.1:9000"}],
            "security": [{"signature": []}, {"presigned": []}],
            "paths": items,
            "components": {
                "schemas": dict(sorted(self.schemas.items())),
                "parameters": dict(sorted(self.parameters.items())),
                "headers": dict(sorted(self.headers.items())),
                "responses": {"Error": ERROR_RESPONSE, "HeadError": HEAD_ERROR_RESPONSE},
                "securitySchemes": SECURITY_SCHEMES,
            },
        }

    # --- one operation ------------------------------------------------------------------------------

    def operation(self, row: Operation) -> Json:
        operation: Json = {"operationId": row.name, "summary": summary(row.name), "tags": [row.scope.value]}
        if row.name in BEYOND:
            operation |= BEYOND[row.name]
        else:
            operation |= self.modelled(row, MODEL.operation_model(row.name))
        operation["x-bleepstore-permission"] = _permission(row.permission)
        if row.source:
            operation["x-bleepstore-source-permission"] = _permission(row.source)
        return operation

    def modelled(self, row: Operation, model: OperationModel) -> Json:
        operation: Json = {}
        if row.handler is UNCONFIGURED.get(row.name):
            operation["description"] = "Answered as for a bucket where nothing is configured."
        if row.permission.right is not AclRight.SIGNED:
            # Whoever is granted it: everybody, where an ACL or a policy says so.
            operation["security"] = [{"signature": []}, {"presigned": []}, {}]
        if model.input_shape:
            parameters = self.input_parameters(row, model.input_shape)
            if parameters:
                operation["parameters"] = parameters
            body = self.request_body(row, model.input_shape)
            if body:
                operation["requestBody"] = body
        operation["responses"] = self.responses(row, model)
        url = f"https://docs.aws.amazon.com/AmazonS3/latest/API/API_{row.name}.html"
        operation["externalDocs"] = {"url": url}
        return operation

    def input_parameters(self, row: Operation, shape: StructureShape) -> list[Json]:
        found = []
        for name, member in shape.members.items():
            place = {"header": "header", "headers": "header", "querystring": "query"}.get(
                member.serialization.get("location", "")
            )
            wire = member.serialization.get("name", name)
            if place is None or wire.lower() in OPENAPI_OWN:
                continue
            parameter: Json = {"name": wire, "in": place}
            if name in shape.required_members:
                parameter["required"] = True
            if isinstance(member, MapShape):
                parameter |= USER_METADATA
            else:
                if wire.lower() in UNBUILT:
                    parameter["description"] = "Not built: whoever sends it is answered NotImplemented."
                parameter["schema"] = self.parameter_schema(member)
                if isinstance(member, ListShape):
                    parameter |= {"style": "simple", "explode": False}
            found.append(self.shared("parameters", self.parameters, name, parameter))
        return found

    def parameter_schema(self, member: Shape) -> Json:
        if isinstance(member, ListShape):
            return {"type": "array", "items": scalar(member.member, body=False)}
        return scalar(member, body=False)

    def shared(self, kind: str, components: dict[str, Json], name: str, content: Json) -> Json:
        """A reference to the component ``name``, or the content itself where that is another."""
        return ref(kind, name) if components.setdefault(name, content) == content else content

    def request_body(self, row: Operation, shape: StructureShape) -> Json | None:
        payload = shape.serialization.get("payload")
        if payload is None:
            return None
        required = {"required": True} if payload in shape.required_members else {}
        member = shape.members[payload]
        if isinstance(member, StructureShape):
            content = {"application/xml": {"schema": self.root(member, REQUESTS[row.name].__name__)}}
        else:
            content = _plain(member)
        return {**required, "content": content}

    # --- replies ------------------------------------------------------------------------------------

    def responses(self, row: Operation, model: OperationModel) -> Json:
        errors = defaultdict(list)
        for code in MISSING[row.loads]:
            errors[CODES[code][0]].append(code)
        responses: Json = {}
        for answer in _constant_answers(row) or (None,):
            if isinstance(answer, S3Error):
                errors[answer.status].append(answer.code)
            else:
                responses |= self.success(row, model, answer)
        for error in model.error_shapes:
            # The model's own status is that of AWS; the table has ours, where it has the code.
            if error.name in CODES and error.name not in errors[CODES[error.name][0]]:
                errors[CODES[error.name][0]].append(error.name)
        if model.input_shape and row.method in ("PUT", "POST", "DELETE"):
            wires = {m.serialization.get("name") for m in model.input_shape.members.values()}
            if wires & CONDITIONAL:
                errors[412].append("PreconditionFailed")
        kind = "HeadError" if row.method == "HEAD" else "Error"
        for status, codes in sorted(errors.items()):
            if codes:
                responses[str(status)] = {**ref("responses", kind), "description": ", ".join(codes)}
        responses["default"] = ref("responses", kind)
        return responses

    def success(self, row: Operation, model: OperationModel, answer: Reply | None) -> Json:
        shape = model.output_shape
        status = answer.status if answer else STATUSES.get(row.name) or model.http.get("responseCode", 200)
        headers = {name: ref("headers", name) for name in COMMON_HEADERS}
        for name, member in shape.members.items() if shape else ():
            location, wire = member.serialization.get("location"), member.serialization.get("name", name)
            if location not in ("header", "headers") or wire.lower() in OPENAPI_OWN:
                continue
            schema = {"schema": {"type": "string"}} if isinstance(member, MapShape) else {}
            header = schema or {"schema": scalar(member, body=False)}
            wire = f"{wire}NAME" if isinstance(member, MapShape) else wire
            headers[wire] = self.shared("headers", self.headers, name, header)
        response: Json = {"description": "Done.", "headers": headers}
        content = self.content(row, shape, answer)
        if content:
            response["content"] = content
        responses = {str(status): response}
        if row.name in ("GetObject", "HeadObject"):
            responses["206"] = {**response, "description": "The part that was asked for."}
            responses["304"] = {"description": "Not modified: a condition did not hold."}
            responses["412"] = {**ref("responses", "Error"), "description": "PreconditionFailed"}
            responses["416"] = {
                **ref("responses", "Error"),
                "description": "InvalidRange, InvalidPartNumber",
            }
            if row.method == "HEAD":
                for error in ("412", "416"):
                    responses[error] |= ref("responses", "HeadError")
        return responses

    def content(self, row: Operation, shape: StructureShape | None, answer: Reply | None) -> Json | None:
        if answer is not None:
            if not answer.body or shape is None:
                return None
            assert isinstance(answer.body, bytes)
            name = fromstring(answer.body).tag.rpartition("}")[2]
        elif row.name in REPLIES:
            name = REPLIES[row.name].__name__
        elif shape is not None and shape.serialization.get("payload"):
            # An object comes with the type that it was put with.
            return _plain(shape.members[shape.serialization["payload"]], "*/*")
        else:
            return None
        if row.name == "GetBucketLocation":
            xml = {"name": name, "namespace": NAMESPACE}
            return {"application/xml": {"schema": {"type": "string", "xml": xml}}}
        assert shape is not None
        payload = shape.serialization.get("payload")
        schema = self.root(shape.members[payload] if payload else shape, name)
        if row.name in LATE:
            schema = {"oneOf": [schema, ref("schemas", "Error")]}
        return {"application/xml": {"schema": schema}}

    # --- XML ----------------------------------------------------------------------------------------

    def root(self, shape: Shape, name: str) -> Json:
        """A document element."""
        assert isinstance(shape, StructureShape)
        reference = self.structure(shape)
        xml = {"name": name, "namespace": NAMESPACE}
        if self.schemas[shape.name].setdefault("xml", xml) != xml:
            raise NotImplementedError(f"{shape.name} is the root of two documents")
        return reference

    def structure(self, shape: StructureShape) -> Json:
        """An element with children."""
        if shape.name not in self.schemas:
            schema = self.schemas[shape.name] = {"type": "object"}
            members = {n: m for n, m in shape.members.items() if "location" not in m.serialization}
            required = [element_name(n, m) for n, m in members.items() if n in shape.required_members]
            if required:
                schema["required"] = required
            schema["properties"] = dict(self.child(n, m) for n, m in members.items())
        return ref("schemas", shape.name)

    def child(self, member_name: str, member: Shape) -> tuple[str, Json]:
        name = element_name(member_name, member)
        if member.serialization.get("xmlAttribute"):
            prefix, _, local = name.partition(":")
            attribute = {"name": local, "attribute": True, "prefix": prefix, "namespace": XSI}
            return local, {**scalar(member, body=True), "xml": attribute}
        if not isinstance(member, ListShape):
            return name, self.value(member)
        items = self.value(member.member)
        if member.serialization.get("flattened"):
            return name, {"type": "array", "items": items}
        items = {**items, "xml": {"name": member.member.serialization.get("name", "member")}}
        return name, {"type": "array", "items": items, "xml": {"wrapped": True}}

    def value(self, shape: Shape) -> Json:
        return self.structure(shape) if isinstance(shape, StructureShape) else scalar(shape, body=True)


def _plain(shape: Shape, data: str = "application/octet-stream") -> Json:
    """A body that is no XML: data of any type, or a policy."""
    if shape.type_name == "string":
        return {"application/json": {"schema": {"type": "object"}}}
    return {data: {"schema": {"type": "string", "format": "binary"}}}


def _constant_answers(row: Operation) -> list[Reply | S3Error]:
    """What a sub-resource that is not configured answers: its handler is asked, with ACLs and without."""
    handler = UNCONFIGURED.get(row.name)
    if handler is None or handler is not row.handler:
        return []

    async def ask(acls: str) -> Reply | S3Error:
        settings = replace(Settings(), auth=replace(Settings().auth, acls=acls))
        exchange: Any = SimpleNamespace(bucket_name="bucket", services=SimpleNamespace(settings=settings))
        try:
            return await handler(exchange)
        except S3Error as error:
            return error

    answers = [asyncio.run(ask(acls)) for acls in ("enabled", "disabled")]
    return list({answer.status: answer for answer in answers}.values())


def summary(name: str) -> str:
    """``ListObjectsV2`` as ``List objects V2.``"""
    first, *rest = re.findall(r"[A-Z][a-z]*\d*", name)
    return " ".join([first, *(word if word == "V2" else word.lower() for word in rest)]) + "."


def _permission(permission: Permission) -> Json:
    return {"action": permission.action, "right": permission.right.value, "resource": permission.on.value}


def main() -> int:
    """Write the document to both places."""
    text = dump(document())
    for path in DOCUMENTS:
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
