"""Forms: fields within bounds, one file, the same however the bytes arrive; and the policy in them.

The first line of the input is the Content-Type, the rest the body.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from bleepstore.auth.post_policy import read_policy
from bleepstore.auth.sigv4 import SignatureV4
from bleepstore.errors import S3Error
from bleepstore.http.forms import FIELD_BYTES, Form
from exchanges import ACCOUNTS, NOW, exchange, run
from harness import check_error

WORDS = (
    *(
        b"multipart/form-data; boundary=b",
        b"--b\r\n",
        b"--b--\r\n",
        b'Content-Disposition: form-data; name="',
        b"\r\n\r\n",
    ),
    *(
        b'"; filename="',
        b'name="file"',
        b'name="key"',
        b'name="policy"',
        b"${filename}",
        b"filename*=utf-8''%e9",
        b"\\",
    ),
    *(b'name="x-amz-signature"', b'name="x-amz-credential"', b'name="x-amz-date"', b'name="x-amz-algorithm"'),
)
LARGEST = 4096
"""As much as can be read byte by byte in no time."""
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # as bleepstore.logs does
authenticator = SignatureV4(ACCOUNTS, "us-east-1")


def check(data: bytes) -> None:
    """Check one form."""
    first, _, body = data.partition(b"\n")
    content_type = first.decode("latin-1")
    whole = _read(content_type, body, len(body) or 1)
    for size in (1, 7):
        assert _read(content_type, body, size) == whole
    if isinstance(whole, str):
        return
    fields = whole[0]
    assert sum(len(n) + len(v.encode()) for n, v in fields.items()) <= FIELD_BYTES
    try:
        found = run(authenticator.authenticate_form(exchange("POST", "/b", []), fields))
        assert found is None, "nobody signed this"
    except S3Error as error:
        check_error(error)
    if "policy" in fields:
        policy = read_policy(fields["policy"])
        policy.check(fields, "b", NOW)
        assert all(c.holds(fields[c.field]) for c in policy.conditions if c.field != "bucket")


def _read(content_type: str, body: bytes, size: int) -> tuple[dict[str, str], str, bytes] | str:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    async def read() -> tuple[dict[str, str], str, bytes]:
        form = Form(pieces(), content_type)
        await form.read_fields()
        content = b"".join([piece async for piece in form.file()])
        return form.fields, form.filename, content

    try:
        return run(read())
    except S3Error as error:
        check_error(error)
        return error.code
