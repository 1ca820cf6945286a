"""The three calls that make an object, each on a condition: an upload, a rewrite, a compose.

Every one may be tried again, for its precondition can be true once only. Where that is broken after a
second attempt, an answer may have been lost that said success: it is recognised by what is upstream
now. Another may have written the very same at the same time, so that what was recognised is not
*certain* to be ours, and is not removed when the write is discarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from bleepstore.storage import BackendFailed, BlobMissing, Target, TokenMismatch
from google.cloud.storage import Blob as Object

from bleepstore_backend_gcp.calls import Attempts, at, numbers_of
from bleepstore_backend_gcp.faults import ERRORS, kind
from bleepstore_backend_gcp.objects import dress, encoded, headers_of, known_by, state_of

if TYPE_CHECKING:
    from bleepstore_backend_gcp.backend import GcpBackend


@dataclass(frozen=True, slots=True)
class Published:
    """An object that was made."""

    token: str
    certain: bool = True
    """Nobody else can have made it."""


class Publication:
    """An object that is to be made under a name, on a condition. Its methods run in threads."""

    def __init__(
        self, backend: GcpBackend, name: str, target: Target | None, wanted: str | None, expect: str | None
    ) -> None:
        """``target``: its headers and metadata; ``wanted``: the fingerprint that it will have.

        ``None`` for either: the object is private, and nobody else writes it.
        """
        self._backend = backend
        self._name = name
        self._item = backend.item(name)
        if target is not None:
            dress(self._item, target)
        self._target = target
        self._wanted = wanted
        self._expect = expect
        self._conditions = at(expect)

    def put(self, body: bytes, crc: int) -> Published:
        """Upload a body in one request."""
        attempts = Attempts(self._backend.section)
        self._item.crc32c = encoded(crc)  # the service refuses other bytes
        try:
            self._item.upload_from_string(
                body,
                content_type=self._item.content_type,
                checksum=None,
                **self._conditions,
                **attempts.arguments,
            )
        except ERRORS as error:
            if kind(error) is BlobMissing:
                raise BackendFailed(f"{self._name}: there is no such bucket") from error
            return self._decide(error, attempts)
        return self._made()

    def rewrite(self, source: Object, token: str | None = None) -> Published:
        """Copy an object, at a token where one is given. Raises BlobMissing where it is not there."""
        attempts = Attempts(self._backend.section, slow=True)
        conditions = dict(self._conditions)
        if token is not None:
            generation, metageneration = numbers_of(token)
            conditions["if_source_generation_match"] = generation
            conditions["if_source_metageneration_match"] = metageneration
        going_on: str | None = None
        try:
            while True:
                going_on, _, _ = self._item.rewrite(
                    source, token=going_on, **conditions, **attempts.arguments
                )
                if going_on is None:
                    return self._made()
        except ERRORS as error:
            if kind(error) is not TokenMismatch or token is None:
                return self._decide(error, attempts)
            if recognised := self._recognised(attempts):
                return recognised
            # One status stands for either object: if the source is as it should be, it is the target.
            self._backend.at_token(self._backend.short(source.name), token)
            self._refused(error)

    def compose(self, sources: Sequence[Object]) -> Published:
        """Join objects. Raises BlobMissing where one is not there."""
        attempts = Attempts(self._backend.section, slow=True)
        try:
            self._item.compose(sources, **self._conditions, **attempts.arguments)
        except ERRORS as error:
            return self._decide(error, attempts)
        return self._made()

    def _made(self) -> Published:
        if self._wanted is not None and known_by(self._item) != self._wanted:
            raise BackendFailed(f"{self._name}: has become {known_by(self._item)}, not {self._wanted}")
        return Published(state_of(self._item))

    def _decide(self, error: Exception, attempts: Attempts) -> Published:
        if kind(error) is not TokenMismatch:
            raise error
        return self._recognised(attempts) or self._refused(error)

    def _refused(self, error: Exception) -> NoReturn:
        raise TokenMismatch(f"{self._name}: is not at {self._expect or 'nothing'}") from error

    def _recognised(self, attempts: Attempts) -> Published | None:
        """What an attempt whose answer was lost has made."""
        found = self._backend.look(self._name) if attempts.retried else None
        if found is None or state_of(found) == self._expect:
            return None
        same = self._wanted is None or known_by(found) == self._wanted
        if self._target is not None:
            same = same and headers_of(found) == headers_of(self._item)
            same = same and (found.metadata or {}) == (self._item.metadata or {})
        return Published(state_of(found), certain=False) if same else None
