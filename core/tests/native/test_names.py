"""Escapes that more than one cloud needs: each can be told back."""

import re

import pytest
from bleepstore import native_names as names
from bleepstore.storage import KeyTooLong, Unsupported
from hypothesis import given
from hypothesis import strategies as st

keys = st.text(st.sampled_from(".%25E/a"), max_size=10)


@pytest.mark.parametrize(
    ("key", "escaped"),
    [
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("a/../b", "a/%2E%2E/b"),
        ("%2E", "%252E"),
        ("%252E", "%25252E"),
        ("%2E%2E", "%252E%2E"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("a%2E", "a%2E"),
        ("%2e", "%2e"),
    ],
)
def test_segments_of_dots_are_escaped_and_nothing_else(key, escaped):
    assert names.escape_dots(key) == escaped
    assert names.unescape_dots(escaped) == key


@given(keys)
def test_every_key_comes_back_and_has_no_segment_of_dots(key):
    escaped = names.escape_dots(key)
    assert names.unescape_dots(escaped) == key
    assert not re.search(r"(^|/)\.\.?(/|\Z)", escaped)


@given(keys, keys)
def test_keys_that_begin_alike_do_so_escaped_unless_it_is_undecided(prefix, rest):
    above, slash, last = prefix.rpartition("/")
    begins = names.escape_dots(above) + slash + ("" if names.ends_undecided(prefix) else last)
    assert names.escape_dots(prefix + rest).startswith(begins)


@pytest.mark.parametrize(("name", "room"), [("abc", 3), ("é", 2)])
def test_name_has_room_by_its_bytes(name, room):
    assert names.with_room(name, room) == name
    with pytest.raises(KeyTooLong):
        names.with_room(name, room - 1)


def test_name_that_is_no_text_is_unsupported_and_not_too_long():
    with pytest.raises(Unsupported) as caught:
        names.with_room("\ud800", 100)
    assert not isinstance(caught.value, KeyTooLong)


@given(st.text())
def test_encoded_word_comes_back_in_printable_ascii(value):
    word = names.encoded_word(value)
    assert word.isascii()
    assert word.isprintable()
    assert names.is_word(word)
    assert names.decoded_word(word) == value


@pytest.mark.parametrize(
    "value", ["", "a value", "=?", "=?utf-8?b?w6k=?= and more", "=?utf-8?b?w6k?=", "=?utf-8?b?/w==?="]
)
def test_what_is_no_encoded_word_comes_as_it_is(value):
    assert names.decoded_word(value) == value
