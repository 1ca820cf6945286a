"""One run of the kit against a server: pytest inside, a report outside.

What a server says itself that it has not (``NotImplemented``, status 501) is skipped with that reason;
what it does wrongly is a failure. A test that takes too long fails, and a server that stops to answer
ends the run.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
)

from bleepstore.testing.s3 import areas, fixtures
from bleepstore.testing.s3.buckets import Ledger, connect
from bleepstore.testing.s3.expectations import Missing, missing, says_missing
from bleepstore.testing.s3.report import FAILED, PASSED, SKIPPED, Report, Result
from bleepstore.testing.s3.target import Target

PATIENCE = 120.0
"""Seconds that one test may take."""
SILENT = 5
"""So many tests in a row that got no answer are reason to ask whether there is still a server."""
LONGEST = 240
"""Characters of a reason."""
ASKED = 10.0
"""Seconds in which a server must answer whether it is there."""

Progress = Callable[[int, int, Result], None]


class CannotRun(Exception):
    """Nothing was tested, and why."""


class TimedOut(Exception):
    """A test took too long."""


def run(
    target: Target,
    *,
    expression: str | None = None,
    patience: float = PATIENCE,
    progress: Progress | None = None,
) -> Report:
    """Run the tests that ``expression`` (pytest's ``-k``) chooses, by default all. Raises CannotRun."""
    ledger = Ledger(before=_buckets_before(target))
    recorder = _Recorder(target, ledger, patience, progress)
    kit = Path(areas.__file__).parent
    arguments = ["-c", str(kit.with_name("pytest.ini")), *(["-k", expression] if expression else [])]
    arguments += [str(kit / f"{area}.py") for area in areas.AREAS]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), _undisturbed():
        code = pytest.main(arguments, plugins=[fixtures, recorder])
    if recorder.report.stopped:
        recorder.report.left_behind = dict.fromkeys(ledger.made, "the server does not answer any more")
    else:
        left = ledger.sweep()
        recorder.report.left_behind = {name: _line(describe(error)) for name, error in left.items()}
    if code == pytest.ExitCode.INTERRUPTED and not recorder.report.stopped:
        raise KeyboardInterrupt
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise CannotRun(f"no test of the kit is chosen by -k {expression}")
    if code == pytest.ExitCode.USAGE_ERROR:
        raise CannotRun(f"-k {expression}: pytest cannot read this expression")
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        raise CannotRun(f"pytest ended with {code}:\n{printed.getvalue()[-4000:]}")
    return recorder.report


def _buckets_before(target: Target) -> set[str]:
    """The names that are there, which tells too whether there is a server."""
    client = connect(str(target.url), target, target.first, read_timeout=min(ASKED, target.timeout))
    try:
        return {bucket["Name"] for bucket in client.list_buckets().get("Buckets", [])}
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if says_missing(error):
            return set()
        code = error.response["Error"]["Code"]
        raise CannotRun(f"{target.url} does not list buckets: {code} {status}") from error
    except BotoCoreError as error:
        raise CannotRun(f"{target.url} does not answer: {_line(str(error))}") from error
    except ValueError as error:
        raise CannotRun(f"{target.url}: {error}") from error


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Without what the environment says to pytest and to SDKs; the target says it all."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith(("PYTEST_", "AWS_")) and name != "AWS_CA_BUNDLE":
            del os.environ[name]
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(nothing, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@dataclass
class _Recorder:
    """The plugin of one run."""

    target: Target
    ledger: Ledger
    patience: float
    progress: Progress | None
    report: Report = field(init=False)
    _outcome: tuple[str, str] = (PASSED, "")
    _seconds: float = 0.0
    _silent: int = 0
    _chosen: int = 0

    def __post_init__(self) -> None:
        self.report = Report(str(self.target.url))

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[fixtures.TARGET] = self.target
        config.stash[fixtures.LEDGER] = self.ledger

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._chosen = len(session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        with _deadline(self.patience):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        with _deadline(self.patience):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        with _deadline(self.patience):
            return (yield)

    def pytest_runtest_logstart(self) -> None:
        self._outcome, self._seconds = (PASSED, ""), 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None]:  # the value sent is the report
        self._seconds += call.duration
        error = call.excinfo.value if call.excinfo else None
        # What a teardown cannot remove is tried again at the end, and then named.
        if error is not None and call.when != "teardown":
            self._outcome = self._judge(error)
        return (yield)

    def _judge(self, error: BaseException) -> tuple[str, str]:
        self._silent = self._silent + 1 if _is_silence(error) else 0
        reason = reason_to_skip(error)
        if reason is not None:
            return SKIPPED, reason
        text = describe(error).replace(str(self.target.url), "ENDPOINT")
        return FAILED, _line(re.sub(rf"{re.escape(self.target.prefix)}[\w.-]*", "BUCKET", text))

    def pytest_runtest_logfinish(self, nodeid: str, location: Sequence[Any]) -> None:
        if self._outcome[0] == PASSED:
            self._silent = 0
        path, _, test = nodeid.partition("::")
        result = Result(Path(path).stem, test, *self._outcome, seconds=round(self._seconds, 3))
        self.report.results.append(result)
        if self.progress:
            self.progress(len(self.report.results), self._chosen, result)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        outcome = yield
        if self._silent >= SILENT:
            self._silent = 0
            try:
                _buckets_before(self.target)
            except CannotRun as error:
                left = self._chosen - len(self.report.results)
                self.report.stopped = f"{error}; {left} tests were not run"
                item.session.shouldstop = self.report.stopped
        return outcome


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise TimedOut in the main thread when the block takes longer; where there is no SIGALRM, do not."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def expired(*_: object) -> None:
        raise TimedOut(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reason_to_skip(error: BaseException) -> str | None:
    """Why this error of a test is no failure; ``None`` where it is one."""
    if isinstance(error, pytest.skip.Exception | Missing):
        return _line(str(error))
    if isinstance(error, ClientError) and says_missing(error):
        return missing(error)
    # boto3's transfers raise an error of their own while they handle the client's.
    if type(error).__module__.startswith("boto3") and error.__context__ is not None:
        return reason_to_skip(error.__context__)
    return None


def _is_silence(error: BaseException) -> bool:
    kinds = (ConnectionError, HTTPClientError, TimedOut, http.client.HTTPException, OSError)
    return isinstance(error, kinds)


def describe(error: BaseException) -> str:
    """An error of a test, in one line."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        found = error.response.get("Error", {})
        return f"{error.operation_name} answered {found.get('Code')} {status}: {found.get('Message')}"
    if isinstance(error, AssertionError) and str(error):
        return str(error)
    if isinstance(error, KeyError):
        return f"the reply has no {error}"
    return f"{type(error).__name__}: {error}"


def _line(text: str) -> str:
    first = " ".join(text.replace("Use -v to get more diff", "").split())
    return first if len(first) <= LONGEST else f"{first[:LONGEST]}..."
