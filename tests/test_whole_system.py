"""What the parts promise together: nothing acknowledged is ever lost, and trees come back as they went.

Servers here are killed with SIGKILL, all processes at once, in the middle of their work, and started
again on the same data directory.
"""

import filecmp
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError
from raw_http import Connection, request_bytes
from server_process import FIRST, ServerProcess, answers
from sigv4_by_hand import Signer

MIB = 1024 * 1024


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "server", workers=request.param)
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()


def client_of(server: ServerProcess, attempts: int = 1) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.url,
        region_name=server.region,
        aws_access_key_id=FIRST.access_key,
        aws_secret_access_key=FIRST.secret_key,
        config=Config(
            retries={"total_max_attempts": attempts},
            max_pool_connections=32,
            read_timeout=30,
            s3={"addressing_style": "path"},
        ),
    )


def body_of(name: str, size: int) -> bytes:
    """The same bytes for the same name, each time."""
    return random.Random(name).randbytes(size)


Outcomes = dict[str, set[str]]
"""By key the hashes that its object may have; "" stands for no object."""


def write_until_killed(server: ServerProcess, round_: int, outcomes: Outcomes, writers: int = 12) -> None:
    """Put objects of many sizes and kill the server when five a writer were acknowledged."""
    s3 = client_of(server)
    acknowledged = iter(range(5 * writers))
    reached = threading.Event()
    sizes = [0, 100, 5000, 40_000, 200_000, 3 * MIB]

    def write(writer: int) -> None:
        for n in range(10_000):
            key = f"{writer}/{n % 40}"  # overwrites too
            body = body_of(f"{round_}/{writer}/{n}", sizes[(writer + n) % len(sizes)])
            written = hashlib.sha256(body).hexdigest()
            try:
                s3.put_object(Bucket="kept", Key=key, Body=body)
            except (BotoCoreError, ClientError):
                outcomes[key] = outcomes.get(key, {""}) | {written}  # it may have happened or not
                return
            outcomes[key] = {written}
            if next(acknowledged, None) is None:
                reached.set()

    with ThreadPoolExecutor(writers) as pool:
        running = [pool.submit(write, writer) for writer in range(writers)]
        assert reached.wait(60)
        server.kill()
        wait(running)
    for done in running:
        done.result()


def check_all(s3: Any, outcomes: Outcomes) -> None:
    """Every object is one that it may be, and from now on it is known which."""
    for key, possible in outcomes.items():
        try:
            found = hashlib.sha256(s3.get_object(Bucket="kept", Key=key)["Body"].read()).hexdigest()
        except s3.exceptions.NoSuchKey:
            found = ""
        assert found in possible, key
        outcomes[key] = {found}
    listed = [
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="kept")
        for entry in page.get("Contents", [])
    ]
    assert listed == sorted(key for key, found in outcomes.items() if found != {""})


def test_nothing_acknowledged_is_lost_when_the_server_is_killed_while_writing(server: ServerProcess) -> None:
    client_of(server).create_bucket(Bucket="kept")
    outcomes: Outcomes = {}
    for round_ in range(3):
        write_until_killed(server, round_, outcomes)
        server.start()
        check_all(client_of(server), outcomes)


def test_a_multipart_upload_goes_on_after_the_server_was_killed(server: ServerProcess) -> None:
    s3 = client_of(server)
    s3.create_bucket(Bucket="kept")
    parts = {number: body_of(f"part {number}", 8 * MIB) for number in range(1, 9)}
    upload = s3.create_multipart_upload(Bucket="kept", Key="large", Metadata={"a": "1"})["UploadId"]
    names = {"Bucket": "kept", "Key": "large", "UploadId": upload}
    acknowledged: dict[int, str] = {}
    some = threading.Event()

    def send(number: int) -> None:
        try:
            reply = s3.upload_part(**names, PartNumber=number, Body=parts[number])
        except (BotoCoreError, ClientError):
            return
        acknowledged[number] = reply["ETag"]
        if len(acknowledged) >= 3:
            some.set()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(send, number) for number in parts]
        assert some.wait(60)
        server.kill()
        wait(running)
    s3 = client_of(server.start())
    listed = {part["PartNumber"]: part["ETag"] for part in s3.list_parts(**names).get("Parts", [])}
    assert acknowledged.items() <= listed.items()
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="kept", Key="large")
    for number in parts.keys() - listed.keys():
        listed[number] = s3.upload_part(**names, PartNumber=number, Body=parts[number])["ETag"]
    done = [{"PartNumber": number, "ETag": listed[number]} for number in sorted(listed)]
    s3.complete_multipart_upload(**names, MultipartUpload={"Parts": done})
    reply = s3.get_object(Bucket="kept", Key="large")
    assert reply["Metadata"] == {"a": "1"}
    whole = b"".join(parts[number] for number in sorted(parts))
    assert hashlib.sha256(reply["Body"].read()).digest() == hashlib.sha256(whole).digest()


