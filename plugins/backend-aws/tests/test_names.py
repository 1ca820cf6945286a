import pytest
from bleepstore.native import RESERVED
from bleepstore.storage import KeyTooLong, Target, Unsupported
from bleepstore_backend_aws import names
from bleepstore_backend_aws.objects import properties_out
from hypothesis import given
from hypothesis import strategies as st

segments = st.one_of(
    st.sampled_from(
        [".", "..", "...", "%2E", "%2E%2E", "%252E", "%25252E%2E", "%2e", "%", "%25", "", ".a", "%2Ea"]
    ),
    st.text(max_size=5),
)
keys = st.lists(segments, min_size=1, max_size=5).map("/".join).filter(lambda key: key and _is_text(key))


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(key=keys)
def test_a_name_tells_its_bucket_and_key(key: str) -> None:
    assert names.key_of(names.name_of("bucket", key)) == ("bucket", key)


@given(one=keys, other=keys)
def test_two_keys_never_have_one_name(one: str, other: str) -> None:
    assert (names.name_of("bucket", one) == names.name_of("bucket", other)) == (one == other)


@given(key=keys)
def test_no_segment_of_a_name_is_resolved_on_the_way(key: str) -> None:
    assert not {".", ".."} & set(names.name_of("bucket", key).split("/"))


@given(key=keys, data=st.data())
def test_names_of_keys_with_a_prefix_begin_alike(key: str, data: st.DataObject) -> None:
    prefix = key[: data.draw(st.integers(0, len(key)))]
    assert names.name_of("bucket", key).startswith(f"bucket/{names.beginning(prefix)}")


@pytest.mark.parametrize("key", ["a", "a//b", "/", "a/", ".git/config", "ü ~+%2F&?#", "a/..b/c..", "100%"])
def test_keys_go_upstream_as_they_are(key: str) -> None:
    assert names.name_of("bucket", key) == f"bucket/{key}"


def test_segments_of_dots_are_escaped_so_that_they_can_be_told_back() -> None:
    assert names.name_of("bucket", "a/../%2E/./b") == "bucket/a/%2E%2E/%252E/%2E/b"


def test_what_another_tool_wrote_under_a_name_that_is_no_keys_is_not_an_object() -> None:
    for name in ("bucket", "bucket/", "bucket/a/./b", f"{RESERVED}/store", "/a"):
        assert names.key_of(name) is None


def test_a_key_that_is_too_long_with_its_bucket_is_refused() -> None:
    names.name_of("bucket", "k" * (1024 - len("bucket/")))
    for key in ("k" * (1025 - len("bucket/")), "ü" * 512):
        with pytest.raises(KeyTooLong):
            names.name_of("bucket", key)


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(Unsupported):
        names.name_of("bucket", "\udc80")


@given(value=st.text())
def test_values_of_metadata_come_back_and_are_printable_ascii_upstream(value: str) -> None:
    out = names.value_out(value)
    assert out.isascii()
    assert out == out.strip()
    assert not out or out.isprintable()
    assert names.value_in(out) == value or value.lower().startswith("=?utf-8?b?")


def test_metadata_whose_name_is_no_header_is_unsupported() -> None:
    for name in ("", "a b", "ü", "a:b"):
        with pytest.raises(Unsupported):
            properties_out(Target(bucket="b", key="k", metadata={name: "v"}))
