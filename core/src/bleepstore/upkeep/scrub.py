"""Scrub: everything that is stored is read again and compared with what was written.

It goes slice by slice, by the last two hex digits of the blobs' names, so that memory holds the
names of one slice: first what the backend has, then what rows name. Whatever looks wrong is looked
at once more before it is a finding:

*damaged, missing, unreadable*
    A blob may have been dropped and removed since its row was read. So the rows are asked again for
    who holds it, while nothing that they name can be removed, and then the backend again.
*stranger*
    What is stored and no row named may be in flight, or its row came after the look at the rows. So
    the journals are asked first, then the rows, then the backend: a write that is not in flight any
    more has its row by then, or has left nothing behind.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from bleepstore.exchange import Services
from bleepstore.metadata import Holder
from bleepstore.storage import ENDINGS, Aside, Blob, BlobMissing, Damaged, StorageFault

SLICE = 200_000
"""Names after which a slice ends: about 40 MB of memory."""
BATCH = 10_000
"""Blobs that are looked at once more together: each time rows are scanned."""
AT_ONCE = 4
"""Blobs that are read at once while nobody else needs the disk."""


class Kind(enum.Enum):
    """What can be found."""

    DAMAGED = "damaged"
    """Its bytes are not what was written."""
    MISSING = "missing"
    """A row names it, and it is not there."""
    UNREADABLE = "unreadable"
    """The system says why it cannot be read; whether it is whole is not known."""
    STRANGER = "stranger"
    """It is stored, no row names it, and it is not in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One blob that is not as it should be."""

    kind: Kind
    blob: str
    detail: str
    holders: tuple[Holder, ...] = ()
    """The objects and parts that it belongs to."""
    moved: str | None = None
    """Where it was set aside."""


@dataclass(slots=True, kw_only=True)
class Totals:
    """What was looked at, and found."""

    blobs: int = 0
    blob_bytes: int = 0
    inline: int = 0
    inline_bytes: int = 0
    found: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())


class Scrub:
    """One look at everything, or at slices of it."""

    def __init__(
        self,
        services: Services,
        report: Callable[[Finding], None],
        *,
        read: bool = True,
        quarantine: bool = False,
        trash: bool = False,
        at_once: int = AT_ONCE,
    ) -> None:
        """``read``: compare bytes too. ``quarantine``, ``trash``: set aside what is found."""
        self._metadata = services.metadata
        self._storage = services.storage
        self._report = report
        self._read = read
        self._quarantine = quarantine
        self._trash = trash
        self._at_once = at_once
        self._suspects: dict[str, Blob] = {}
        self.totals = Totals()
        self.progress = 0.0
        """The part of :meth:`run` that is done."""

    async def run(self) -> None:
        """Look at everything. Raises MetadataUnavailable, and a StorageFault of the whole backend."""
        first, names = 0, set[str]()
        for ending in ENDINGS:
            names.update(await self._storage.names(range(ending, ending + 1)))
            if len(names) >= SLICE or ending == ENDINGS[-1]:
                await self._slice(range(first, ending + 1), names)
                first, names = ending + 1, set()

    async def slice(self, endings: range) -> None:
        """Look at what ends so."""
        await self._slice(endings, set(await self._storage.names(endings)))

    async def _slice(self, endings: range, names: set[str]) -> None:
        done, share = endings.start / len(ENDINGS), len(endings) / len(ENDINGS)
        total = len(names) or 1
        blobs, turn = self._metadata.blobs(endings), asyncio.Lock()

        async def work() -> None:
            while True:
                async with turn:
                    blob = await anext(blobs, None)
                if blob is None:
                    return
                await self._check(blob, names)
                self.progress = done + share * (1 - len(names) / total)
                if len(self._suspects) >= BATCH:
                    await self._look_again()

        workers = [asyncio.create_task(work(), name="scrub") for _ in range(self._at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        await self._look_again()
        await self._find_strangers(endings, names)
        if self._read:
            await self._check_inline(endings)
        self.progress = done + share

    async def _check(self, blob: Blob, names: set[str]) -> None:
        """Look at a blob that a row names; ``names`` are those stored that no row has named yet."""
        first = blob.name in names
        names.discard(blob.name)
        if blob.name in self._suspects:
            return
        if await self._fault(blob, read=self._read and first) is not None:
            self._suspects[blob.name] = blob
        if first:
            self.totals.blobs += 1
            self.totals.blob_bytes += blob.size

    async def _fault(self, blob: Blob, *, read: bool) -> StorageFault | None:
        """What is wrong with a blob; without ``read`` only whether it is there."""
        try:
            if read:
                await self._storage.verify(blob)
            else:
                await (await self._storage.open(blob, 0, 0)).close()
        except StorageFault as fault:
            return fault
        return None

    async def _look_again(self) -> None:
        """Report the suspects that rows still name and that are still not as they should be."""
        suspects, self._suspects = self._suspects, {}
        if not suspects:
            return
        with self._metadata.reading():
            for name, holders in _by_blob(await self._metadata.holders(list(suspects))):
                fault = await self._fault(suspects[name], read=self._read)
                if fault is not None:
                    await self._wrong(name, fault, holders)

    async def _wrong(self, name: str, fault: StorageFault, holders: tuple[Holder, ...]) -> None:
        kind, moved = Kind.UNREADABLE, None
        if isinstance(fault, BlobMissing):
            kind = Kind.MISSING
        elif isinstance(fault, Damaged):
            kind = Kind.DAMAGED
            if self._quarantine:
                moved = await self._storage.set_aside(name, Aside.QUARANTINE)
        detail = "is not there" if kind is Kind.MISSING else str(fault)
        self._found(Finding(kind=kind, blob=name, detail=detail, holders=holders, moved=moved))

    async def _find_strangers(self, endings: range, names: set[str]) -> None:
        """Judge what is stored and was named by no row."""
        if names:
            names -= set(await self._storage.in_flight())
        for batch in _batches(list(names)):
            names -= await self._metadata.known(batch)
        if names:
            names &= set(await self._storage.names(endings))
        for name in sorted(names):
            moved = await self._storage.set_aside(name, Aside.TRASH) if self._trash else None
            self._found(Finding(kind=Kind.STRANGER, blob=name, detail="no row names it", moved=moved))

    async def _check_inline(self, endings: range) -> None:
        """Look at the bytes in the metadata database."""
        suspects: list[str] = []
        async for blob in self._metadata.inline_blobs(endings):
            if not blob.whole:
                suspects.append(blob.name)
                continue
            self.totals.inline += 1
            self.totals.inline_bytes += blob.size
        for batch in _batches(suspects):
            for name, holders in _by_blob(await self._metadata.holders(batch)):
                detail = "the inline bytes are not what was written"
                self._found(Finding(kind=Kind.DAMAGED, blob=name, detail=detail, holders=holders))

    def _found(self, finding: Finding) -> None:
        self.totals.found[finding.kind] += 1
        self._report(finding)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), BATCH):
        yield names[at : at + BATCH]


def _by_blob(holders: Iterable[Holder]) -> Iterator[tuple[str, tuple[Holder, ...]]]:
    def blob(holder: Holder) -> str:
        return holder.blob

    for name, found in groupby(sorted(holders, key=blob), blob):
        yield name, tuple(found)
