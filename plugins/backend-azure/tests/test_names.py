"""Keys and metadata that Azure cannot hold as they are come back as they were."""

from collections.abc import Callable

import pytest
from azure.storage.blob import ContainerClient
from bleepstore.native import RESERVED
from bleepstore.storage import KeyTooLong, Target, Unsupported
from bleepstore.testing.storage import STORE
from bleepstore_backend_azure import names
from bleepstore_backend_azure.backend import AzureBackend
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

awkward = st.text(st.sampled_from("./\\_x0025fe\x00\x7f\ue000\uffffé😀% ")) | st.text()
keys = awkward.filter(lambda key: 0 < len(key.encode("utf-8", "replace")) <= 140).filter(
    lambda key: not any("\ud800" <= letter <= "\udfff" for letter in key)
)

PLAIN = [
    *("a", "a/b", "a b", "a%20b", "a+b", ".hidden", "a.b/c.d", "_x", "x_y_z", "_x00", "_xylophone_", "ends/"),
    *("/leading", "a//b", "é😀ａ", "a?b#c&d=e", "q\"'<>|*:;,@$!~^`{}[]()"),
]
ESCAPED = {
    ".": "_x002e_",
    "..": "._x002e_",
    "a/../b": "a/._x002e_/b",
    "ends.": "ends_x002e_",
    "a\\b": "a_x005c_b",
    "line\nbreak": "line_x000a_break",
    "_x002e_": "_x005f_x002e_",
    "_x0041_x0042_": "_x005f_x0041_x005f_x0042_",
    "_x0041\\": "_x005f_x0041_x005c_",
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
    assert not any(segment.endswith(".") for segment in name.split("/"))
    assert "\\" not in name


@given(keys, keys)
def test_prefix_of_a_key_begins_its_name(prefix: str, rest: str):
    name = names.name_of("bucket", (prefix + rest)[:140])
    assert name.startswith(f"bucket/{names.beginning(prefix[:140])}")


def test_key_of_many_segments_has_no_more_than_azure_allows():
    key = "a/" * 300 + "end"
    name = names.name_of("bucket", key, 10_000)
    assert name.count("/") < names.SEGMENTS
    assert names.name_of("bucket", "a/" * 100).count("/") == 101
    place = names._unescape(name.partition("/")[2])
    assert place == key


def test_key_that_is_too_long_is_refused():
    names.name_of("bucket", "k" * (names.LONGEST - 7))
    with pytest.raises(KeyTooLong):
        names.name_of("bucket", "k" * (names.LONGEST - 6))
    with pytest.raises(KeyTooLong):
        names.name_of("bucket", "😀" * 509)


def test_key_that_is_no_text_is_refused():
    with pytest.raises(Unsupported):
        names.name_of("bucket", "\ud800")


@pytest.mark.parametrize("name", [f"{RESERVED}/store", "no-slash", "b/", "b/ends.", "b/_x0041_", "b/a\\b"])
def test_name_that_no_key_has_is_of_no_key(name: str):
    assert names.key_of(name) is None


METADATA = {"plain": "value", "with-dash": "a", "1st": "b", "_x002d_": "c", "name.dotted": "d"}


def test_metadata_names_are_identifiers():
    out = names.metadata_out(METADATA)
    assert list(out) == ["plain", "with_x002d_dash", "_x0031_st", "_x005f_x002d_", "name_x002e_dotted"]
    assert names.metadata_in(out) == METADATA


@given(st.dictionaries(st.text("abcx_-.0123456789!#$", min_size=1), awkward, max_size=4))
def test_metadata_comes_back(metadata: dict[str, str]):
    out = names.metadata_out(metadata)
    assert names.metadata_in(out) == metadata
    assert all(name.isascii() and name.isidentifier() for name in out)
    assert all(
        value.isascii() and value.isprintable() and value == value.strip() != "" for value in out.values()
    )


@pytest.mark.parametrize("value", ["a value", "=?", "é", "", " padded ", "=?utf-8?b?w6k=?=", "=?UTF-8?Q?x?="])
def test_metadata_value_comes_back(value: str):
    out = names.metadata_out({"v": value})["v"]
    assert names.metadata_in({"v": out}) == {"v": value}
    assert (out == value) == (value in ("a value", "=?", "=?UTF-8?Q?x?="))


def test_metadata_that_is_too_long_is_refused():
    with pytest.raises(Unsupported):
        names.metadata_out({"v": "x" * names.METADATA_BYTES})


@pytest.mark.parametrize("key", [*PLAIN, *ESCAPED, "a/" * 260, "k" * 900])
async def test_azure_holds_the_key(make: Callable[..., AzureBackend], container: ContainerClient, key: str):
    """Written, told by a listing, read and removed under its name."""
    storage = make()
    await storage.start(STORE, fresh=True)
    metadata = {**METADATA, "é".encode().decode("latin-1"): "é", "empty": ""} if key == "a" else {"k": "v"}
    staged = await storage.stage("0" * 32, target=Target(bucket="bucket", key=key, metadata=metadata))
    await staged.write(key.encode())
    blob = await staged.publish(expect="")
    (found,) = [item async for item in storage.objects("bucket", prefix=key[:5])]
    assert (found.key, found.name, dict(found.metadata)) == (key, blob.name, metadata)
    assert await storage.stat(blob.name) == found
    reader = await storage.open(blob)
    assert [piece async for piece in reader] == [key.encode()]
    copied = await storage.stage_copy("1" * 32, blob, Target(bucket="copies", key=key))
    assert (await copied.publish(expect="")).name == storage.name_of("copies", key)
    await storage.delete(blob.name, token=blob.token)
    assert [name async for name in storage.buckets()] == ["copies"]
    await storage.stop()
