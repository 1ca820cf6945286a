"""Every error code of the server, asked for over the wire: status, message, and the elements AWS adds.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the errors of the SDK's
model. The rows are in ``error_rows``.
"""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from bleepstore.errors import CODES
from error_rows import BUCKET, ROWS
from error_scene import Scene
from server_process import FIRST, ServerProcess
from signed_wire import Wire
from sigv4_by_hand import Signer

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "InsufficientStorage": "core/tests/http/test_pipeline.py",  # a full disk
    "OperationAborted": "core/tests/http/test_pipeline.py",  # a race lost eight times
    "RequestTimeout": "core/tests/http/test_protocol.py",  # half a minute of silence
    "SlowDown": "core/tests/http/test_pipeline.py",  # a full queue of commands
}
"""Codes for which a server would have to be hurt, and where they are tested."""
COMMON = ("Code", "Message", "Resource", "RequestId", "HostId")


@pytest.fixture(scope="module")
def other_server(tmp_path_factory):
    settings = {"auth": {"acls": "disabled"}}
    server = ServerProcess(tmp_path_factory.mktemp("other"), region="eu-west-1", settings=settings)
    try:
        yield server.start()
        assert server.stop() == 0
    finally:
        server.kill()


@pytest.fixture
def scene(wire, bucket, other_server):
    other = Wire(other_server)
    other.signer = Signer(FIRST.access_key, FIRST.secret_key, "eu-west-1")
    return Scene(wire, bucket, other)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_an_error_has_the_status_message_and_elements_of_s3(scene, row):
    """S3-CHECKLIST 37"""
    reply = row.ask(scene)
    status, message = CODES[row.code]
    assert reply.error() == (status, row.code)
    found = {child.tag: child.text for child in ET.fromstring(reply.body)}
    assert re.fullmatch(row.message or re.escape(message), found["Message"], re.DOTALL)
    expected = {name: scene.bucket[1:] if value is BUCKET else value for name, value in row.elements.items()}
    more = {name: text for name, text in found.items() if name not in COMMON}
    assert more.keys() == expected.keys()
    assert {n: t for n, t in more.items() if expected[n] is not ...} == {
        n: v for n, v in expected.items() if v is not ...
    }
    assert all(more[name] for name, value in expected.items() if value is ...)


def test_every_code_has_a_row():
    assert {row.code for row in ROWS} == CODES.keys() - ELSEWHERE.keys()


@pytest.mark.parametrize(("code", "path"), ELSEWHERE.items())
def test_a_code_without_a_row_is_tested_elsewhere(code, path):
    assert f'"{code}"' in (ROOT / path).read_text()
