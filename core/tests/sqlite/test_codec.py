"""The canonical encoding: what it holds comes back, equal values are equal bytes, nonsense is refused."""

import contextlib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
from bleepstore import commands, metadata
from bleepstore.commands import (
    Attributes,
    Command,
    CommitObject,
    CompleteUpload,
    Condition,
    Content,
    DeleteBucket,
)
from bleepstore.sqlite.codec import _RECORDS, Undecodable, decode, decode_command, encode
from bleepstore.sqlite.state import State
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes depends on what else the machine does."""

COMMANDS = [
    kind
    for kind in vars(commands).values()
    if isinstance(kind, type) and issubclass(kind, Command) and kind is not Command
]
RESULTS = [metadata.BucketRecord, metadata.Committed, metadata.UploadRecord]


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field, by its annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(argument) for argument in arguments))
    if origin is frozenset:
        return st.frozensets(values_of(arguments[0]), max_size=4)
    if origin is Mapping:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=4)
    simple = {
        str: st.text(max_size=12),
        int: st.integers(-(1 << 70), 1 << 70),
        bool: st.booleans(),
        bytes: st.binary(max_size=12),
        types.NoneType: st.none(),
    }
    return simple[hint] if hint in simple else records_of(hint)


def records_of(kind: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind, vars(commands) | vars(metadata))
    return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})


any_command = st.one_of([records_of(kind) for kind in COMMANDS])
any_value = st.one_of([records_of(kind) for kind in (*COMMANDS, *RESULTS)])


def test_every_command_can_be_encoded_and_applied(new_database: Any) -> None:
    assert set(COMMANDS) <= set(_RECORDS.values())
    assert set(COMMANDS) == set(State(new_database())._appliers)


@patient
@given(any_value)
def test_what_is_encoded_comes_back(value: Any) -> None:
    again = decode(encode(value))
    assert again == value
    assert type(again) is type(value)


@patient
@given(any_command)
def test_a_command_comes_back_as_a_command(command: Command) -> None:
    assert decode_command(memoryview(encode(command))) == command


@patient
@given(any_value, any_value)
def test_values_are_equal_where_their_bytes_are(one: Any, two: Any) -> None:
    assert (one == two) is (encode(one) == encode(two))


@patient
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=2), st.randoms())
def test_order_in_which_a_mapping_was_filled_does_not_show(
    given_headers: dict[str, str], chance: Any
) -> None:
    items = list(given_headers.items())
    chance.shuffle(items)
    assert encode(Attributes(headers=dict(items))) == encode(Attributes(headers=given_headers))


def test_lists_and_buffers_are_encoded_as_what_they_equal() -> None:
    assert encode([1, [b"2"]]) == encode((1, (bytearray(b"2"),)))


@patient
@given(st.integers(-(1 << 200), 1 << 200))
@example(-128)
@example(-129)
@example(127)
@example(128)
@example(0)
def test_integers_have_their_shortest_form(number: int) -> None:
    size = encode(number)[2]
    assert decode(encode(number)) == number
    with pytest.raises(OverflowError):
        (number or 1).to_bytes(size - 1, "big", signed=True)


def test_format_is_what_older_versions_wrote() -> None:
    assert encode(DeleteBucket(id="é", at=-2, bucket=300)) == (
        b"\x01RS\x00\x00\x00\x0cDeleteBucket\x00\x00\x00\x03S\x00\x00\x00\x02\xc3\xa9I\x01\xfeI\x02\x01\x2c"
    )


def test_fields_that_an_older_version_did_not_know_have_their_defaults() -> None:
    command = CommitObject(
        id="1", at=2, bucket=3, key="k", content=Content(size=0), etag="e", owner="o", attributes=Attributes()
    )
    whole = encode(command)
    newer = (Condition(), "s3:ObjectCreated:Put", None)
    shortened = whole[: -len(b"".join(encode(value)[1:] for value in newer))]
    count = len(fields(CommitObject))
    head = whole.index(b"CommitObject") + len("CommitObject")
    assert whole[head : head + 4] == count.to_bytes(4, "big")
    older = shortened[:head] + (count - len(newer)).to_bytes(4, "big") + shortened[head + 4 :]
    assert decode(older) == command


def test_field_without_a_default_cannot_be_missing() -> None:
    whole = encode(DeleteBucket(id="1", at=2, bucket=3))
    with pytest.raises(Undecodable):
        decode(whole[:-3].replace(b"\x00\x00\x00\x03S", b"\x00\x00\x00\x02S"))


def test_field_that_a_newer_version_added_is_refused() -> None:
    whole = encode(DeleteBucket(id="1", at=2, bucket=3))
    with pytest.raises(Undecodable):
        decode(whole.replace(b"\x00\x00\x00\x03S", b"\x00\x00\x00\x04S") + b"N")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x02N",
        b"\x01NN",
        b"\x01Z\x00\x00\x00\x00",
        b"\x01S\x00\x00\x00\x01\xff",
        b"\x01S\xff\xff\xff\xff",
        b"\x01I\x05\x01",
        b"\x01M\x00\x00\x00\x01M\x00\x00\x00\x00N",
        b"\x01RS\x00\x00\x00\x03Foo\x00\x00\x00\x00",
        b"\x01RL\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x01" + b"L\x00\x00\x00\x01" * 100_000 + b"N",
    ],
    ids=[
        "nothing", "no value", "another version", "two values", "another tag", "no UTF-8", "a short string",
        "a short integer", "a mapping as a name", "another record", "a record without a name", "depth",
    ],
)  # fmt: skip
def test_nonsense_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(data)


def test_a_value_that_is_no_command_is_no_command() -> None:
    with pytest.raises(Undecodable):
        decode_command(encode(Content(size=1)))


@patient
@given(st.binary(max_size=60))
def test_random_bytes_are_undecodable_and_nothing_else(data: bytes) -> None:
    for attempt in (data, b"\x01" + data):
        with contextlib.suppress(Undecodable):
            decode(attempt)


@patient
@given(any_command, st.data())
def test_damaged_commands_are_undecodable_and_nothing_else(command: Command, data: st.DataObject) -> None:
    damaged = bytearray(encode(command))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(damaged)))
    for attempt in (bytes(damaged), bytes(damaged[:end])):
        with contextlib.suppress(Undecodable):
            decode_command(attempt)


def test_parts_stay_tuples_of_tuples() -> None:
    runs = ((1, 2), (4, 4))
    command = CompleteUpload(
        id="1", at=2, bucket=3, key="k", upload="u", generation=4, parts=runs, size=5, etag="e", checksum=None
    )
    assert decode(encode(command)).parts == runs
