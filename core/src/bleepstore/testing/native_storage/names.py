"""Keys: any text, each under a name of its own that tells it back."""

# ruff: noqa: D102 - the name of a test is its sentence
from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from bleepstore.native import RESERVED, NativeBackend
from bleepstore.storage import Unsupported
from bleepstore.testing.native_storage.cloud import BUCKET, CloudKit
from bleepstore.testing.storage import patient

LONGEST = 1024
"""Bytes of a key of S3, in UTF-8."""
PATHS = (
    *(
        ".",
        "..",
        "...",
        "./a",
        "../a",
        "a/.",
        "a/..",
        "a/../b",
        "a/./b",
        ".a",
        "a.",
        "a..",
        "a./b",
        "../../x",
    ),
    *("/", "//", "/a", "a/", "a//b", "a/b/", " ", " a", "a ", "a/ /b", "\\", "a\\b", "..\\a", "a\\"),
    *(
        RESERVED,
        f"{RESERVED}/store",
        f"{RESERVED}/",
        "con",
        "a:b",
        "C:\\a",
        "~",
        "~a",
        "a~b",
        "$",
        "*",
        "a|b",
    ),
)
"""What file systems, URLs and their libraries take for something else than a name."""
TEXTS = (
    *("%", "%2F", "a%2fb", "%00", "%2E%2E", "%25", "+", "a+b", "?a=b", "a?b", "#a", "a#b", "&", "a;b", "="),
    *("<a>", "'", '"', "`", "{}", "[]", "^", "_x002e_", "__", "=?utf-8?b?YQ==?=", "a,b", "@"),
    *("é", "e\u0301", "日本語", "\N{GRINNING FACE}", "ß", "İ", "\u202e", "\ufeff", "\u200b", "K", "\ue000"),
    *(
        "\n",
        "a\nb",
        "a\r\nb",
        "\r",
        "\t",
        "\x01",
        "\x1f",
        "\x7f",
        "\x85",
        "\xa0",
        "\u2028",
        "\ufffe",
        "\uffff",
    ),
    *("a" * LONGEST, "a/" * (LONGEST // 2), "é" * (LONGEST // 2), "%" * 500, ".." * 100),
)

_words = st.one_of(
    st.sampled_from([*PATHS, *TEXTS[:-5], "a", "b"]),
    st.text(st.sampled_from("./\\%~_x2E0 a\n\x7f+é"), min_size=1, max_size=12),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
)
_keys = st.one_of(
    _words,
    st.lists(_words, min_size=1, max_size=6).map("/".join),
    st.builds(str.__mul__, _words, st.integers(1, 200)),
).filter(lambda key: 0 < len(key.encode()) <= LONGEST)
_fewer = examples(patient, max_examples=40)


class NameTests(CloudKit):
    """A key is held as it is, or refused before anything was written."""

    async def check(self, native: NativeBackend, name: str, key: str) -> None:
        """One key: refused at once, where that is allowed, or written, read, told back and deleted."""
        try:
            blob_name = native.name_of(BUCKET, key)
        except Unsupported:
            assert self.may_refuse(key), f"{key!r} is refused"
            with pytest.raises(Unsupported):
                await native.stage(name, target=self.target(key))
            return
        data = key.encode()
        blob = await self.put_target(native, name, self.target(key), data)
        assert blob.name == blob_name
        assert await self.read(native, blob) == data
        found = await native.stat(blob_name)
        assert found is not None
        assert (found.bucket, found.key, found.size) == (BUCKET, key, len(data))
        listed = [(one.name, one.bucket, one.key) async for one in native.objects(BUCKET)]
        assert listed == [(blob_name, BUCKET, key)]
        assert [one.key async for one in native.objects(BUCKET, prefix=key)] == [key]
        assert [bucket async for bucket in native.buckets()] == [BUCKET]
        await native.delete(blob_name, token=blob.token)
        assert await native.stat(blob_name) is None

    @pytest.mark.parametrize("key", [*PATHS, *TEXTS], ids=lambda key: ascii(key)[1:25])
    async def test_hostile_key_is_held_or_refused(
        self, native: NativeBackend, names: Iterator[str], key: str
    ) -> None:
        await self.check(native, next(names), key)

    @_fewer
    @given(key=_keys)
    async def test_any_key_is_held_or_refused(
        self, native: NativeBackend, names: Iterator[str], key: str
    ) -> None:
        await self.check(native, next(names), key)

    async def test_hostile_keys_are_held_beside_each_other(
        self, native: NativeBackend, names: Iterator[str]
    ) -> None:
        held = {}
        for key in (*PATHS, *TEXTS):
            try:
                native.name_of(BUCKET, key)
            except Unsupported:
                continue
            held[key] = await self.put_target(native, next(names), self.target(key), key.encode())
        assert {one.key: one.name async for one in native.objects(BUCKET)} == {
            key: blob.name for key, blob in held.items()
        }
        for key, blob in held.items():
            assert await self.read(native, blob) == key.encode()

    @patient
    @given(one=_keys, other=_keys)
    async def test_two_keys_have_two_names(self, native: NativeBackend, one: str, other: str) -> None:
        assume(one != other)
        try:
            found = native.name_of(BUCKET, one), native.name_of(BUCKET, other)
        except Unsupported:
            return
        assert found[0] != found[1]
        assert not any(name.startswith(f"{RESERVED}/") for name in found)

    async def test_names_of_one_key_in_two_buckets_differ(self, native: NativeBackend) -> None:
        assert native.name_of("one", "a key") != native.name_of("two", "a key")
