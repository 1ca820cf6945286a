"""What can be configured, as frozen dataclasses: the one list of settings and their defaults.

``config.py`` fills them from YAML or TOML, the environment and the command line by walking the
fields, and the JSON Schema is generated from them. A field's documentation is its ``doc``.
A plugin's own section (``storage.local``, ``metadata.sqlite``) is a dataclass that the plugin
names in its spec; it arrives in :class:`bleepstore.plugin.Context`.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bleepstore.secret import Secret

DEFAULT_ACCESS_KEY = "bleepstore"
DEFAULT_SECRET_KEY = "bleepstore-secret"  # noqa: S105 - the documented default, loopback only

REQUIRED: Any = MISSING
"""As the default of :func:`setting`: there is none, the key must be given."""


def setting(default: Any = None, doc: str = "", **more: Any) -> Any:
    """A dataclass field with its documentation; mutable defaults are copied."""
    if callable(default):
        return field(default_factory=default, metadata={"doc": doc}, **more)
    return field(default=default, metadata={"doc": doc}, **more)


def has_default(item: Field[Any]) -> bool:
    """Whether a field may be left out."""
    return item.default is not MISSING or item.default_factory is not MISSING


def default_of(item: Field[Any]) -> Any:
    """The default of a field that has one."""
    return item.default if item.default_factory is MISSING else item.default_factory()


def doc_of(item: Field[Any]) -> str:
    """The documentation of a field made by :func:`setting`; plugins need not write any."""
    return str(item.metadata.get("doc", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Serve HTTPS with this certificate."""

    certificate: Path | None = setting(None, "PEM file with the certificate chain; HTTPS when set.")
    key: Path | None = setting(None, "PEM file with the private key.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds on what one request may cost."""

    header_bytes: int = setting(32 * 1024, "Request line and headers together, in bytes.")
    xml_bytes: int = setting(5 * 1024 * 1024, "An XML request body, in bytes.")
    object_bytes: int = setting(5 * 1024**4, "One object, in bytes (AWS: 5 TiB).")
    put_bytes: int = setting(5 * 1024**3, "One PutObject or UploadPart, in bytes (AWS: 5 GiB).")
    connections: int = setting(10_000, "Open connections per worker; more are answered 503.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where and how the server listens."""

    host: str = setting("127.0.0.1", "Address to bind.")
    port: int = setting(9000, "Port to bind; 0 picks a free one.")
    region: str = setting("us-east-1", "The region this server is in, and signatures must name.")
    workers: int | Literal["auto"] = setting(
        "auto",
        "Processes that serve requests. 'auto' begins with one, and adds others while those there are are "
        "busy, up to the number of processors and 8.",
    )
    http: Literal["fast", "asgi"] = setting(
        "fast", "Answer S3 requests on the connection itself, or through ASGI as other servers do."
    )
    domains: tuple[str, ...] = setting(
        ("localhost",), "Domains under which BUCKET.DOMAIN addresses a bucket (virtual-host style)."
    )
    trusted_proxies: tuple[str, ...] = setting(
        (), "Addresses or networks whose X-Forwarded-Proto, -Host and -For are believed."
    )
    keep_alive: int = setting(180, "Seconds an idle connection stays open.")
    shutdown_grace: int = setting(30, "Seconds that requests have to finish after SIGTERM.")
    tls: TlsSettings = setting(TlsSettings, "HTTPS.")
    limits: LimitSettings = setting(LimitSettings, "Bounds on what one request may cost.")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """One user: an account of its own with one key pair."""

    access_key: str = setting(REQUIRED, "Access key id.")
    secret_key: Secret = setting(REQUIRED, "Secret access key.")
    user_id: str = setting("", "Canonical id; by default 64 hex digits derived from the access key.")
    display_name: str = setting("", "Name shown in owners and grants; by default the access key.")
    email: str = setting("", "Address that e-mail grants name.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Who may sign requests."""

    access_key: str = setting(DEFAULT_ACCESS_KEY, "Access key id of the first account.")
    secret_key: Secret = setting(lambda: Secret(DEFAULT_SECRET_KEY), "Its secret access key.")
    user_id: str = setting("", "Its canonical id; by default derived from the access key.")
    display_name: str = setting("", "Its display name; by default the access key.")
    email: str = setting("", "Its e-mail address.")
    users: tuple[UserSettings, ...] = setting(
        (),
        "Further users, each an account: a list of {access_key, secret_key, user_id, display_name, email}.",
    )
    acls: Literal["enabled", "disabled"] = setting(
        "enabled", "'disabled' is AWS's bucket-owner-enforced mode."
    )
    legacy_sigv2: Literal["off", "presigned", "all"] = setting(
        "off", "Take Signature Version 2 in presigned URLs and forms, or in headers too."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataSettings:
    """Which metadata engine; its own settings stand in ``metadata.NAME``."""

    engine: str = setting("sqlite", "Name of the metadata engine (sqlite, raft, or a plugin's).")
    durability: Literal["full", "relaxed"] = setting(
        "full", "'full': a 200 survives a power cut. 'relaxed': it survives a crash of the process."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Which storage backend; its own settings stand in ``storage.NAME``."""

    backend: str = setting("local", "Name of the storage backend (local, aws, gcp, azure, or a plugin's).")
    inline_limit: int = setting(
        64 * 1024, "Objects up to this many bytes live in the metadata database where it allows that."
    )
    encrypted_at_rest: bool = setting(
        False, "The disk encrypts: x-amz-server-side-encryption AES256 is accepted and echoed."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """The nodes of a cluster (read by the raft engine)."""

    node_id: str = setting("", "Name of this node.")
    bind_addr: str = setting("", "host:port of the cluster's internal HTTP.")
    peers: tuple[str, ...] = setting((), "host:port of the other nodes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsSettings:
    """Which installed plugins run."""

    disabled: tuple[str, ...] = setting((), "Plugins that are not loaded, by name.")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepSettings:
    """Background work."""

    interval: int = setting(60, "Seconds between rounds of garbage removal.")
    upload_expiry_days: int = setting(7, "Unfinished multipart uploads are aborted after this many days.")
    scrub_days: int = setting(
        0, "All that is stored is read and checked once in so many days, and damage is logged; 0: never."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration. ``sections`` holds the plugins' own, by dotted path."""

    server: ServerSettings = setting(ServerSettings, "Where and how the server listens.")
    auth: AuthSettings = setting(AuthSettings, "Who may sign requests.")
    metadata: MetadataSettings = setting(MetadataSettings, "Which metadata engine.")
    storage: StorageSettings = setting(StorageSettings, "Which storage backend.")
    cluster: ClusterSettings = setting(ClusterSettings, "The nodes of a cluster.")
    plugins: PluginsSettings = setting(PluginsSettings, "Which installed plugins run.")
    upkeep: UpkeepSettings = setting(UpkeepSettings, "Background work.")
    buckets: tuple[str, ...] = setting((), "Buckets created at start, owned by the first account.")
    sections: dict[str, Any] = field(default_factory=dict, metadata={"internal": True})
