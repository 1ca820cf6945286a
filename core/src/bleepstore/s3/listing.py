"""ListObjects and ListObjectsV2.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and API_ListObjects.html
Keys are in the order of their UTF-8 bytes. A common prefix counts once toward ``max-keys``, stands
for all keys under it, and the next page begins after all of them. A page costs O(page): the
engine seeks, and nothing here looks at more entries than the page has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from bleepstore.exchange import Exchange, Reply
from bleepstore.http.dates import iso_time
from bleepstore.metadata import Listing, ObjectEntry
from bleepstore.s3.documents import document
from bleepstore.s3.paging import invalid_argument, make_token, name_writer, page_size, read_token
from bleepstore.xml import Fragment, escape, is_plain
from bleepstore.xml.shapes import CommonPrefix, ListBucketResult, Object, Owner

T = TypeVar("T")
Write = Callable[[str], str]


async def list_objects(x: Exchange) -> Reply:
    """ListObjects, the first version: ``marker`` in, ``NextMarker`` out when there is a delimiter."""
    query = x.query
    if "list-type" in query:
        raise invalid_argument("Invalid List Type specified in Request", "list-type", query["list-type"])
    marker = query.get("marker", "")
    write = name_writer(query)
    page = await objects_page(x, after=marker, limit=(limit := page_size(query)))
    delimiter = query.get("delimiter")
    following = None
    if delimiter and page.truncated:
        following = write(last_name(page))
    return document(
        ListBucketResult(
            name=x.bucket_name,
            prefix=write(query.get("prefix", "")),
            marker=write(marker),
            next_marker=following,
            max_keys=limit,
            delimiter=write(delimiter) if delimiter else None,
            is_truncated=page.truncated,
            encoding_type=query.get("encoding-type") or None,
            contents=contents(x, page, write, owners=True),
            common_prefixes=common_prefixes(page, write),
        )
    )


async def list_objects_v2(x: Exchange) -> Reply:
    """ListObjectsV2: ``continuation-token`` (or ``start-after`` on the first page) and KeyCount."""
    query = x.query
    write = name_writer(query)
    start_after = query.get("start-after")
    token = read_token(query)
    after = token if token is not None else start_after or ""
    page = await objects_page(x, after=after, limit=(limit := page_size(query)))
    delimiter = query.get("delimiter")
    return document(
        ListBucketResult(
            name=x.bucket_name,
            prefix=write(query.get("prefix", "")),
            start_after=write(start_after) if start_after else None,
            continuation_token=query.get("continuation-token"),
            next_continuation_token=make_token(last_name(page)) if page.truncated else None,
            key_count=len(page.entries),
            max_keys=limit,
            delimiter=write(delimiter) if delimiter else None,
            is_truncated=page.truncated,
            encoding_type=query.get("encoding-type") or None,
            contents=contents(x, page, write, owners=query.get("fetch-owner", "").lower() == "true"),
            common_prefixes=common_prefixes(page, write),
        )
    )


async def objects_page(x: Exchange, *, after: str, limit: int) -> Listing[ObjectEntry]:
    """One page of the bucket's current objects under the ``prefix`` and ``delimiter`` asked for."""
    assert x.bucket is not None
    if limit == 0:  # AWS answers an empty page that claims to be the last
        return Listing(entries=(), truncated=False)
    return await x.services.metadata.list_objects(
        x.bucket.id,
        prefix=x.query.get("prefix", ""),
        delimiter=x.query.get("delimiter", ""),
        after=after,
        limit=limit,
    )


def last_name(page: Listing[ObjectEntry]) -> str:
    """Where the next page begins: the last key, or the last common prefix."""
    last = page.entries[-1]
    return last if isinstance(last, str) else last.key


def common_prefixes(page: Listing[T], write: Write) -> tuple[CommonPrefix, ...]:
    """The common prefixes of a page."""
    return tuple(CommonPrefix(prefix=write(entry)) for entry in page.entries if isinstance(entry, str))


def contents(x: Exchange, page: Listing[ObjectEntry], write: Write, *, owners: bool) -> tuple[Object, ...]:
    """The objects of a page, already as they are written.

    A thousand shapes for every page would take twice as long as all the rest of a listing; a test
    compares what stands here with what they would become.
    """
    owner_of = owner_finder(x)
    owner_elements: dict[str, str] = {}
    checksums: dict[tuple[str | None, str | None], str] = {}
    # Most pages have no key with anything to escape, which one look at all of them tells.
    plain = write is str and is_plain(" ".join([entry[0] for entry in page.entries]))
    second, stamp, owner = -1, "", ""
    out = []
    for entry in page.entries:
        if isinstance(entry, str):
            continue
        key, size, etag, modified, owner_id, _, storage_class, algorithm, kind = entry
        if modified // 1000 != second:
            second, stamp = modified // 1000, iso_time(modified)
        checksum = checksums.get((algorithm, kind))
        if checksum is None:
            checksum = checksums[algorithm, kind] = _checksum_elements(algorithm, kind)
        if owners:
            owner = owner_elements.get(owner_id) or owner_elements.setdefault(
                owner_id, _owner_element(owner_of(owner_id))
            )
        out.append(
            f"<Contents><Key>{key if plain else escape(write(key))}</Key><LastModified>{stamp}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag>{checksum}<Size>{size}</Size>"
            f"<StorageClass>{storage_class}</StorageClass>{owner}</Contents>"
        )
    return cast(tuple[Object, ...], Fragment("".join(out)))


def _checksum_elements(algorithm: str | None, kind: str | None) -> str:
    if algorithm is None:
        return ""
    return f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm><ChecksumType>{kind}</ChecksumType>"


def _owner_element(owner: Owner) -> str:
    name = "" if owner.display_name is None else f"<DisplayName>{escape(owner.display_name)}</DisplayName>"
    return f"<Owner>{name}<ID>{escape(owner.id or '')}</ID></Owner>"


def owner_finder(x: Exchange) -> Callable[[str], Owner]:
    """From canonical id to Owner, each looked up once; an account that is gone has no name."""
    found: dict[str, Owner] = {}

    def owner_of(canonical_id: str) -> Owner:
        owner = found.get(canonical_id)
        if owner is None:
            account = x.services.accounts.by_id(canonical_id)
            owner = Owner(id=canonical_id, display_name=account.display_name if account else None)
            found[canonical_id] = owner
        return owner

    return owner_of
