"""What a cloud holds, as its own SDK lists it, beside what the rows of a gateway name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import aws
import gcp
from azure.storage.blob import ContainerClient
from bleepstore.native import RESERVED
from store_model import Violation

MARKER = f"{RESERVED}/store"
"""What there is always."""
_ROWS = "SELECT blob, size FROM current WHERE blob IS NOT NULL"


class Rows(NamedTuple):
    """What the metadata says in one moment."""

    objects: dict[str, int]
    """Sizes by the name of the blob."""
    intents: list[str]
    """Keys of which it is not known whether a write has happened."""
    garbage: int
    handles: set[str]
    """Of uploads."""


def rows(data: Path) -> Rows:
    """Of a data directory."""
    with closing(sqlite3.connect(f"{(data / 'metadata.db').as_uri()}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        return Rows(
            dict(db.execute(_ROWS)),
            [key.decode() for (key,) in db.execute("SELECT key FROM intents")],
            db.execute("SELECT count(*) FROM garbage").fetchone()[0],
            {handle for (handle,) in db.execute("SELECT handle FROM uploads") if handle},
        )


class Upstream:
    """One bucket of one cloud, below a prefix."""

    def __init__(self, storage: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """``storage``: the section of that name, with the endpoint of the upstream itself."""
        self._backend = storage["backend"]
        self._section = storage[self._backend]
        self._prefix = self._section["prefix"]
        if self._backend == "aws":
            self._client = aws.Endpoint(self._section["endpoint_url"], 0).client()
        elif self._backend == "gcp":
            self._client = gcp.client(self._section["endpoint"])
        else:
            text = environ["AZURE_STORAGE_CONNECTION_STRING"]
            self._client = ContainerClient.from_connection_string(text, self._section["container"])

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def listed(self, below: str = "") -> dict[str, int]:
        """Sizes of all objects, by their name without the prefix."""
        begin = self._prefix + below
        return {name.removeprefix(self._prefix): size for name, size in self._listed(begin)}

    def _listed(self, begin: str) -> Iterator[tuple[str, int]]:
        if self._backend == "aws":
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._section["bucket"], Prefix=begin):
                yield from ((entry["Key"], entry["Size"]) for entry in page.get("Contents", ()))
        elif self._backend == "gcp":
            found = self._client.list_blobs(self._section["bucket"], prefix=begin)
            yield from ((blob.name, blob.size) for blob in found)
        else:
            yield from ((blob.name, blob.size) for blob in self._client.list_blobs(begin))

    def strange_parts(self, known: set[str]) -> set[str]:
        """Uploads of AWS that hold parts and are not among these; without parts they cost nothing."""
        if self._backend != "aws":
            return set()
        bucket = {"Bucket": self._section["bucket"]}
        uploads = self._client.list_multipart_uploads(**bucket, Prefix=self._prefix).get("Uploads", ())
        found = {
            upload["UploadId"]: {"Key": upload["Key"], "UploadId": upload["UploadId"]} for upload in uploads
        }
        return {id_ for id_ in found.keys() - known if self._has_parts({**bucket, **found[id_]})}

    def _has_parts(self, upload: Mapping[str, str]) -> bool:
        try:
            return bool(self._client.list_parts(**upload).get("Parts"))
        except self._client.exceptions.NoSuchUpload:  # it is being swept
            return False


def check_accounted(upstream: Upstream, data: Path, bucket: str) -> None:
    """Upstream holds the objects that rows name, and no other. Raises Violation.

    Nothing is being written, and no intent is left.
    """
    held, named = upstream.listed(f"{bucket}/"), rows(data).objects
    if strangers := held.keys() - named.keys():
        raise Violation(f"no row knows of {sorted(strangers)}")
    if missing := named.keys() - held.keys():
        raise Violation(f"rows name {sorted(missing)}, which are not upstream")
    if other := {name for name in held if held[name] != named[name]}:
        raise Violation(f"{sorted(other)} have other sizes upstream than in their rows")


def leftovers(upstream: Upstream, data: Path) -> str:
    """What waits to be removed though no upload is open; or nothing."""
    now = rows(data)
    hidden = upstream.listed(f"{RESERVED}/").keys() - {MARKER}
    parts = upstream.strange_parts(now.handles)
    if hidden or parts or now.garbage or now.intents:
        return f"hidden {sorted(hidden)}, parts of {sorted(parts)}, {now.garbage} garbage, {now.intents}"
    return ""
