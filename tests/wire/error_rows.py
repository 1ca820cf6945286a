"""What to ask for to be given each error, and what is in the answer beside code and message.

A row is a code, the question, a pattern of the message where it is not the table's own, and the extra
elements (``...`` where the value is not the point).
"""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from error_scene import Scene
from raw_http import RawReply, request_bytes
from server_process import FIRST, Account
from sigv4_by_hand import UNSIGNED, Signer

NO_MD5 = "bm90IG1kNQ=="
BUCKET = object()
"""The name of the scene's bucket, as the value of an element."""


@dataclass
class Row:
    """One code, or one of its kinds."""

    code: str
    ask: Callable[[Scene], RawReply]
    elements: dict[str, object]
    message: str | None
    """A pattern, where the message is not that of the table."""


ROWS: list[Row] = []


def row(code: str, ask: Callable[[Scene], RawReply], message: str | None = None, **elements: object) -> None:
    """``_`` in names of elements stands for ``-``."""
    ROWS.append(Row(code, ask, {name.replace("_", "-"): value for name, value in elements.items()}, message))


def document(name: str, inner: str = "") -> bytes:
    return f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{name}>'.encode()


def location(region: str) -> bytes:
    return document("CreateBucketConfiguration", f"<LocationConstraint>{region}</LocationConstraint>")


def tagging(*keys: str) -> bytes:
    tags = "".join(f"<Tag><Key>{key}</Key><Value>v</Value></Tag>" for key in keys)
    return document("Tagging", f"<TagSet>{tags}</TagSet>")


def fresh() -> str:
    return f"/table-{uuid.uuid4().hex[:20]}"


# --- who asks -------------------------------------------------------------------------------------------

row("AccessDenied", lambda s: s.stranger.ask("GET", s.bucket))
row("AccessDenied", lambda s: s.nobody.ask("GET", s.put()))
row("AccessDenied", lambda s: s.wire.ask("GET", s.bucket, x_amz_expected_bucket_owner="somebody"))


def _unsigned_header(s: Scene) -> RawReply:
    headers = {**s.wire.signed("PUT", f"{s.bucket}/k", b"").headers, "x-amz-acl": "public-read"}
    return s.wire.raw(request_bytes("PUT", f"{s.bucket}/k", headers))


row("AccessDenied", _unsigned_header, ".*not signed", HeadersNotSigned="x-amz-acl")


def _expired(s: Scene) -> RawReply:
    url = s.wire.signer.presign("GET", s.wire.host, s.bucket, expires=1)
    day, rest = datetime.now(UTC) - timedelta(days=1), "%Y%m%dT%H%M%SZ"
    url = re.sub(r"X-Amz-Date=\w+", f"X-Amz-Date={day.strftime(rest)}", url)
    url = re.sub(r"%2F\d{8}%2F", f"%2F{day.strftime('%Y%m%d')}%2F", url)
    return s.wire.raw(request_bytes("GET", url, {"Host": s.wire.host}))


row(
    *("AccessDenied", _expired, "Request has expired"),
    **{"X-Amz-Expires": "1", "Expires": ..., "ServerTime": ...},
)


def _changed(s: Scene) -> RawReply:
    signed = s.wire.signed("GET", s.bucket)
    return s.wire.raw(request_bytes("GET", f"{s.bucket}?list-type=2", signed.headers))


row(
    *("SignatureDoesNotMatch", _changed),
    AWSAccessKeyId=FIRST.access_key,
    StringToSign=...,
    SignatureProvided=...,
    StringToSignBytes=...,
    CanonicalRequest=...,
    CanonicalRequestBytes=...,
)
row(
    "InvalidAccessKeyId",
    lambda s: s.at(datetime.now(UTC), Account("nobody-here", "secret")),
    AWSAccessKeyId="nobody-here",
)
row(
    "RequestTimeTooSkewed",
    lambda s: s.at(datetime.now(UTC) - timedelta(hours=1)),
    RequestTime=...,
    ServerTime=...,
    MaxAllowedSkewMilliseconds="900000",
)
row("InvalidToken", lambda s: s.wire.ask("GET", s.bucket, x_amz_security_token="token"))


def _half_a_header(s: Scene) -> RawReply:
    headers = {**s.wire.signed("GET", s.bucket).headers, "Authorization": "AWS4-HMAC-SHA256 Credential=a"}
    return s.wire.raw(request_bytes("GET", s.bucket, headers))


row(
    "AuthorizationHeaderMalformed",
    _half_a_header,
    "The authorization header is malformed; missing SignedHeaders.",
)


def _other_region(s: Scene) -> RawReply:
    signer = Signer(FIRST.access_key, FIRST.secret_key, "eu-north-1")
    signed = signer.sign("GET", s.bucket, {"Host": s.wire.host})
    reply = s.wire.raw(request_bytes("GET", s.bucket, signed.headers))
    assert reply.headers["x-amz-bucket-region"] == "us-east-1"
    return reply


