"""Cross-origin resource sharing: which of a bucket's rules is about a request, and what it adds.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html and the Fetch standard.
The first rule that allows origin, method and (of a preflight) every header decides. A reply to a
browser names what it depends on in ``Vary``, so that a cache does not give it to another origin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange, Reply
from bleepstore.xml import read
from bleepstore.xml.shapes import CORSConfiguration, CORSRule

DOCUMENT = "cors"
"""Name of a bucket's CORS document."""
METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE"})
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be compared."""

    origins: tuple[re.Pattern[str], ...]
    anybody: bool
    """``*`` is among the origins."""
    methods: tuple[str, ...]
    headers: tuple[re.Pattern[str], ...]
    exposed: tuple[str, ...]
    max_age: int | None

    def allows(self, origin: str, method: str, headers: tuple[str, ...] = ()) -> bool:
        """Whether a page of ``origin`` may send ``method`` with ``headers`` (lower-case names)."""
        return (
            method in self.methods
            and (self.anybody or any(pattern.fullmatch(origin) for pattern in self.origins))
            and all(any(pattern.fullmatch(name) for pattern in self.headers) for name in headers)
        )

    def reply_headers(self, origin: str, headers: tuple[str, ...] = ()) -> dict[str, str]:
        """What the rule adds to a reply."""
        found = {"access-control-allow-origin": "*" if self.anybody else origin}
        if not self.anybody:
            found["access-control-allow-credentials"] = "true"
        found["access-control-allow-methods"] = ", ".join(self.methods)
        if headers:
            found["access-control-allow-headers"] = ", ".join(headers)
        if self.exposed:
            found["access-control-expose-headers"] = ", ".join(self.exposed)
        if self.max_age is not None:
            found["access-control-max-age"] = str(self.max_age)
        return found


@lru_cache(maxsize=256)
def rules(document: bytes) -> tuple[Rule, ...]:
    """The rules of a stored document."""
    return tuple(_compile(rule) for rule in read(CORSConfiguration, document).cors_rules)


def _compile(rule: CORSRule) -> Rule:
    return Rule(
        origins=tuple(_pattern(origin) for origin in rule.allowed_origins),
        anybody="*" in rule.allowed_origins,
        methods=rule.allowed_methods,
        headers=tuple(_pattern(name.lower()) for name in rule.allowed_headers),
        exposed=rule.expose_headers,
        max_age=rule.max_age_seconds,
    )


def _pattern(text: str) -> re.Pattern[str]:
    """At most one ``*``, which stands for any characters."""
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


async def _document(x: Exchange) -> bytes | None:
    """The document of the bucket that a request names, if there are both."""
    if x.bucket_name is None:
        return None
    metadata = x.services.metadata
    bucket = await metadata.bucket(x.bucket_name)
    if bucket is None or DOCUMENT not in bucket.documents:
        return None
    return await metadata.bucket_document(bucket.id, DOCUMENT)


async def origin_headers(x: Exchange) -> Mapping[str, str]:
    """What CORS adds to the reply, whatever it is, to a request with an ``Origin``."""
    document = await _document(x)
    if document is None:
        return {}
    origin = x.headers["origin"]
    for rule in rules(document):
        if rule.allows(origin, x.method):
            return {**rule.reply_headers(origin), "vary": VARY}
    return {"vary": VARY}


async def preflight(x: Exchange) -> Reply:
    """The reply to OPTIONS, for which nobody signs. Raises S3Error BadRequest, AccessForbidden."""
    headers = x.headers
    origin = headers.get("origin")
    if not origin:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    method = headers.get("access-control-request-method")
    if method not in METHODS:
        message = f"Invalid Access-Control-Request-Method: {method[:64] if method else 'null'}"
        raise S3Error("BadRequest", message)
    kind = "BUCKET" if x.key is None else "OBJECT"
    document = await _document(x)
    if document is None:
        message = "CORSResponse: CORS is not enabled for this bucket."
        raise S3Error("AccessForbidden", message, Method=method, ResourceType=kind)
    asked = headers.get("access-control-request-headers", "")
    names = tuple(name for item in asked.split(",") if (name := item.strip().lower()))
    for rule in rules(document):
        if rule.allows(origin, method, names):
            return Reply(headers={**rule.reply_headers(origin, names), "vary": VARY})
    raise S3Error(
        "AccessForbidden",
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, "
        "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not "
        "whitelisted by the resource's CORS spec.",
        headers={"vary": VARY},
        Method=method,
        ResourceType=kind,
    )
