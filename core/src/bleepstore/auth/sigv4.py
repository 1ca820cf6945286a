"""Signature Version 4: in the Authorization header, and in the query of a presigned URL.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
Messages are AWS's, because people search for them. What a client needs to find its mistake
(canonical request, string to sign) is in the answer, as on AWS; neither holds a secret.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from bleepstore.auth.canonical import (
    ALGORITHM,
    UNSIGNED,
    SigningKeys,
    canonical_headers,
    canonical_path,
    canonical_query,
    canonical_request,
    sign,
    string_to_sign,
)
from bleepstore.auth.chunks import RunningSignature
from bleepstore.auth.verified import Verified
from bleepstore.errors import S3Error
from bleepstore.exchange import (
    Account,
    Accounts,
    Authentication,
    Authenticator,
    ChunkSigner,
    Exchange,
    Identity,
)
from bleepstore.http.dates import iso_time, parse_http_date

SKEW = 15 * 60 * 1000
"""How far a client's clock may be off, in milliseconds."""
WEEK = 604_800
"""The longest life of a presigned URL, in seconds."""
CLASSIC_REGION = "us-east-1"
ANY_REGION = frozenset({"ListBuckets", "GetBucketLocation"})
"""What clients sign for us-east-1 before they know a bucket's region."""
STREAMING = frozenset(
    {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
)
_SIGNED_STREAMING = frozenset(name for name in STREAMING if "HMAC" in name)
_HEX_DIGITS = "0123456789abcdefABCDEF"
_REQUIRED = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")

log = logging.getLogger("bleepstore.auth")


@dataclass(slots=True, frozen=True)
class _Claim:
    """What a request says about its signature, read and checked, before anything is computed."""

    account: Account
    access_key: str
    key: bytes = field(repr=False)
    date: str
    scope: str
    signed: str
    names: frozenset[str]
    signature: str
    payload: str
    presigned: bool
    since: int
    until: int
    """Milliseconds since 1970: when it may be used, both inclusive."""


class SignatureV4(Authenticator):
    """The authenticator of requests that are signed by Signature Version 4."""

    def __init__(self, accounts: Accounts, region: str) -> None:
        self._accounts = accounts
        self._region = region
        self._keys = SigningKeys()
        self._verified = Verified()

    async def authenticate(self, x: Exchange) -> Authentication | None:
        """Return who signed; ``None`` where nobody did. Raises S3Error."""
        authorization = x.headers.get("authorization")
        known = self._verified.get(x, authorization)
        if known is not None:
            return known
        query = x.query
        if "X-Amz-Algorithm" in query or "X-Amz-Signature" in query or "X-Amz-Credential" in query:
            if authorization is not None:
                raise _two_mechanisms(authorization)
            claim = self._presigned(x)
        elif authorization is None:
            if "AWSAccessKeyId" in query and "Signature" in query:
                raise _signature_v2(x)
            return None
        elif authorization.startswith(ALGORITHM):
            claim = self._header(x, authorization)
        elif authorization.startswith("AWS "):
            raise _signature_v2(x)
        else:
            raise S3Error(
                "InvalidArgument",
                "Unsupported Authorization Type",
                ArgumentName="Authorization",
                ArgumentValue=authorization[:256],
            )
        if x.headers.get("x-amz-security-token") or query.get("X-Amz-Security-Token"):
            # Keys here are static: a session token belongs to credentials of somebody else.
            raise S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.")
        self._check_signed(x, claim)
        self._verify(x, claim)
        signer: ChunkSigner | None = None
        if claim.payload in _SIGNED_STREAMING:
            signer = RunningSignature(claim.key, claim.date, claim.scope, claim.signature)
        finding = Authentication(
            identity=Identity(account=claim.account, access_key=claim.access_key, signature=ALGORITHM),
            chunk_signer=signer,
            signed_headers=claim.names,
            query_checksums_signed=claim.presigned,
            payload=claim.payload,
        )
        self._verified.keep(x, authorization, finding, claim.since, claim.until)
        return finding

    async def authenticate_form(self, x: Exchange, fields: Mapping[str, str]) -> Identity | None:
        """Return who signed the policy of a form; ``None`` where nobody did. Raises S3Error.

        Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
        """
        if "x-amz-signature" not in fields:
            if "awsaccesskeyid" in fields and "signature" in fields:
                raise _signature_v2(x)
            return None
        for name in ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date"):
            if not fields.get(name):
                message = f"Bucket POST must contain a field named '{name}'.  If it is specified, please "
                raise S3Error(
                    "InvalidArgument",
                    f"{message}check the order of the fields.",
                    ArgumentName=name,
                    ArgumentValue="",
                )
        if fields["x-amz-algorithm"] != ALGORITHM:
            raise S3Error(
                "InvalidArgument",
                "The X-Amz-Algorithm form field is not supported: it must be AWS4-HMAC-SHA256",
                ArgumentName="x-amz-algorithm",
                ArgumentValue=fields["x-amz-algorithm"][:64],
            )
        if fields.get("x-amz-security-token"):
            raise S3Error("InvalidToken")
        account, access_key, _, key = self._credential(
            x, fields["x-amz-credential"], fields["x-amz-date"], _malformed
        )
        given = fields["x-amz-signature"].encode()
        if not hmac.compare_digest(sign(key, fields["policy"]).encode(), given):
            raise S3Error(
                "SignatureDoesNotMatch",
                AWSAccessKeyId=access_key,
                StringToSign=fields["policy"],
                SignatureProvided=fields["x-amz-signature"][:256],
            )
        return Identity(account=account, access_key=access_key, signature=ALGORITHM)

    # --- the Authorization header -----------------------------------------------------------------

    def _header(self, x: Exchange, authorization: str) -> _Claim:
        fields = {}
        for item in authorization[len(ALGORITHM) :].split(","):
            name, _, value = item.strip().partition("=")
            fields[name] = value
        try:
            credential, signed, signature = (
                fields["Credential"],
                fields["SignedHeaders"],
                fields["Signature"],
            )
        except KeyError as missing:
            raise _malformed(f"missing {missing.args[0]}.") from None
        date, at = _header_date(x)
        account, access_key, scope, key = self._credential(x, credential, date, _malformed)
        if abs(x.now - at) > SKEW:
            raise S3Error(
                "RequestTimeTooSkewed",
                RequestTime=date,
                ServerTime=iso_time(x.now),
                MaxAllowedSkewMilliseconds=str(SKEW),
            )
        payload = x.headers.get("x-amz-content-sha256")
        if payload is None:
            raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        _check_payload(payload)
        return _Claim(
            account,
            access_key,
            key,
            date,
            scope,
            signed,
            frozenset(signed.split(";")),
            signature,
            payload,
            False,
            at - SKEW,
            at + SKEW,
        )

    # --- the presigned URL ------------------------------------------------------------------------

    def _presigned(self, x: Exchange) -> _Claim:
        query = x.query
        if query.get("X-Amz-Algorithm") != ALGORITHM:
            raise _parameters('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"')
        if any(name not in query for name in _REQUIRED):
            raise _parameters(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        expires = _expires(query["X-Amz-Expires"])
        date = query["X-Amz-Date"]
        at = _parse_date(date)
        if at is None:
            raise _parameters("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        account, access_key, scope, key = self._credential(
            x, query["X-Amz-Credential"], date, _bad_credential
        )
        since, until = at - SKEW, at + expires * 1000
        if x.now < since:
            raise S3Error("AccessDenied", "Request is not yet valid")
        if x.now > until:
            error = S3Error("AccessDenied", "Request has expired")
            error.elements |= {
                "X-Amz-Expires": str(expires),
                "Expires": iso_time(until),
                "ServerTime": iso_time(x.now),
            }
            raise error
        payload = x.headers.get("x-amz-content-sha256") or query.get("X-Amz-Content-Sha256") or UNSIGNED
        _check_payload(payload)
        signed = query["X-Amz-SignedHeaders"]
        names = frozenset(signed.split(";"))
        signature = query["X-Amz-Signature"]
        return _Claim(
            account, access_key, key, date, scope, signed, names, signature, payload, True, since, until
        )

    # --- what both have ---------------------------------------------------------------------------

    def _credential(
        self, x: Exchange, credential: str, date: str, fault: Callable[..., S3Error]
    ) -> tuple[Account, str, str, bytes]:
        parts = credential.rsplit("/", 4)
        if len(parts) != 5:
            raise fault(
                'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
            )
        access_key, day, region, service, terminal = parts
        if terminal != "aws4_request":
            raise fault(f'incorrect terminal "{terminal}". This endpoint uses "aws4_request".')
        if service != "s3":
            raise fault(f'incorrect service "{service}". This endpoint belongs to "s3".')
        if region != self._region and not (region == CLASSIC_REGION and x.operation.name in ANY_REGION):
            raise fault(f"the region '{region}' is wrong; expecting '{self._region}'", region=self._region)
        if day != date[:8]:
            raise fault(
                f'Invalid credential date "{day}". This date is not the same as X-Amz-Date: "{date[:8]}".'
            )
        found = self._accounts.credentials(access_key)
        if found is None:
            raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key[:128])
        account, secret = found
        key = self._keys.get(access_key, secret.reveal(), day, region)
        return account, access_key, f"{day}/{region}/s3/aws4_request", key

    def _check_signed(self, x: Exchange, claim: _Claim) -> None:
        """Whoever holds a signature must not add to what it says."""
        names = claim.names
        if "host" not in names or not claim.signed.isascii():
            what = "SignedHeaders must be names of headers, and contain host."
            raise _parameters(f"X-Amz-{what}") if claim.presigned else _malformed(what)
        unsigned = [
            name
            for name in x.headers
            if name not in names and name.startswith("x-amz-") and name != "x-amz-content-sha256"
        ]
        if unsigned:
            raise S3Error(
                "AccessDenied",
                "There were headers present in the request which were not signed",
                HeadersNotSigned=", ".join(unsigned),
            )

    def _verify(self, x: Exchange, claim: _Claim) -> None:
        first: tuple[str, str] | None = None
        given = claim.signature.encode()  # compare_digest takes no text that is not ASCII
        for request in _requests(x, claim):
            text = string_to_sign(claim.date, claim.scope, request)
            if hmac.compare_digest(sign(claim.key, text).encode(), given):
                return
            first = first or (request, text)
        assert first is not None
        request, text = first
        raise S3Error(
            "SignatureDoesNotMatch",
            AWSAccessKeyId=claim.access_key,
            StringToSign=text,
            SignatureProvided=claim.signature[:256],
            StringToSignBytes=text.encode().hex(" "),
            CanonicalRequest=request,
            CanonicalRequestBytes=request.encode("latin-1").hex(" "),
        )


def _requests(x: Exchange, claim: _Claim) -> Iterator[str]:
    """The canonical request, then the forms in which clients and proxies are known to differ."""
    path = canonical_path(x.raw_path)
    query = canonical_query(x.raw_query, "X-Amz-Signature" if claim.presigned else None)
    names = claim.signed.split(";")
    headers = canonical_headers(x.headers, names)
    yield canonical_request(x.method, path, query, headers, claim.signed, claim.payload)
    if "%2F" in path:
        decoded = path.replace("%2F", "/")
        yield canonical_request(x.method, decoded, query, headers, claim.signed, claim.payload)
    if "accept-encoding" in claim.names and x.headers.get("accept-encoding") != "identity":
        # A proxy on the way rewrote what the client signed as ``identity``.
        changed = canonical_headers({**x.headers, "accept-encoding": "identity"}, names)
        yield canonical_request(x.method, path, query, changed, claim.signed, claim.payload)
    if claim.presigned and claim.payload != UNSIGNED and "x-amz-content-sha256" not in claim.names:
        yield canonical_request(x.method, path, query, headers, claim.signed, UNSIGNED)


def _header_date(x: Exchange) -> tuple[str, int]:
    date = x.headers.get("x-amz-date") or x.headers.get("date") or ""
    at = _parse_date(date)
    if at is None and not x.headers.get("x-amz-date"):
        # An SDK that is given a Date header signs its moment in the other form.
        at = parse_http_date(date)
        if at is not None:
            date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at // 1000))
    if at is None:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    return date, at


@lru_cache(maxsize=64)
def _parse_date(date: str) -> int | None:
    """Milliseconds of ``YYYYMMDDTHHMMSSZ``. Within a second many requests have the same."""
    if len(date) != 16 or date[8] != "T" or date[15] != "Z":
        return None
    digits = date[:8] + date[9:15]
    if not (digits.isascii() and digits.isdecimal()):
        return None
    year, rest = int(digits[:4]), [int(digits[i : i + 2]) for i in range(4, 14, 2)]
    try:
        return int(datetime(year, *rest, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def _expires(text: str) -> int:
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdecimal()):
        raise _parameters("X-Amz-Expires should be a number")
    if text != digits or not digits.strip("0"):
        raise _parameters("X-Amz-Expires must be at least 1 second")
    if len(digits) > 9 or int(digits) > WEEK:
        raise _parameters(f"X-Amz-Expires must be less than a week (in seconds); that is {WEEK}")
    return int(digits)


def _check_payload(payload: str) -> None:
    if payload == UNSIGNED or payload in STREAMING:
        return
    if len(payload) != 64 or payload.strip(_HEX_DIGITS):
        raise S3Error(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER "
            "or a valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=payload[:256],
        )


def _malformed(message: str, region: str | None = None) -> S3Error:
    return _fault("AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}", region)


def _bad_credential(message: str, region: str | None = None) -> S3Error:
    text = f"Error parsing the X-Amz-Credential parameter; {message}"
    return _fault("AuthorizationQueryParametersError", text, region)


def _parameters(message: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", message)


def _fault(code: str, message: str, region: str | None) -> S3Error:
    if region is None:
        return S3Error(code, message)
    return S3Error(code, message, headers={"x-amz-bucket-region": region}, Region=region)


def _two_mechanisms(authorization: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
        "parameter or the Authorization header should be specified",
        ArgumentName="Authorization",
        ArgumentValue=authorization[:256],
    )


def _signature_v2(x: Exchange) -> S3Error:
    log.warning(
        "%s from %s is signed by Signature Version 2: configure the client for s3v4 (boto3: "
        "Config(signature_version='s3v4'); AWS CLI: aws configure set default.s3.signature_version s3v4), "
        "or set auth.legacy_sigv2",
        x.operation.name,
        x.client,
    )
    return S3Error(
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
