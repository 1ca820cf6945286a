"""The kit of metadata engines finds what it is there to find, and needs one class with one fixture."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from bleepstore import commands as c
from bleepstore.metadata import (
    Attributes,
    Garbage,
    Listing,
    MetadataEngine,
    ObjectEntry,
    ObjectRecord,
    PartRecord,
    Reason,
    Refused,
)
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.metadata import MetadataKit, Store, races

pytestmark = pytest.mark.anyio


class Engine(SqliteEngine):
    """A sound one; each below is broken in one way that an author could well overlook."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, durable=False, token="one")


class IgnoresConditions(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.CommitObject):
            command = replace(command, condition=c.Condition())
        return await super().apply(command)


class DecidesConditionsBeforeItQueues(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.CommitObject) and command.condition.if_none_match:
            _, found = await self.object("bucket", command.key)
            await asyncio.sleep(0)
            if found is not None:
                raise Refused(Reason.IF_NONE_MATCH)
            command = replace(command, condition=c.Condition())
        return await super().apply(command)


class ForgetsWithItsProcess(Engine):
    lives = 0

    def __init__(self, path: Path) -> None:
        ForgetsWithItsProcess.lives += 1
        super().__init__(path.with_name(f"{self.lives}.db"))


class StopsWithItsCaller(Engine):
    async def apply(self, command: c.Command) -> Any:
        await asyncio.sleep(0.001)
        return await super().apply(command)


class DropsWhatWaitsAtTheEnd(Engine):
    ended = False

    async def stop(self) -> None:
        self.ended = True
        await super().stop()

    async def apply(self, command: c.Command) -> Any:
        result = await super().apply(command)
        if self.ended:
            raise ConnectionError("too late")
        return result


class RemovesUnderReaders(Engine):
    def reading(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


class KeepsReadersForEver(Engine):
    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        self.held = super().reading()
        self.held.__enter__()
        yield
        self.held.__exit__(None, None, None)


class DeletesOnlyWhatIsThere(Engine):
    async def apply(self, command: c.Command) -> Any:
        result = await super().apply(command)
        if isinstance(command, c.DeleteObject) and result is False:
            raise Refused(Reason.NO_SUCH_KEY)
        return result


class ListsByCodeUnits(Engine):
    async def list_objects(self, bucket: int, **asked: Any) -> Listing[ObjectEntry]:
        page = await super().list_objects(bucket, **asked)
        entries = sorted(page.entries, key=lambda entry: _name(entry).encode("utf-16-be"))
        return Listing(entries=entries, truncated=page.truncated)


class PromisesOnePageMore(Engine):
    async def list_objects(self, bucket: int, **asked: Any) -> Listing[ObjectEntry]:
        page = await super().list_objects(bucket, **asked)
        return Listing(entries=page.entries, truncated=len(page.entries) == asked["limit"])


class ShowsACommonPrefixAgain(Engine):
    async def list_objects(self, bucket: int, **asked: Any) -> Listing[ObjectEntry]:
        if asked["delimiter"] and asked["after"].endswith(asked["delimiter"]):
            asked["after"] = asked["after"] + "\x00"
        return await super().list_objects(bucket, **asked)


class CopiesWithoutCounting(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.CopyObject):
            _, found = await self.object("bucket", command.source.key)
            assert found is not None
            command = c.CommitObject(
                id=command.id,
                at=command.at,
                bucket=command.bucket,
                key=command.key,
                content=c.Content(size=found.size, blob=found.blob),
                etag=command.etag,
                owner=command.owner,
                attributes=Attributes(),
            )
        return await super().apply(command)


class CompletesOnce(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.CompleteUpload):
            _, upload = await self.upload("bucket", command.key, command.upload)
            if upload is not None and upload.completed is not None:
                raise Refused(Reason.NO_SUCH_UPLOAD)
        return await super().apply(command)


class KeepsGapsInPartNumbers(Engine):
    async def parts(self, segments: int, **asked: Any) -> Sequence[PartRecord]:
        return [replace(part, number=part.number + 1) for part in await super().parts(segments, **asked)]


class ChangesAndThenRefuses(Engine):
    async def apply(self, command: c.Command) -> Any:
        try:
            return await super().apply(command)
        except Refused:
            if isinstance(command, c.CommitObject):
                await super().apply(replace(command, key="left behind", condition=c.Condition()))
            raise


class ForgetsGarbageAtOnce(Engine):
    told = False

    async def garbage(self, limit: int, **asked: Any) -> Sequence[Garbage]:
        found = [] if self.told else await super().garbage(limit, **asked)
        self.told = True
        return found


class RecordsWithoutTheIntent(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.CommitObject | c.DeleteObject):
            command = replace(command, reservation=None)
        return await super().apply(command)


class ReservesForAll(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.Reserve):
            made = command.command
            intent = await self.intent(made.bucket, made.key)
            if intent is not None:
                release = {"bucket": made.bucket, "key": made.key, "reservation": intent.reservation}
                await super().apply(c.Release(id=command.id, at=command.at, **release))
        return await super().apply(command)


class AdoptsOverAnything(Engine):
    async def apply(self, command: c.Command) -> Any:
        if isinstance(command, c.AdoptObject):
            _, found = await self.object("bucket", command.key)
            command = replace(command, seq=0 if found is None else found.seq)
        return await super().apply(command)


class CallsItselfTheSame(Engine):
    async def start(self) -> None:
        await super().start()
        self.holder = "the engine"

    async def is_alive(self, holder: str) -> bool:
        return holder == self.holder


CASES: list[tuple[type[Engine], Callable[..., Any]]] = [
    (IgnoresConditions, MetadataKit.test_refusals_change_nothing),
    (IgnoresConditions, MetadataKit.test_one_of_two_conditional_replacements_wins),
    (DecidesConditionsBeforeItQueues, MetadataKit.test_one_of_many_conditional_writes_wins),
    (ForgetsWithItsProcess, MetadataKit.test_everything_acknowledged_is_there_after_a_restart),
    (ForgetsWithItsProcess, MetadataKit.test_first_start_makes_a_store_and_later_ones_find_it),
    (StopsWithItsCaller, MetadataKit.test_command_of_a_cancelled_caller_is_applied),
    (DropsWhatWaitsAtTheEnd, MetadataKit.test_stop_finishes_what_was_queued),
    (RemovesUnderReaders, MetadataKit.test_reading_holds_back_what_is_dropped_meanwhile),
    (RemovesUnderReaders, MetadataKit.test_readings_overlap),
    (RemovesUnderReaders, MetadataKit.test_inline_segment_stays_while_it_is_being_read),
    (KeepsReadersForEver, MetadataKit.test_reading_ends_when_the_body_fails),
    (DeletesOnlyWhatIsThere, MetadataKit.test_delete_is_idempotent),
    (ListsByCodeUnits, MetadataKit.test_listing_equals_a_sorted_list),
    (PromisesOnePageMore, MetadataKit.test_listing_equals_a_sorted_list),
    (ShowsACommonPrefixAgain, MetadataKit.test_listing_equals_a_sorted_list),
    (CopiesWithoutCounting, MetadataKit.test_blob_is_garbage_only_when_its_last_row_goes),
    (CopiesWithoutCounting, MetadataKit.test_copy_onto_itself_keeps_its_bytes),
    (CompletesOnce, MetadataKit.test_completion_repeated_answers_the_same),
    (KeepsGapsInPartNumbers, MetadataKit.test_completion_adopts_the_parts_named_with_gaps),
    (ChangesAndThenRefuses, MetadataKit.test_refusals_change_nothing),
    (RecordsWithoutTheIntent, MetadataKit.test_command_without_its_intent_is_lost_and_changes_nothing),
    (ReservesForAll, MetadataKit.test_key_with_an_intent_is_held),
    (AdoptsOverAnything, MetadataKit.test_only_the_state_that_was_looked_at_is_replaced),
    (CallsItselfTheSame, MetadataKit.test_process_that_holds_intents_is_known_to_be_dead),
    (ForgetsGarbageAtOnce, MetadataKit.test_garbage_comes_oldest_first_until_it_is_forgotten),
]


def _name(entry: ObjectRecord | str) -> str:
    return entry if isinstance(entry, str) else entry.key


async def run(test: Callable[..., Any], make: Callable[[], MetadataEngine]) -> None:
    store = Store(make)
    await store.open()
    try:
        await test(MetadataKit(), store)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("broken", "test"), CASES, ids=[f"{broken.__name__}-{test.__name__}" for broken, test in CASES]
)
async def test_broken_engine_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: type[Engine], test: Callable[..., Any]
) -> None:
    monkeypatch.setattr(races, "PATIENCE", 0.2)
    with pytest.raises((AssertionError, pytest.fail.Exception, Refused, ConnectionError, TimeoutError)):
        await run(test, lambda: broken(tmp_path / "metadata.db"))


