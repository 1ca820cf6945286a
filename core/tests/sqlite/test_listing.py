"""Pages against a sorted list, with keys that are made to be awkward; and what a page costs."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from bleepstore.metadata import UploadRecord
from bleepstore.sqlite.listing import objects_page, uploads_page
from bleepstore.testing.metadata.listings import model_listing, names
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes depends on what else the machine does."""

NewDatabase = Callable[[], sqlite3.Connection]

pieces = st.sampled_from(
    ["a", "b", "/", "//", "::", ":", "é", "\x00", "\x7f", "\u0080", "\uffff", "\U00010000"]
)
texts = st.lists(pieces, max_size=5).map("".join)
keys = st.lists(pieces, min_size=1, max_size=5).map("".join)
delimiters = st.sampled_from(["", "/", "//", "::", "a", "ab", "é", "\U00010000", "/a/"])
limits = st.sampled_from([0, 1, 2, 3, 1000])


def fill(db: sqlite3.Connection, found: set[str]) -> None:
    db.executemany(
        "INSERT INTO current (bucket_id, key, seq, size, etag, modified, owner, attributes) "
        """VALUES (?, ?, 1, 0, 'e', 0, 'o', '[{},{},"STANDARD",null]')""",
        [(bucket, key.encode()) for key in found for bucket in (1, 2, 3) if bucket == 2 or key != "a"],
    )


@patient
@given(st.sets(keys, max_size=25), texts, delimiters, texts, limits)
@example({"a/b", "a/c", "a0"}, "", "/", "a/", 1000)
@example({"a/b", "a/c", "a0"}, "", "/", "a/b", 1000)
@example({"a/", "a/b"}, "a/", "/", "", 1000)
@example({"\uffff", "\U00010000"}, "", "", "", 1)
@example({"ab::c", "ab::d", "ab:"}, "a", "::", "", 1)
def test_page_equals_the_beginning_of_a_sorted_list(
    new_database: NewDatabase, found: set[str], prefix: str, delimiter: str, after: str, limit: int
) -> None:
    """S3-CHECKLIST 19, 20, 21, 22: at limit 0 a page only says whether there is anything."""
    db = new_database()
    fill(db, found)
    wanted = model_listing(found, prefix, delimiter, after)
    page = objects_page(db, 2, prefix, delimiter, after, limit)
    assert names(page) == wanted[:limit]
    assert page.truncated is (len(wanted) > limit)


