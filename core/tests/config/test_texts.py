"""``config show`` and ``config init``: what is written can be read again, and secrets are ``***``."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from bleepstore.config_schema import config_schema
from bleepstore.config_text import sample, show
from bleepstore.secret import Secret
from bleepstore.settings import REQUIRED, setting
from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[3] / "schemas" / "bleepstore.schema.json"


def test_secrets_print_as_asterisks(load_text):
    text = "auth: {access_key: a, secret_key: s3cr3t-one, users: [{access_key: b, secret_key: s3cr3t-two}]}\n"
    settings = load_text(text).settings
    shown = show(settings)
    assert "s3cr3t" not in shown
    assert shown.count('"***"') == 2
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in f"{settings.auth.secret_key} {settings.auth.users!r}"


def test_secrets_are_compared_by_value():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a").matches("a")
    assert not Secret("a").matches("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"
    assert not Secret("")


def test_what_is_shown_can_be_read_again(load_text):
    paths = "storage: {local: {root_dir: o}}\nmetadata: {sqlite: {path: m}}"
    settings = load_text(f"server: {{port: 9100, domains: [a, b]}}\n{paths}").settings
    again = load_text(show(settings)).settings
    assert again.server == settings.server
    assert again.sections == settings.sections


def test_the_sample_means_the_defaults(load_text, choices):
    assert load_text(sample(choices.sections)).settings == load_text().settings


def test_the_sample_without_its_comment_marks_names_every_key(load_text, choices):
    lines = []
    for line in sample(choices.sections).splitlines():
        stripped = line.lstrip()
        name, colon, _ = stripped.removeprefix("# ").partition(": ")
        is_key = stripped.startswith("# ") and colon and name.isidentifier()
        lines.append(line.replace("# ", "", 1) if is_key else line)
    text = "\n".join(lines)
    assert "  port: 9000" in text
    loaded = load_text(text.replace("null", '"c.yaml"'))
    assert loaded.credentials
    assert loaded.settings.auth == load_text().settings.auth


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSettings:
    """A plugin's section, written without ``setting``."""

    bucket: str
    retries: int = 3
    secret: Secret = setting(REQUIRED)


def test_a_plain_dataclass_is_a_section(choices):
    sections = {**choices.sections, "storage.plain": PlainSettings, "webhooks": PlainSettings}
    text = sample(sections)
    assert "  plain:\n    # bucket:\n    # retries: 3\n    # secret:\n" in text
    assert "\nwebhooks:\n" in text
    schema = config_schema(sections)
    assert schema["properties"]["webhooks"]["required"] == ["bucket", "secret"]
    assert schema["properties"]["storage"]["properties"]["plain"]["properties"]["retries"] == {
        "type": "integer",
        "default": 3,
    }


# --- the schema -------------------------------------------------------------------------------------


def test_the_published_schema_is_the_generated_one(choices):
    assert json.loads(SCHEMA.read_text()) == config_schema(choices.sections)


@pytest.fixture
def validator(choices):
    schema = config_schema(choices.sections)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def parsed(text: str):
    import yaml

    return yaml.safe_load(text)


def test_the_schema_accepts_what_the_server_accepts(validator, choices):
    validator.validate(parsed(sample(choices.sections)))
    validator.validate({})


@pytest.mark.parametrize(
    "text",
    [
        "server: {prot: 1}",
        "server: {port: nine}",
        "serverr: {}",
        "auth: {users: [{access_key: a}]}",
        "auth: {users: [null]}",
        "auth: {acls: maybe}",
        "storage: {local: {root: x}}",
    ],
)
def test_the_schema_refuses_what_the_server_refuses(validator, load_text, text):
    assert not validator.is_valid(parsed(text))
    with pytest.raises(Exception, match=r"c\.yaml:1"):
        load_text(text)


def test_no_default_of_the_schema_is_a_secret(choices):
    assert "bleepstore-secret" not in json.dumps(config_schema(choices.sections))


def test_sections_of_absent_plugins_stay_valid(validator):
    validator.validate({"storage": {"gcp": {"bucket": "b"}}, "metadata": {"raft": {}}})
