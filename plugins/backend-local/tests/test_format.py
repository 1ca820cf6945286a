"""The format of a blob file does not change unnoticed, and proves every byte."""

import struct

import pytest
from bleepstore.storage import Damaged
from bleepstore_backend_local.format import (
    BLOCK,
    FOOTER,
    BlockSums,
    check_blocks,
    crc32c,
    read_trailer,
    trailer_size,
)
from hypothesis import given
from hypothesis import strategies as st

edges = st.builds(int.__add__, st.sampled_from((0, BLOCK, 2 * BLOCK)), st.integers(-2, 2)).map(abs)


def trailer_of(data: bytes) -> bytes:
    sums = BlockSums()
    sums.update(data)
    return sums.trailer()


def test_checksum_is_crc32c():
    """The check value of the catalogue of parametrised CRC algorithms."""
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_trailer_is_as_the_module_draws_it(size: int):
    data = bytes(range(256)) * (size // 256 + 1)
    blocks = [data[at : min(at + BLOCK, size)] for at in range(0, size, BLOCK)]
    table = b"".join(struct.pack("<I", crc32c(block)) for block in blocks)
    head = struct.pack("<QII", size, 65536, 1)
    assert trailer_of(data[:size]) == table + head + struct.pack("<I", crc32c(table + head)) + b"BLEEPBLB"
    assert trailer_size(size) == 4 * len(blocks) + 28


@given(st.lists(edges, max_size=6))
def test_sums_do_not_depend_on_how_bytes_arrive(sizes: list[int]):
    pieces = [bytes([n + 1]) * size for n, size in enumerate(sizes)]
    sums = BlockSums()
    for piece in pieces:
        sums.update(piece)
    assert sums.trailer() == trailer_of(b"".join(pieces))
    assert sums.size == sum(sizes)


@given(size=edges, data=st.data())
def test_any_change_of_a_trailer_is_found(size: int, data: st.DataObject):
    trailer = bytearray(trailer_of(b"x" * size))
    place = data.draw(st.integers(0, len(trailer) - 1))
    trailer[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Damaged):
        read_trailer(bytes(trailer), size, "blob")


@given(size=edges, cut=st.integers(1, 40))
def test_short_and_long_trailers_are_found(size: int, cut: int):
    trailer = trailer_of(b"x" * size)
    for wrong in (trailer[:-cut], trailer[cut:], trailer + b"\0" * cut):
        with pytest.raises(Damaged):
            read_trailer(wrong, size, "blob")


def test_trailer_of_another_size_is_found():
    """Sizes with as many blocks have trailers of the same length."""
    with pytest.raises(Damaged):
        read_trailer(trailer_of(b"x" * 100), 101, "blob")


def test_trailer_of_a_later_format_is_refused_though_it_is_whole():
    head = struct.pack("<QII", 0, BLOCK, 2)
    footer = FOOTER.pack(0, BLOCK, 2, crc32c(head), b"BLEEPBLB")
    with pytest.raises(Damaged, match="format"):
        read_trailer(footer, 0, "blob")


def test_blocks_that_changed_places_are_found():
    first, second = b"1" * BLOCK, b"2" * BLOCK
    sums = read_trailer(trailer_of(first + second), 2 * BLOCK, "blob")
    check_blocks(first + second, 0, sums, "blob")
    check_blocks(second, 1, sums, "blob")
    with pytest.raises(Damaged, match="block 0"):
        check_blocks(second + first, 0, sums, "blob")
