"""The documented format, in YAML and in TOML: every key of it, and that both are read alike."""

from pathlib import Path

import pytest
import yaml
from bleepstore.config import load
from bleepstore.config_schema import config_schema
from jsonschema import Draft202012Validator

YAML = """
server:
  host: 0.0.0.0
  port: 9100
  region: eu-west-1
  workers: 2
  domains: [s3.example.com, localhost]
  tls:
    certificate: certificate.pem
    key: key.pem
auth:
  access_key: first
  secret_key: first-secret
  users:
    - access_key: alice
      secret_key: alice-secret
      user_id: alice-id
      display_name: Alice
      email: alice@example.com
    - access_key: bob
      secret_key: bob-secret
metadata:
  engine: sqlite
  sqlite:
    path: meta/metadata.db
storage:
  backend: local
  local:
    root_dir: objects
  aws:
    bucket: upstream
    region: us-east-1
  gcp:
    bucket: upstream
    project: project
  azure:
    container: container
    account: account
cluster:
  node_id: node-1
  bind_addr: 10.0.0.1:9300
  peers: [10.0.0.2:9300, 10.0.0.3:9300]
"""

TOML = """
[server]
host = "0.0.0.0"
port = 9100
region = "eu-west-1"
workers = 2
domains = ["s3.example.com", "localhost"]
tls = { certificate = "certificate.pem", key = "key.pem" }

[auth]
access_key = "first"
secret_key = "first-secret"

[[auth.users]]
access_key = "alice"
secret_key = "alice-secret"
user_id = "alice-id"
display_name = "Alice"
email = "alice@example.com"

[[auth.users]]
access_key = "bob"
secret_key = "bob-secret"

[metadata]
engine = "sqlite"
sqlite.path = "meta/metadata.db"

[storage]
backend = "local"

[storage.local]
root_dir = "objects"

[storage.aws]
bucket = "upstream"
region = "us-east-1"

[storage.gcp]
bucket = "upstream"
project = "project"

[storage.azure]
container = "container"
account = "account"

[cluster]
node_id = "node-1"
bind_addr = "10.0.0.1:9300"
peers = ["10.0.0.2:9300", "10.0.0.3:9300"]
"""


@pytest.fixture(autouse=True)
def pem_files(tmp_path: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("")


def test_yaml_and_toml_mean_the_same(load_text):
    assert load_text(YAML).settings == load_text(TOML, toml=True).settings


def test_it_is_valid_by_the_published_schema(choices):
    Draft202012Validator(config_schema(choices.sections)).validate(yaml.safe_load(YAML))


def test_every_key_arrives(load_text, tmp_path):
    settings = load_text(YAML).settings
    server, auth = settings.server, settings.auth
    assert (server.host, server.port, server.region, server.workers) == ("0.0.0.0", 9100, "eu-west-1", 2)
    assert server.domains == ("s3.example.com", "localhost")
    assert server.tls.certificate == tmp_path / "certificate.pem"
    assert (auth.access_key, auth.secret_key.reveal()) == ("first", "first-secret")
    alice, bob = auth.users
    assert (alice.access_key, alice.secret_key.reveal(), alice.user_id) == (
        "alice",
        "alice-secret",
        "alice-id",
    )
    assert (alice.display_name, alice.email) == ("Alice", "alice@example.com")
    assert (bob.access_key, bob.user_id, bob.email) == ("bob", "", "")
    assert (settings.metadata.engine, settings.storage.backend) == ("sqlite", "local")
    assert settings.cluster.node_id == "node-1"
    assert settings.cluster.bind_addr == "10.0.0.1:9300"
    assert settings.cluster.peers == ("10.0.0.2:9300", "10.0.0.3:9300")


def test_paths_are_relative_to_the_file(load_text, tmp_path, choices):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "inside.yaml").write_text("storage: {local: {root_dir: objects}}")
    loaded = load(Path("elsewhere/inside.yaml"), environ={}, choices=choices)
    assert loaded.settings.sections["storage.local"].root_dir == elsewhere / "objects"


def test_absolute_and_home_paths_stay_what_they_are(load_text, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    sections = load_text("{storage: {local: {root_dir: /srv/o}}, metadata: {sqlite: {path: ~/m.db}}}")
    assert sections.settings.sections["storage.local"].root_dir == Path("/srv/o")
    sections = load_text("metadata: {sqlite: {path: '~/m.db'}}")
    assert sections.settings.sections["metadata.sqlite"].path == Path("/home/somebody/m.db")


def test_paths_of_the_environment_are_relative_to_the_current_folder(load_text):
    loaded = load_text(environ={"BLEEPSTORE_STORAGE_LOCAL_ROOT_DIR": "objects"})
    assert loaded.settings.sections["storage.local"].root_dir == Path("objects")


@pytest.mark.parametrize("text", ["", "# nothing\n", "server:\n", "server:\n  tls:\nauth:\n", "{}"])
def test_a_file_may_be_empty_and_a_section_too(load_text, text):
    assert load_text(text).settings == load_text().settings


def test_without_a_file_there_are_the_documented_defaults(load_text):
    loaded = load_text()
    settings = loaded.settings
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 9000)
    assert settings.auth.access_key == "bleepstore"
    assert settings.auth.secret_key.reveal() == "bleepstore-secret"
    assert not loaded.credentials
    assert loaded.warnings == ()


def test_off_without_quotes_is_the_word(load_text):
    assert load_text("auth: {legacy_sigv2: off}").settings.auth.legacy_sigv2 == "off"
