"""Which bucket and key a request addresses: path style and virtual-host style.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
``http://HOST/BUCKET/KEY`` is path style. Where HOST is ``BUCKET.DOMAIN`` for a configured domain
(``server.domains``) the path is the key; bucket names may have dots. Keys are opaque: nothing in
them is normalised, and a trailing slash belongs to the key.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from bleepstore.errors import S3Error
from bleepstore.exchange import Address, AddressResolver
from bleepstore.http.headers import percent_decode

KEY_BYTES = 1024
"""The longest key, in UTF-8 bytes."""


def decode_key(raw: str) -> str | None:
    """The key of a percent-encoded path, ``None`` for an empty one.

    Raises S3Error InvalidURI (not UTF-8 when decoded), KeyTooLongError.
    """
    if not raw:
        return None
    key = percent_decode(raw)
    check_key(key)
    return key


def check_key(key: str) -> None:
    """Raise S3Error KeyTooLongError above 1,024 bytes."""
    # A character is four bytes at most: short keys need no encoding to be measured.
    if len(key) > KEY_BYTES // 4:
        size = len(key.encode())
        if size > KEY_BYTES:
            raise S3Error("KeyTooLongError", Size=str(size), MaxSizeAllowed=str(KEY_BYTES))


def absolute_form(target: bytes) -> tuple[bytes, bytes]:
    """Host, and path with query, of a target in absolute form. Raises S3Error InvalidURI for other forms."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise S3Error("InvalidURI")
    before, question, query = rest.partition(b"?")
    authority, _, path = before.partition(b"/")
    # Whoever names a user in a URL means to deceive about its host (RFC 9110 section 4.2.4).
    if not authority or b"@" in authority:
        raise S3Error("InvalidURI")
    return authority, b"/" + path + question + query


def hostname(host: str) -> str:
    """The name in a Host header: lower-case, without port and trailing dot."""
    name = host.lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].rstrip(".")


class DomainResolver(AddressResolver):
    """The built-in resolver: knows the configured domains, and answers every request."""

    def __init__(self, domains: Sequence[str]) -> None:
        # The longest domain first, so that of two nested ones the closer decides.
        self._suffixes = tuple("." + d for d in sorted((hostname(d) for d in domains), key=len, reverse=True))
        self._bucket = functools.lru_cache(maxsize=1024)(self._find_bucket)

    def bucket_of(self, host: str) -> str | None:
        """The bucket that a Host header names, or ``None`` for path style."""
        # What is longer than a name and a port can be is not worth remembering.
        return self._bucket(host) if len(host) < 300 else self._find_bucket(host)

    def _find_bucket(self, host: str) -> str | None:
        name = hostname(host)
        for suffix in self._suffixes:
            if name == suffix[1:]:
                return None
            if name.endswith(suffix):
                return name[: -len(suffix)]
        return None

    def resolve(self, host: str, raw_path: str) -> Address:
        """Return the address; see :class:`AddressResolver`."""
        if raw_path[:1] != "/":
            raise S3Error("InvalidURI", URI=raw_path)
        bucket = self.bucket_of(host)
        if bucket is not None:
            return Address(bucket, decode_key(raw_path[1:]), virtual=True)
        name, _, rest = raw_path[1:].partition("/")
        if not name:
            if rest or raw_path == "//":
                raise S3Error("InvalidBucketName", BucketName="")
            return Address(None, None)
        if "%" in name:
            name = percent_decode(name)
        return Address(name, decode_key(rest))


class Addressing:
    """All resolvers of a server: the plugins' in order, then the built-in one."""

    def __init__(self, domains: Sequence[str], resolvers: Sequence[AddressResolver] = ()) -> None:
        self._domains = DomainResolver(domains)
        self._resolvers = tuple(resolvers)

    def resolve(self, host: str, raw_path: str) -> Address:
        """The address of a request. Raises S3Error InvalidURI, KeyTooLongError, InvalidBucketName."""
        for resolver in self._resolvers:
            address = resolver.resolve(host, raw_path)
            if address is not None:
                return address
        return self._domains.resolve(host, raw_path)

    def names_bucket(self, host: str) -> bool:
        """Whether the host itself names a bucket, so that every path is a key."""
        if self._resolvers:
            return self.resolve(host, "/").virtual
        return self._domains.bucket_of(host) is not None
