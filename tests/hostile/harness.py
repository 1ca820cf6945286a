"""What every target has in common: its seeds, the invariants of all, and inputs made from the seeds.

A target is a module of ``targets`` with one function ``check(data: bytes)``. It may raise S3Error, with
which a server would answer, and nothing else; whatever must hold is asserted in it. ``WORDS`` are pieces
of text that its format is made of, ``LARGEST`` is how many bytes of an input it looks at. ``corpus/NAME``
holds an input in each file: seeds, and what was found once (their names begin with ``found``).
"""

from __future__ import annotations

import importlib
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bleepstore.errors import CODES, S3Error
from bleepstore.http.faults import error_document

HERE = Path(__file__).parent
SECONDS = 1.0
"""Processor time that one input may take."""
LARGEST = 32 * 1024
"""Bytes of an input, unless a target says less: the most that a head of a request may have."""
WORDS = (
    *(
        b"%",
        b"%00",
        b"%2F",
        b"%2f",
        b"%FF",
        b"%C3%A9",
        b"%zz",
        b"+",
        b"=",
        b"&",
        b"?",
        b"/",
        b"//",
        b"..",
        b";",
    ),
    *(b",", b":", b'"', b"*", b"-", b"-1", b"0", b"1", b" ", b"  ", b"\t", b"\n", b"\r\n", b"\x00", b"\x7f"),
    *(
        b"\x85",
        b"\xa0",
        b"\xff",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"null",
        b"true",
        b"<",
        b"&#0;",
    ),
    *(b"9" * 20, b"99999999999", b"2147483648", b"a" * 300, b"e\xcc\x81"),
)
"""What is somewhere special in many formats."""


@dataclass(frozen=True)
class Target:
    """One target."""

    name: str
    check: Callable[[bytes], None]
    words: tuple[bytes, ...]
    largest: int

    @property
    def seeds(self) -> dict[str, bytes]:
        """The corpus by file name."""
        return {path.name: path.read_bytes() for path in sorted((HERE / "corpus" / self.name).iterdir())}

    def run(self, data: bytes) -> None:
        """Check one input, and what holds for all inputs of all targets."""
        began = time.process_time()
        try:
            self.check(data[: self.largest])
        except S3Error as error:
            check_error(error)
        spent = time.process_time() - began
        assert spent < SECONDS, f"{spent:.2f} s for {len(data)} bytes"


def check_error(error: S3Error) -> None:
    """An error must be one of the table, and its document and headers such as can be sent."""
    assert error.code in CODES
    root = ET.fromstring(error_document(error, "/a", "ID", "HOST"))
    found = [child.tag for child in root]
    assert found[:2] == ["Code", "Message"]
    assert found[-3:] == ["Resource", "RequestId", "HostId"]
    assert len(found) == len(set(found))
    for name, value in error.headers.items():
        assert f"{name}{value}".isprintable()
        f"{name}{value}".encode("latin-1")


def answered(act: Callable[[], object]) -> S3Error | None:
    """What an action answers instead of its result, if it does."""
    try:
        act()
    except S3Error as error:
        check_error(error)
        return error
    return None


def names() -> list[str]:
    """All targets."""
    return sorted(path.stem for path in (HERE / "targets").glob("*.py"))


def target(name: str) -> Target:
    """Import a target."""
    module = importlib.import_module(f"targets.{name}")
    return Target(name, module.check, (*WORDS, *module.WORDS), getattr(module, "LARGEST", LARGEST))
