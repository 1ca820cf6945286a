"""Which server the kit asks, and as whom. Only the standard library: the command line reads it first."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Account:
    """A key pair of the server."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def _run_prefix() -> str:
    return f"bleep-kit-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Target:
    """Where the tests go and who they are."""

    url: str | None
    """The endpoint; ``None`` where who runs the tests starts a server."""
    first: Account
    second: Account | None = None
    """Another account of the same server; without one the tests marked ``second_account`` are skipped."""
    region: str = "us-east-1"
    prefix: str = field(default_factory=_run_prefix)
    """What the names of this run's buckets begin with."""
    timeout: float = 60.0
    """Seconds that one answer may take."""

    def new_name(self, stem: str = "") -> str:
        """A name that no bucket has."""
        return "-".join(filter(None, (self.prefix, stem, uuid.uuid4().hex[:12])))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Target:
        """The endpoint and accounts that environment variables name.

        ``BLEEPSTORE_ENDPOINT``, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` (without them the
        documented pair), ``AWS_DEFAULT_REGION``, and of another account
        ``BLEEPSTORE_E2E_ALT_ACCESS_KEY`` and ``BLEEPSTORE_E2E_ALT_SECRET_KEY``.
        """
        second = None
        if "BLEEPSTORE_E2E_ALT_ACCESS_KEY" in environ:
            second = Account(
                environ["BLEEPSTORE_E2E_ALT_ACCESS_KEY"], environ["BLEEPSTORE_E2E_ALT_SECRET_KEY"]
            )
        return cls(
            url=environ.get("BLEEPSTORE_ENDPOINT") or None,
            first=Account(
                environ.get("AWS_ACCESS_KEY_ID", DOCUMENTED.access_key),
                environ.get("AWS_SECRET_ACCESS_KEY", DOCUMENTED.secret_key),
                environ.get("AWS_SESSION_TOKEN"),
            ),
            second=second,
            region=environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        )


DOCUMENTED = Account("bleepstore", "bleepstore-secret")
"""The key pair of a server on which none is configured."""
