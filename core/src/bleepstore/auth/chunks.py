"""The running signature of an aws-chunked body.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
Each chunk's signature covers the one before, the first one that of the headers.
"""

from __future__ import annotations

from bleepstore.auth.canonical import EMPTY_SHA256, sign


class RunningSignature:
    """The signatures of one body, in order."""

    __slots__ = ("_date", "_key", "_previous", "_scope")

    def __init__(self, key: bytes, date: str, scope: str, seed: str) -> None:
        """``seed`` is the signature of the headers, in hex."""
        self._key = key
        self._date = date
        self._scope = scope
        self._previous = seed

    def chunk(self, sha256: bytes) -> str:
        """The signature that the next chunk must carry; advances."""
        text = (
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._date}\n{self._scope}\n{self._previous}\n"
            f"{EMPTY_SHA256}\n{sha256.hex()}"
        )
        self._previous = sign(self._key, text)
        return self._previous

    def trailer(self, sha256: bytes) -> str:
        """The signature of the trailer block."""
        text = f"AWS4-HMAC-SHA256-TRAILER\n{self._date}\n{self._scope}\n{self._previous}\n{sha256.hex()}"
        return sign(self._key, text)
