"""What is wrong with a file is one line: file, line, path of the key, and what was meant."""

import pytest
from bleepstore.config import ConfigError, load


def refused(load_text, text: str, *, toml: bool = False, **more) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(text, toml=toml, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  prot: 1\n", "c.yaml:2: server.prot: unknown key, did you mean server.port?"),
        ("serverr: {}\n", "c.yaml:1: serverr: unknown key, did you mean server?"),
        ("auth:\n\nport: 9000\n", "c.yaml:3: port: unknown key, did you mean server.port?"),
        (
            "storage:\n  local:\n    root: x\n",
            "c.yaml:3: storage.local.root: unknown key, did you mean storage.local.root_dir?",
        ),
        (
            "storage: {root_dir: x}\n",
            "c.yaml:1: storage.root_dir: unknown key, did you mean storage.local.root_dir?",
        ),
        (
            "upkeep:\n  zzz: 1\n",
            "c.yaml:2: upkeep.zzz: unknown key; there are interval, upload_expiry_days, scrub_days",
        ),
        (
            "auth:\n  users:\n  - {access_key: a, secret_key: b}\n  - access_key: c\n    secre_key: d\n",
            "c.yaml:5: auth.users[1].secre_key: unknown key, did you mean secret_key?",
        ),
        (
            "auth:\n  users:\n    - access_key: a\n",
            "c.yaml:3: auth.users[0].secret_key: must be given",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_valid_one(load_text, text, message):
    assert refused(load_text, text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1\n", "c.toml:2: server.prot: unknown key, did you mean server.port?"),
        ("server.prot = 1\n", "c.toml:1: server.prot: unknown key, did you mean server.port?"),
        (
            "[[auth.users]]\naccess_key = 'a'\nsecret_key = 'b'\n\n[[auth.users]]\nkey = 'd'\n",
            "c.toml:6: auth.users[1].key: unknown key; there are access_key, secret_key, user_id, ",
        ),
        ("[server]\nport = 'x' # y\n", 'c.toml:2: server.port: expected a whole number, found "x"'),
        ("[server]\nport = \n", "c.toml:2: Invalid value"),
        ("[server\n", "c.toml:1: Expected ']' at the end of a table declaration"),
        ("[server]\nport = [", "c.toml:2: Invalid value"),
        ("[server]\nport = 1\nport = 2\n", "c.toml:3: Cannot overwrite a value"),
        ("[server]\nhost = 2020-01-01\n", "c.toml:2: server.host: expected a text (put numbers in quotes)"),
    ],
)
def test_toml_is_as_clear_as_yaml(load_text, text, message):
    assert refused(load_text, text, toml=True).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  port: nine\n", '2: server.port: expected a whole number, found "nine"'),
        ("server:\n  port: 1.5\n", "2: server.port: expected a whole number, found 1.5"),
        ("server:\n  port: true\n", "2: server.port: expected a whole number, found true"),
        ("server:\n  port:\n", "2: server.port: expected a whole number, found null"),
        ("server:\n  port: [1]\n", "2: server.port: expected a whole number, found [1]"),
        ("server: 5\n", "1: server: expected a section with keys, found 5"),
        (
            "server:\n  domains: [a,\n    5]\n",
            "3: server.domains[1]: expected a text (put numbers in quotes), found 5",
        ),
        ("server:\n  domains: {a: 1}\n", '2: server.domains: expected a list, found {"a": 1}'),
        (
            "auth:\n  access_key: 123\n",
            "2: auth.access_key: expected a text (put numbers in quotes), found 123",
        ),
        ("auth:\n  acls: off\n", '2: auth.acls: expected "enabled" or "disabled", found false'),
        (
            "storage:\n  encrypted_at_rest: 2\n",
            "2: storage.encrypted_at_rest: expected true or false, found 2",
        ),
        ("storage:\n  local:\n    root_dir: 5\n", "3: storage.local.root_dir: expected a path, found 5"),
        ("storage:\n  local:\n    root_dir: ''\n", '3: storage.local.root_dir: expected a path, found ""'),
        (
            "storage:\n  local:\n    root_dir: ~nobodyx/y\n",
            "3: storage.local.root_dir: ~nobodyx/y: there is no",
        ),
    ],
)
def test_a_wrong_type_says_what_was_expected_and_found(load_text, text, message):
    assert refused(load_text, text).startswith(f"c.yaml:{message}")


@pytest.mark.parametrize(
    "text",
    [
        "auth: {access_key: a, secret_key: 12345678}",
        "auth: {users: [{access_key: a, secret_key: 12345678}]}",
        "auth: {users: ['a:12345678']}",
        "auth: {users: {a: 12345678}}",
        "auth: {users: 'a:12345678'}",
    ],
)
def test_a_secret_is_never_part_of_a_message(load_text, text):
    assert "12345678" not in refused(load_text, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: [a\n", "c.yaml:2: expected ',' or ']', but got '<stream end>'"),
        ("- a\n", "c.yaml:1: expected sections with keys"),
        ("just text", "c.yaml:1: expected sections with keys"),
        ("server:\n  port: 1\n  port: 2\n", "c.yaml:3: server.port: stands there twice, first in line 2"),
        ("a: &a [*a]\n", "c.yaml: is nested too deeply"),
        ("a: &a {b: *a}\n", "c.yaml: is nested too deeply"),
        ("server:\n  host: !!python/object/apply:os.system [ls]\n", "c.yaml:2: server.host: expected a text"),
        ("server:\n  host: !!python/name:os.system x\n", "c.yaml:2: could not determine a constructor"),
        ("server:\n  host: 2020-99-99\n", "c.yaml:2: month must be in 1..12"),
        ("a: \x07\n", "c.yaml: unacceptable character"),
        ("? [a]\n: 2\n", "c.yaml:1: ['a']: unknown key"),
        ("server:\n\tport: 1\n", "c.yaml:2: found character '\\t' that cannot start any token"),
    ],
)
def test_what_is_no_document_is_one_line_too(load_text, text, message):
    assert refused(load_text, text).startswith(message)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"/missing\.yaml: No such file or directory$"):
        load(tmp_path / "missing.yaml", environ={})


def test_a_folder_and_bytes_are_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, environ={})
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "bytes.yaml", environ={})
