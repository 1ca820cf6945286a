"""Signature Version 2, for clients that still make it: presigned URLs, forms, headers.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
Off unless ``auth.legacy_sigv2`` says otherwise. It signs neither the body nor the query as a whole,
and uses SHA-1: that is why it is the operator's choice.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from bleepstore.errors import S3Error
from bleepstore.exchange import Accounts, Authentication, Authenticator, Exchange, Identity
from bleepstore.http.dates import iso_time
from bleepstore.http.headers import percent_decode

SCHEME = "AWS "
SKEW = 15 * 60 * 1000
"""How far a client's clock may be off, in milliseconds."""
_OVERRIDES = frozenset(
    f"response-{name}"
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
)
_SUBRESOURCES = """
accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging metrics
notification object-lock partNumber policy replication requestPayment restore select select-type
storageClass tagging torrent uploadId uploads versionId versioning versions website
"""
_SIGNED_QUERY = _OVERRIDES | frozenset(_SUBRESOURCES.split())
"""Query parameters that are part of the resource."""


class SignatureV2(Authenticator):
    """The authenticator of requests that are signed by Signature Version 2."""

    def __init__(self, accounts: Accounts, *, headers: bool) -> None:
        """``headers``: take the Authorization header too, and not presigned URLs and forms alone."""
        self._accounts = accounts
        self._headers = headers

    async def authenticate(self, x: Exchange) -> Authentication | None:
        """Return who signed; ``None`` for another scheme. Raises S3Error."""
        query = x.query
        authorization = x.headers.get("authorization")
        if "AWSAccessKeyId" in query and "Signature" in query and "Expires" in query:
            if authorization is not None:
                message = "Only one auth mechanism allowed"
                raise S3Error("InvalidArgument", message, ArgumentName="Authorization", ArgumentValue="")
            expires = query["Expires"]
            if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
                raise S3Error("AccessDenied", "Invalid date (should be seconds since epoch)")
            if x.now > int(expires) * 1000:
                error = S3Error("AccessDenied", "Request has expired")
                error.elements |= {"Expires": iso_time(int(expires) * 1000), "ServerTime": iso_time(x.now)}
                raise error
            return self._verified(x, query["AWSAccessKeyId"], query["Signature"], expires)
        if not self._headers or authorization is None or not authorization.startswith(SCHEME):
            return None
        access_key, colon, signature = authorization.removeprefix(SCHEME).strip().rpartition(":")
        if not colon:
            message = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature"
            raise S3Error("InvalidArgument", message, ArgumentName="Authorization", ArgumentValue="")
        date = x.headers.get("x-amz-date") or x.headers.get("date") or ""
        _check_clock(x, date)
        return self._verified(x, access_key, signature, "" if "x-amz-date" in x.headers else date)

    async def authenticate_form(self, x: Exchange, fields: Mapping[str, str]) -> Identity | None:
        """Return who signed a form's policy; ``None`` for another scheme. Raises S3Error."""
        access_key, signature = fields.get("awsaccesskeyid"), fields.get("signature")
        if access_key is None or signature is None or "policy" not in fields:
            return None
        return self._identity(access_key, fields["policy"].encode().decode("latin-1"), signature)

    def _verified(self, x: Exchange, access_key: str, signature: str, date: str) -> Authentication:
        # The query is not signed as a whole: what would make it another operation must be.
        unsigned = {part.partition("=")[0] for part in x.operation.query} - _SIGNED_QUERY - {"list-type"}
        if unsigned:
            raise S3Error("InvalidRequest", f"Signature Version 2 does not cover {min(unsigned)}.")
        if x.headers.get("x-amz-security-token") or x.query.get("x-amz-security-token"):
            raise S3Error("InvalidToken")
        return Authentication(identity=self._identity(access_key, _string_to_sign(x, date), signature))

    def _identity(self, access_key: str, text: str, signature: str) -> Identity:
        found = self._accounts.credentials(access_key)
        if found is None:
            raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key[:128])
        account, secret = found
        digest = hmac.digest(secret.reveal().encode(), text.encode("latin-1"), "sha1")
        if not hmac.compare_digest(base64.b64encode(digest), signature.encode()):
            raise S3Error(
                "SignatureDoesNotMatch",
                AWSAccessKeyId=access_key,
                StringToSign=text,
                SignatureProvided=signature[:256],
            )
        return Identity(account=account, access_key=access_key, signature=SCHEME.strip())


def _check_clock(x: Exchange, date: str) -> None:
    try:
        read = parsedate_to_datetime(date)
        # RFC 5322's ``-0000`` is UTC too.
        at = int((read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        raise S3Error(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        ) from None
    if abs(x.now - at) > SKEW:
        raise S3Error(
            "RequestTimeTooSkewed",
            RequestTime=date,
            ServerTime=iso_time(x.now),
            MaxAllowedSkewMilliseconds=str(SKEW),
        )


def _string_to_sign(x: Exchange, date: str) -> str:
    # What a presigned URL asks for in its query was signed as the header that it stands for. The
    # pipeline takes it for one in the same way: a header of the request wins.
    said = {name.lower(): value.encode().decode("latin-1") for name, value in x.query.items()}
    said |= x.headers
    amz = sorted((name, value) for name, value in said.items() if name.startswith("x-amz-"))
    lines = [x.method, said.get("content-md5", ""), said.get("content-type", ""), date]
    lines += [f"{name}:{value}" for name, value in amz]
    return "\n".join([*lines, _resource(x)])


def _halves(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name, value


def _resource(x: Exchange) -> str:
    path = x.raw_path
    if x.bucket_name is not None and percent_decode(path[1:]) == (x.key or ""):
        path = f"/{x.bucket_name}{path}"  # virtual-host style: the path is the key alone
    elif x.key is None and x.bucket_name is not None and not path.endswith("/"):
        path += "/"  # as clients sign a bucket, however they write it
    signed = []
    for part in x.raw_query.split("&"):
        # Names are decoded as handlers decode them: else ``%61cl`` would be an ``acl`` that nobody signed.
        name, value = (unquote_to_bytes(text.replace("+", " ")).decode("latin-1") for text in _halves(part))
        if name in _SIGNED_QUERY:
            signed.append(f"{name}={value}" if value else name)
    return path + ("?" + "&".join(sorted(signed)) if signed else "")
