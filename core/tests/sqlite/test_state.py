"""The state machine: the same commands give the same database, and every blob has its names counted."""

import contextlib
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from bleepstore import commands as c
from bleepstore.commands import Command
from bleepstore.metadata import Attributes, Checksum, Refused
from bleepstore.sqlite.codec import decode, encode
from bleepstore.sqlite.state import State
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes depends on what else the machine does."""

NewDatabase = Callable[[], sqlite3.Connection]
KEYS = ("a", "a/b", "é", "z")


class Intent(NamedTuple):
    """What to do, with numbers that choose among what is there."""

    kind: int
    key: int
    one: int
    other: int
    stale: bool
    """Whether the command speaks of another state than the one there is."""


intents = st.lists(
    st.builds(
        Intent,
        kind=st.integers(0, 16),
        key=st.integers(0, len(KEYS) - 1),
        one=st.integers(0, 7),
        other=st.integers(0, 7),
        stale=st.integers(0, 9).map(lambda chance: chance == 0),
    ),
    min_size=15,
    max_size=60,
)


PRELUDE = tuple(
    Intent(kind, key, one, 0, False)
    for kind, key, one in ((0, 0, 0), (2, 0, 1), (2, 1, 2), (8, 0, 0), (9, 0, 1), (11, 0, 2), (8, 1, 0))
)
"""A bucket, a stored and an inline object, an upload with two parts, and one without."""


def command_of(db: sqlite3.Connection, step: int, intent: Intent) -> Command:
    """The command of an intent, about what the database holds; blobs are never named twice by new bytes."""
    kind, _, one, other, stale = intent
    common = {"id": f"{step:032x}", "at": 1000 * step}
    buckets = [bucket for (bucket,) in db.execute("SELECT id FROM buckets ORDER BY id")] or [0]
    spot = {"bucket": buckets[other % len(buckets)], "key": KEYS[intent.key]}
    conditions = [c.Condition()] * 5 + [c.Condition(if_none_match=True), c.Condition(if_match=("e", "f"))]
    made = {
        "etag": "ef"[one % 2],
        "owner": "o",
        "attributes": Attributes(metadata={"b": "1", "a": "2"} if one % 3 else {}),
        "condition": conditions[other % len(conditions)],
    }
    blob = f"blob-{step}"
    content = (c.Content(size=0), c.Content(size=5, blob=blob), c.Content(size=5, blob=blob, data=b"bytes"))
    rows = db.execute("SELECT bucket_id, key, seq, etag, size FROM current ORDER BY seq").fetchall()
    bucket, key, seq, etag, size = rows[other % len(rows)] if rows else (1, b"k", 1, "e", 5)
    source = c.Source(bucket=bucket, key=key.decode(), version=None, seq=seq - stale, etag=etag)
    uploads = db.execute(
        "SELECT bucket_id, key, id, generation, segments FROM uploads ORDER BY completed IS NULL DESC, id"
    ).fetchall()
    found = uploads[other % min(len(uploads), 3)] if uploads else (1, b"k", "nothing", 0, 0)
    upload = {"bucket": found[0], "key": found[1].decode(), "upload": found[2]}
    match kind:
        case 0:
            return c.CreateBucket(**common, name=f"bucket-{one % 3}", owner="o", region="r")
        case 1:
            return c.DeleteBucket(**common, bucket=spot["bucket"])
        case 2 | 3 | 4:
            return c.CommitObject(**common, **spot, **made, content=content[one % 3])
        case 5 | 6:
            return c.CopyObject(**common, **spot, **made, source=source)
        case 7:
            return c.DeleteObject(**common, **spot, condition=made["condition"])
        case 8:
            return c.CreateUpload(
                **common,
                **spot,
                upload=f"u{step:03}",
                owner="o",
                initiator="i",
                attributes=made["attributes"],
            )
        case 9 | 10:
            return c.CommitPart(**common, **upload, number=one + 1, content=content[other % 3], etag="p")
        case 11 | 12:
            start, length = min(one, size), min(other, max(size - one, 0))
            return c.CopyPart(
                **common, **upload, number=one + 1, source=source, start=start, length=length, etag="p"
            )
        case 13:
            parts = db.execute("SELECT number, size FROM parts WHERE list = ?", (found[4],)).fetchall()
            kept = [part for part in parts if part[0] != one] or parts
            return c.CompleteUpload(
                **common,
                **upload,
                generation=found[3] - stale,
                parts=tuple((number, number) for number, _ in kept),
                size=sum(size for _, size in kept),
                etag="all",
                checksum=Checksum(algorithm="CRC32", value="AAAAAA=="),
                condition=made["condition"],
            )
        case 14:
            return c.AbortUpload(**common, **upload)
        case 15:
            garbage = [blob for (blob,) in db.execute("SELECT blob FROM garbage ORDER BY seq, blob")]
            return c.ForgetGarbage(**common, blobs=(*garbage[: one + 1], "stranger", f"blob-{other}"))
        case _:
            return (
                c.FollowEvents(**common, sinks=("s",)),
                c.FollowEvents(**common, sinks=("t", "s")),
                c.FollowEvents(**common, sinks=()),
                c.MoveCursor(**common, sink="s", seq=step),
                c.PutBucketDocument(**common, bucket=spot["bucket"], name="tagging", body=b"x"),
                c.PutBucketDocument(**common, bucket=spot["bucket"], name="acl", body=None),
                c.PutObjectDocument(**common, **spot, version=None, name="tags", body=b"t"),
                c.PutObjectDocument(
                    **common, **spot, version="v" if stale else "null", name="acl", body=b"a"
                ),
            )[one]


class Replica:
    """A database and what its commands answered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.state = State(connection)
        self.answers: list[Any] = []

    def follow(self, wanted: list[Intent]) -> list[Command]:
        """Run a command for each intent, after the prelude; returns the commands."""
        script: list[Command] = []
        for step, intent in enumerate((*PRELUDE, *wanted), 1):
            script.append(command_of(self.connection, step, intent))
            self.run(script[-1:])
        return script

    def run(self, script: list[Command], *, group: int = 1) -> None:
        for at in range(0, len(script), group):
            self.connection.execute("BEGIN IMMEDIATE")
            for command in script[at : at + group]:
                try:
                    self.answers.append(self.state.apply(command))
                except Refused as refused:
                    self.answers.append((refused.reason, refused.detail))
            self.state.save()
            self.connection.execute("COMMIT")

    def content(self) -> list[str]:
        return list(self.connection.iterdump())


