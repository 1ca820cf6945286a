"""POST form uploads: PutObject in other clothes.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
The form's fields stand for the headers of a PutObject, its file for the body, and its policy for the
signature. Who signs nothing needs a bucket that lets everybody write.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bleepstore import xml
from bleepstore.auth.post_policy import PostPolicy, read_policy
from bleepstore.errors import S3Error
from bleepstore.exchange import ANONYMOUS, Access, Authentication, Exchange, Reply
from bleepstore.http.address import check_key
from bleepstore.http.forms import Form, FormFile
from bleepstore.http.headers import is_header
from bleepstore.http.object_headers import SYSTEM_HEADERS
from bleepstore.http.pipeline import allowed
from bleepstore.s3.documents import XML_TYPE
from bleepstore.s3.objects import put_object
from bleepstore.s3.paging import invalid_argument
from bleepstore.s3.tagging import object_tags
from bleepstore.xml.shapes import PostResponse, Tagging

FILENAME = "${filename}"
SIGNATURES = ("x-amz-signature", "signature")
_HEADERS = frozenset(
    {
        *SYSTEM_HEADERS,
        "content-md5",
        "x-amz-storage-class",
        "x-amz-server-side-encryption",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write-acp",
    }
)
_PREFIXES = (
    "x-amz-meta-",
    "x-amz-checksum-",
    "x-amz-server-side-encryption-",
    "x-amz-object-lock-",
)


async def post_object(x: Exchange) -> Reply:
    """PostObject: read the fields, decide on them, and take the file."""
    assert x.bucket is not None
    content_type = x.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise S3Error("PreconditionFailed", Condition=condition)
    form = Form(aiter(x.body), content_type)
    await form.read_fields()
    fields = {name: value.replace(FILENAME, form.filename) for name, value in form.fields.items()}
    key = fields.get("key", "")
    if not key:
        raise invalid_argument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of "
            "the fields.",
            "key",
            "",
        )
    check_key(key)
    x.key = key
    policy = await _authenticate(x, fields)
    x.headers = _headers(x, fields)
    x.query = {}
    limit = x.services.settings.server.limits.put_bytes
    x.body = FormFile(form, dict(x.headers), x.body, policy.length if policy else None, limit)
    access = Access(
        identity=x.identity, permission=x.operation.permission, bucket=x.bucket, key=key, exchange=x
    )
    if not await allowed(x.services, access):
        raise S3Error("AccessDenied")
    return _reply(x, await put_object(x), fields)


async def _authenticate(x: Exchange, fields: dict[str, str]) -> PostPolicy | None:
    """Find who signed the policy, and hold the form against it. Raises S3Error."""
    identity = None
    for authenticator in x.services.authenticators:
        identity = await authenticator.authenticate_form(x, fields)
        if identity is not None:
            break
    if identity is None and any(name in fields for name in SIGNATURES):
        raise invalid_argument("The signature of the form is not supported.", "x-amz-algorithm", "")
    x.authentication = Authentication(identity=identity or ANONYMOUS)
    if "policy" not in fields:
        return None
    policy = read_policy(fields["policy"])
    assert x.bucket is not None
    policy.check(fields, x.bucket.name, x.now)
    return policy


def _headers(x: Exchange, fields: dict[str, str]) -> dict[str, str]:
    """What the fields stand for, as the headers of a PutObject; latin-1 text, as those are."""
    headers = {name: x.headers[name] for name in ("host", "expect") if name in x.headers}
    for name, value in fields.items():
        if name in _HEADERS or name.startswith(_PREFIXES):
            if not is_header(name, value):
                raise invalid_argument(
                    "A field that stands for a header must be one.", name[:128], value[:128]
                )
            headers[name] = value.encode().decode("latin-1").strip(" \t")
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    if fields.get("tagging"):
        tags = object_tags(xml.read(Tagging, fields["tagging"].encode()).tag_set or ())
        headers["x-amz-tagging"] = (tags or b"").decode()  # the document of tags has the header's form
    return headers


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _reply(x: Exchange, made: Reply, fields: dict[str, str]) -> Reply:
    assert x.bucket is not None
    assert x.key is not None
    etag = made.headers["etag"]
    target = fields.get("success_action_redirect") or fields.get("redirect")
    if target:
        parts = _split(target)
        if parts is not None and parts.scheme in ("http", "https") and parts.netloc and target.isprintable():
            said = [("bucket", x.bucket.name), ("key", x.key), ("etag", etag)]
            query = urlencode(parse_qsl(parts.query, keep_blank_values=True) + said, quote_via=quote)
            location = urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))
            made.headers["location"] = quote(location, safe="/:?#[]@!$&'()*+,;=%-._~")
            made.status = 303
            return made
        # As the documentation says: a redirect that cannot be read is as if it were not there.
    location = f"{x.scheme}://{x.host}{quote(x.raw_path.rstrip('/'), safe='/%-._~')}/{quote(x.key)}"
    made.headers["location"] = location
    status = fields.get("success_action_status")
    made.status = int(status) if status in ("200", "201") else 204
    if made.status == 201:
        made.headers["content-type"] = XML_TYPE
        made.body = xml.write(
            PostResponse(location=location, bucket=x.bucket.name, key=x.key, e_tag=etag), namespace=None
        )
    return made
