"""What can be a bucket or a key here, and buckets that are made where they are missing."""

from __future__ import annotations

from pathlib import Path

from bleepstore.commands import CreateBucket
from bleepstore.errors import S3Error
from bleepstore.exchange import Services
from bleepstore.http.address import check_key
from bleepstore.metadata import BucketRecord, Reason, Refused
from bleepstore.s3.bucket_names import is_bucket_name
from bleepstore.transfer.report import Report


def is_key(key: str) -> bool:
    """Whether an object can be called so."""
    try:
        key.encode()
        check_key(key)
    except (UnicodeEncodeError, S3Error):
        return False
    return key != ""


def is_data_directory(folder: Path) -> bool:
    """Whether a folder is that of a store, which is neither imported from nor exported into."""
    return any((folder / name).exists() for name in ("metadata.db", "store-id"))


def wanted(name: str, only: list[str], report: Report) -> bool:
    """Whether a bucket that was found is to be looked at; a name that none can have is told."""
    if only and name not in only:
        return False
    if is_bucket_name(name):
        return True
    report.tell("unusable", name, "", "no bucket can have this name: it is passed by")
    return False


async def bucket_of(services: Services, name: str, *, make: bool) -> BucketRecord | None:
    """The bucket of a name; where it is missing it is made for the first account."""
    bucket = await services.metadata.bucket(name)
    if bucket is not None or not make:
        return bucket
    command = CreateBucket(
        id=services.new_id(),
        at=services.clock(),
        name=name,
        owner=services.accounts.first.id,
        region=services.settings.server.region,
    )
    try:
        made: BucketRecord = await services.metadata.apply(command)
    except Refused as refused:
        if refused.reason is not Reason.BUCKET_EXISTS:
            raise
        return await services.metadata.bucket(name)  # somebody was faster
    return made
