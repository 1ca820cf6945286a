from urllib.parse import quote

import pytest
from bleepstore.errors import S3Error
from bleepstore.http.address import Address, Addressing, AddressResolver, DomainResolver
from hypothesis import given
from hypothesis import strategies as st

resolver = DomainResolver(("localhost", "s3.example.com", "example.com"))
keys = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
    lambda k: len(k.encode()) <= 1024
)


@pytest.mark.parametrize(
    "host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000", "unknown.test", "", "LOCALHOST"]
)
def test_path_style(host: str) -> None:
    """S3-CHECKLIST 17"""
    assert resolver.resolve(host, "/bucket/a/b") == Address("bucket", "a/b")
    assert resolver.resolve(host, "/bucket") == resolver.resolve(host, "/bucket/") == Address("bucket", None)
    assert resolver.resolve(host, "/") == Address(None, None)


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("photos.localhost:9000", "photos"),
        ("my.dotted.bucket.localhost", "my.dotted.bucket"),
        ("Photos.S3.Example.COM.:80", "photos"),
        ("a.example.com", "a"),
    ],
)
def test_virtual_host_style(host: str, bucket: str) -> None:
    """S3-CHECKLIST 17"""
    assert resolver.resolve(host, "/a/b/") == Address(bucket, "a/b/", virtual=True)
    assert resolver.resolve(host, "/") == Address(bucket, None, virtual=True)
    assert resolver.resolve(host, "/_bleepstore/health") == Address(
        bucket, "_bleepstore/health", virtual=True
    )


@given(keys)
def test_keys_are_opaque_in_both_styles(key: str) -> None:
    """S3-CHECKLIST 25, S3-CHECKLIST 11"""
    for safe in ("/", "", "/~!$&'()*+,;=:@"):
        raw = quote(key, safe=safe)
        assert resolver.resolve("localhost", "/b/" + raw) == Address("b", key)
        assert resolver.resolve("b.localhost", "/" + raw) == Address("b", key, virtual=True)


@pytest.mark.parametrize("key", ["/", "//", "a/", "..", "../x", "./a", "a//b", "/a", "%00", "+"])
def test_nothing_in_a_key_is_normalised(key: str) -> None:
    """S3-CHECKLIST 25, S3-CHECKLIST 17"""
    assert resolver.resolve("localhost", "/b/" + key).key == key.replace("%00", "\0")


@pytest.mark.parametrize("raw", ["%", "%4", "%zz", "%ff", "%c3%28", "%+1", "% 1", "%ed%a0%80"])
def test_a_key_that_is_no_utf8_is_refused(raw: str) -> None:
    for path in ("/b/" + raw, "/" + raw):
        with pytest.raises(S3Error) as caught:
            resolver.resolve("localhost", path)
        assert caught.value.code == "InvalidURI"


def test_keys_over_1024_bytes_are_refused() -> None:
    """S3-CHECKLIST 25"""
    assert resolver.resolve("localhost", "/b/" + "k" * 1024).key == "k" * 1024
    for key in ("k" * 1025, "%C3%A9" * 513):
        with pytest.raises(S3Error) as caught:
            resolver.resolve("localhost", "/b/" + key)
        assert caught.value.code == "KeyTooLongError"
        assert caught.value.elements["MaxSizeAllowed"] == "1024"


def test_an_empty_bucket_name_before_a_key_is_refused() -> None:
    for path in ("//", "//key", "///"):
        with pytest.raises(S3Error) as caught:
            resolver.resolve("localhost", path)
        assert caught.value.code == "InvalidBucketName"


def test_a_plugin_resolver_is_asked_first() -> None:
    class Pinned(AddressResolver):
        def resolve(self, host: str, raw_path: str) -> Address | None:
            return Address("pinned", raw_path[1:], virtual=True) if host == "pin" else None

    addressing = Addressing(("localhost",), [Pinned()])
    assert addressing.resolve("pin", "/k") == Address("pinned", "k", virtual=True)
    assert addressing.resolve("localhost", "/b/k") == Address("b", "k")
    assert addressing.names_bucket("pin")
    assert not addressing.names_bucket("localhost")
    assert addressing.names_bucket("b.localhost")
