"""Signatures that were verified already: the same request comes again and again.

Browsers and caches repeat a presigned URL for as long as it holds, and a client that asks often for
one object sends the same signature all through a second. The finding is kept with the time in which it
holds and with every header that it depends on, so that the same request within it is not computed
again. Only findings are kept, never refusals.
"""

from __future__ import annotations

from typing import NamedTuple

from bleepstore.exchange import Authentication, Exchange

MOST = 2048
"""Findings that are remembered."""
LONGEST = 1024
"""Characters of the longest path and query together."""


class _Finding(NamedTuple):
    authentication: Authentication
    headers: dict[str, str]
    """Those that are signed, those of AWS, and the date; empty for one that was not there."""
    since: int
    until: int
    """Milliseconds since 1970, both inclusive."""


class Verified:
    """Findings by what was on the wire: method, path, query and the Authorization header."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str, str, str | None], _Finding] = {}

    def get(self, x: Exchange, authorization: str | None) -> Authentication | None:
        """The finding about the same request, where there is one that holds now."""
        finding = self._findings.get((x.method, x.raw_path, x.raw_query, authorization))
        if finding is None or not finding.since <= x.now <= finding.until:
            return None
        known, headers = finding.headers, x.headers
        for name, value in known.items():
            if headers.get(name, "") != value:
                return None
        for name in headers:
            if name.startswith("x-amz-") and name not in known:
                return None
        return finding.authentication

    def keep(
        self, x: Exchange, authorization: str | None, finding: Authentication, since: int, until: int
    ) -> None:
        """Remember what was found about a request."""
        if finding.chunk_signer is not None or len(x.raw_path) + len(x.raw_query) > LONGEST:
            return
        if len(self._findings) >= MOST:
            self._findings.clear()
        headers = {name: x.headers.get(name, "") for name in (*finding.signed_headers, "date")}
        headers |= {name: value for name, value in x.headers.items() if name.startswith("x-amz-")}
        at = (x.method, x.raw_path, x.raw_query, authorization)
        self._findings[at] = _Finding(finding, headers, since, until)
