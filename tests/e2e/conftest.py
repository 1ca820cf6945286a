"""The S3 conformance kit (``bleepstore.testing.s3``) against a server started here, or one that is there.

Each ``test_AREA.py`` is an area of the kit, imported.

Environment:

``BLEEPSTORE_ENDPOINT``           URL of the endpoint; with it nothing is started
``BLEEPSTORE_E2E_EXISTING=1``     without it: use http://localhost:9000 when something answers there
``BLEEPSTORE_E2E_WORKERS``        worker processes of a server that the suite starts itself (1)
``AWS_ACCESS_KEY_ID`` ...         credentials, also of a server started here; the documented default
``BLEEPSTORE_E2E_ALT_ACCESS_KEY`` and ``..._ALT_SECRET_KEY``: another account of a given endpoint
``AWS_DEFAULT_REGION``            region (us-east-1)

A second account is a capability: without one the tests marked ``second_account`` are skipped, and
the header of the run says so. Nothing else is ever skipped here: what is not implemented fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from server_process import SECOND, Account, ServerProcess, answers

KIT = Path(__file__).parents[2] / "core/src"
if KIT.is_dir():
    sys.path.append(str(KIT))  # so that a checkout needs no installation, where another endpoint is given

pytest.register_assert_rewrite("bleepstore.testing.s3")

from bleepstore.testing.s3.fixtures import *  # noqa: E402, F403
from bleepstore.testing.s3.target import Account as KitAccount  # noqa: E402
from bleepstore.testing.s3.target import Target  # noqa: E402

DEFAULT_ENDPOINT = "http://localhost:9000"


def _target() -> Target:
    target = Target.from_environment()
    if not target.url and os.environ.get("BLEEPSTORE_E2E_EXISTING") == "1" and answers(DEFAULT_ENDPOINT):
        target = replace(target, url=DEFAULT_ENDPOINT)
    if not target.url and not target.second:
        target = replace(target, second=KitAccount(SECOND.access_key, SECOND.secret_key))
    return target


TARGET = pytest.StashKey[Target]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "second_account: needs credentials of another account")
    config.stash[TARGET] = _target()


def pytest_report_header(config: pytest.Config) -> str:
    target = config.stash[TARGET]
    second = "yes" if target.second else "NO (set BLEEPSTORE_E2E_ALT_ACCESS_KEY and _SECRET_KEY)"
    return f"e2e: endpoint {target.url or 'started here'}, second account: {second}"


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    return pytestconfig.stash[TARGET]


@pytest.fixture(scope="session")
def endpoint(target: Target) -> Iterator[str]:
    """The URL of the endpoint, without a slash at its end."""
    if target.url:
        yield target.url.rstrip("/")
        return
    workers = int(os.environ.get("BLEEPSTORE_E2E_WORKERS", "1"))
    accounts = [Account(a.access_key, a.secret_key) for a in (target.first, target.second) if a]
    with tempfile.TemporaryDirectory(prefix="bleepstore-e2e-") as directory:
        server = ServerProcess(Path(directory), workers=workers, accounts=accounts, region=target.region)
        try:
            yield server.start().url
            assert server.stop() == 0
        finally:
            server.kill()