row(
    *("AuthorizationHeaderMalformed", _other_region),
    "The authorization header is malformed; the region 'eu-north-1' is wrong; expecting 'us-east-1'",
    Region="us-east-1",
)
row(
    "AuthorizationQueryParametersError",
    lambda s: s.nobody.ask("GET", f"{s.bucket}?X-Amz-Algorithm=AWS4-HMAC-SHA256"),
    "Query-string authentication version 4 requires .*",
)

# --- addresses and HTTP ---------------------------------------------------------------------------------

row("InvalidURI", lambda s: s.wire.ask("GET", f"{s.bucket}/%zz"), URI=...)
row("InvalidURI", lambda s: s.wire.raw(b"GET no-slash HTTP/1.1\r\nHost: h\r\n\r\n"), URI="/")
row(
    "KeyTooLongError",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/{'k' * 1025}", b""),
    Size="1025",
    MaxSizeAllowed="1024",
)
row("MethodNotAllowed", lambda s: s.wire.ask("PATCH", s.bucket), Method="PATCH", ResourceType="BUCKET")
row(
    "MethodNotAllowed",
    lambda s: s.wire.ask("POST", f"{s.bucket}/k", b""),
    Method="POST",
    ResourceType="OBJECT",
)
row("InvalidRequest", lambda s: s.wire.raw(b"GET / HTTP/1.1\r\n\r\n"), "A request must have a Host header.")
row(
    "RequestHeaderSectionTooLarge",
    lambda s: s.wire.raw(b"GET / HTTP/1.1\r\nHost: h\r\na: " + b"b" * 40_000),
    MaxSizeAllowed="32768",
)


def _pipelined(s: Scene) -> RawReply:
    with s.wire.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 100)
        while (reply := connection.reply()).status == 403:
            pass
        return reply


row("ServiceUnavailable", _pipelined)

# --- what is not there ----------------------------------------------------------------------------------

row("NoSuchBucket", lambda s: s.wire.ask("GET", "/no-such-bucket"), BucketName="no-such-bucket")
row("NoSuchKey", lambda s: s.wire.ask("GET", f"{s.bucket}/dir/k"), Key="dir/k")
row("NoSuchKey", lambda s: s.wire.ask("GET", f"{s.bucket}/k?versionId=null"), Key="k")
row("NoSuchVersion", lambda s: s.wire.ask("GET", f"{s.put()}?versionId=other"), Key="k", VersionId="other")
row("NoSuchUpload", lambda s: s.wire.ask("GET", f"{s.bucket}/k?uploadId=none"), UploadId="none")
for _code, _name in {
    "NoSuchBucketPolicy": "policy",
    "NoSuchCORSConfiguration": "cors",
    "NoSuchLifecycleConfiguration": "lifecycle",
    "NoSuchPublicAccessBlockConfiguration": "publicAccessBlock",
    "NoSuchTagSet": "tagging",
    "NoSuchWebsiteConfiguration": "website",
    "ObjectLockConfigurationNotFoundError": "object-lock",
    "OwnershipControlsNotFoundError": "ownershipControls",
    "ReplicationConfigurationNotFoundError": "replication",
    "ServerSideEncryptionConfigurationNotFoundError": "encryption",
}.items():
    row(_code, lambda s, name=_name: s.wire.ask("GET", f"{s.bucket}?{name}"), BucketName=BUCKET)

# --- buckets --------------------------------------------------------------------------------------------

row("BucketAlreadyExists", lambda s: s.stranger.ask("PUT", s.bucket, b""), BucketName=BUCKET)


def _mine_already(s: Scene) -> RawReply:
    assert s.other.ask("PUT", "/mine-already", location("eu-west-1")).status == 200
    return s.other.ask("PUT", "/mine-already", location("eu-west-1"))


row("BucketAlreadyOwnedByYou", _mine_already, BucketName="mine-already")
row("BucketNotEmpty", lambda s: s.put() and s.wire.ask("DELETE", s.bucket), BucketName=BUCKET)
row("InvalidBucketName", lambda s: s.wire.ask("PUT", "/Not_A_Bucket", b""), BucketName="Not_A_Bucket")
row(
    "InvalidLocationConstraint",
    lambda s: s.wire.ask("PUT", fresh(), location("mars")),
    LocationConstraint="mars",
)
row(
    "IllegalLocationConstraintException",
    lambda s: s.wire.ask("PUT", fresh(), location("eu-west-1")),
    "The eu-west-1 location constraint is incompatible for the region specific endpoint .*",
)
row(
    "IllegalLocationConstraintException",
    lambda s: s.other.ask("PUT", fresh(), b""),
    "The unspecified location constraint is incompatible .*",
)
row(
    "InvalidBucketAclWithObjectOwnership",
    lambda s: s.other.ask("PUT", fresh(), location("eu-west-1"), x_amz_acl="public-read"),
)


