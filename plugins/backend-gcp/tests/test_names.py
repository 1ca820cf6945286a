"""Keys and metadata that Cloud Storage cannot hold as they are come back as they were, or are refused."""

import re
from collections.abc import Callable

import pytest
from bleepstore.native import RESERVED
from bleepstore.storage import KeyTooLong, Target, Unsupported
from bleepstore.testing.storage import STORE
from bleepstore_backend_gcp import names
from bleepstore_backend_gcp.backend import GcpBackend
from gcp import BUCKET
from gcp_stub import Stub
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

awkward = st.text(st.sampled_from(".%205ADE/\r\n a")) | st.text()
keys = awkward.filter(lambda key: 0 < len(key.encode("utf-8", "replace")) <= 200).filter(
    lambda key: not any("\ud800" <= letter <= "\udfff" for letter in key)
)

PLAIN = [
    *(
        "a",
        "a/b",
        "a b",
        "a%20b",
        "a+b",
        ".hidden",
        "a.",
        "...",
        "a/...",
        "%",
        "%%",
        "%2",
        "a%2E",
        "%0a",
        "%0B",
    ),
    *("/leading", "a//b", "ends/", "é😀", "a?b#c&d=e", "\\", "\t", "\x7f", "%2e", "[a]*"),
]
ESCAPED = {
    ".": "%2E",
    "..": "%2E%2E",
    "a/../b": "a/%2E%2E/b",
    "./a": "%2E/a",
    "%2E": "%252E",
    "%252E": "%25252E",
    "%2E%2E": "%252E%2E",
    "line\nbreak": "line%0Abreak",
    "\r\n": "%0D%0A",
    "a%0Ab": "a%250Ab",
    "%250D": "%25250D",
    "%%0A": "%%250A",
    ".\n": ".%0A",
}


@pytest.mark.parametrize("key", PLAIN)
def test_key_that_needs_no_escape_is_unchanged(key: str):
    assert names.name_of("bucket", key) == f"bucket/{key}"
    assert names.key_of(f"bucket/{key}") == ("bucket", key)


@pytest.mark.parametrize(("key", "name"), ESCAPED.items())
def test_key_that_needs_it_is_escaped_as_the_readme_says(key: str, name: str):
    assert names.name_of("bucket", key) == f"bucket/{name}"
    assert names.key_of(f"bucket/{name}") == ("bucket", key)


@given(keys)
def test_every_key_comes_back(key: str):
    name = names.name_of("bucket", key)
    assert names.key_of(name) == ("bucket", key)
    assert not re.search(r"[\r\n]|/\.\.?(/|\Z)", name)


@given(keys, keys)
def test_prefix_of_a_key_begins_its_name(prefix: str, rest: str):
    key = (prefix + rest)[:200]
    assert names.name_of("bucket", key).startswith(f"bucket/{names.beginning(prefix)}")


@given(st.text(st.sampled_from(".%205AE/\n"), max_size=8), st.text(st.sampled_from(".%205AE/\n"), max_size=8))
def test_prefix_of_a_hostile_key_begins_its_name(prefix: str, rest: str):
    name = names.name_of("bucket", prefix + rest)
    assert name.startswith(f"bucket/{names.beginning(prefix)}")


CUT = [
    ("a%", "0A"),
    ("a%0", "A"),
    ("a%2", "50A"),
    ("a%25", "0D"),
    ("a%250", "D"),
    ("a/.", "/b"),
    ("a/%2E%", "2E"),
]


@pytest.mark.parametrize(("prefix", "rest"), CUT)
def test_prefix_may_end_in_what_looks_like_an_escape(prefix: str, rest: str):
    for more in (rest, "x", ""):
        name = names.name_of("bucket", prefix + more)
        assert name.startswith(f"bucket/{names.beginning(prefix)}")
    assert names.beginning(prefix).startswith("a")


def test_key_that_is_too_long_is_refused():
    names.name_of("bucket", "k" * (names.LONGEST - 7))
    for key in ("k" * (names.LONGEST - 6), "é" * 509, "\n" * 340):
        with pytest.raises(KeyTooLong):
            names.name_of("bucket", key)


async def test_prefix_takes_of_the_room(make: Callable[..., GcpBackend]):
    storage = make(prefix="/é/")
    storage.name_of("bucket", "k" * (names.LONGEST - 10))
    with pytest.raises(Unsupported):
        storage.name_of("bucket", "k" * (names.LONGEST - 9))


def test_key_that_is_no_text_is_refused():
    with pytest.raises(Unsupported):
        names.name_of("bucket", "\ud800")


@pytest.mark.parametrize("name", [f"{RESERVED}/store", "no-slash", "b/", "b/.", "b/a/../c", "b/a\n", "/a"])
def test_name_that_no_key_has_is_of_no_key(name: str):
    assert names.key_of(name) is None


TOO_MUCH = [
    {"": "x"},
    {"n" * 1025: ""},
    {"v": "é" * 2049},
    {f"n{n}": "x" * 2000 for n in range(5)},
    {"v": "\ud800"},
]


@pytest.mark.parametrize("metadata", TOO_MUCH, ids=["nameless", "name", "value", "all", "no text"])
async def test_metadata_that_is_too_much_is_refused_at_once(
    make: Callable[..., GcpBackend], stub: Stub, metadata: dict[str, str]
):
    storage = make()
    await storage.start(STORE, fresh=True)
    target = Target(bucket="bucket", key="key", metadata=metadata)
    before = len(stub.seen)
    with pytest.raises(Unsupported):
        await storage.stage("0" * 32, target=target)
    with pytest.raises(Unsupported):
        await storage.begin_upload("0" * 32, target)
    assert len(stub.seen) == before
    await storage.stop()


async def test_metadata_at_its_limits_is_upstream_as_it_is(make: Callable[..., GcpBackend], stub: Stub):
    storage = make()
    await storage.start(STORE, fresh=True)
    metadata = {"n" * 1024: "x" * 3000, "Camel-Case": "é" * 2048, "empty": ""}
    staged = await storage.stage("0" * 32, target=Target(bucket="bucket", key="key", metadata=metadata))
    blob = await staged.publish(expect="")
    assert stub.service.buckets[BUCKET]["some/where/bucket/key"].resource["metadata"] == metadata
    found = await storage.stat(blob.name)
    assert found is not None
    assert found.metadata == metadata
    await storage.stop()
