"""The form of a browser's upload, in pieces of any size."""

from collections.abc import AsyncIterator

import pytest
from bleepstore.errors import S3Error
from bleepstore.http.forms import FIELD_BYTES, Form
from hypothesis import given
from hypothesis import strategies as st

BOUNDARY = "----browser"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(
    fields: list[tuple[str, str]], file: bytes | None, filename: str = "a.txt", after: str = ""
) -> bytes:
    parts = [f'Content-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields]
    if file is not None:
        head = (
            f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: x/y\r\n\r\n'
        )
        parts.append(head.encode() + file + b"\r\n")
    if after:
        parts.append(f'Content-Disposition: form-data; name="{after}"\r\n\r\nlate\r\n'.encode())
    lead = f"--{BOUNDARY}\r\n".encode()
    return b"".join(lead + part for part in parts) + f"--{BOUNDARY}--\r\n".encode()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def taken(data: bytes, size: int = 1 << 20, content_type: str = CONTENT_TYPE) -> tuple[Form, bytes]:
    reader = Form(pieces(data, size), content_type)
    await reader.read_fields()
    return reader, b"".join([piece async for piece in reader.file()])


pytestmark = pytest.mark.anyio


@given(
    file=st.binary(max_size=300) | st.sampled_from([b"\r\n--" + BOUNDARY.encode(), b"--", b"\r\n\r\n"]),
    value=st.text(max_size=20).filter(lambda text: "\r" not in text and "\n" not in text),
    size=st.integers(1, 400),
)
def test_fields_and_file_are_the_same_in_whatever_pieces_they_come(file, value, size):
    import asyncio

    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + file:
        file = file.replace(b"-", b"_")
    found, bytes_found = asyncio.run(taken(form([("Key", "k"), ("x-amz-meta-a", value)], file), size))
    assert found.fields == {"key": "k", "x-amz-meta-a": value}
    assert bytes_found == file


async def test_what_follows_the_file_is_ignored():
    found, data = await taken(form([("key", "k")], b"content", after="acl"))
    assert (found.fields, data) == ({"key": "k"}, b"content")


@pytest.mark.parametrize("name", ["a.txt", "folder/a.txt", "C:\\\\folder\\\\a.txt"])
async def test_the_name_of_the_file_has_no_folders(name):
    assert (await taken(form([("key", "k")], b"x", filename=name)))[0].filename == "a.txt"


async def refused(data: bytes, content_type: str = CONTENT_TYPE) -> str:
    with pytest.raises(S3Error) as caught:
        await taken(data, content_type=content_type)
    return caught.value.code


async def test_a_form_without_a_file_or_with_two_is_refused():
    assert await refused(form([("key", "k")], None)) == "InvalidArgument"
    assert await refused(form([("key", "k")], b"one", after="file")) == "InvalidArgument"


async def test_a_field_has_one_value():
    assert await refused(form([("key", "a"), ("KEY", "b")], b"x")) == "InvalidArgument"


async def test_what_stands_before_the_file_is_bounded():
    assert await refused(form([("a", "x" * FIELD_BYTES)], b"x")) == "MaxPostPreDataLengthExceededError"
    many = [(f"x-amz-meta-{n}", "x" * 100) for n in range(1000)]
    assert await refused(form(many, b"x")) == "MaxPostPreDataLengthExceededError"


async def test_a_large_file_is_not_counted_as_fields():
    file = b"x" * (3 * FIELD_BYTES)
    assert (await taken(form([("key", "k")], file)))[1] == file


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"--other\r\n\r\n",
        form([("key", "k")], b"content")[:-30],
        b"--"
        + BOUNDARY.encode()
        + b"\r\nContent-Disposition: form-data\r\n\r\nx\r\n--"
        + BOUNDARY.encode()
        + b"--",
        b"--" + BOUNDARY.encode() + b"\r\n" + b"A: b\r\n" * 100 + b"\r\nx",
    ],
    ids=lambda data: ascii(data[-20:]),
)
async def test_what_is_no_form_is_refused(data):
    assert await refused(data) in ("MalformedPOSTRequest", "InvalidArgument")


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=", "x"])
async def test_a_form_needs_a_boundary(content_type):
    assert await refused(form([], b"x"), content_type) == "MalformedPOSTRequest"


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
async def test_empty_lines_before_the_first_boundary_are_skipped_and_nothing_else(size: int) -> None:
    whole = form([("key", "k")], b"content")
    reader, content = await taken(b"\r\n\n" + whole, size)
    assert (reader.fields, content) == ({"key": "k"}, b"content")
    with pytest.raises(S3Error) as caught:
        await taken(b"\r\npreamble\r\n" + whole, size)
    assert caught.value.code == "MalformedPOSTRequest"
