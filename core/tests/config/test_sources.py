"""Where values come from: command line over BLEEPSTORE_* over file over MINIO_ROOT_* over default."""

import json
import typing
from pathlib import Path

import pytest
from bleepstore.config import ConfigError, disabled_plugins, find_file
from bleepstore.config_tree import SettingsTree


def test_each_source_wins_over_the_next(load_text):
    text = "server: {port: 3}\nauth: {access_key: file, secret_key: file-secret}"
    variables = {"BLEEPSTORE_SERVER_PORT": "2"}
    assert load_text().settings.server.port == 9000
    assert load_text(text).settings.server.port == 3
    assert load_text(text, environ=variables).settings.server.port == 2
    assert load_text(text, environ=variables, overrides={"server.port": 1}).settings.server.port == 1


def test_minio_names_are_accepted_below_the_file(load_text):
    minio = {"MINIO_ROOT_USER": "admin", "MINIO_ROOT_PASSWORD": "password"}
    loaded = load_text(environ=minio)
    assert loaded.credentials
    assert (loaded.settings.auth.access_key, loaded.settings.auth.secret_key.reveal()) == (
        "admin",
        "password",
    )
    loaded = load_text("auth: {access_key: a, secret_key: b}", environ=minio)
    assert loaded.settings.auth.access_key == "a"
    loaded = load_text(environ={**minio, "BLEEPSTORE_AUTH_ACCESS_KEY": "c"})
    assert loaded.settings.auth.access_key == "c"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MINIO_ROOT_USER": "a"}, "MINIO_ROOT_USER: auth.access_key: auth.secret_key must be given too"),
        (
            {"BLEEPSTORE_AUTH_SECRET_KEY": "a"},
            "BLEEPSTORE_AUTH_SECRET_KEY: auth.secret_key: auth.access_key must be given too",
        ),
    ],
)
def test_half_a_key_pair_is_refused(load_text, environ, message):
    with pytest.raises(ConfigError) as caught:
        load_text(environ=environ)
    assert str(caught.value) == message


def samples() -> dict[str, tuple[str, object]]:
    """For every setting: a text as a variable has it, and the value it must become."""
    special: dict[str, tuple[str, object]] = {
        "metadata.engine": ("sqlite", "sqlite"),
        "storage.backend": ("local", "local"),
        "server.trusted_proxies": ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
        "buckets": ("one-bucket,two-bucket", ("one-bucket", "two-bucket")),
        "plugins.disabled": ("admin", ("admin",)),
        "server.tls.certificate": (__file__, Path(__file__)),
        "server.tls.key": (__file__, Path(__file__)),
        "server.limits.header_bytes": ("9999", 9999),
        "server.limits.xml_bytes": ("99999", 99999),
        "server.workers": ("auto", "auto"),
    }
    found = {}
    for at, kind in SettingsTree({}).leaves.items():
        name = ".".join(at)
        plain: dict[object, tuple[str, object]] = {
            int: ("77", 77),
            bool: ("yes", True),
            str: ("text", "text"),
            tuple[str, ...]: ("a, b", ("a", "b")),
        }
        if typing.get_origin(kind) is typing.Literal:
            last = typing.get_args(kind)[-1]
            plain[kind] = (last, last)
        found[name] = special.get(name) or plain.get(kind, ("text", "text"))
    del found["auth.users"]
    return found


@pytest.mark.parametrize("name", sorted(samples()))
def test_every_key_is_a_variable(load_text, name):
    text, expected = samples()[name]
    variables = {"BLEEPSTORE_" + name.replace(".", "_").upper(): text}
    if name.startswith("server.tls."):
        variables = {f"BLEEPSTORE_SERVER_TLS_{half}": text for half in ("CERTIFICATE", "KEY")}
    if name in ("auth.access_key", "auth.secret_key"):
        variables = {f"BLEEPSTORE_AUTH_{half}_KEY": text for half in ("ACCESS", "SECRET")}
    loaded = load_text(environ=variables)
    value = loaded.settings
    for part in name.split("."):
        value = getattr(value, part)
    assert (value.reveal() if name == "auth.secret_key" else value) == expected
    assert loaded.warnings == ()


def test_sections_of_plugins_are_variables_too(load_text):
    loaded = load_text(environ={"BLEEPSTORE_METADATA_SQLITE_PATH": "/x/m.db"})
    assert loaded.settings.sections["metadata.sqlite"].path == Path("/x/m.db")


