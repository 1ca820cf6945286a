"""What S3 says of an object, and what is said to it: headers, metadata, fingerprints.

An object's ETag is its token. It is the fingerprint of the bytes too, an MD5 or ``MD5-N`` of parts,
unless upstream encrypts with keys of KMS: such an ETag tells nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bleepstore.native import UpstreamObject
from bleepstore.storage import Target

from bleepstore_backend_aws import names
from bleepstore_backend_aws.calls import EXPIRES, token_of

_HEADERS = {
    "content-type": "ContentType",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
}
"""Headers that an object has, and what the SDK calls them; Expires is beside them."""
_DIGEST = re.compile(r"[0-9a-f]{32}(?:-[1-9][0-9]{0,4})?")


def properties_out(target: Target) -> dict[str, Any]:
    """Headers and metadata of an object as parameters of the SDK. Raises Unsupported."""
    properties: dict[str, Any] = {"Metadata": names.metadata_out(target.metadata)}
    for header, parameter in _HEADERS.items():
        if value := target.headers.get(header):
            properties[parameter] = names.value_out(value)
    if expires := target.headers.get("expires"):
        properties[EXPIRES] = names.value_out(expires)
    return properties


def headers_in(answer: Mapping[str, Any]) -> dict[str, str]:
    """The headers in the SDK's answer about an object."""
    headers = {name: names.value_in(answer[key]) for name, key in _HEADERS.items() if answer.get(key)}
    if expires := answer.get("ExpiresString"):
        headers["expires"] = names.value_in(expires)
    return headers


def opaque(answer: Mapping[str, Any]) -> bool:
    """Whether the object of an answer is encrypted so that its ETag tells nothing."""
    encryption = str(answer.get("ServerSideEncryption", ""))
    return encryption.startswith("aws:kms") or bool(answer.get("SSECustomerAlgorithm"))


def describe(name: str, answer: Mapping[str, Any], size: int, *, digests: bool) -> UpstreamObject | None:
    """An object as the contract sees it; ``None`` for one whose name no key has.

    ``answer`` is of HeadObject, or an entry of a listing. ``digests``: ETags tell an MD5.
    """
    place = names.key_of(name)
    if place is None:
        return None
    token = token_of(answer["ETag"])
    told = digests and not opaque(answer) and _DIGEST.fullmatch(token) is not None
    return UpstreamObject(
        name=name,
        bucket=place[0],
        key=place[1],
        size=size,
        token=token,
        fingerprint=token if told else "",
        etag=token if told else None,
        modified=int(answer["LastModified"].timestamp() * 1000),
        headers=headers_in(answer),
        metadata=names.metadata_in(answer.get("Metadata", {})),
    )
