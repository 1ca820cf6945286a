"""ListObjectVersions.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
In a bucket that never had versioning every key has exactly one version, ``null``, and it is the
latest: cleaning scripts walk this listing and delete what it names.
"""

from __future__ import annotations

from bleepstore.exchange import Exchange, Reply
from bleepstore.http.dates import iso_time
from bleepstore.metadata import Listing, ObjectEntry
from bleepstore.s3.documents import document
from bleepstore.s3.listing import Write, common_prefixes, last_name, objects_page, owner_finder
from bleepstore.s3.paging import invalid_argument, name_writer, page_size
from bleepstore.xml.shapes import ListVersionsResult, ObjectVersion

NULL = "null"


async def list_object_versions(x: Exchange) -> Reply:
    """ListObjectVersions, by ``key-marker`` and ``version-id-marker``."""
    query = x.query
    write = name_writer(query)
    limit = page_size(query)
    key_marker = query.get("key-marker", "")
    version_marker = query.get("version-id-marker", "")
    if version_marker and not key_marker:
        raise invalid_argument(
            "A version-id marker cannot be specified without a key marker.",
            "version-id-marker",
            version_marker,
        )
    if version_marker and version_marker != NULL:
        raise invalid_argument("Invalid version id specified", "version-id-marker", version_marker)
    # A key's only version is the last of the key: with or without its version the page begins after it.
    page = await objects_page(x, after=key_marker, limit=limit)
    delimiter = query.get("delimiter")
    last = page.entries[-1] if page.truncated else None
    return document(
        ListVersionsResult(
            name=x.bucket_name,
            prefix=write(query.get("prefix", "")),
            key_marker=write(key_marker),
            version_id_marker=version_marker,
            next_key_marker=write(last_name(page)) if page.truncated else None,
            next_version_id_marker=version_of(last) if isinstance(last, ObjectEntry) else None,
            max_keys=limit,
            delimiter=write(delimiter) if delimiter else None,
            is_truncated=page.truncated,
            encoding_type=query.get("encoding-type") or None,
            versions=_versions(x, page, write),
            common_prefixes=common_prefixes(page, write),
        )
    )


def version_of(record: ObjectEntry) -> str:
    """The version id that replies name."""
    return record.version or NULL


def _versions(x: Exchange, page: Listing[ObjectEntry], write: Write) -> tuple[ObjectVersion, ...]:
    owner_of = owner_finder(x)
    entries = []
    for record in page.entries:
        if isinstance(record, str):
            continue
        entries.append(
            ObjectVersion(
                e_tag=f'"{record.etag}"',
                checksum_algorithm=(record.checksum_algorithm,) if record.checksum_algorithm else (),
                checksum_type=record.checksum_type,
                size=record.size,
                storage_class=record.storage_class,
                key=write(record.key),
                version_id=version_of(record),
                is_latest=True,
                last_modified=iso_time(record.modified),
                owner=owner_of(record.owner),
            )
        )
    return tuple(entries)