def _acl_where_disabled(s: Scene) -> RawReply:
    name = fresh()
    assert s.other.ask("PUT", name, location("eu-west-1")).status == 200
    return s.other.ask("PUT", f"{name}?acl", b"", x_amz_acl="public-read")


row("AccessControlListNotSupported", _acl_where_disabled)

# --- documents ------------------------------------------------------------------------------------------

row("MalformedXML", lambda s: s.wire.ask("PUT", f"{s.bucket}?tagging", b"<Tagging>"))
row("MissingRequestBodyError", lambda s: s.wire.ask("PUT", f"{s.bucket}?tagging", b""))
row("MissingRequestBodyError", lambda s: s.wire.ask("PUT", f"{s.bucket}?cors", b""))
row("MalformedACLError", lambda s: s.wire.ask("PUT", f"{s.bucket}?acl", b"<Tagging/>"))
row(
    "MissingSecurityHeader",
    lambda s: s.wire.ask("PUT", f"{s.bucket}?acl", b""),
    MissingHeaderName="x-amz-acl",
)
row(
    "UnexpectedContent",
    lambda s: s.wire.ask("PUT", f"{s.bucket}?acl", b"<a/>", x_amz_acl="private"),
    "This request does not support content .*",
)
row(
    "UnresolvableGrantByEmailAddress",
    lambda s: s.wire.ask("PUT", f"{s.bucket}?acl", b"", x_amz_grant_read='emailAddress="a@b"'),
    EmailAddress="a@b",
)
row(
    "InvalidTag",
    lambda s: s.wire.ask("PUT", f"{s.bucket}?tagging", tagging("a", "a")),
    "Cannot provide multiple Tags with the same key",
    TagKey="a",
)
row(
    "BadRequest",
    lambda s: s.wire.ask("PUT", f"{s.put()}?tagging", tagging(*"abcdefghijk")),
    "Object tags cannot be greater than 10",
)
row(
    "MalformedPolicy",
    lambda s: s.wire.ask("PUT", f"{s.bucket}?policy", b"[]"),
    "Policies must be valid JSON and the first byte must be '{'",
)


def _principal(s: Scene) -> RawReply:
    resource = f"arn:aws:s3:::{s.bucket[1:]}/*"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "no"},
        "Action": "s3:GetObject",
        "Resource": resource,
    }
    return s.wire.ask("PUT", f"{s.bucket}?policy", json.dumps({"Statement": statement}).encode())


row("MalformedPolicy", _principal, "Invalid principal in policy", Detail='"AWS" : "no"')

# --- bodies ---------------------------------------------------------------------------------------------


def _cut(s: Scene) -> RawReply:
    headers = s.wire.signed("PUT", f"{s.bucket}/k", b"content").headers
    with s.wire.connect() as connection:
        connection.send(request_bytes("PUT", f"{s.bucket}/k", headers, b"con"))
        connection.finish()
        return connection.reply()


row("IncompleteBody", _cut)


def _wrong_md5(s: Scene) -> RawReply:
    return s.wire.ask("PUT", f"{s.bucket}/k", b"content", Content_MD5=base64.b64encode(bytes(16)).decode())


row(
    *("BadDigest", _wrong_md5),
    ExpectedDigest=base64.b64encode(bytes(16)).decode(),
    CalculatedDigest=base64.b64encode(hashlib.md5(b"content").digest()).decode(),
)
row(
    "BadDigest",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"content", x_amz_checksum_crc32="AAAAAA=="),
    "The CRC32 you specified did not match the calculated checksum.",
)
row(
    "InvalidDigest",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"content", Content_MD5=NO_MD5),
    Content_MD5=NO_MD5,
)
row(
    "XAmzContentSHA256Mismatch",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"content", payload="0" * 64),
    ClientComputedContentSHA256="0" * 64,
    S3ComputedContentSHA256=hashlib.sha256(b"content").hexdigest(),
)
row(
    "MissingContentLength",
    lambda s: s.wire.raw(
        request_bytes("PUT", f"{s.bucket}/k", s.wire.signed("PUT", f"{s.bucket}/k").headers)
    ),
)
row(
    "EntityTooLarge",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", payload=UNSIGNED, Content_Length=str(5 * 1024**3 + 1)),
    ProposedSize=str(5 * 1024**3 + 1),
    MaxSizeAllowed=str(5 * 1024**3),
)


