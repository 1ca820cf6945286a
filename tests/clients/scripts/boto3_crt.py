"""boto3 with the CRT extra: ``upload_file`` and the like go through the AWS Common Runtime.

boto3 takes the CRT by itself only on machines with a fast network card; ``preferred_transfer_client``
is its own setting to ask for it. It speaks TLS through the CRT to every endpoint, so over plain HTTP
the transfer manager below it is taken.
"""

from pathlib import Path

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from exercise import BUCKET, LARGE, REGION, SECURE, SMALL, URL, doing, exercise, finish, same, stored
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

s3 = boto3.client("s3")
local = Path("local")


def plain_transfers():
    session = botocore.session.get_session()
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    client = create_s3_crt_client(region=REGION, use_ssl=False, crt_credentials_provider=credentials)
    given = {"region_name": REGION, "endpoint_url": URL}
    serializer = BotocoreCRTRequestSerializer(session, given)
    return lambda: CRTTransferManager(client, serializer)


if SECURE:
    config = TransferConfig(preferred_transfer_client="crt")
    assert "CRT" in type(create_transfer_manager(s3, config)).__name__

    def upload(key, **extra):
        s3.upload_file(str(local), BUCKET, key, Config=config, ExtraArgs=extra)

    def download(key):
        s3.download_file(BUCKET, key, str(local), Config=config)

else:
    transfers = plain_transfers()

    def upload(key, **extra):
        with transfers() as manager:  # a download is in place when its manager has ended
            manager.upload(str(local), BUCKET, key, extra).result()

    def download(key):
        with transfers() as manager:
            manager.download(BUCKET, key, str(local)).result()


class Crt:
    missing = Exception

    def create_bucket(self):
        s3.create_bucket(Bucket=BUCKET)

    def put(self, key, body):
        if key.startswith("many/"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            return
        local.write_bytes(body)
        upload(key)

    def get(self, key):
        download(key)
        return local.read_bytes()

    def size(self, key):
        return s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"]

    def list(self, prefix):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


exercise(Crt())
with doing("upload with checksum"):
    local.write_bytes(LARGE)
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        upload(algorithm, ChecksumAlgorithm=algorithm)
        assert f"Checksum{algorithm}" in s3.head_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")
        stored(algorithm, LARGE)
with doing("upload with metadata"):
    local.write_bytes(SMALL)
    upload("described", Metadata={"a": "b"}, ContentType="x/y")
    found = s3.head_object(Bucket=BUCKET, Key="described")
    same([found["Metadata"], found["ContentType"]], [{"a": "b"}, "x/y"])
with doing("delete"):
    s3.delete_object(Bucket=BUCKET, Key="described")

finish()
