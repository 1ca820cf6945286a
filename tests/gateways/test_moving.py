"""What is upstream already comes in, and what others change is found: here for one emulator.

``make test-gateways`` runs the same checks for all.
"""

from __future__ import annotations

from pathlib import Path

from bleepstore.testing.s3.report import FAILED
from moving import Moving, moving


def test_data_moves_in_and_out_of_a_cloud(tmp_path: Path) -> None:
    results = list(moving("gcp(fake-gcs)", tmp_path))
    assert len(results) == 11
    assert [(result.test, result.reason) for result in results if result.outcome == FAILED] == []


def test_a_check_that_fails_is_said_and_hides_no_other(tmp_path: Path, monkeypatch) -> None:
    def fails(self: Moving) -> None:
        raise AssertionError("two\nlines")

    for name in ("imported", "imported_again", "read", "unchanged", "found", "fixed", "exported", "claimed"):
        monkeypatch.setattr(Moving, name, fails)
    monkeypatch.setattr(Moving, "tree_imported", lambda self: None)
    results = list(moving("gcp(fake-gcs)", tmp_path))
    assert {(result.outcome, result.reason) for result in results if "tree is" not in result.test} == {
        (FAILED, "two lines")
    }
    assert [result.test for result in results if result.outcome != FAILED] == [
        "import of a tree is read by the cloud's SDK"
    ]


def test_there_is_nothing_to_check_without_a_cloud(tmp_path: Path) -> None:
    assert list(moving("local", tmp_path)) == []
