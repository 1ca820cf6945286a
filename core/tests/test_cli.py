"""The ``bleepstore`` command: what it prints, and that whatever is wrong is one line and exit code 2."""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from bleepstore import __version__, cli
from bleepstore.cli import main
from bleepstore.discovery import COMMANDS


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration but the test's own."""
    for name in list(os.environ):
        if name.startswith(("BLEEPSTORE_", "MINIO_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(capsys):
    """``run(*ARGUMENTS)``: exit code, standard output, standard error."""

    def it(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = int(exit.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return it


# --- the command itself -----------------------------------------------------------------------------


def test_version(run):
    assert run("--version") == (0, f"bleepstore {__version__}\n", "")


def test_nothing_heavy_is_imported_to_tell_the_version():
    heavy = ("asyncio", "uvicorn", "starlette", "yaml", "pluggy", "sqlite3", "importlib_metadata", "awscrt")
    program = (
        "import sys; from bleepstore.cli import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"


def test_without_a_command_there_is_help_and_code_2(run):
    code, out, _ = run()
    assert code == 2
    assert all(re.search(rf"^ +{command}(?: |$)", out, re.MULTILINE) for command in COMMANDS)


def test_there_is_help_whatever_is_wrong(run):
    Path("bleepstore.yaml").write_text("plugins: {disabled: [no-such-plugin]}")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert "serve" in out
    assert run("greet") == (
        2,
        "",
        "bleepstore: bleepstore.yaml:1: plugins.disabled: no plugin is named 'no-such-plugin'; "
        "there are admin, auth, s3, sqlite, transfer, upkeep, aws, azure, gcp, local\n",
    )


def test_an_unknown_command_is_code_2(run):
    code, _, err = run("srve")
    assert code == 2
    assert "invalid choice: 'srve'" in err


def test_the_commands_of_the_core_are_known_to_discovery():
    parser = cli._parser(["serve"])
    (actions,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    assert set(actions.choices) == set(COMMANDS)


def test_a_pipe_that_closes_early_is_no_error():
    program = f"{sys.executable} -m bleepstore config schema | head -c 1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# --- plugins ----------------------------------------------------------------------------------------


def test_plugins_are_listed_with_what_they_register_and_whether_they_run(run):
    code, out, err = run("plugins")
    assert (code, err) == (0, "")
    header, *rows = (line.split() for line in out.splitlines())
    assert header == ["NAME", "VERSION", "DISTRIBUTION", "ACTIVE", "REGISTERS"]
    table = {row[0]: row[1:] for row in rows}
    assert table["local"] == [__version__, "bleepstore-backend-local", "yes", "storage_backends"]
    assert table["sqlite"] == [__version__, "bleepstore-core", "yes", "metadata_engines"]


def test_plugins_as_json(run):
    listed = json.loads(run("plugins", "--json")[1])
    (local,) = (plugin for plugin in listed if plugin["name"] == "local")
    assert local["active"] is True
    assert local["registers"] == ["storage_backends"]


def active(run) -> dict[str, bool]:
    return {plugin["name"]: plugin["active"] for plugin in json.loads(run("plugins", "--json")[1])}


def test_plugins_are_disabled_by_configuration_and_by_variable(run, monkeypatch):
    Path("bleepstore.yaml").write_text("plugins: {disabled: [upkeep]}")
    assert (active(run)["upkeep"], active(run)["admin"]) == (False, True)
    monkeypatch.setenv("BLEEPSTORE_PLUGINS_DISABLED", "admin")
    assert (active(run)["upkeep"], active(run)["admin"]) == (True, False)


def test_a_disabled_plugin_that_there_is_not_is_refused_where_it_stands(run, monkeypatch):
    Path("bleepstore.yaml").write_text("plugins:\n  disabled: [admn]\n")
    message = "plugins.disabled: no plugin is named 'admn', did you mean admin?\n"
    assert run("plugins") == (2, "", f"bleepstore: bleepstore.yaml:2: {message}")
    monkeypatch.setenv("BLEEPSTORE_PLUGINS_DISABLED", "admn")
    assert run("plugins") == (2, "", f"bleepstore: BLEEPSTORE_PLUGINS_DISABLED: {message}")


BROKEN = [
    ("two-lines", {"module": "raise ValueError('a\\nb')"}, "cannot be imported: ValueError: a b"),
    ("other-core", {"requires_api": "(9, 0)"}, "needs version 9.0 of the contracts, and this core has 1.0"),
    (
        "misspelt",
        {"body": "    @hookimpl\n    def bleepstore_sectoins(self): ..."},
        "there is no hook bleepstore_sectoins, did you mean bleepstore_sections?",
    ),
]


@pytest.mark.parametrize(("name", "how", "reason"), BROKEN)
@pytest.mark.parametrize("command", [["serve", "data"], ["plugins"], ["config", "check"], ["greet"]])
def test_a_broken_plugin_is_one_line_that_names_its_distribution(distribution, name, how, reason, command):
    folder = distribution(name, plugin="broken", **how)
    done = subprocess.run(
        [sys.executable, "-m", "bleepstore", *command],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bleepstore: plugin broken of {name}: {reason}\n"
    assert not Path("data").exists()


def test_a_broken_plugin_can_be_disabled(distribution, monkeypatch):
    folder = distribution("broken", plugin="broken", module="raise ValueError")
    variables = {**os.environ, "PYTHONPATH": str(folder), "BLEEPSTORE_PLUGINS_DISABLED": "broken"}
    command = [sys.executable, "-m", "bleepstore", "config", "check"]
    assert subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0


def test_two_plugins_that_claim_one_name_are_refused(distribution):
    distribution("first", plugin="same")
    folder = distribution("second", plugin="same")
    command = [sys.executable, "-m", "bleepstore", "plugins"]
    variables = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr in (
        "bleepstore: plugin same: both first and second claim this name\n",
        "bleepstore: plugin same: both second and first claim this name\n",
    )


# --- config -----------------------------------------------------------------------------------------


def test_config_check_says_that_all_is_well(run):
    assert run("config", "check") == (0, "no file: ok\n", "")
    Path("bleepstore.toml").write_text("[server]\nport = 9100\n")
    assert run("config", "check") == (0, "bleepstore.toml: ok\n", "")


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["serve", "data"]])
def test_a_mistake_in_the_file_is_one_line_and_code_2(run, command):
    Path("c.yaml").write_text("storage:\n  local:\n    rot_dir: x\n")
    assert run(*command, "--config", "c.yaml") == (
        2,
        "",
        "bleepstore: c.yaml:3: storage.local.rot_dir: unknown key, did you mean storage.local.root_dir?\n",
    )
    assert run(*command, "--config", "absent.yaml") == (
        2,
        "",
        "bleepstore: absent.yaml: No such file or directory\n",
    )


def test_config_check_finds_what_serve_would_refuse(run):
    Path("bleepstore.yaml").write_text("server: {host: 0.0.0.0}")
    code, out, err = run("config", "check")
    assert (code, out) == (2, "")
    assert err.startswith("bleepstore: server.host: 0.0.0.0 can be reached from outside")


def test_config_check_tells_of_unknown_variables(run, monkeypatch):
    monkeypatch.setenv("BLEEPSTORE_SERVER_PROT", "1")
    warning = "BLEEPSTORE_SERVER_PROT: no such setting, did you mean BLEEPSTORE_SERVER_PORT?"
    assert run("config", "check") == (0, f"warning: {warning}\nno file: ok\n", "")


def test_config_show_prints_effective_values_and_no_secret(run, monkeypatch):
    Path("bleepstore.yaml").write_text("server: {port: 9100}\nauth: {access_key: a, secret_key: s3cr3t-x}\n")
    monkeypatch.setenv("BLEEPSTORE_SERVER_WORKERS", "3")
    code, out, _ = run("config", "show")
    shown = yaml.safe_load(out)
    assert code == 0
    assert (shown["server"]["port"], shown["server"]["workers"]) == (9100, 3)
    assert shown["auth"]["secret_key"] == "***"
    assert "s3cr3t" not in out


def test_config_init_writes_a_sample_once(run):
    assert run("config", "init") == (0, "bleepstore.yaml: written\n", "")
    text = Path("bleepstore.yaml").read_text()
    assert "# port: 9000" in text
    assert run("config", "check")[0] == 0
    message = "bleepstore: bleepstore.yaml: exists already, and is left as it is\n"
    assert run("config", "init") == (2, "", message)
    assert Path("bleepstore.yaml").read_text() == text
    assert run("config", "init", "other.yaml")[0] == 0
    assert run("config", "init", "no/such/folder.yaml")[2] == (
        "bleepstore: no/such/folder.yaml: No such file or directory\n"
    )


def test_config_schema_is_a_schema(run):
    code, out, _ = run("config", "schema")
    assert code == 0
    assert json.loads(out)["properties"]["server"]["properties"]["port"]["default"] == 9000


# --- presign ----------------------------------------------------------------------------------------


def test_presign_prints_a_url(run):
    code, out, _ = run("presign", "get", "s3://bucket/a key", "--expires", "60", "--endpoint", "http://s3:1")
    assert code == 0
    assert out.startswith("http://s3:1/bucket/a%20key?")
    assert "X-Amz-Expires=60" in out
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "bucket/key"], "bucket/key: expected s3://BUCKET/KEY"),
        (["get", "s3://bucket"], "s3://bucket: expected s3://BUCKET/KEY"),
        (["put", "s3://bucket/key", "--expires", "604801"], "expires must be 1 to 604800 seconds"),
    ],
)
def test_presign_refuses_in_one_line(run, arguments, message):
    assert run("presign", *arguments) == (2, "", f"bleepstore: {message}\n")


# --- serve: what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "package"),
    [
        ("metadata: {engine: raft}", "metadata.engine: raft", "bleepstore-metadata-raft"),
    ],
)
def test_an_engine_that_is_not_installed_prints_the_line_that_installs_it(run, text, key, package):
    Path("c.yaml").write_text(text)
    message = f"bleepstore: c.yaml:1: {key} is not installed: pip install {package}\n"
    assert run("serve", "data", "--config", "c.yaml") == (2, "", message)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", ""])