@patient
@given(st.sets(keys, max_size=25), texts, delimiters, st.sampled_from([1, 2, 3]))
def test_pages_joined_are_the_whole_listing(
    new_database: NewDatabase, found: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    """S3-CHECKLIST 20."""
    db = new_database()
    fill(db, found)
    joined: list[str] = []
    while True:
        page = objects_page(db, 2, prefix, delimiter, joined[-1] if joined else "", limit)
        joined += names(page)
        if not page.truncated:
            break
        assert len(page.entries) == limit
    assert joined == model_listing(found, prefix, delimiter, "")


@patient
@given(
    st.lists(st.tuples(keys, st.integers(0, 3), st.booleans()), max_size=20),
    texts,
    delimiters,
    st.one_of(texts, st.integers(0, 19)),
    limits,
)
def test_uploads_are_a_sorted_list_too(
    new_database: NewDatabase,
    begun: list[tuple[str, int, bool]],
    prefix: str,
    delimiter: str,
    marker: str | int,
    limit: int,
) -> None:
    """S3-CHECKLIST 43: by key, then by time; a marker is a key, or a key and an upload of it."""
    db = new_database()
    rows = [(f"{n:03}", key, created) for n, (key, created, _) in enumerate(begun)]
    completed = {f"{n:03}" for n, (_, _, ended) in enumerate(begun) if ended}
    db.executemany(
        "INSERT INTO uploads (id, bucket_id, key, owner, initiator, created, attributes, generation, "
        """segments) VALUES (?, 2, ?, 'o', 'i', ?, '[{},{},"STANDARD",null]', 0, 1)""",
        [(upload, key.encode(), created) for upload, key, created in rows],
    )
    db.executemany("UPDATE uploads SET completed = x'014E' WHERE id = ?", [(upload,) for upload in completed])
    by_id = {upload: (key.encode(), created, upload) for upload, key, created in rows}
    if isinstance(marker, int):
        upload = f"{marker:03}" if rows and marker < len(rows) else ""
        key = by_id[upload][0].decode() if upload else "a"
    else:
        key, upload = marker, ""
    page = uploads_page(db, 2, prefix, delimiter, (key, upload), limit)
    pending = [place for upload_id, place in sorted(by_id.items()) if upload_id not in completed]
    wanted: list[str] = []
    for name in model_listing({place[0].decode() for place in pending}, prefix, delimiter, ""):
        if name not in {place[0].decode() for place in pending} or _rolls(name, prefix, delimiter):
            wanted += _prefix_after(name, pending, prefix, delimiter, key, upload, by_id)
        else:
            wanted += [
                place[2]
                for place in sorted(pending)
                if place[0] == name.encode() and _follows(place, key, upload, by_id)
            ]
    shown = [entry.id if isinstance(entry, UploadRecord) else entry for entry in page.entries]
    assert shown == wanted[:limit]
    assert page.truncated is (len(wanted) > limit)


def _rolls(name: str, prefix: str, delimiter: str) -> bool:
    return bool(delimiter) and name.find(delimiter, len(prefix)) >= 0


def _follows(place: tuple[bytes, int, str], key: str, upload: str, by_id: dict[str, Any]) -> bool:
    if place[0] != key.encode():
        return place[0] > key.encode()
    return bool(upload) and place > by_id[upload]


def _prefix_after(
    name: str, pending: list[Any], prefix: str, delimiter: str, key: str, upload: str, by_id: dict[str, Any]
) -> list[str]:
    under = [place for place in pending if place[0].startswith(name.encode())]
    shown = name != key and any(_follows(place, key, upload, by_id) for place in under)
    return [name] if shown else []


class Steps:
    """Counts what SQLite's machine does."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.count = 0
        db.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.count += 1
        return 0


@pytest.mark.parametrize(
    ("prefix", "delimiter", "after"), [("", "", ""), ("", "/", ""), ("d/", "", "d/0050")]
)
def test_page_costs_what_it_holds(new_database: NewDatabase, prefix: str, delimiter: str, after: str) -> None:
    """S3-CHECKLIST 20: however many keys there are, under a common prefix or after the page."""

    def steps(size: int) -> int:
        db = new_database()
        fill(db, {f"{top}/{n:04}" for top in "abcd" for n in range(size)})
        counted = Steps(db)
        page = objects_page(db, 2, prefix, delimiter, after, 3)
        assert len(page.entries) == 3
        return counted.count

    assert steps(5000) <= steps(100) * 1.1


def test_listing_of_uploads_does_not_pass_completed_ones(new_database: NewDatabase) -> None:
    """S3-CHECKLIST 43: completed uploads are kept for days."""

    def steps(completed: int) -> int:
        db = new_database()
        db.executemany(
            "INSERT INTO uploads (id, bucket_id, key, owner, initiator, created, attributes, generation, "
            """segments, completed) VALUES (?, 2, x'61', 'o', 'i', 0, '[{},{},"STANDARD",null]', 0, 1, ?)""",
            [(f"{n:05}", b"\x01N" if n else None) for n in range(completed + 1)],
        )
        counted = Steps(db)
        assert len(uploads_page(db, 2, "", "", ("", ""), 10).entries) == 1
        return counted.count

    assert steps(5000) <= steps(10) * 1.1


def test_page_stops_at_the_end_of_its_prefix(new_database: NewDatabase) -> None:
    """S3-CHECKLIST 22: what only begins alike is no sibling's."""
    db = new_database()
    fill(db, {"a", "a/", "a/1", "a0", "a/\U0010ffff", "b"})
    assert names(objects_page(db, 2, "a/", "", "", 10)) == ["a/", "a/1", "a/\U0010ffff"]
