"""Every target, in a test run: its corpus, and some hundred inputs made of it. ``make fuzz`` does more."""

from __future__ import annotations

import pytest
from harness import Target, names, target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EDITS = 6


@pytest.mark.parametrize("name", names())
def test_every_input_of_the_corpus_is_checked(name: str) -> None:
    found = target(name)
    assert found.seeds
    for seed in found.seeds.values():
        found.run(seed)


def mutated(found: Target) -> st.SearchStrategy[bytes]:
    """A seed with pieces cut out of it, and words, other pieces and any bytes put into it."""
    seeds = list(found.seeds.values())
    seed = st.sampled_from(seeds)
    piece = st.builds(
        lambda data, at, size: data[at : at + size], seed, st.integers(0, 400), st.integers(0, 60)
    )
    insert = st.one_of(st.sampled_from(found.words), piece, st.binary(max_size=8))
    edit = st.tuples(st.integers(0, max(map(len, seeds))), st.integers(0, 12), insert)
    return st.builds(_edited, seed, st.lists(edit, max_size=EDITS))


def _edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, size, insert in edits:
        at %= len(data) + 1
        data = data[:at] + insert + data[at + size :]
    return data


@pytest.mark.parametrize("name", names())
def test_no_input_does_what_it_must_not(name: str) -> None:
    found = target(name)

    @settings(max_examples=500, suppress_health_check=list(HealthCheck))
    @given(st.one_of(mutated(found), st.binary(max_size=200)))
    def any_input(data: bytes) -> None:
        found.run(data)

    any_input()