def test_what_was_acknowledged_survives_a_kill_at_once(server: ServerProcess) -> None:
    s3 = client_of(server)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="deleted", Body=b"x")
    s3.put_object(Bucket="kept", Key="source", Body=body_of("source", MIB), Tagging="a=1")
    s3.copy_object(Bucket="kept", Key="copy", CopySource="kept/source")
    s3.delete_object(Bucket="kept", Key="source")
    s3.delete_object(Bucket="kept", Key="deleted")
    server.kill()
    s3 = client_of(server.start())
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["copy"]
    assert s3.get_object(Bucket="kept", Key="copy")["Body"].read() == body_of("source", MIB)
    assert s3.get_object_tagging(Bucket="kept", Key="copy")["TagSet"] == [{"Key": "a", "Value": "1"}]


def test_requests_in_flight_are_finished_when_the_server_is_told_to_end(server: ServerProcess) -> None:
    s3 = client_of(server)
    s3.create_bucket(Bucket="kept")
    body = body_of("large", 16 * MIB)
    half = len(body) // 2
    host = f"127.0.0.1:{server.port}"
    target = Signer(FIRST.access_key, FIRST.secret_key).presign("PUT", host, "/kept/large")
    headers = {"Host": host, "Content-Length": str(len(body)), "Expect": "100-continue"}
    assert server.process is not None
    with Connection(server.port) as connection:
        connection.send(request_bytes("PUT", target, headers))
        assert connection.reply().status == 100
        connection.send(body[:half])
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not answers(server.url))
        connection.send(body[half:])
        assert connection.reply().status == 200
    assert server.process.wait(30) == 0
    s3 = client_of(server.start())
    assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == body


# --- workers --------------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server", workers=2)
    try:
        server.start()
        s3 = client_of(server, attempts=5)  # a connection to a worker that died is worth another try
        s3.create_bucket(Bucket="kept")
        assert server.process is not None
        supervisor = server.process.pid
        first = children(supervisor)
        assert len(first) == 2
        for round_, worker in enumerate(first):  # one of them was the writer
            acknowledged = []
            for n in range(20):
                s3.put_object(Bucket="kept", Key=f"{round_}/{n}", Body=str(n).encode())
                acknowledged.append(n)
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: server_answers(s3))
            for n in acknowledged:
                assert s3.get_object(Bucket="kept", Key=f"{round_}/{n}")["Body"].read() == str(n).encode()
            s3.put_object(Bucket="kept", Key="after", Body=b"x")
        wait_until(lambda: len(children(supervisor)) == 2)
        assert not set(first) & set(children(supervisor))
        assert server.stop() == 0
    finally:
        server.kill()


def server_answers(s3: Any) -> bool:
    """Whether a write goes through: connections of a dead worker, and a writer's absence, pass."""
    try:
        s3.put_object(Bucket="kept", Key="probe", Body=b"")
    except (BotoCoreError, ClientError):
        return False
    return True


def wait_until(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("the condition did not come true")


def test_two_servers_on_one_directory_are_one_too_many(server: ServerProcess) -> None:
    second = ServerProcess(server.directory.with_name("second"))
    second.directory.mkdir()
    (second.directory / "data").symlink_to(server.directory / "data")
    second.launch()
    try:
        assert second.process is not None
        assert second.process.wait(30) == 2
        printed = second.log.read_text()
        assert "in use" in printed
        assert "Traceback" not in printed
    finally:
        second.kill()


# --- trees ----------------------------------------------------------------------------------------------


def make_tree(root: Path, files: int) -> None:
    numbers = random.Random(files)
    for n in range(files):
        folder = root / f"d{n % 10}" / f"e{n % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f {n} ü+.bin").write_bytes(numbers.randbytes(numbers.choice([0, 10, 1000, 20_000])))
    (root / "large").write_bytes(numbers.randbytes(20 * MIB))


def assert_identical(one: Path, two: Path) -> None:
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(two)) for path in two.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(one, two, names, shallow=False) == (names, [], [])


def test_a_tree_of_a_thousand_files_is_synced_up_listed_and_synced_down(
    server: ServerProcess, tmp_path: Path
) -> None:
    beside = Path(sys.executable).with_name("aws")
    cli = str(beside) if beside.exists() else shutil.which("aws")
    assert cli, "the AWS CLI is part of the development environment"
    config = tmp_path / "config"
    config.write_text("[default]\ns3 =\n  addressing_style = path\n  max_concurrent_requests = 20\n")

    def aws(*arguments: str) -> str:
        done = subprocess.run(
            [cli, "--endpoint-url", server.url, "s3", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "AWS_CONFIG_FILE": str(config),
                "AWS_ACCESS_KEY_ID": FIRST.access_key,
                "AWS_SECRET_ACCESS_KEY": FIRST.secret_key,
                "AWS_DEFAULT_REGION": server.region,
                "LANG": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    up, down = tmp_path / "up", tmp_path / "down"
    make_tree(up, 999)
    aws("mb", "s3://tree")
    aws("sync", "--only-show-errors", str(up), "s3://tree/root")
    listed = aws("ls", "--recursive", "s3://tree/root/")
    assert len(listed.splitlines()) == 1000
    server.kill()
    server.start()
    aws("sync", "--only-show-errors", "s3://tree/root", str(down))
    assert_identical(up, down)
    aws("rb", "--force", "s3://tree")
