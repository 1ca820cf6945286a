"""Another S3 endpoint, by boto3, whose calls run in threads. boto3 is imported when it is asked for.

``s3://`` is all buckets there, ``s3://BUCKET`` one of them, ``s3://BUCKET/PREFIX`` the part of it below
a prefix, which is no part of the keys here.
"""

from __future__ import annotations

import asyncio
import importlib.util
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bleepstore.transfer.console import CannotRun

SCHEME = "s3://"
AT_ONCE = 8
"""Objects that are copied at once."""

SILENT = ("", "500", "502", "503", "504", "InternalError", "SlowDown", "ServiceUnavailable")
"""Codes of an endpoint in trouble; ``""`` is one that did not answer at all."""

T = TypeVar("T")


class Failed(Exception):
    """A call was refused or not answered: one line. ``code`` is S3's, or ``""`` where nobody answered."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code

    @property
    def answered(self) -> bool:
        """It was S3 that said so, and of this call; else the next one may come to the same end."""
        return self.code not in SILENT


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects are at an endpoint."""

    bucket: str | None
    """``None``: each in the bucket of its own name."""
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket or ''}" + (f"/{self.prefix}" if self.prefix else "")


def add_options(parser: ArgumentParser) -> None:
    """What says which endpoint, and as whom."""
    text = "where s3:// is (default: as boto3 is configured, by AWS_ENDPOINT_URL or a profile; else AWS)"
    parser.add_argument("--endpoint", metavar="URL", help=text)
    text = "profile of the AWS configuration whose credentials it takes (default: those boto3 finds)"
    parser.add_argument("--profile", metavar="NAME", help=text)
    parser.add_argument("--region", metavar="NAME", help="its region")


def place_of(text: str) -> Place:
    """The place that an ``s3://`` URL names."""
    bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
    return Place(bucket or None, prefix)


class Endpoint:
    """A client, and its calls."""

    def __init__(self, options: Namespace) -> None:
        """Raises CannotRun."""
        if importlib.util.find_spec("boto3") is None:
            raise CannotRun(
                "s3:// needs boto3, which is not installed: pip install 'bleepstore-core[transfer]'"
            )
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            session = boto3.session.Session(profile_name=options.profile, region_name=options.region)
            self.region: str = session.region_name or "us-east-1"
            self.client: Any = session.client(
                "s3",
                endpoint_url=options.endpoint,
                region_name=self.region,
                config=Config(
                    connect_timeout=10,
                    read_timeout=60,
                    max_pool_connections=2 * AT_ONCE,
                    retries={"mode": "standard", "total_max_attempts": 5},
                    request_checksum_calculation="when_required",
                    s3={"addressing_style": "path" if options.endpoint else "auto"},
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise CannotRun(_one_line(error)) from error

    async def call(self, operation: Callable[..., T], **arguments: Any) -> T:
        """A call in a thread. Raises Failed."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await asyncio.to_thread(operation, **arguments)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise Failed(_one_line(error), code) from error
        except (BotoCoreError, OSError) as error:
            raise Failed(_one_line(error)) from error
        except UnicodeEncodeError as error:
            raise Failed("a header or a name cannot be sent: it is no ASCII", "Unsendable") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
