"""PutObject.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

from dataclasses import replace

from bleepstore.auth.acl import object_acl_from_headers
from bleepstore.commands import CommitObject
from bleepstore.exchange import Exchange, Reply
from bleepstore.http.conditions import write_condition
from bleepstore.http.object_headers import object_attributes, refuse_unbuilt
from bleepstore.metadata import Committed
from bleepstore.s3.checksum_headers import checksum_headers
from bleepstore.s3.ingest import owner_of_new, receive, refuse_part_parameters
from bleepstore.s3.native import object_stage, receive_native
from bleepstore.s3.owners import account_of
from bleepstore.s3.tagging import tags_from_header


async def put_object(x: Exchange) -> Reply:
    """PutObject: everything that headers can get wrong is said before the body is read."""
    assert x.bucket is not None
    assert x.key is not None
    refuse_part_parameters(x)
    headers = refuse_unbuilt(x.headers, x.services.settings)
    attributes = object_attributes(x.headers)
    condition = write_condition(x.headers)
    owner = owner_of_new(x)
    acl = object_acl_from_headers(x, account_of(x, owner), x.bucket)
    tags = tags_from_header(x.headers.get("x-amz-tagging"))
    if x.services.gateway is None:
        received = await receive(x)
    else:
        received = await receive_native(x, object_stage(x, attributes))
    command = CommitObject(
        id=x.services.new_id(),
        at=x.services.clock(),
        bucket=x.bucket.id,
        key=x.key,
        content=received.content,
        etag=received.md5,
        owner=owner,
        attributes=replace(attributes, checksum=received.checksum),
        acl=acl,
        tags=tags,
        condition=condition,
    )
    committed: Committed = await received.commit(x, command)
    headers |= checksum_headers(committed.checksum)
    headers["etag"] = f'"{committed.etag}"'
    return Reply(headers=headers)
