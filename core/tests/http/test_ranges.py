import pytest
from bleepstore.errors import S3Error
from bleepstore.http.ranges import Span, Unsatisfiable, invalid_range, parse_copy_range, parse_range
from hypothesis import given
from hypothesis import strategies as st

sizes = st.integers(0, 30)
numbers = st.integers(0, 40)


def expected(first: int | None, last: int | None, size: int) -> bytes | None:
    """What Python's own slicing says, over bytes that name their place; ``None``: unsatisfiable."""
    data = bytes(range(size))
    if first is None:
        assert last is not None
        return data[max(0, size - last) :] or None
    return data[first : size if last is None else last + 1] or None


@given(numbers, st.none() | numbers, sizes)
def test_a_range_is_the_slice_python_would_take(first: int, last: int | None, size: int) -> None:
    """S3-CHECKLIST 29"""
    header = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert parse_range(header, size) is None
        return
    check(header, expected(first, last, size), size)


@given(numbers, sizes)
def test_a_suffix_range_is_the_end(last: int, size: int) -> None:
    """S3-CHECKLIST 29"""
    check(f"bytes=-{last}", expected(None, last, size), size)


def check(header: str, wanted: bytes | None, size: int) -> None:
    if wanted is None:
        with pytest.raises(Unsatisfiable):
            parse_range(header, size)
        return
    span = parse_range(header, size)
    assert span is not None
    assert bytes(range(size))[span.start : span.start + span.length] == wanted
    assert span.content_range(size) == f"bytes {wanted[0]}-{wanted[-1]}/{size}"


def test_any_range_of_an_empty_object_is_unsatisfiable() -> None:
    """S3-CHECKLIST 46"""
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0"):
        with pytest.raises(Unsatisfiable):
            parse_range(header, 0)


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "bytes=2-1", "chunks=0-1", "0-1"),
        *("bytes=--1", "bytes=+1-2", "bytes=1_0-20", "bytes=\u00b2-3", "bytes=0-" + "9" * 400),
    ],
)
def test_a_malformed_range_is_ignored(header: str) -> None:
    """S3-CHECKLIST 29"""
    assert parse_range(header, 10) is None


@given(st.text(max_size=40), sizes)
def test_no_text_breaks_the_parser(text: str, size: int) -> None:
    for header in (text, "bytes=" + text):
        try:
            span = parse_range(header, size)
        except Unsatisfiable:
            continue
        assert span is None or (span.length > 0 and span.start + span.length <= size)


def test_the_unit_is_read_without_case() -> None:
    assert parse_range("Bytes = 1 - 2", 10) == Span(1, 2)


def test_an_unsatisfiable_range_names_the_size() -> None:
    """S3-CHECKLIST 29"""
    error = invalid_range("bytes=9-", 5)
    assert (error.status, error.headers["content-range"]) == (416, "bytes */5")
    assert error.elements == {"RangeRequested": "bytes=9-", "ActualObjectSize": "5"}


@given(numbers, numbers, sizes)
def test_a_copy_range_lies_inside_the_source(first: int, last: int, size: int) -> None:
    """S3-CHECKLIST 42"""
    header = f"bytes={first}-{last}"
    if first <= last < size:
        assert parse_copy_range(header, size) == Span(first, last - first + 1)
    else:
        with pytest.raises(S3Error):
            parse_copy_range(header, size)


@pytest.mark.parametrize(
    "header", ["", "bytes=0-", "bytes=-1", "0-1", "bytes=0-1,2-3", "bytes=a-b", "Bytes=0-1"]
)
def test_a_malformed_copy_range_is_refused(header: str) -> None:
    """S3-CHECKLIST 42"""
    with pytest.raises(S3Error) as caught:
        parse_copy_range(header, 10)
    assert caught.value.code == "InvalidArgument"
