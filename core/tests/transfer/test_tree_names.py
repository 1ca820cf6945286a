"""Names of files for keys: reversible, and below the bucket's folder whatever the key."""

import os
from pathlib import PurePosixPath

import pytest
from bleepstore.transfer.tree_names import ESCAPED, SEGMENT, escaped, key_of, why_not
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=340),
    st.text("./a%\\+\0", min_size=1, max_size=300),
    st.lists(st.sampled_from(["..", ".", "", "a", ESCAPED, "+", "~"]), min_size=2).map("/".join).filter(bool),
)


def path_of(key: str) -> str:
    return escaped(key) if why_not(key) else key


@given(KEYS)
def test_path_is_below_the_folder_and_tells_the_key(key):
    path = path_of(key)
    segments = path.split("/")
    assert key_of(segments) == key
    assert not PurePosixPath(path).is_absolute()
    assert all(segment not in ("", ".", "..") and "\0" not in segment for segment in segments)
    assert all(len(os.fsencode(segment)) <= SEGMENT for segment in segments)


@given(KEYS, KEYS)
def test_no_escaped_path_is_that_of_another_key_or_above_it(one, other):
    if one != other:
        paths = escaped(one), escaped(other)
        assert paths[0] != paths[1]
        assert not paths[1].startswith(f"{paths[0]}/")


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "a//b", "a/", "a/../b", ".", "..", "a/.", "\0", f"{ESCAPED}/x"]
)
def test_what_is_no_path_is_escaped_for_a_reason(key):
    assert why_not(key)
    assert escaped(key).startswith(f"{ESCAPED}/")


@pytest.mark.parametrize(
    "path",
    [
        f"{ESCAPED}/a%2f",
        f"{ESCAPED}/%FF",
        f"{ESCAPED}/a/b",
        ESCAPED,
        ".bleepstore-partial-1",
        f"{ESCAPED}/a+",
    ],
)
def test_files_that_are_no_objects_are_none(path):
    assert key_of(path.split("/")) is None