@pytest.mark.parametrize("test", sorted({test for _, test in CASES}, key=lambda test: test.__name__))
async def test_sound_engine_passes_what_finds_the_broken_ones(
    tmp_path: Path, test: Callable[..., Any]
) -> None:
    await run(test, lambda: Engine(tmp_path / "metadata.db"))


PLUGIN_TESTS = """
import pytest
from bleepstore.sqlite.engine import SqliteEngine
from bleepstore.testing.metadata import MetadataKit

class TestSound(MetadataKit):
    @pytest.fixture
    def make_engine(self, tmp_path):
        return lambda: SqliteEngine(tmp_path / "metadata.db", durable=False)

class TestSaysItHasNoInlineBytes(TestSound):
    inline = False

class TestForgotItsFixture(MetadataKit):
    pass
"""


def test_one_class_with_one_fixture_has_every_test(tmp_path: Path) -> None:
    """As in another distribution: no conftest of ours, no setting, no marker."""
    (tmp_path / "test_plugin.py").write_text(PLUGIN_TESTS)
    report = tmp_path / "report.xml"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            ".",
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        timeout=300,
    )
    results: dict[str, dict[str, int]] = {}
    reasons: dict[str, set[str]] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = case.attrib["classname"].rpartition(".")[2]
        outcome = case[0].tag if len(case) else "passed"
        results.setdefault(name, {}).setdefault(outcome, 0)
        results[name][outcome] += 1
        if len(case):
            reasons.setdefault(name, set()).add(case[0].attrib["message"])
    count = sum(results["TestSound"].values())
    assert count > 75
    assert results["TestSound"] == {"passed": count}
    inline = sum("keeps_bytes" in str(getattr(test, "pytestmark", "")) for test in vars(MetadataKit).values())
    skipped = results["TestSaysItHasNoInlineBytes"].pop("skipped")
    assert skipped >= max(inline, 5)
    assert results["TestSaysItHasNoInlineBytes"] == {"passed": count - skipped - 1, "failure": 1}
    assert results["TestForgotItsFixture"] == {"error": count}
    assert all("has a fixture make_engine" in reason for reason in reasons["TestForgotItsFixture"])


def test_server_imports_no_kit_and_no_pytest() -> None:
    code = (
        "import sys, bleepstore.cli, bleepstore.app, bleepstore.supervisor, bleepstore.sqlite.engine\n"
        "print([name for name in sys.modules if 'pytest' in name or name.startswith('bleepstore.testing')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
