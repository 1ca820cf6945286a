"""Copying one object in: through the storage contract, as a PUT goes, whatever backend there is.

Nothing is visible before all bytes have come and are what the source said they are; what fails before
that leaves nothing behind. The time of the last change is the source's, so that a second run knows
what it has.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from bleepstore.commands import CommitObject, Condition, Content
from bleepstore.exchange import Services
from bleepstore.gateway.engines import target_of
from bleepstore.metadata import BucketRecord, MetadataBusy, MetadataFull, ObjectRecord, Reason, Refused
from bleepstore.native import NativeStaged
from bleepstore.storage import OutOfSpace, StagedBlob, StorageFault, Unavailable, Unsupported
from bleepstore.transfer.console import Patience
from bleepstore.transfer.report import Report
from bleepstore.transfer.sources import Item, Opened, Source, Unreadable
from bleepstore.transfer.verifying import OF_PARTS, Digests, Wrong, fault_of, read

ALGORITHM = "CRC64NVME"
"""The checksum of what is copied in, as of a PUT that names none."""
UNCHANGED = (Refused, MetadataBusy, MetadataFull)
"""Raised by a command that certainly changed nothing."""


class Intake:
    """Copies items of a source into a store."""

    def __init__(
        self,
        services: Services,
        source: Source,
        report: Report,
        *,
        overwrite: bool,
        verify: bool,
        dry_run: bool,
    ) -> None:
        self._services = services
        self._source = source
        self._report = report
        self._overwrite = overwrite
        self._verify = verify
        self._dry_run = dry_run
        self._backend, self._outside = Patience(), Patience()

    async def take(self, bucket: BucketRecord | None, item: Item) -> None:
        """Copy an item, if that is to be; what fails is told.

        Raises what ends the run: OutOfSpace, CannotRun where one side does not answer for many,
        MetadataUnavailable, MetadataFull.
        """
        self._report.progress.objects += 1
        row = None if bucket is None else (await self._services.metadata.object(bucket.name, item.key))[1]
        if row is not None and is_same(row, item):
            self._report.count("here already")
            self._report.progress.spared += item.size
        elif row is not None and not self._overwrite:
            self._tell("changed", item, "differs from what is here; --overwrite takes it")
            return
        elif self._dry_run or bucket is None:
            self._report.count("to import")
            return
        elif not await self._copy(bucket, item):
            return
        if self._verify and bucket is not None:
            await self._read_again(bucket, item)

    async def _copy(self, bucket: BucketRecord, item: Item) -> bool:
        try:
            opened, pieces = await self._source.open(item)
            async with aclosing(pieces):
                await self._store(bucket, item, opened, pieces)
        except OutOfSpace:
            raise
        except Wrong as error:
            self._tell("damaged", item, str(error))
        except Unsupported as error:
            self._tell("unusable", item, str(error))
        except Unavailable as error:
            self._backend.unanswered(error)
            self._tell("unreadable", item, str(error) or "the backend does not answer")
        except Unreadable as error:
            if not error.answered:
                self._outside.unanswered(error)
            self._tell("unreadable", item, str(error))
        except StorageFault as error:
            self._tell("unreadable", item, str(error) or type(error).__name__)
        except Refused as refused:
            if refused.reason is Reason.IF_NONE_MATCH:  # upstream, and it had no row
                self._tell("changed", item, "is upstream already; --overwrite replaces it")
            else:
                self._tell("refused", item, refused.reason.value)
        else:
            self._backend.answered()
            self._outside.answered()
            self._report.count("imported")
            return True
        return False

    async def _store(
        self, bucket: BucketRecord, item: Item, opened: Opened, pieces: AsyncGenerator[bytes, None]
    ) -> None:
        services, known = self._services, opened.attributes.checksum
        digests = Digests(ALGORITHM if known is None else known.algorithm)
        command = CommitObject(
            id=services.new_id(),
            at=max(item.modified, 0),
            bucket=bucket.id,
            key=item.key,
            content=Content(size=item.size),
            etag=opened.etag if OF_PARTS.fullmatch(opened.etag) else "",
            owner=bucket.owner,
            attributes=opened.attributes,
            tags=opened.tags,
            condition=Condition(if_none_match=not self._overwrite),
        )
        if services.gateway is not None:
            target = target_of(bucket.name, item.key, opened.attributes)
            native = await services.gateway.storage.stage(services.new_id(), size=item.size, target=target)
            fingerprint = await self._fill_native(native, digests, item, opened, pieces)
            await services.gateway.write(bucket, native, fingerprint, _known(command, digests))
            return
        name = services.new_id()
        inline = services.metadata.inline and services.storage.capabilities.inline
        if inline and item.size <= services.settings.storage.inline_limit:
            kept: list[bytes] = []
            async for piece in self._pass(digests, item, opened, pieces):
                kept.append(piece)
            content = (
                Content(size=item.size, blob=name, data=b"".join(kept)) if item.size else command.content
            )
            await services.metadata.apply(replace(_known(command, digests), content=content))
            return
        await self._publish(
            await services.storage.stage(name, size=item.size), command, digests, item, opened, pieces
        )

    async def _fill_native(
        self,
        staged: NativeStaged,
        digests: Digests,
        item: Item,
        opened: Opened,
        pieces: AsyncGenerator[bytes, None],
    ) -> str:
        try:
            async for piece in self._pass(digests, item, opened, pieces):
                await staged.write(piece)
            return await staged.seal()
        except BaseException:
            await staged.discard()
            raise

    async def _publish(
        self,
        staged: StagedBlob,
        command: CommitObject,
        digests: Digests,
        item: Item,
        opened: Opened,
        pieces: AsyncGenerator[bytes, None],
    ) -> None:
        try:
            async for piece in self._pass(digests, item, opened, pieces):
                await staged.write(piece)
            if item.size == 0:
                await staged.discard()
                content = command.content
            else:
                blob = await staged.publish()
                content = Content(size=blob.size, blob=blob.name, token=blob.token)
        except BaseException:
            await staged.discard()
            raise
        try:
            await self._services.metadata.apply(replace(_known(command, digests), content=content))
        except UNCHANGED:
            await staged.discard()
            raise
        if item.size:
            await staged.settle()

    async def _pass(
        self, digests: Digests, item: Item, opened: Opened, pieces: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """The pieces, which are right when they end. Raises Wrong."""
        async for piece in pieces:
            await digests.update(piece)
            self._report.progress.moved += len(piece)
            yield piece
        if fault := digests.fault(item.size, opened.etag, opened.attributes.checksum):
            raise Wrong(f"{fault}: it is not taken")

    async def _read_again(self, bucket: BucketRecord, item: Item) -> None:
        row = (await self._services.metadata.object(bucket.name, item.key))[1]
        if row is None:
            return
        try:
            fault = await fault_of(row, read(self._services, row), self._report)
        except StorageFault as error:
            self._tell("unreadable", item, str(error) or type(error).__name__)
        else:
            if fault is not None:
                self._tell("damaged", item, fault)

    def _tell(self, kind: str, item: Item, detail: str) -> None:
        self._report.tell(kind, item.bucket, item.key, detail)


def is_same(row: ObjectRecord, item: Item) -> bool:
    """Whether a row is what an item would become: by size, and by ETag or time."""
    return row.size == item.size and (row.etag == item.etag or row.modified == max(item.modified, 0))


def _known(command: CommitObject, digests: Digests) -> CommitObject:
    """The command once all bytes have passed."""
    attributes = replace(command.attributes, checksum=digests.checksum)
    return replace(command, etag=command.etag or digests.md5, attributes=attributes)