@patient
@given(intents, st.integers(2, 20))
def test_same_commands_give_the_same_database(
    new_database: NewDatabase, wanted: list[Intent], group: int
) -> None:
    one, two = Replica(new_database()), Replica(new_database())
    script = one.follow(wanted)
    two.run([decode(encode(command)) for command in script], group=group)
    assert one.answers == two.answers
    assert one.content() == two.content()


@settings(patient, max_examples=300)
@given(intents)
def test_every_name_of_a_blob_is_counted(new_database: NewDatabase, wanted: list[Intent]) -> None:
    replica = Replica(new_database())
    for step, intent in enumerate((*PRELUDE, *wanted), 1):
        replica.run([command_of(replica.connection, step, intent)])
        check_blobs(replica.connection)


@patient
@given(intents)
def test_refused_commands_change_nothing_but_the_index(
    new_database: NewDatabase, wanted: list[Intent]
) -> None:
    replica = Replica(new_database())
    for step, intent in enumerate(wanted, 1):
        command = command_of(replica.connection, step, intent)
        before = everything_but_counters(replica)
        seq = replica.state.seq
        replica.run([command])
        if isinstance(replica.answers[-1], tuple):
            assert (everything_but_counters(replica), replica.state.seq) == (before, seq)
    (applied,) = replica.connection.execute("SELECT applied_index FROM state").fetchone()
    assert applied == len(wanted)


@patient
@given(intents)
def test_database_read_again_after_a_rollback_goes_on_the_same(
    new_database: NewDatabase, wanted: list[Intent]
) -> None:
    one, two = Replica(new_database()), Replica(new_database())
    for command in one.follow(wanted):
        two.connection.execute("BEGIN IMMEDIATE")
        with contextlib.suppress(Refused):
            two.state.apply(command)
        two.connection.execute("ROLLBACK")
        two.state.load()
        two.run([command])
    assert one.content() == two.content()


def everything_but_counters(replica: Replica) -> list[str]:
    return [line for line in replica.content() if not line.startswith('INSERT INTO "state"')]


def check_blobs(db: sqlite3.Connection) -> None:
    """The invariants of references, counted anew."""
    names = Counter(
        blob
        for (blob,) in db.execute(
            "SELECT blob FROM current WHERE blob IS NOT NULL UNION ALL SELECT blob FROM segments"
        )
    )
    shared = dict(db.execute("SELECT id, refs FROM blobs"))
    assert shared == {blob: count for blob, count in names.items() if count > 1}
    garbage = [blob for (blob,) in db.execute("SELECT blob FROM garbage")]
    assert len(garbage) == len(set(garbage))
    assert names.keys().isdisjoint(garbage)
    inline = {blob for (blob,) in db.execute("SELECT blob FROM inline")}
    named_inline = {
        blob
        for (blob,) in db.execute(
            "SELECT blob FROM current WHERE inline UNION SELECT blob FROM segments WHERE inline"
        )
    }
    assert named_inline <= inline <= named_inline | set(garbage)
    lists = {n for (n,) in db.execute("SELECT list FROM segments UNION SELECT list FROM parts")}
    owned = {
        n
        for (n,) in db.execute(
            "SELECT segments FROM current WHERE segments IS NOT NULL "
            "UNION SELECT segments FROM uploads WHERE completed IS NULL"
        )
    }
    assert lists <= owned


