"""Clients, and the buckets that a run makes and removes again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from bleepstore.testing.s3.expectations import says_missing
from bleepstore.testing.s3.target import Account, Target

Client = Any

CONNECT = 10.0
"""Seconds in which a server must take a connection."""


def connect(endpoint: str, target: Target, account: Account | None, **options: Any) -> Client:
    """A client that tries everything once; without an account it signs nothing."""
    defaults: dict[str, Any] = {
        "signature_version": "s3v4" if account else UNSIGNED,
        "retries": {"total_max_attempts": 1},
        "s3": {"addressing_style": "path"},
        "connect_timeout": CONNECT,
        "read_timeout": target.timeout,
    }
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=target.region,
        aws_access_key_id=account.access_key if account else None,
        aws_secret_access_key=account.secret_key if account else None,
        aws_session_token=account.session_token if account else None,
        config=Config(**{**defaults, **options}),
    )


def create(client: Client, name: str, region: str, **parameters: Any) -> str:
    """Make a bucket in a region, and return its name."""
    if region != "us-east-1":
        parameters.setdefault("CreateBucketConfiguration", {"LocationConstraint": region})
    client.create_bucket(Bucket=name, **parameters)
    return name


def remove(client: Client, name: str) -> None:
    """Remove a bucket with all that is in it; it may be gone already. Raises ClientError."""
    with suppress(client.exceptions.NoSuchBucket):
        for key, version in list(_contents(client, name)):
            more = {"VersionId": version} if version else {}
            client.delete_object(Bucket=name, Key=key, **more)
        with _if_implemented():
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=name):
                for upload in page.get("Uploads", []):
                    client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        client.delete_bucket(Bucket=name)


def _contents(client: Client, name: str) -> Iterator[tuple[str, str | None]]:
    """Keys with versions; where the server has no such listing, keys alone."""
    with _if_implemented():
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                yield entry["Key"], entry["VersionId"]
        return
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            yield entry["Key"], None


@contextmanager
def _if_implemented() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if not says_missing(error):
            raise


def open_to_acls(client: Client, name: str) -> None:
    """Let a new bucket take public ACLs; where a server has no such block, it does anyway."""
    with _if_implemented():
        client.delete_public_access_block(Bucket=name)


@dataclass
class Ledger:
    """The buckets that clients of this run have made and not removed, whatever test it was."""

    made: dict[str, Client] = field(default_factory=dict)
    before: set[str] = field(default_factory=set)
    """Buckets that were there before: what answers that it made one of them is never emptied."""

    def watch(self, client: Client) -> Client:
        """Enter what this client makes."""

        def asked(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
            context["bleepstore_kit"] = params.get("Bucket")

        def answered(http_response: Any, context: dict[str, Any], **_: Any) -> None:
            name = context.get("bleepstore_kit")
            if name and http_response.status_code == 200 and name not in self.before:
                self.made[name] = client

        def removed(http_response: Any, context: dict[str, Any], **_: Any) -> None:
            if http_response.status_code == 204:
                self.made.pop(context.get("bleepstore_kit", ""), None)

        client.meta.events.register("provide-client-params.s3.CreateBucket", asked)
        client.meta.events.register("provide-client-params.s3.DeleteBucket", asked)
        client.meta.events.register("after-call.s3.DeleteBucket", removed)
        client.meta.events.register("after-call.s3.CreateBucket", answered)
        return client

    def sweep(self) -> dict[str, Exception]:
        """Remove what is left, and return what cannot be removed, each with the reason."""
        left: dict[str, Exception] = {}
        for name, client in list(self.made.items()):
            with suppress(ClientError, BotoCoreError):
                client.delete_bucket_policy(Bucket=name)  # it may forbid the rest
            try:
                _remove_whatever_answers(client, name)
            except (ClientError, BotoCoreError) as error:
                if not _says_gone(error):
                    left[name] = error
        return left


def _says_gone(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchBucket"


def _remove_whatever_answers(client: Client, name: str) -> None:
    """For servers whose listings of versions or of uploads are wrong: keys too, and no error but the last."""
    with suppress(ClientError, BotoCoreError):
        remove(client, name)
        return
    for page in client.get_paginator("list_objects").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            with suppress(ClientError, BotoCoreError):
                client.delete_object(Bucket=name, Key=entry["Key"])
    client.delete_bucket(Bucket=name)
