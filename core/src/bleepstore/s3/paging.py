"""What all listings share: how many entries, how names are written, and where the next page begins.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and its relatives.
A continuation token is the base64url of a version byte and the last name of the page before. It
holds no state of the server, so it works on any node and after a restart.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from urllib.parse import quote

from bleepstore.errors import S3Error

PAGE = 1000
"""The most entries of one page, whatever was asked for."""
LARGEST = 2**31 - 1
TOKEN_VERSION = 1


def page_size(query: Mapping[str, str], name: str = "max-keys") -> int:
    """How many entries were asked for, 0 to 1000. Raises S3Error InvalidArgument."""
    text = query.get(name)
    if not text:
        return PAGE
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 10 or int(digits) > LARGEST:
        raise invalid_argument(f"Provided {name} not an integer or within integer range", name, text)
    if text[0] == "-" and int(digits):
        name = _camel(name)
        raise invalid_argument(f"Argument {name} must be an integer between 0 and {LARGEST}", name, text)
    return min(int(digits), PAGE)


def invalid_argument(message: str, name: str, value: str) -> S3Error:
    """An InvalidArgument that names the argument."""
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


def name_writer(query: Mapping[str, str]) -> Callable[[str], str]:
    """How the listing writes keys and prefixes: as they are, or as ``encoding-type=url`` asks.

    ``/`` stays raw and a space becomes ``%20``, which every client decodes, with or without ``+``.
    Raises S3Error InvalidArgument for another encoding type.
    """
    encoding = query.get("encoding-type")
    if not encoding:
        return str
    if encoding != "url":
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding)
    return quote


def make_token(last: str) -> str:
    """The continuation token of a page whose last entry is ``last``."""
    return base64.urlsafe_b64encode(bytes((TOKEN_VERSION,)) + last.encode()).decode().rstrip("=")


def read_token(query: Mapping[str, str]) -> str | None:
    """The last entry of the page before, ``None`` without a token. Raises S3Error InvalidArgument."""
    token = query.get("continuation-token")
    if token is None:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if raw[:1] == bytes((TOKEN_VERSION,)):
            return raw[1:].decode()
    except (binascii.Error, ValueError):
        pass
    raise invalid_argument("The continuation token provided is incorrect", "continuation-token", token)


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(word.title() for word in rest)