def test_apply_asks_no_clock_and_no_chance(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in Python nor in SQL, whose functions are seen by the authorizer."""

    def forbidden(*_: Any) -> Any:
        raise AssertionError("apply must not look at this")

    for name in ("time", "time_ns", "monotonic", "gmtime"):
        monkeypatch.setattr(time, name, forbidden)
    for name in ("random", "randbytes", "getrandbits"):
        monkeypatch.setattr(random, name, forbidden)
    functions: set[str] = set()

    def authorize(action: int, _: Any, name: str | None, *rest: Any) -> int:
        if action == sqlite3.SQLITE_FUNCTION and name is not None:
            functions.add(name)
        return sqlite3.SQLITE_OK

    connection = new_database()
    connection.set_authorizer(authorize)
    replica = Replica(connection)
    replica.run(script_of_everything())
    assert {type(command) for command in script_of_everything()} == set(replica.state._appliers)
    assert not [answer for answer in replica.answers if isinstance(answer, tuple)]
    assert functions <= {"sum", "max", "min", "coalesce"}


def script_of_everything() -> list[Command]:
    """Every command once, none of them refused."""
    steps = iter(range(100))

    def common() -> dict[str, Any]:
        step = next(steps)
        return {"id": str(step), "at": step}

    made = {"bucket": 1, "owner": "o", "attributes": Attributes()}
    source = c.Source(bucket=1, key="k", version=None, seq=3, etag="e")
    part = {"bucket": 1, "key": "m", "upload": "u"}
    content = c.Content(size=5, blob="blob", data=b"bytes")
    return [
        c.CreateBucket(**common(), name="b", owner="o", region="r"),
        c.FollowEvents(**common(), sinks=("s",)),
        c.CommitObject(**common(), **made, key="k", etag="e", content=content),
        c.CopyObject(**common(), **made, key="copy", etag="e", source=source),
        c.PutObjectDocument(**common(), bucket=1, key="k", version=None, name="acl", body=b"a"),
        c.PutBucketDocument(**common(), bucket=1, name="tagging", body=b"t"),
        c.CreateUpload(**common(), **part, owner="o", initiator="i", attributes=Attributes()),
        c.CommitPart(**common(), **part, number=2, content=c.Content(size=1, blob="p"), etag="e"),
        c.CopyPart(**common(), **part, number=5, source=source, start=0, length=2, etag="e"),
        c.CompleteUpload(
            **common(), **part, generation=2, parts=((2, 2), (5, 5)), size=3, etag="e", checksum=None
        ),
        c.AbortUpload(**common(), **part),
        c.Reserve(
            **common(),
            reservation="r",
            holder="h",
            fingerprint="f",
            command=c.CommitObject(**common(), **made, key="k", etag="e", content=c.Content(size=1)),
        ),
        c.Release(**common(), bucket=1, key="k", reservation="r"),
        c.AdoptObject(
            **common(),
            **made,
            key="adopted",
            seq=0,
            content=c.Content(size=1, blob="b/adopted", token="t"),
            etag="e",
            modified=1,
        ),
        *(c.DeleteObject(**common(), bucket=1, key=key) for key in ("k", "copy", "m", "adopted")),
        c.ForgetGarbage(**common(), blobs=("blob", "p")),
        c.MoveCursor(**common(), sink="s", seq=9),
        c.DeleteBucket(**common(), bucket=1),
    ]


def test_nothing_is_left_of_what_was_deleted_and_forgotten(new_database: NewDatabase) -> None:
    replica = Replica(new_database())
    replica.run(script_of_everything())
    for table in (
        "buckets",
        "bucket_documents",
        "current",
        "inline",
        "blobs",
        "segments",
        "parts",
        "uploads",
        "intents",
    ):
        assert replica.connection.execute(f"SELECT * FROM {table}").fetchall() == [], table
    assert replica.connection.execute("SELECT * FROM garbage").fetchall() == []


def test_events_that_no_sink_will_read_are_not_kept(new_database: NewDatabase) -> None:
    """Neither before the first sink, nor after the last, nor below every cursor."""
    replica = Replica(new_database())

    def kept() -> int:
        (count,) = replica.connection.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def put(key: str) -> Command:
        return c.CommitObject(
            id=key,
            at=1,
            bucket=1,
            key=key,
            content=c.Content(size=0),
            etag="e",
            owner="o",
            attributes=Attributes(),
        )

    replica.run([c.CreateBucket(id="1", at=1, name="b", owner="o", region="r"), put("before")])
    assert kept() == 0
    replica.run([c.FollowEvents(id="2", at=1, sinks=("s",)), put("1"), put("2")])
    assert kept() == 2
    replica.run([c.MoveCursor(id="3", at=1, sink="s", seq=replica.state.seq)])
    assert kept() == 0
    replica.run([put("3"), c.FollowEvents(id="4", at=1, sinks=()), put("after")])
    assert kept() == 0
