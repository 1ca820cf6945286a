"""What is arranged before and between runs, by boto3: buckets, uploads, and taking them away again."""

from __future__ import annotations

from typing import Any

import boto3
import clients
from botocore.config import Config
from botocore.exceptions import ClientError
from load import Load
from servers import Server


def client(server: Server) -> Any:
    """A boto3 client of this server: path style, no checksum that was not asked for."""
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            retries={"max_attempts": 1},
            read_timeout=600,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def make(server: Server, bucket: str) -> None:
    """Make a bucket; one that is there stays."""
    try:
        client(server).create_bucket(Bucket=bucket)
        server.made.append(bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def fill(
    server: Server, bucket: str, keys: list[str], *, connections: int = 32, seconds: float = 600.0
) -> Load:
    """Put empty objects for at most so many seconds."""
    signer = server.presigner()
    requests = [clients.Sent(signer.request("PUT", f"{bucket}/{key}"), b"") for key in keys]
    done = clients.run(server.url, requests, connections=connections, seconds=seconds, once=True)
    if done.errors > len(keys) / 100:
        raise RuntimeError(f"{server.name}: {done.errors} errors while {bucket} was filled: {done.told}")
    return done


def clear(server: Server) -> None:
    """Remove the buckets that were made, with all that is in them, where the server goes on afterwards."""
    s3 = client(server)
    for bucket in server.made:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            if found := [{"Key": item["Key"]} for item in page.get("Contents", [])]:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
        s3.delete_bucket(Bucket=bucket)
    server.made.clear()