def _trailer(s: Scene) -> RawReply:
    body = b"7\r\ncontent\r\n0\r\nno colon here\r\n\r\n"
    return s.wire.ask(
        *("PUT", f"{s.bucket}/k", body, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        x_amz_decoded_content_length="7",
        x_amz_trailer="x-amz-checksum-crc32",
    )


row("MalformedTrailerError", _trailer)

# --- headers and arguments ------------------------------------------------------------------------------

row(
    "InvalidArgument",
    lambda s: s.wire.ask("GET", f"{s.bucket}?max-keys=many"),
    "Provided max-keys not an integer or within integer range",
    ArgumentName="max-keys",
    ArgumentValue="many",
)
row(
    "MetadataTooLarge",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"", x_amz_meta_a="v" * 2048),
    Size="2049",
    MaxSizeAllowed="2048",
)
row(
    "InvalidStorageClass",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"", x_amz_storage_class="TAPE"),
    StorageClassRequested="TAPE",
)
row(
    "InvalidRedirectLocation",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"", x_amz_website_redirect_location="somewhere"),
)
row(
    "InvalidEncryptionAlgorithmError",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"", x_amz_server_side_encryption="rot13"),
    ArgumentName="x-amz-server-side-encryption",
    ArgumentValue="rot13",
)
row(
    "NotImplemented",
    lambda s: s.wire.ask("PUT", f"{s.bucket}/k", b"", x_amz_storage_class="GLACIER"),
    Header="x-amz-storage-class",
)
row(
    "NotImplemented",
    lambda s: s.wire.ask("PUT", f"{s.bucket}?website", b"<a/>"),
    "PutBucketWebsite is not implemented.",
)
row("PreconditionFailed", lambda s: s.wire.ask("GET", s.put(), If_Match='"other"'), Condition="If-Match")
row(
    "PreconditionFailed",
    lambda s: s.wire.ask("PUT", s.put(), b"", If_None_Match="*"),
    Condition="If-None-Match",
)
row(
    "PreconditionFailed",
    lambda s: s.wire.ask(
        *("PUT", f"{s.bucket}/copy", b""), x_amz_copy_source=s.put(), x_amz_copy_source_if_match='"other"'
    ),
    Condition="x-amz-copy-source-If-Match",
)
row(
    "InvalidRange",
    lambda s: s.wire.ask("GET", s.put(), Range="bytes=7-"),
    RangeRequested="bytes=7-",
    ActualObjectSize="7",
)
row(
    "InvalidPartNumber",
    lambda s: s.wire.ask("GET", f"{s.put()}?partNumber=2"),
    PartNumberRequested="2",
    ActualPartCount="1",
)

# --- multipart ------------------------------------------------------------------------------------------

row("InvalidPart", lambda s: s.complete(s.upload(1), 2), UploadId=..., PartNumber="2", ETag=...)
row("InvalidPartOrder", lambda s: s.complete(s.upload(2), 2, 1), UploadId=...)
row(
    "EntityTooSmall",
    lambda s: s.complete(s.upload(2), 1, 2),
    ProposedSize="1",
    MinSizeAllowed=str(5 * 1024**2),
    PartNumber="1",
    ETag=hashlib.md5(b"x").hexdigest(),
)

# --- forms and pages ------------------------------------------------------------------------------------

row(
    "MalformedPOSTRequest",
    lambda s: (
        s.wire.ask("PUT", f"{s.bucket}?acl", b"", x_amz_acl="public-read-write")
        and s.form({"key": "k"}, end="")
    ),
)
row(
    "MaxPostPreDataLengthExceededError",
    lambda s: s.form({"key": "k" * 21_000}),
    MaxPostPreDataLengthBytes="20480",
)
row("InvalidPolicyDocument", lambda s: s.form({"key": "k", "policy": "e30="}), "Invalid Policy: .*")
row(
    "InvalidArgument",
    lambda s: s.form({}),
    "Bucket POST must contain a field named 'key'.*",
    ArgumentName="key",
    ArgumentValue=None,
)
row(
    "AccessForbidden",
    lambda s: s.nobody.ask("OPTIONS", s.bucket, Origin="http://a", Access_Control_Request_Method="GET"),
    "CORSResponse: CORS is not enabled for this bucket.",
    Method="GET",
    ResourceType="BUCKET",
)
row(
    "BadRequest",
    lambda s: s.nobody.ask("OPTIONS", s.bucket),
    "Insufficient information. Origin request header needed.",
)

# --- a server that was hurt -----------------------------------------------------------------------------


def _lost(s: Scene) -> RawReply:
    name = fresh()
    assert s.other.ask("PUT", name, location("eu-west-1")).status == 200
    assert s.other.ask("PUT", f"{name}/k", bytes(1_000_000)).status == 200
    for path in (s.other.server.directory / "data" / "objects").rglob("*"):
        if path.is_file() and path.stat().st_size >= 1_000_000:
            path.unlink()
    return s.other.ask("GET", f"{name}/k")


row("InternalError", _lost)
