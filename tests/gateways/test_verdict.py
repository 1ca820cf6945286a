"""The harness of ``make test-gateways``: what it calls red, and that a run goes through a gateway."""

from __future__ import annotations

from pathlib import Path

from bleepstore.testing.s3.report import FAILED, PASSED, SKIPPED, Result
from matrix import run
from pins import PINS
from runs import smoke
from upstreams import UPSTREAMS
from verdict import judge, reasons, side_by_side

GOOD = Result("ranges", "test_good", PASSED)
BAD = Result("ranges", "test_bad[x]", FAILED, "why")
ABSENT = Result("acls", "test_absent", SKIPPED, "GetBucketAcl is not implemented")


def test_what_passes_and_what_is_pinned_is_not_red() -> None:
    verdict = judge(
        "g", [GOOD, BAD, ABSENT], {"ranges::test_bad*": "the emulator", "acls::test_absent": "why not"}
    )
    assert not verdict.red
    assert [(r.outcome, r.reason) for r in verdict.results[1:]] == [
        (SKIPPED, "the emulator"),
        (SKIPPED, "why not"),
    ]


def test_a_failure_and_a_skip_that_nobody_pinned_are_red() -> None:
    verdict = judge("g", [GOOD, BAD, ABSENT], {})
    assert (verdict.red, verdict.unexpected) == (True, [BAD, ABSENT])


def test_a_pin_is_red_when_its_test_passes() -> None:
    verdict = judge("g", [GOOD], {"ranges::test_good": "it cannot"})
    assert (verdict.red, verdict.stale) == (True, ["ranges::test_good: ranges::test_good passes"])


def test_a_pin_of_no_test_is_red_when_all_were_run() -> None:
    pins = {"ranges::test_gone": "it cannot"}
    assert judge("g", [GOOD], pins).red
    assert not judge("g", [GOOD], pins, whole=False).red


def test_a_pin_without_a_star_is_that_test_alone() -> None:
    assert judge("g", [BAD], {"ranges::test_bad": "not this one"}).red


def test_gateways_stand_side_by_side_with_what_is_red_below() -> None:
    verdicts = [judge("one", [GOOD, BAD], {}), judge("two", [GOOD, ABSENT], {"acls::test_absent": "so"})]
    assert list(side_by_side(verdicts)) == [
        "passed/failed/skipped",
        "area      one    two",
        "ranges  1/1/0  1/0/0",
        "acls           0/0/1",
        "total   1/1/0  1/0/1",
    ]
    assert list(reasons(verdicts[0])) == ["  UNEXPECTED failed: ranges::test_bad[x]: why"]
    assert list(reasons(verdicts[1])) == ["     1 skipped: so"]


def test_every_gateway_has_its_pins_and_every_pin_its_reason() -> None:
    assert set(PINS) == set(UPSTREAMS)
    assert all(reason for pins in PINS.values() for reason in pins.values())


def test_the_kit_runs_through_a_gateway(tmp_path: Path) -> None:
    verdict = run("local", tmp_path, "ranges and not large")
    assert not verdict.red, list(reasons(verdict))
    assert len(verdict.results) >= 15
    assert (tmp_path / "local.json").exists()
    assert (tmp_path / "local.log").exists()


def test_a_gateway_that_does_not_start_is_trouble_and_red(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BLEEPSTORE_COMMAND", "false")
    verdict = run("local", tmp_path, "ranges")
    assert verdict.red
    assert "the server ended with 1" in verdict.trouble


def test_a_check_of_the_smoke_test_that_fails_says_what_was_printed(tmp_path: Path, monkeypatch) -> None:
    cli = tmp_path / "aws"
    cli.write_text("#!/bin/sh\necho 'Could not connect'\nexit 1\n")
    cli.chmod(0o755)
    monkeypatch.setenv("AWS_CLI", str(cli))
    results = smoke("http://127.0.0.1:1")
    assert Result("smoke", "s3 mb", FAILED, "Could not connect") in results
    assert results[-1].outcome == PASSED  # the script came to its end
