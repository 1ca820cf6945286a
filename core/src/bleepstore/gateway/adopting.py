"""What upstream holds becomes what the row says, after others have changed it.

The row keeps its owner, ACL, tags and storage class; size, token, ETag, type, headers and user
metadata are upstream's. A true ETag is upstream's own where it has one, and else the MD5 of the bytes.
"""

from __future__ import annotations

import hashlib
import logging

from bleepstore.commands import AdoptObject, Content
from bleepstore.gateway.engines import Engines
from bleepstore.metadata import Attributes
from bleepstore.native import UpstreamObject
from bleepstore.storage import Blob, BlobMissing, TokenMismatch, Unavailable

TRIES = 5
"""How often upstream may change while its object is read for a digest."""

log = logging.getLogger("bleepstore.gateway")


async def adopt(
    engines: Engines,
    name: str,
    *,
    bucket: int,
    key: str,
    seq: int,
    owner: str = "",
    reservation: str | None = None,
) -> bool:
    """Make the key's row say what upstream holds now, if the row is still that of ``seq``.

    Whether it was so. Raises StorageFault, Refused.
    """
    for _ in range(TRIES):
        found = await engines.storage.stat(name)
        try:
            etag = "" if found is None else found.etag or await _digest(engines, found)
        except (BlobMissing, TokenMismatch):
            continue
        log.info("%s was %s upstream, and is adopted", name, "removed" if found is None else "changed")
        done: bool = await engines.apply(
            AdoptObject,
            bucket=bucket,
            key=key,
            seq=seq,
            content=None if found is None else Content(size=found.size, blob=name, token=found.token),
            etag=etag,
            owner=owner,
            modified=0 if found is None else found.modified,
            attributes=Attributes()
            if found is None
            else Attributes(headers=dict(found.headers), metadata=dict(found.metadata)),
            reservation=reservation,
        )
        return done
    raise Unavailable(f"{name}: upstream changes faster than it can be read")


async def _digest(engines: Engines, found: UpstreamObject) -> str:
    """The MD5 of an object of which upstream knows none."""
    digest = hashlib.md5(usedforsecurity=False)
    reader = await engines.storage.open(Blob(name=found.name, size=found.size, token=found.token))
    try:
        async for piece in reader:
            digest.update(piece)
    finally:
        await reader.close()
    return digest.hexdigest()