def test_lists_are_json_or_names_between_commas(load_text):
    for text in ('["a", "b"]', "a,b", " a , b ,"):
        assert load_text(environ={"BLEEPSTORE_SERVER_DOMAINS": text}).settings.server.domains == ("a", "b")
    assert load_text(environ={"BLEEPSTORE_SERVER_DOMAINS": ""}).settings.server.domains == ()


def test_users_are_a_list_in_json(load_text):
    users = [{"access_key": "alice", "secret_key": "s1"}, {"access_key": "bob", "secret_key": "s2"}]
    loaded = load_text(environ={"BLEEPSTORE_AUTH_USERS": json.dumps(users)})
    assert [user.access_key for user in loaded.settings.auth.users] == ["alice", "bob"]
    assert loaded.settings.auth.users[1].secret_key.reveal() == "s2"


@pytest.mark.parametrize("text", ["alice:secret-12345", "{}", '"x"', "[", '[{"access_key": "secret-12345"'])
def test_users_that_are_no_json_list_are_refused_without_showing_them(load_text, text):
    with pytest.raises(ConfigError, match=r"^BLEEPSTORE_AUTH_USERS: auth\.users: expected a list") as caught:
        load_text(environ={"BLEEPSTORE_AUTH_USERS": text})
    assert "secret-12345" not in str(caught.value)


def test_a_wrong_variable_is_named(load_text):
    with pytest.raises(ConfigError) as caught:
        load_text(environ={"BLEEPSTORE_SERVER_PORT": "x"})
    assert str(caught.value) == 'BLEEPSTORE_SERVER_PORT: server.port: expected a whole number, found "x"'


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("BLEEPSTORE_SERVER_PROT", ", did you mean BLEEPSTORE_SERVER_PORT?"),
        ("BLEEPSTORE_PORT", ", did you mean BLEEPSTORE_SERVER_PORT?"),
    ],
)
def test_an_unknown_variable_warns_and_names_the_nearest(load_text, name, hint):
    assert load_text(environ={name: "1"}).warnings == (f"{name}: no such setting{hint}",)


@pytest.mark.parametrize(
    "name",
    ["BLEEPSTORE_ENDPOINT", "BLEEPSTORE_CONFIG", "BLEEPSTORE_E2E_EXISTING", "BLEEPSTORE_STORAGE_GCP_BUCKET"],
)
def test_variables_of_suites_and_absent_plugins_do_not_warn(load_text, name):
    assert load_text(environ={name: "x", "UNRELATED": "y"}).warnings == ()


# --- which file -------------------------------------------------------------------------------------


def test_the_named_file_wins_over_the_variable_over_the_usual_one(tmp_path):
    assert find_file(None, {}, tmp_path) is None
    for name in ("bleepstore.toml", "bleepstore.yaml"):
        (tmp_path / name).write_text("")
        assert find_file(None, {}, tmp_path) == tmp_path / name
    assert find_file(None, {"BLEEPSTORE_CONFIG": "other.yaml"}, tmp_path) == Path("other.yaml")
    assert find_file(Path("mine"), {"BLEEPSTORE_CONFIG": "other.yaml"}, tmp_path) == Path("mine")


# --- plugins.disabled -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "plugins:\n  disabled: [admin, upkeep]"),
        ("c.yaml", "plugins:\n  disabled: admin, upkeep"),
        ("c.toml", '[plugins]\ndisabled = ["admin", "upkeep"]'),
    ],
)
def test_disabled_plugins_are_read_before_anything_else(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    disabled = disabled_plugins(path, {})
    assert disabled.names == ("admin", "upkeep")
    assert disabled.source == f"{path}:2: plugins.disabled"


def test_the_variable_of_disabled_plugins_wins_over_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("plugins: {disabled: [admin]}")
    disabled = disabled_plugins(path, {"BLEEPSTORE_PLUGINS_DISABLED": "local, upkeep"})
    assert disabled.names == ("local", "upkeep")
    assert disabled.source == "BLEEPSTORE_PLUGINS_DISABLED: plugins.disabled"
    assert disabled_plugins(path, {"BLEEPSTORE_PLUGINS_DISABLED": ""}).names == ()


def test_disabled_plugins_of_a_wrong_type_are_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("plugins: {disabled: 5}")
    with pytest.raises(ConfigError, match=r":1: plugins\.disabled: expected a list, found 5$"):
        disabled_plugins(path, {})
