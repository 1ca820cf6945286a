"""``bleepstore conformance``: what it says of servers that are absent, poor, wrong, silent or gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bleepstore.cli import main
from bleepstore.testing.s3 import areas
from bleepstore.testing.s3.areas import AREAS
from bleepstore.testing.s3.report import FAILED, PASSED, SKIPPED, Report, Result

LIST = b"<ListAllMyBucketsResult><Buckets/><Owner><ID>o</ID></Owner></ListAllMyBucketsResult>"
MISSING = b"<Error><Code>NotImplemented</Code><Message>No.</Message></Error>"

Answer = Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]


@pytest.fixture
def stub() -> Iterator[Callable[[Answer], str]]:
    """``stub(ANSWER)``: the endpoint of a server that answers so."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = answer(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_GET

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def conformance(tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], Report | None]]:
    """``conformance(*OPTIONS)``: the command as it is run, and the report of its ``--json``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "AWS_", "PYTEST_"))}
    (tmp_path / "conftest.py").write_text("raise RuntimeError('of the folder, and not the kit's')")

    def run(*options: str) -> tuple[subprocess.CompletedProcess[str], Report | None]:
        file = tmp_path / "report.json"
        done = subprocess.run(
            [sys.executable, "-m", "bleepstore", "conformance", "--json", str(file), *options],
            env={
                **kept,
                "PYTEST_ADDOPTS": "--nonsense",
                "AWS_ACCESS_KEY_ID": "a",
                "AWS_SECRET_ACCESS_KEY": "b",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done, Report.from_json(json.loads(file.read_text())) if file.exists() else None

    return run


def missing_all_but_a_list(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
    return (200, LIST) if request.path == "/" and request.command == "GET" else (501, MISSING)


def test_every_area_is_listed_and_every_listed_area_is_there() -> None:
    there = {path.stem for path in Path(areas.__file__).parent.glob("*.py")} - {"__init__"}
    assert len(AREAS) == len(set(AREAS))
    assert set(AREAS) == there


def test_every_area_is_run_by_this_projects_own_suite() -> None:
    suite = Path(__file__).parents[3] / "tests/e2e"
    assert {f"test_{area}" for area in AREAS} == {path.stem for path in suite.glob("test_*.py")}


@pytest.mark.parametrize("absent", [["boto3"], ["pytest"], ["pytest", "boto3"]])
def test_what_is_not_installed_is_one_line_that_says_what_to_install(monkeypatch, capsys, absent) -> None:
    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["conformance", "--endpoint", "http://127.0.0.1:1"]) == 2
    what = " and ".join(absent)
    assert capsys.readouterr() == (
        "",
        f"bleepstore: conformance needs {what}: pip install 'bleepstore-core[conformance]'\n",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "which server? --endpoint URL, or BLEEPSTORE_ENDPOINT"),
        (["--endpoint", "localhost:9000"], "http://HOST:PORT or https://HOST is meant"),
        (["--endpoint", "http://127.0.0.1:1"], "http://127.0.0.1:1 does not answer"),
        (["--endpoint", "http://127.0.0.1:1", "--access-key", "a"], "belong together"),
        (["--endpoint", "http://127.0.0.1:1", "--profile", "nobodys"], "nobodys"),
    ],
)
def test_what_the_operator_must_change_is_one_line_and_exit_code_2(conformance, options, said) -> None:
    done, report = conformance(*options)
    assert (done.returncode, done.stdout, report) == (2, "", None)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("expression", ["nothing_is_called_so", "not (closed"])
def test_an_expression_that_chooses_nothing_is_exit_code_2(conformance, stub, expression) -> None:
    done, report = conformance("--endpoint", stub(missing_all_but_a_list), "-k", expression)
    assert (done.returncode, report) == (2, None)
    assert expression in done.stderr


def test_what_a_server_says_it_has_not_is_skipped_with_that_reason(conformance, stub) -> None:
    done, report = conformance(
        "--endpoint", stub(missing_all_but_a_list), "-k", "unconfigured and not missing_bucket"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert report.total() == {SKIPPED: len(report.results)}
    assert {result.reason for result in report.results} == {"CreateBucket is not implemented"}
    assert f"{len(report.results)}  CreateBucket is not implemented (unconfigured)" in done.stdout


def test_tests_between_accounts_are_skipped_without_a_second_one(conformance, stub) -> None:
    _, report = conformance("--endpoint", stub(missing_all_but_a_list), "-k", "TestAnotherAccount")
    assert "needs a second account of the server" in {result.reason for result in report.results}


def test_a_wrong_answer_is_a_failure_in_one_line(conformance, stub) -> None:
    def wrong(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        return 200, LIST if request.path == "/" else b""

    done, report = conformance("--endpoint", stub(wrong), "-k", "missing_bucket and not unconfigured")
    assert done.returncode == 1
    assert report.total() == {FAILED: len(report.results)}
    lines = [line for line in done.stdout.splitlines() if line.startswith("  buckets::")]
    assert lines[0].startswith("  buckets::test_head_of_a_missing_bucket_is_404_without_a_body: ")
    assert all(result.reason for result in report.results)


def test_a_server_that_stops_to_answer_ends_the_run(conformance, stub) -> None:
    gone = threading.Event()

    def silent(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if request.path == "/" and not gone.is_set():
            return 200, LIST
        gone.set()
        threading.Event().wait(30)
        return 500, b""

    done, report = conformance("--endpoint", stub(silent), "-k", "ranges", "--timeout", "0.3")
    assert done.returncode == 1
    assert "does not answer" in report.stopped
    assert report.stopped.endswith("tests were not run")
    assert len(report.results) == 5
    assert {result.outcome for result in report.results} == {FAILED}


def test_a_report_survives_json() -> None:
    results = [Result("ranges", "test_a", PASSED), Result("cors", "test_b[x]", FAILED, "why", 0.5)]
    report = Report("http://e", results, {"b": "BucketNotEmpty"}, "stopped")
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_the_server_never_imports_the_kit() -> None:
    program = (
        "import sys; import bleepstore.app, bleepstore.supervisor, bleepstore.cli\n"
        "bleepstore.cli._parser(['serve'])\n"
        "print([n for n in sys.modules if n.startswith(('bleepstore.testing', 'pytest', 'boto'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_missing_fails_in_this_projects_own_suite(stub, tmp_path) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BLEEPSTORE_", "AWS_", "PYTEST_"))}
    suite = Path(__file__).parents[3] / "tests/e2e/test_ranges.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-x", str(suite)],
        env={**kept, "BLEEPSTORE_ENDPOINT": stub(missing_all_but_a_list)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout
    assert "NotImplemented" in done.stdout
    assert "skipped" not in done.stdout
