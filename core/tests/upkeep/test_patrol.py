"""Scrub beside requests: every slice once in the days configured, also where servers come and go."""

import asyncio
import logging
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from bleepstore.plugin import Context
from bleepstore.settings import Settings, UpkeepSettings
from bleepstore.testing.memory_native import NativeMemoryBackend
from bleepstore.upkeep import patrol as room
from bleepstore.upkeep.patrol import patrol
from bleepstore.upkeep.plugin import plugin
from bleepstore.upkeep.rounds import DAY

pytestmark = pytest.mark.anyio
TURN = DAY // 256
"""What a slice has, when a round takes a day."""


class Over(Exception):
    """Enough was seen."""


@pytest.fixture
def walk(services, monkeypatch):
    """``walk(now, slices, takes=...)``: the endings that are looked at from a time on, and when."""

    async def walk(now: int, slices: int, takes: float = 0, **options: Any) -> list[tuple[int, float]]:
        seen: list[tuple[int, float]] = []
        time = float(now)

        async def sleep(seconds: float) -> None:
            nonlocal time
            time += seconds * 1000

        async def slice(scrub: Any, endings: range) -> None:
            nonlocal time
            if len(seen) == slices:
                raise Over
            seen.append((endings.start, time))
            assert len(endings) == 1
            time += takes

        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(room.Scrub, "slice", slice)
        with pytest.raises(Over):
            await patrol(1)(replace(services, clock=lambda: int(time)))
        return seen

    return walk


async def test_every_slice_has_its_turn_once_a_round(walk):
    seen = await walk(1000 * DAY, 256)
    assert [ending for ending, _ in seen] == list(range(256))
    assert all(abs(at - 1000 * DAY - n * DAY / 256) < 2 for n, (_, at) in enumerate(seen))


async def test_server_that_starts_again_goes_on_where_the_clock_is(walk):
    """Whatever it was doing before: nothing is kept."""
    seen = await walk(1000 * DAY + 100 * TURN + TURN // 2, 3)
    assert [ending for ending, _ in seen] == [99 + 1, 101, 102]
    assert seen[0][1] == 1000 * DAY + 100 * TURN + TURN // 2


async def test_slices_that_take_too_long_follow_without_a_pause_and_none_is_left_out(walk):
    seen = await walk(1000 * DAY, 10, takes=TURN * 3)
    assert [ending for ending, _ in seen] == list(range(10))
    assert all(later - earlier == TURN * 3 for (_, earlier), (_, later) in pairwise(seen))


async def test_machine_that_slept_for_rounds_makes_up_for_one(walk):
    seen = await walk(1000 * DAY, 2, takes=5 * DAY)
    assert [ending for ending, _ in seen] == [0, 1]
    seen = await walk(1000 * DAY, 3, takes=5 * DAY + 10 * TURN)
    assert seen[1][0] == 11


async def test_findings_and_rounds_are_told_in_the_log(services, storage, store, bucket, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "bleepstore.scrub")
    await store.put(bucket, "lost", blob="0" * 30 + "ff")
    storage.memory.blobs["a" * 32] = b"x"
    turns = 0

    async def sleep(seconds: float) -> None:
        nonlocal turns
        turns += 1
        if turns > 256:
            raise Over

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(Over):
        await patrol(1)(replace(services, clock=lambda: 1000 * DAY))
    assert [record.getMessage() for record in caplog.records] == [
        f"stranger {'a' * 32}: no row names it",
        f"missing {'0' * 30}ff of bucket/lost: is not there",
        "scrubbed 0 blobs (0.0 MiB) and 0 inline objects (0.0 MiB): 1 missing, 1 stranger",
    ]
    assert storage.memory.aside == {}


async def test_backend_that_cannot_be_scrubbed_is_left_alone(services_of, caplog):
    await patrol(1)(services_of(storage=NativeMemoryBackend()))
    assert "cannot be scrubbed" in caplog.text


@pytest.mark.parametrize("days", [0, 7])
def test_it_runs_only_where_it_is_configured(days):
    settings = Settings(upkeep=UpkeepSettings(scrub_days=days))
    context = Context(settings=settings, section=None, log=logging.getLogger("test"), clock=lambda: 0)
    names = [task.name for task in plugin.bleepstore_background_tasks(context=context)]
    assert ("scrub" in names) is (days > 0)
