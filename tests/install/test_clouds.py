"""``pip install bleepstore bleepstore-backend-NAME``, from wheels: one environment for each cloud.

What is installed serves in front of the cloud's emulator, and is used by boto3 from this environment.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from installing import build_our_wheels, make_environment, run, serving
from server_process import FIRST
from upstreams import CLOUDS, PREFIX, UPSTREAMS

BEHIND = {"aws": "aws(seaweedfs)", "gcp": "gcp(fake-gcs)", "azure": "azure(azurite)"}
SDKS = {"aws": "boto3", "gcp": "google.cloud.storage", "azure": "azure.storage.blob"}
PART = 5 * 1024 * 1024
IMPORTABLE = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(name)
    except ModuleNotFoundError:
        pass
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of everything, built once."""
    ours = ("", "core", "plugins/backend-local", *(f"plugins/backend-{cloud}" for cloud in CLOUDS))
    return build_our_wheels(tmp_path_factory.mktemp("wheels"), *ours)


@pytest.fixture
def install(wheels: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """An environment with BleepStore and the plugin of one cloud: its folder of programs."""

    def install(cloud: str) -> Path:
        names = ("bleepstore", "bleepstore-core", "bleepstore-backend-local", f"bleepstore-backend-{cloud}")
        return make_environment(tmp_path / "venv", *(str(wheels[name]) for name in names))

    return install


def client_of(endpoint: str) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_bleepstore_and_one_clouds_plugin_serve_in_front_of_it(
    cloud: str, install: Callable[[str], Path], tmp_path: Path
) -> None:
    programs = install(cloud)
    work = tmp_path / "work"
    work.mkdir()
    listed = json.loads(run(str(programs / "bleepstore"), "plugins", "--json", cwd=work))
    assert {plugin["name"] for plugin in listed} & {"local", *CLOUDS} == {"local", cloud}
    importable = run(str(programs / "python"), "-c", IMPORTABLE, *SDKS.values(), cwd=work)
    assert importable.split() == [SDKS[cloud]]

    with UPSTREAMS[BEHIND[cloud]](tmp_path / "upstream") as upstream:
        (work / "bleepstore.yaml").write_text(json.dumps({"storage": dict(upstream.storage)}))
        body, rest = os.urandom(700_000), os.urandom(100)
        with serving(programs, work, "--bucket", "bucket", environ=upstream.environ) as endpoint:
            s3 = client_of(endpoint)
            s3.put_object(Bucket="bucket", Key="a key", Body=body, Metadata={"who": "we"})
            assert s3.get_object(Bucket="bucket", Key="a key")["Body"].read() == body
            begun = s3.create_multipart_upload(Bucket="bucket", Key="parts")
            upload = {"Bucket": "bucket", "Key": "parts", "UploadId": begun["UploadId"]}
            etags = [
                s3.upload_part(**upload, PartNumber=n, Body=part)["ETag"]
                for n, part in ((1, bytes(PART)), (2, rest))
            ]
            parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            assert keys(s3) == {"a key": len(body), "parts": PART + len(rest)}
        assert upstream.cloud is not None
        with upstream.cloud() as others:
            held = others.get(f"{PREFIX}bucket/a key")
            assert (held.body, dict(held.metadata)) == (body, {"who": "we"})
        with serving(programs, work, environ=upstream.environ) as endpoint:
            s3 = client_of(endpoint)
            assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == bytes(PART) + rest
            for key in ("a key", "parts"):
                s3.delete_object(Bucket="bucket", Key=key)
            assert keys(s3) == {}
            s3.delete_bucket(Bucket="bucket")


def keys(s3: Any) -> dict[str, int]:
    """What is listed, with sizes."""
    found = s3.list_objects_v2(Bucket="bucket").get("Contents", ())
    return {entry["Key"]: entry["Size"] for entry in found}
