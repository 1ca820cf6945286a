"""The plugin that offers ``storage.backend: aws``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bleepstore.plugin import Context, StorageSpec, hookimpl
from bleepstore.settings import REQUIRED, setting
from bleepstore.storage import StorageBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """Section ``storage.aws``. Credentials are not here: see the README."""

    bucket: str = setting(REQUIRED, "The bucket upstream, which must exist.")
    region: str = setting("", "Its region; by default what AWS's own tools would take.")
    endpoint_url: str = setting("", "URL of the service, for what speaks the protocol of S3 and is not AWS.")
    prefix: str = setting("", "What the keys of all objects upstream begin with, before BUCKET/KEY.")
    profile: str = setting("", "Profile of ~/.aws/config that credentials and region are taken from.")
    addressing: Literal["auto", "path", "virtual"] = setting(
        "auto", "Where the bucket stands in a URL; 'auto' is 'path' where there is an endpoint_url."
    )
    conditions: Literal["upstream", "single_writer"] = setting(
        "upstream",
        "'upstream': it must honour every precondition. 'single_writer': what it ignores is looked up "
        "before, which is safe only where this process alone writes there.",
    )
    threads: int = setting(32, "Calls to the service at once.")
    part_mib: int = setting(8, "Smallest part of an upload in MiB, from 5; it grows with the object.")
    memory_mib: int = setting(32, "Bodies in memory, of all writes together, in MiB; more goes to files.")
    spool_dir: Path | None = setting(None, "Folder of these files, which have no names; by default $TMPDIR.")
    attempts: int = setting(3, "How often a call is tried while the service is in trouble.")
    timeout: int = setting(5, "Seconds that the service may be silent during one attempt.")


def build(context: Context) -> StorageBackend:
    """The backend of a configuration."""
    from bleepstore_backend_aws.backend import AwsBackend

    return AwsBackend(context.section)


class AwsPlugin:
    """Objects in a bucket of Amazon S3."""

    name = "aws"
    requires_api = (1, 0)

    @hookimpl
    def bleepstore_storage_backends(self) -> Iterable[StorageSpec]:
        """The backend ``aws``."""
        return (StorageSpec(name="aws", build=build, section=AwsSettings),)


plugin = AwsPlugin()
