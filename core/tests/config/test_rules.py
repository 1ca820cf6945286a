"""What settings must be beside their types, and that an engine that is not there says how to get it."""

from dataclasses import dataclass, replace

import pytest
from bleepstore.config import ConfigError
from bleepstore.settings import REQUIRED, setting


def refused(load_text, text: str | None, **more) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(text, **more)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- engines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "name", "package"),
    [
        ("metadata", "engine", "raft", "bleepstore-metadata-raft"),
    ],
)
def test_an_engine_that_is_not_installed_prints_the_line_that_installs_it(
    load_text, section, key, name, package
):
    message = refused(load_text, f"{section}:\n  {key}: {name}\n  {name}: {{anything: 1}}\n")
    assert message == f"c.yaml:2: {section}.{key}: {name} is not installed: pip install {package}"


def test_an_installed_distribution_that_only_holds_its_place_is_to_be_upgraded(
    load_text, tmp_path, monkeypatch
):
    info = tmp_path / "site" / "bleepstore_metadata_raft-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bleepstore-metadata-raft\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert refused(load_text, "metadata: {engine: raft}") == (
        "c.yaml:1: metadata.engine: bleepstore-metadata-raft 0.1.0 does not provide raft: "
        "pip install --upgrade bleepstore-metadata-raft"
    )


def test_an_engine_nobody_knows_names_the_nearest(load_text):
    message = refused(load_text, "storage:\n  backend: lcal\n")
    assert message == "c.yaml:2: storage.backend: no plugin provides 'lcal', did you mean local?"


def test_an_engine_whose_plugin_is_disabled_says_so(load_text, choices):
    without = replace(choices, backends=())
    message = refused(load_text, "plugins:\n  disabled: [local]\n", more=without)
    assert message == "storage.backend: the plugin local is disabled (c.yaml:2: plugins.disabled)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    bucket: str = setting(REQUIRED, "The bucket upstream.")
    region: str = "us-east-1"


@pytest.fixture
def cloud(choices):
    return replace(
        choices,
        sections={**choices.sections, "storage.cloud": CloudSettings},
        backends=[*choices.backends, "cloud"],
    )


def test_a_chosen_engine_must_have_what_it_needs(load_text, cloud):
    message = refused(load_text, "storage: {backend: cloud}", more=cloud)
    assert message == "storage.cloud.bucket: must be given"
    text = "storage: {backend: cloud, cloud: {bucket: b}}"
    section = load_text(text, more=cloud).settings.sections["storage.cloud"]
    assert section == CloudSettings(bucket="b")


def test_an_engine_that_is_not_chosen_needs_nothing(load_text, cloud):
    assert "storage.cloud" not in load_text(more=cloud).settings.sections


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  port: 65536\n", "c.yaml:2: server.port: expected 0 to 65535, found 65536"),
        ("server:\n  workers: 0\n", "c.yaml:2: server.workers: expected 1 to 1024, found 0"),
        ("server:\n  limits:\n    header_bytes: 10\n", "c.yaml:3: server.limits.header_bytes: expected 4096"),
        ("server:\n  region: ''\n", "c.yaml:2: server.region: must be a name without spaces"),
        ("server:\n  region: a/b\n", "c.yaml:2: server.region: must be a name without spaces"),
        (
            "server:\n  trusted_proxies:\n  - 10.0.0.1\n  - proxy\n",
            "c.yaml:4: server.trusted_proxies[1]: 'proxy'",
        ),
        (
            "server:\n  tls:\n    key: c.yaml\n",
            "c.yaml:3: server.tls.key: server.tls.certificate must be given too",
        ),
        (
            "server:\n  tls:\n    certificate: c.yaml\n",
            "c.yaml:3: server.tls.certificate: server.tls.key must be",
        ),
        (
            "server: {tls: {certificate: c.yaml, key: absent.pem}}",
            "c.yaml:1: server.tls.key: ",
        ),
        (
            "buckets:\n  - good-name\n  - Bad_Name\n",
            "c.yaml:3: buckets[1]: 'Bad_Name' is no valid bucket name",
        ),
        ("auth: {access_key: '', secret_key: s}", "c.yaml:1: auth.access_key: must not be empty"),
        ("auth: {access_key: a, secret_key: ''}", "c.yaml:1: auth.secret_key: must not be empty"),
        ("auth: {access_key: a/b, secret_key: s}", "c.yaml:1: auth.access_key: must not have spaces"),
    ],
)
def test_a_value_out_of_bounds_is_refused_where_it_stands(load_text, text, message):
    assert refused(load_text, text).startswith(message)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (
            "access_key: first, secret_key: s",
            "c.yaml:6: auth.users[1].access_key: 'first' is that of auth too",
        ),
        ("access_key: b, secret_key: s, user_id: me", "c.yaml:6: auth.users[1].user_id: 'me' is that of"),
        (
            "access_key: b, secret_key: s, email: A@example.com",
            "c.yaml:6: auth.users[1].email: 'A@example.com' is that of auth.users[0] too",
        ),
        ("access_key: b, secret_key: ''", "c.yaml:6: auth.users[1].secret_key: must not be empty"),
        ("access_key: 'b c', secret_key: s", "c.yaml:6: auth.users[1].access_key: must not have spaces"),
    ],
)
def test_accounts_are_told_apart(load_text, user, message):
    text = (
        "auth:\n  access_key: first\n  secret_key: s\n  users:\n"
        f"    - {{access_key: a, secret_key: s, user_id: me, email: a@example.com}}\n    - {{{user}}}\n"
    )
    assert refused(load_text, text).startswith(message)
