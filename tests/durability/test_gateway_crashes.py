"""Gateways that are killed again and again, in front of an upstream that lives on.

``make crash BACKEND=aws ROUNDS=500`` runs as many rounds as one likes.
"""

from pathlib import Path

import broken_servers
import pytest
from crashes import run
from gateway_crashes import ALIASES, GatewayCrashes
from kill_points import Point
from store_model import Violation


@pytest.mark.parametrize("backend", ALIASES)
def test_gateways_killed_between_upstream_and_metadata_agree_with_both_again(
    backend: str, tmp_path: Path
) -> None:
    done = run(tmp_path / "gateway", workers=1, rounds=5, seed="gateways", backend=backend)
    assert isinstance(done, GatewayCrashes)
    assert done.acknowledged > 0
    assert done.fallen == {Point.PUBLISHED: 2, Point.ANNOUNCED: 1, Point.NOTED: 1}
    assert done.doubtful >= 3


@pytest.mark.parametrize("what", ["ROW_BEFORE_UPSTREAM", "REPLY_BEFORE_UPSTREAM", "INTENTS_FORGOTTEN"])
def test_rounds_find_a_gateway_whose_steps_are_in_another_order(what: str, tmp_path: Path) -> None:
    prelude, backend = getattr(broken_servers, what), "aws(bleepstore)"
    with pytest.raises(Violation):
        run(tmp_path / "gateway", workers=1, rounds=40, seed="tests", prelude=prelude, backend=backend)
