"""The life of a request, from its address to its reply.

address -> operation row -> authenticate on headers -> load what the row names -> authorize ->
copy source -> handler. Route and permission are one row of the operation table, so no handler
decides by itself whether to authorize; whoever is not allowed is answered before the body is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from bleepstore.errors import S3Error
from bleepstore.exchange import (
    ANONYMOUS,
    Access,
    Authentication,
    CopySource,
    Decision,
    Exchange,
    ExchangeWrapper,
    Handler,
    Reply,
    Services,
)
from bleepstore.http.address import Addressing
from bleepstore.http.copy_source import parse_copy_source
from bleepstore.http.cors import DOCUMENT, VARY, origin_headers, preflight
from bleepstore.http.headers import is_header
from bleepstore.http.refusals import FAULTS, s3_error
from bleepstore.metadata import BucketRecord, ObjectRecord, UploadRecord
from bleepstore.operations import AclRight, Load, Operation, OperationTable, Permission, Scope

MAY_LIST = Permission(action="s3:ListBucket", right=AclRight.READ, on=Scope.BUCKET)
"""Who has it may know that a key is missing; to others it is forbidden like any."""

_NOBODY = Authentication(identity=ANONYMOUS)


class Pipeline:
    """Answers exchanges; made once per server."""

    def __init__(
        self,
        services: Services,
        table: OperationTable,
        addressing: Addressing,
        wrappers: Sequence[ExchangeWrapper] = (),
    ) -> None:
        self._services = services
        self._metadata = services.metadata
        self._table = table
        self._addressing = addressing
        self._handlers = {
            row.name: _wrapped(row.handler, wrappers) for row in table.rows if row.handler is not None
        }

    async def answer(self, x: Exchange) -> Reply:
        """The reply to ``x``. Raises S3Error."""
        address = self._addressing.resolve(x.host, x.raw_path)
        x.bucket_name, x.key = address.bucket, address.key
        if x.method == "OPTIONS":
            return await preflight(x)
        if "origin" not in x.headers:
            reply = await self._answer(x)
            if x.bucket is not None and DOCUMENT in x.bucket.documents:
                # What a browser has for an <img> in its cache must not be what a script gets:
                # it lacks the headers below.
                reply.headers["vary"] = VARY
            return reply
        added = await origin_headers(x)
        try:
            reply = await self._answer(x)
        except S3Error as error:
            error.headers |= added
            raise
        reply.headers |= added
        return reply

    async def _answer(self, x: Exchange) -> Reply:
        scope = Scope.SERVICE if x.bucket_name is None else Scope.BUCKET if x.key is None else Scope.OBJECT
        headers = x.headers
        if x.query and not x.query.keys() <= _NO_WISHES:
            headers = _with_query_headers(x)
        operation = self._table.find(x.method, scope, x.query, headers)
        if operation is None:
            raise S3Error("MethodNotAllowed", Method=x.method, ResourceType=scope.value.upper())
        x.operation = operation
        x.authentication = await self._authenticate(x)
        x.body.authenticated(x.authentication)
        x.headers = headers
        try:
            if operation.loads is Load.OBJECT_DATA or operation.source is not None:
                with self._metadata.reading():
                    return await self._run(x, operation)
            return await self._run(x, operation)
        except FAULTS as fault:
            raise s3_error(fault, x) from fault

    async def _run(self, x: Exchange, operation: Operation) -> Reply:
        if operation.loads is not Load.NOTHING:
            await self._load(x, operation)
        await self._authorize(x, operation)
        if operation.source is not None:
            x.source = await self._load_source(x, operation.source)
        handler = self._handlers.get(operation.name)
        if handler is None:
            raise S3Error("NotImplemented", f"{operation.name} is not implemented.")
        return await handler(x)

    async def _authenticate(self, x: Exchange) -> Authentication:
        for authenticator in self._services.authenticators:
            finding = await authenticator.authenticate(x)
            if finding is not None:
                return finding
        return _NOBODY

    # --- what the row names -----------------------------------------------------------------------

    async def _load(self, x: Exchange, operation: Operation) -> None:
        name = x.bucket_name
        assert name is not None
        match operation.loads:
            case Load.BUCKET:
                x.bucket = await self._metadata.bucket(name)
            case Load.OBJECT | Load.OBJECT_DATA:
                x.bucket, x.object = await self._metadata.object(
                    name, x.key or "", version_id(x), data=operation.loads is Load.OBJECT_DATA
                )
            case Load.UPLOAD:
                x.bucket, x.upload = await self._metadata.upload(
                    name, x.key or "", x.query.get("uploadId", "")
                )
        if x.bucket is None:
            raise S3Error("NoSuchBucket", BucketName=name)
        expected = x.headers.get("x-amz-expected-bucket-owner")
        if expected is not None and expected != x.bucket.owner:
            raise S3Error("AccessDenied")

    async def _authorize(self, x: Exchange, operation: Operation) -> None:
        if operation.per_key:
            return
        permission = operation.permission
        if operation.loads in (Load.OBJECT, Load.OBJECT_DATA) and x.object is None:
            assert x.bucket is not None
            if not await self._allowed(x, MAY_LIST, x.bucket):
                raise S3Error("AccessDenied")
            raise _missing(x.key or "", x.query.get("versionId"))
        if not await self._allowed(
            x, permission, x.bucket, x.object, x.upload, x.key, x.query.get("versionId")
        ):
            # Where a bucket is, S3 tells everybody: SDKs find it out by a HeadBucket that is not signed.
            region = {"x-amz-bucket-region": x.services.settings.server.region}
            raise S3Error("AccessDenied", headers=region if operation.name == "HeadBucket" else None)
        if operation.loads is Load.UPLOAD and x.upload is None:
            raise S3Error("NoSuchUpload", UploadId=x.query.get("uploadId", ""))

    async def _load_source(self, x: Exchange, permission: Permission) -> CopySource:
        """Find and authorize the copy source: whoever may not read it, may not copy it."""
        header = x.headers.get("x-amz-copy-source", "")
        address = parse_copy_source(header)
        if address.version is not None:
            check_version_id(address.version)
        bucket, found = await self._metadata.object(address.bucket, address.key, address.version)
        if found is None and "+" in header:
            address = parse_copy_source(header, literal_plus=True)
            bucket, found = await self._metadata.object(address.bucket, address.key, address.version)
            # What was allowed, where a policy looks at the source, was a copy of the other key.
            x.headers = {**x.headers, "x-amz-copy-source": header.replace("+", "%2B")}
            if not await self._allowed(x, x.operation.permission, x.bucket, None, x.upload, x.key):
                raise S3Error("AccessDenied")
        if bucket is None:
            raise S3Error("NoSuchBucket", BucketName=address.bucket)
        expected = x.headers.get("x-amz-source-expected-bucket-owner")
        if expected is not None and expected != bucket.owner:
            raise S3Error("AccessDenied")
        if found is None:
            if not await self._allowed(x, MAY_LIST, bucket):
                raise S3Error("AccessDenied")
            raise _missing(address.key, address.version)
        if not await self._allowed(x, permission, bucket, found, None, address.key, address.version):
            raise S3Error("AccessDenied")
        return CopySource(bucket=bucket, object=found, version=address.version)

    async def _allowed(
        self,
        x: Exchange,
        permission: Permission,
        bucket: BucketRecord | None,
        found: ObjectRecord | None = None,
        upload: UploadRecord | None = None,
        key: str | None = None,
        version: str | None = None,
    ) -> bool:
        access = Access(
            identity=x.authentication.identity,
            permission=permission,
            bucket=bucket,
            object=found,
            upload=upload,
            key=key,
            version=version,
            exchange=x,
        )
        return await allowed(self._services, access)


async def allowed(services: Services, access: Access) -> bool:
    """Ask all authorizers: an explicit deny wins, then any allow, else it is denied."""
    answer = False
    for authorizer in services.authorizers:
        decision = await authorizer.authorize(access)
        if decision is Decision.DENY:
            return False
        answer = answer or decision is Decision.ALLOW
    return answer


def version_id(x: Exchange) -> str | None:
    """The ``versionId`` of the query. Raises S3Error InvalidArgument for what cannot be one."""
    version = x.query.get("versionId")
    if version is not None:
        check_version_id(version)
    return version


def check_version_id(version: str) -> None:
    """Refuse what cannot be a version id: ids are ``null`` or up to 1,024 URL-safe characters."""
    if not version:
        raise S3Error(
            "InvalidArgument",
            "Version id cannot be the empty string",
            ArgumentName="versionId",
            ArgumentValue="",
        )
    if (
        len(version) > 1024
        or not version.isascii()
        or not version.replace(".", "").replace("_", "").replace("-", "").isalnum()
    ):
        raise S3Error(
            "InvalidArgument",
            "Invalid version id specified",
            ArgumentName="versionId",
            ArgumentValue=version[:1024],
        )


def _missing(key: str, version: str | None) -> S3Error:
    if version is not None and version != "null":
        return S3Error("NoSuchVersion", Key=key, VersionId=version)
    return S3Error("NoSuchKey", Key=key)


def _with_query_headers(x: Exchange) -> Mapping[str, str]:
    """The headers with those that a presigned URL carries in its query (all of it is signed).

    A header of the request itself wins; a name in two spellings is refused, of which an authenticator
    might have believed the other one. Checksums in the query describe the empty body that the
    SDK had when it signed, so they stay where they are. Raises S3Error InvalidArgument for what no
    header could be.
    """
    if "X-Amz-Signature" not in x.query and "AWSAccessKeyId" not in x.query:
        return x.headers
    headers = dict(x.headers)
    seen = set()
    for name, value in x.query.items():
        lower = name.lower()
        if lower.startswith("x-amz-") and lower not in _SIGNATURE and not lower.startswith("x-amz-checksum-"):
            if lower in seen or not is_header(lower, value):
                raise S3Error(
                    "InvalidArgument",
                    "A query parameter that stands for a header must be one, and be there once.",
                    ArgumentName=name[:256],
                    ArgumentValue=value[:256],
                )
            seen.add(lower)
            headers.setdefault(lower, value.encode().decode("latin-1").strip(" \t"))
    return headers


_SIGNATURE = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)


_NO_WISHES = frozenset(
    {
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "list-type",
        "prefix",
        "x-id",
    }
)
"""A query of these alone, as most have, stands for no header."""


def _wrapped(handler: Handler, wrappers: Sequence[ExchangeWrapper]) -> Handler:
    for wrapper in reversed(wrappers):
        handler = partial(_call, wrapper, handler)
    return handler


async def _call(wrapper: ExchangeWrapper, handler: Handler, x: Exchange) -> Reply:
    return await wrapper(x, handler)
