"""Taking the bytes of an object or a part: received, verified, durable, and then committed.

Small bodies go into the metadata database where backend and engine both allow that; others are
staged in the backend and published once every digest is right. Nothing is visible before the
command that names the bytes is applied, and whatever fails before leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bleepstore.commands import Command, Content
from bleepstore.errors import S3Error
from bleepstore.exchange import Exchange
from bleepstore.http.checksums import HEADERS, checksummer
from bleepstore.metadata import Checksum, MetadataBusy, MetadataFull, Refused
from bleepstore.storage import StagedBlob, Target

DEFAULT_ALGORITHM = "CRC64NVME"
"""What S3 computes where the client asked for nothing."""
UNCHANGED = (Refused, MetadataBusy, MetadataFull)
"""Raised by a command that certainly changed nothing."""


@dataclass(slots=True)
class Received:
    """Bytes that are verified and durable, but not yet named by any row."""

    content: Content
    md5: str
    checksum: Checksum | None
    default: str | None
    """The base64 CRC64NVME, where it was asked for."""
    staged: StagedBlob | None

    async def commit(self, x: Exchange, command: Command) -> Any:
        """Apply the command that names the bytes; where it changed nothing, they go."""
        staged = self.staged
        try:
            result = await x.services.metadata.apply(command)
        except UNCHANGED:
            if staged is not None:
                await staged.discard()
            raise
        # After any other failure the command may have been applied: the journal of the backend
        # keeps the name until somebody who can know has decided.
        if staged is not None:
            await staged.settle()
        return result


def declared_algorithm(x: Exchange) -> str | None:
    """The checksum algorithm that a request's headers announce for its body."""
    for header, algorithm in HEADERS.items():
        if header in x.headers:
            return algorithm
    return HEADERS.get(x.headers.get("x-amz-trailer", "").strip().lower())


async def receive(
    x: Exchange, *, algorithm: str = DEFAULT_ALGORITHM, default: bool = False, target: Target | None = None
) -> Received:
    """Read the body of ``x`` to its verified end.

    ``algorithm`` is computed where the client declared none; ``default`` also computes CRC64NVME
    beside what the client declared. Raises S3Error, StorageFault.
    """
    services, body = x.services, x.body
    body.require_checksum(algorithm)
    extra = checksummer(DEFAULT_ALGORITHM) if default else None
    limit = services.settings.storage.inline_limit
    inline = (
        body.length is not None
        and body.length <= limit
        and services.metadata.inline
        and services.storage.capabilities.inline
    )
    name, staged, size, data = services.new_id(), None, 0, b""
    if inline:
        pieces = [piece async for piece in body]
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        size = len(data)
        if extra is not None:
            extra.update(data)
    else:
        staged = await services.storage.stage(name, size=body.length, target=target)
        try:
            async for piece in body:
                if extra is not None:
                    extra.update(piece)
                await staged.write(piece)
                size += len(piece)
            blob = await staged.publish()
        except BaseException:
            await staged.discard()
            raise
    checksum = body.checksum
    if size == 0:
        content = Content(size=0)
        if staged is not None:
            await staged.discard()
            staged = None
    elif staged is None:
        content = Content(size=size, blob=name, data=data)
    else:
        content = Content(size=size, blob=blob.name, token=blob.token)
    return Received(
        content=content,
        md5=body.md5,
        checksum=None if checksum is None else Checksum(algorithm=checksum[0], value=checksum[1]),
        default=None if extra is None else extra.base64(),
        staged=staged,
    )


def owner_of_new(x: Exchange) -> str:
    """Who owns what this request makes: who asks, or the bucket's owner where that is nobody."""
    assert x.bucket is not None
    account = x.identity.account
    if account is None or x.services.settings.auth.acls == "disabled":
        return x.bucket.owner
    return account.id


def refuse_part_parameters(x: Exchange) -> None:
    """A part without its upload must not become an object. Raises S3Error InvalidArgument."""
    if "partNumber" in x.query:
        raise S3Error(
            "InvalidArgument",
            "This operation does not accept partNumber without uploadId.",
            ArgumentName="partNumber",
            ArgumentValue=x.query["partNumber"][:64],
        )
