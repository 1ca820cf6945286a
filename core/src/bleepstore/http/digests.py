"""What the bytes of a body must prove: digests that run beside the receiving, and their verdict.

:meth:`Digests.absorb` takes pieces in order, inline for small ones and in a thread for large ones;
it never raises (a thread's exception could get lost with a cancelled request) but keeps the first
fault for :meth:`Digests.check`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from bleepstore.errors import S3Error
from bleepstore.exchange import ChunkSigner
from bleepstore.http.checksums import ALGORITHMS, HEADERS, Checksummer, checksummer, parse_value
from bleepstore.http.framing import Framing, Piece, Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the headers say that the body's digests are."""

    sha256: str | None = None
    """Hex, from ``x-amz-content-sha256``."""
    md5: bytes | None = None
    """From ``Content-MD5``."""
    algorithm: str | None = None
    """Of the one ``x-amz-checksum-*`` header or trailer."""
    value: bytes | None = None
    """Its digest, where a header (not a trailer) carries it."""
    trailers: frozenset[str] = frozenset()
    """Names announced in ``x-amz-trailer``."""


def read_declared(headers: Mapping[str, str], scheme: Scheme, *, checksums: bool = True) -> Declared:
    """Read the headers that speak about the body's digests.

    ``checksums=False`` leaves out ``x-amz-checksum-*``: at CompleteMultipartUpload they describe
    the object. Raises S3Error InvalidDigest, InvalidRequest, BadDigest, InvalidArgument.
    """
    sha256 = headers.get("x-amz-content-sha256")
    if sha256 is not None and (scheme.framing is not Framing.PLAIN or len(sha256) != 64):
        sha256 = None  # UNSIGNED-PAYLOAD and STREAMING-*; other values are the authenticator's to refuse
    md5 = None
    if "content-md5" in headers:
        md5 = _content_md5(headers["content-md5"])
    algorithm, value = None, None
    trailers = _announced(headers, scheme)
    if checksums:
        algorithm, value = _checksum(headers, trailers)
    return Declared(sha256=sha256, md5=md5, algorithm=algorithm, value=value, trailers=trailers)


def _content_md5(text: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        error = S3Error("InvalidDigest")
        error.elements["Content-MD5"] = text[:256]
        raise error
    return digest


def _announced(headers: Mapping[str, str], scheme: Scheme) -> frozenset[str]:
    text = headers.get("x-amz-trailer")
    if text is None:
        return frozenset()
    names = frozenset(name.strip().lower() for name in text.split(","))
    if not scheme.trailers or not names <= HEADERS.keys():
        raise S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
    return names


def _checksum(headers: Mapping[str, str], trailers: frozenset[str]) -> tuple[str | None, bytes | None]:
    asked = headers.get("x-amz-sdk-checksum-algorithm")
    if asked is None and not trailers and HEADERS.keys().isdisjoint(headers):
        return None, None
    named = [name for name in HEADERS if name in headers]
    if len(named) + len(trailers) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    if asked is not None:
        asked = asked.upper()
        if asked not in ALGORITHMS:
            raise S3Error("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
        if not named and not trailers:
            raise S3Error(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* "
                "or x-amz-trailer headers were found.",
            )
    algorithm = HEADERS[named[0] if named else next(iter(trailers))]
    if asked is not None and asked != algorithm:
        raise S3Error("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return algorithm, parse_value(algorithm, headers[named[0]]) if named else None


class Digests:
    """The running digests of one body."""

    def __init__(self, declared: Declared, *, required: str | None, signer: ChunkSigner | None) -> None:
        self._declared = declared
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if declared.sha256 else None
        algorithm = declared.algorithm or required
        self._checksummer: Checksummer | None = checksummer(algorithm) if algorithm else None
        self._signer = signer
        self._chunk = hashlib.sha256() if signer is not None else None
        self._fault: S3Error | None = None
        self.checksum: tuple[str, str] | None = None
        """(algorithm, base64), after :meth:`verify`."""

    @property
    def md5(self) -> str:
        """Hex MD5 of what was absorbed."""
        return self._md5.hexdigest()

    def absorb(self, piece: Piece) -> None:
        """Take the next piece, and compare the signatures of the chunks that end in it."""
        data = piece.data
        self._md5.update(data)
        if self._sha256 is not None:
            self._sha256.update(data)
        if self._checksummer is not None:
            self._checksummer.update(data)
        if self._signer is not None and self._fault is None:
            self._absorb_chunks(self._signer, data, piece.marks)

    def _absorb_chunks(self, signer: ChunkSigner, data: bytes, marks: list[tuple[int, str]]) -> None:
        chunk = self._chunk
        assert chunk is not None
        view = memoryview(data)
        start = 0
        for end, signature in marks:
            chunk.update(view[start:end])
            if not hmac.compare_digest(signer.chunk(chunk.digest()), signature):
                self._fault = S3Error("SignatureDoesNotMatch")
                return
            chunk = self._chunk = hashlib.sha256()
            start = end
        chunk.update(view[start:])

    def check(self) -> None:
        """Raise the first fault that :meth:`absorb` met."""
        if self._fault is not None:
            raise self._fault

    def verify(self, trailers: Mapping[str, str], trailer_signature: str | None) -> None:
        """All bytes are absorbed: raise S3Error unless they are what was declared."""
        self.check()
        declared = self._declared
        if declared.trailers or trailers:
            self._verify_trailers(trailers, trailer_signature)
        if declared.sha256 is not None and self._sha256 is not None:
            found = self._sha256.hexdigest()
            if found != declared.sha256.lower():
                raise S3Error(
                    "XAmzContentSHA256Mismatch",
                    ClientComputedContentSHA256=declared.sha256,
                    S3ComputedContentSHA256=found,
                )
        if declared.md5 is not None and declared.md5 != self._md5.digest():
            raise S3Error(
                "BadDigest",
                ExpectedDigest=base64.b64encode(declared.md5).decode(),
                CalculatedDigest=base64.b64encode(self._md5.digest()).decode(),
            )
        if self._checksummer is not None:
            self._verify_checksum(self._checksummer, trailers)

    def _verify_checksum(self, running: Checksummer, trailers: Mapping[str, str]) -> None:
        digest = running.digest()
        algorithm = running.algorithm
        self.checksum = (algorithm, base64.b64encode(digest).decode())
        expected = self._declared.value
        header = ALGORITHMS[algorithm].header
        if expected is None and header in trailers:
            expected = parse_value(algorithm, trailers[header])
        if expected is not None and expected != digest:
            raise S3Error(
                "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
            )

    def _verify_trailers(self, trailers: Mapping[str, str], signature: str | None) -> None:
        if trailers.keys() != self._declared.trailers:
            raise S3Error("MalformedTrailerError")
        if self._signer is None:
            return
        lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        expected = self._signer.trailer(hashlib.sha256(lines.encode("latin-1")).digest())
        if signature is None or not hmac.compare_digest(expected.encode(), signature.encode("latin-1")):
            raise S3Error("SignatureDoesNotMatch")
