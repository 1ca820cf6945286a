"""What the OpenAPI document of the S3 API says that neither the operation table nor the model does."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def ref(kind: str, name: str) -> Json:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


INFO: Json = {
    "title": "BleepStore S3 API",
    "version": "2006-03-01",
    "summary": "The operations of the S3 API that this server answers.",
    "description": (
        "Each operation is a path and a method of its own. Where S3 tells operations apart by query or "
        "headers, the path holds the query that the API reference writes into it, and where two would still "
        "be alike, `x-id` with the operation's name: SDKs send it too, and the server ignores it. All paths "
        "are URLs that work as they are. `{Key}` may hold slashes. Where a host name under `server.domains` "
        "names the bucket, the path begins with the key. Operations of the API that are not here answer 501 "
        "NotImplemented."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
BUCKET: Json = {
    "name": "Bucket",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"},
}
KEY: Json = {
    "name": "Key",
    "in": "path",
    "required": True,
    "description": "Any text of up to 1,024 bytes in UTF-8; a slash in it may stay a slash.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 1024},
}
USER_METADATA: Json = {
    "name": "x-amz-meta-NAME",
    "description": "User metadata; NAME is any name.",
    "schema": {"type": "string"},
}
COMMON_HEADERS: dict[str, Json] = {
    "x-amz-request-id": {"description": "Names the request.", "schema": {"type": "string"}},
    "x-amz-id-2": {"description": "Names the server.", "schema": {"type": "string"}},
}
ERROR: Json = {
    "type": "object",
    "description": "An error; some codes have more elements.",
    "required": ["Code", "Message", "Resource", "RequestId", "HostId"],
    "properties": {
        name: {"type": "string"} for name in ("Code", "Message", "Resource", "RequestId", "HostId")
    },
    "additionalProperties": {"type": "string"},
    "xml": {"name": "Error"},
}
_ERROR_HEADERS = {name: ref("headers", name) for name in COMMON_HEADERS}
ERROR_RESPONSE: Json = {
    "description": "An error; any operation may answer AccessDenied, SignatureDoesNotMatch and their like.",
    "headers": _ERROR_HEADERS,
    "content": {"application/xml": {"schema": ref("schemas", "Error")}},
}
HEAD_ERROR_RESPONSE: Json = {"description": "An error, by its status alone.", "headers": _ERROR_HEADERS}
SECURITY_SCHEMES: Json = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "Signature Version 4: `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`, with "
            "`x-amz-date` and `x-amz-content-sha256`."
        ),
    },
    "presigned": {
        "type": "apiKey",
        "in": "query",
        "name": "X-Amz-Signature",
        "description": (
            "Signature Version 4 in the query, with `X-Amz-Algorithm`, `X-Amz-Credential`, `X-Amz-Date`, "
            "`X-Amz-Expires` and `X-Amz-SignedHeaders`."
        ),
    },
}

_FORM: Json = {
    "type": "object",
    "required": ["key", "file"],
    "properties": {
        "key": {"type": "string", "description": "`${filename}` in it is the name of the file."},
        "acl": {"type": "string"},
        "tagging": {"type": "string", "description": "A `Tagging` document."},
        "success_action_redirect": {"type": "string", "format": "uri"},
        "success_action_status": {"type": "string", "enum": ["200", "201", "204"]},
        "policy": {"type": "string", "format": "byte"},
        "x-amz-algorithm": {"type": "string", "enum": ["AWS4-HMAC-SHA256"]},
        "x-amz-credential": {"type": "string"},
        "x-amz-date": {"type": "string"},
        "x-amz-signature": {"type": "string"},
        "file": {"type": "string", "format": "binary", "description": "The data; the last field."},
    },
    "additionalProperties": {"type": "string", "description": "A header of PutObject, by its name."},
}
_POST_RESPONSE: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("Location", "Bucket", "Key", "ETag")},
    "xml": {"name": "PostResponse"},
}
_POSTED = {"headers": {**_ERROR_HEADERS, "ETag": {"schema": {"type": "string"}}}}
POST_OBJECT: Json = {
    "description": "A form of a browser; its policy is signed, and nothing else of it.",
    "security": [{}],
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
    "responses": {
        "200": {"description": "Done, where `success_action_status` asks for it.", **_POSTED},
        "201": {
            "description": "Done, where `success_action_status` asks for it.",
            **_POSTED,
            "content": {"application/xml": {"schema": _POST_RESPONSE}},
        },
        "204": {"description": "Done.", **_POSTED},
        "303": {"description": "Done: go to `success_action_redirect`.", **_POSTED},
        "404": {**ref("responses", "Error"), "description": "NoSuchBucket"},
        "412": {**ref("responses", "Error"), "description": "PreconditionFailed: this is no form."},
        "default": ref("responses", "Error"),
    },
    "externalDocs": {"url": "https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html"},
}
"""PostObject, which the API reference has and the model does not."""
