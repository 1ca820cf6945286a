"""What a store may hold, by all that was asked of it and all that was answered.

An item is an object, an upload or a part; its value says all that a client can find out about it, and
``None`` that it is not there. Each write of an item has the moment it was asked for and the moment it was
acknowledged, if it was. What the item may be afterwards: the value of any write that no acknowledged one
came wholly after.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import threading
import xml.etree.ElementTree as ET
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import quote

from s3_client import Answer, S3Client

BUCKET = "kept"
_XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"

Item = tuple[str, ...]
"""("object", key), ("upload", key, id) or ("part", key, id, number)."""

Changes = Mapping[Any, Hashable]
"""New values by item."""


class Violation(AssertionError):
    """The store holds what it must not, or lacks what it must hold."""


class Object(NamedTuple):
    """The value of an object."""

    md5: str
    size: int
    etag: str
    note: str
    """What stands in its user metadata."""


def object_of(body: bytes, note: str, etag: str | None = None) -> Object:
    """The value of an object with this body; ``etag`` where it is not the MD5."""
    md5 = hashlib.md5(body).hexdigest()
    return Object(md5, len(body), etag or md5, note)


@dataclass(eq=False)
class Write:
    """One request that changes items: all of them, or none."""

    changes: Changes
    asked: float
    acknowledged: float = math.inf
    request_id: str = ""


@dataclass
class Model:
    """All writes since the last survey. Called by many threads."""

    writes: dict[Item, list[Write]] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)
    """Keys with an upload that may have begun without that anybody knows its id."""
    excused: bool = False
    """Whether a request may fail now: a worker lost the one that writes."""
    one_part_a_number: bool = False
    """AWS keeps the last part that was sent for a number, also one whose row a crash prevented."""
    replaced: set[Item] = field(default_factory=set)
    """Parts of which upstream may hold another than the row says: whoever heard nothing sends them again."""
    _clock: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def moment(self) -> float:
        """Now: later than all before, and earlier than all after."""
        with self._lock:
            return next(self._clock)

    def ask(self, changes: Changes, *, asked: float | None = None) -> Write:
        """Note a write before it is sent; ``asked`` where only the answer says what it changes."""
        with self._lock:
            write = Write(changes, next(self._clock) if asked is None else asked)
            for item in changes:
                self.writes.setdefault(item, []).append(write)
        return write

    def acknowledge(self, write: Write, answer: Answer) -> None:
        """It has happened."""
        with self._lock:
            write.acknowledged, write.request_id = next(self._clock), answer.request_id
            self.replaced.difference_update(write.changes)

    def refuse(self, write: Write) -> None:
        """It has not happened and will not."""
        with self._lock:
            for item in write.changes:
                self.writes[item].remove(write)

    def possible(self, item: Item) -> set[Hashable]:
        """The values that an item may have."""
        with self._lock:
            return _possible(item, list(self.writes.get(item, ())))

    def sure(self, item: Item) -> bool:
        """Whether there is one value that the item must have."""
        return len(self.possible(item)) == 1

    def now(self, item: Item) -> Hashable:
        """The value of a sure item."""
        (value,) = self.possible(item)
        return value

    def open_uploads(self) -> list[Item]:
        """Those that have certainly begun and not ended."""
        return [item for item in self.writes if item[0] == "upload" and self.possible(item) == {"open"}]

    def at(self, acknowledged: Container[str]) -> Model:
        """The model at the moment when these requests, of all until now, had been acknowledged."""
        writes = {write for writes in self.writes.values() for write in writes}
        past = {write for write in writes if write.request_id in acknowledged}
        moment = min((write.acknowledged for write in writes - past), default=math.inf)
        kept = {write: write for write in past}
        for write in writes - past:
            if write.asked < moment:
                kept[write] = replace(write, acknowledged=math.inf)
        return Model(
            {item: [kept[write] for write in found if write in kept] for item, found in self.writes.items()}
        )

    def check(self, found: Mapping[Item, Hashable]) -> None:
        """Compare with what a survey found. Raises Violation."""
        for item in self.writes.keys() | found.keys():
            value, possible = found.get(item), self.possible(item)
            if value not in possible and not (item[0] == "upload" and item[1] in self.unnamed):
                raise Violation(f"{item} is {value}, and may be {possible}")
        for write in {write for writes in self.writes.values() for write in writes}:
            if math.isinf(write.acknowledged):
                self._check_whole(write, found)

    def _check_whole(self, write: Write, found: Mapping[Item, Hashable]) -> None:
        """A write that nobody acknowledged is there with all its changes, or with none."""
        happened = set()
        for item, new in write.changes.items():
            before = _possible(item, self.writes[item][:-1])
            if self.writes[item][-1] is write and len(before) == 1 and before != {new}:
                happened.add(found.get(item) == new)
        if len(happened) > 1:
            raise Violation(f"half of {write} happened: {[found.get(item) for item in write.changes]}")

    def acknowledged(self) -> int:
        """How many writes were acknowledged since the last survey."""
        writes = {write for writes in self.writes.values() for write in writes}
        return sum(0 <= write.acknowledged < math.inf for write in writes)

    def settle(self, found: Mapping[Item, Hashable]) -> None:
        """From now on it is known what the store holds."""
        if self.one_part_a_number:
            lost = {
                write for writes in self.writes.values() for write in writes if math.isinf(write.acknowledged)
            }
            self.replaced |= {item for write in lost for item in write.changes if item[0] == "part"}
        self.writes.clear()
        self.unnamed.clear()
        self.excused = False
        for item, value in found.items():
            self.writes[item] = [Write({item: value}, -1, acknowledged=-1)]


def _possible(item: Item, writes: Sequence[Write]) -> set[Hashable]:
    certain = [write.asked for write in writes if write.acknowledged < math.inf]
    if not certain:
        return {None, *(write.changes[item] for write in writes)}
    return {write.changes[item] for write in writes if write.acknowledged >= max(certain)}


def survey(client: S3Client) -> dict[Item, Hashable]:
    """Everything that a server holds, each object read to its end. Raises Violation."""
    found: dict[Item, Hashable] = {}
    for key in _keys(client):
        found["object", key] = read(client, key)
    listed = _whole(client.ask("GET", f"/{BUCKET}?uploads"))
    for upload in ET.fromstring(listed.body).iter(f"{_XML}Upload"):
        key, id_ = upload.findtext(f"{_XML}Key", ""), upload.findtext(f"{_XML}UploadId", "")
        found["upload", key, id_] = "open"
        parts = _whole(client.ask("GET", f"/{BUCKET}/{quote(key)}?uploadId={id_}"))
        for part in ET.fromstring(parts.body).iter(f"{_XML}Part"):
            number, etag = part.findtext(f"{_XML}PartNumber", ""), part.findtext(f"{_XML}ETag", "")
            found["part", key, id_, number] = etag.strip('"')
    return found


def _keys(client: S3Client) -> list[str]:
    listed = _whole(client.ask("GET", f"/{BUCKET}?list-type=2"))
    root = ET.fromstring(listed.body)
    assert root.findtext(f"{_XML}IsTruncated") == "false", "there is more than a survey expects"
    return [entry.findtext(f"{_XML}Key", "") for entry in root.iter(f"{_XML}Contents")]


def read(client: S3Client, key: str) -> Object:
    """An object, whole, with an ETag that is of its bytes. Raises Violation."""
    value = read_or_none(client, key)
    if value is None:
        raise Violation(f"{key} must be there, and is not")
    return value


def read_or_none(client: S3Client, key: str) -> Object | None:
    """As :func:`read`, and nothing where there is none. Raises Violation."""
    answer = client.ask("GET", f"/{BUCKET}/{quote(key)}")
    if answer.code == "NoSuchKey":
        return None
    _whole(answer)
    value = object_of(answer.body, answer.headers.get("x-amz-meta-note", ""), answer.etag)
    if "-" not in value.etag and value.etag != value.md5:
        raise Violation(f"{key} has the ETag {value.etag}, and bytes with the MD5 {value.md5}")
    return value


def _whole(answer: Answer) -> Answer:
    if answer.status != 200:
        raise Violation(f"what must be there is answered {answer.status} {answer.code}")
    return answer
