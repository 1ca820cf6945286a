"""Rounds of kill -9: what was acknowledged is there and whole, and nothing is left over.

``make crash ROUNDS=500`` runs as many as one likes.
"""

from pathlib import Path

import broken_servers
import pytest
from crashes import run
from store_model import Violation


@pytest.mark.parametrize("workers", [1, 2])
def test_everything_acknowledged_survives_rounds_of_kills_and_no_orphan_does(
    workers: int, tmp_path: Path
) -> None:
    """S3-CHECKLIST 33, 39, 40, 44"""
    assert run(tmp_path / "server", workers=workers, rounds=8, seed="tests").acknowledged > 0


@pytest.mark.parametrize("what", ["ROW_BEFORE_BYTES", "REPLY_BEFORE_COMMIT"])
def test_rounds_find_a_server_that_promises_too_early(what: str, tmp_path: Path) -> None:
    with pytest.raises(Violation):
        run(tmp_path / "server", workers=1, rounds=40, seed="tests", prelude=getattr(broken_servers, what))