def test_default_credentials_are_for_loopback_only(run, host):
    code, out, err = run("serve", "data", "--host", host, "--port", "0")
    assert (code, out) == (2, "")
    assert err.startswith(f"bleepstore: server.host: {host} can be reached from outside")
    assert "BLEEPSTORE_AUTH_ACCESS_KEY" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "65536", "command line: server.port: expected 0 to 65535, found 65536"),
        ("--workers", "0", "command line: server.workers: expected 1 to 1024, found 0"),
        ("--host", "no-such-host.invalid", "no-such-host.invalid: "),
    ],
)
def test_an_option_that_cannot_be_is_one_line(run, option, value, message):
    code, out, err = run("serve", "data", *(() if option == "--port" else ("--port", "0")), option, value)
    assert (code, out) == (2, "")
    assert err.startswith(f"bleepstore: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("place", ["file", "file/data", "/proc/no-such"])
def test_a_directory_that_cannot_be_used_is_one_line(launch, tmp_path, place):
    (tmp_path / "file").write_text("")
    place = str(tmp_path / place)
    server = launch(place)
    assert server.process.wait(30) == 2
    assert server.out == ""
    assert re.fullmatch(rf"bleepstore: {re.escape(place)}\S*: .+\n", server.err)


def test_a_name_that_no_bucket_can_have_is_one_line(launch):
    server = launch("data", "--bucket", "Bad_Name")
    assert server.process.wait(30) == 2
    assert server.err == "bleepstore: bucket 'Bad_Name': The specified bucket is not valid.\n"


def test_a_taken_port_is_one_line(run):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = f"bleepstore: 127.0.0.1:{port}: is already in use\n"
        assert run("serve", "data", "--port", str(port)) == (2, "", message)
    assert not Path("data").exists()


# --- serve ------------------------------------------------------------------------------------------


def test_the_banner_has_what_one_needs(launch):
    server = launch("data").ready()
    endpoint = f"http://127.0.0.1:{server.port}"
    assert server.out.splitlines() == [
        f"BleepStore {__version__}",
        f"  endpoint    {endpoint}",
        f"  data        {server.folder / 'data'}",
        "  access key  bleepstore",
        "  secret key  bleepstore-secret  (the documented default: this machine only)",
        "",
        "  AWS_ACCESS_KEY_ID=bleepstore AWS_SECRET_ACCESS_KEY=bleepstore-secret \\",
        f"    aws --endpoint-url {endpoint} s3 ls",
        "",
        "Ctrl-C ends it.",
    ]
    assert server.err == ""
    with urlopen(f"{endpoint}/_bleepstore/health/live", timeout=10) as reply:
        assert reply.status == 200
    assert server.end() == 0


def test_a_configured_secret_is_not_printed(launch, tmp_path):
    text = "auth: {access_key: it's, secret_key: s3cr3t-x}\nserver: {region: eu-west-1}\n"
    (tmp_path / "c.yaml").write_text(text)
    server = launch("--config", str(tmp_path / "c.yaml")).ready()
    assert "s3cr3t" not in server.out + server.err
    assert "  access key  it's\n" in server.out
    assert "AWS_ACCESS_KEY_ID='it'\"'\"'s' AWS_SECRET_ACCESS_KEY='***' \\\n" in server.out
    assert "--region eu-west-1 s3 ls" in server.out
    assert f"  config      {tmp_path / 'c.yaml'}\n" in server.out
    assert f"  data        {server.folder / 'bleepstore-data'}\n" in server.out
    assert server.end() == 0


def test_the_documented_pair_written_out_serves_everybody_with_a_warning(launch, tmp_path):
    """A sample file that says ``host: 0.0.0.0`` with it must serve."""
    (tmp_path / "sample.yaml").write_text(
        "server: {host: 0.0.0.0}\nauth: {access_key: bleepstore, secret_key: bleepstore-secret}\n"
    )
    server = launch("data", "--config", str(tmp_path / "sample.yaml")).ready()
    assert "WARNING bleepstore: the configured key pair is the documented default" in server.err
    with urlopen(f"http://127.0.0.1:{server.port}/_bleepstore/health/ready", timeout=10) as reply:
        assert reply.status == 200
    assert server.end() == 0


@pytest.mark.parametrize(
    "environ",
    [
        {"BLEEPSTORE_AUTH_ACCESS_KEY": "a", "BLEEPSTORE_AUTH_SECRET_KEY": "b"},
        {"MINIO_ROOT_USER": "a", "MINIO_ROOT_PASSWORD": "b"},
    ],
)
def test_configured_credentials_may_serve_everybody(launch, environ):
    server = launch("data", "--host", "0.0.0.0", environ=environ).ready()
    assert server.err == ""
    assert server.end() == 0


def test_options_win_over_variables_over_the_file(launch, tmp_path):
    (tmp_path / "c.yaml").write_text("server: {workers: 500, port: 1}\nbuckets: [from-file]\n")
    environ = {"BLEEPSTORE_CONFIG": str(tmp_path / "c.yaml"), "BLEEPSTORE_SERVER_WORKERS": "400"}
    buckets = ("--bucket", "from-option", "--bucket", "another")
    server = launch("data", "--workers", "1", *buckets, environ=environ).ready()
    assert server.end() == 0
    server = launch(str(server.folder / "data"), *buckets).ready()  # they are there already
    for bucket in ("from-file", "from-option", "another"):
        with pytest.raises(OSError, match="403"):
            urlopen(f"http://127.0.0.1:{server.port}/{bucket}", timeout=10)
    with pytest.raises(OSError, match="404"):
        urlopen(f"http://127.0.0.1:{server.port}/never-made", timeout=10)
    assert server.end() == 0


def test_json_logs_are_json(launch):
    environ = {"BLEEPSTORE_SERVER_PROT": "1"}
    server = launch("data", "--json-logs", environ=environ).ready()
    assert server.end() == 0
    (line,) = server.err.splitlines()
    record = json.loads(line)
    assert record["level"] == "warning"
    assert record["logger"] == "bleepstore"
    assert record["message"].startswith("BLEEPSTORE_SERVER_PROT: no such setting")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
