"""What settings must be beside their types; the first rule that is broken is one line."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from bleepstore.auth.accounts import canonical_id
from bleepstore.config_file import ConfigError, dotted
from bleepstore.errors import S3Error
from bleepstore.s3.bucket_names import check_bucket_name
from bleepstore.settings import AuthSettings, Settings, UserSettings

LARGEST_INLINE = 1024 * 1024
Where = Callable[..., str]
"""Says where a path of the configuration stands, and names it."""


def check_settings(settings: Settings, where: Where) -> None:
    """Raise ConfigError for the first rule broken."""
    for name, value, least, most in _numbers(settings):
        if not least <= value <= most:
            raise ConfigError(f"{where(*name.split('.'))}: expected {least} to {most}, found {value}")
    _check_server(settings, where)
    _check_accounts(settings, where)
    for n, bucket in enumerate(settings.buckets):
        try:
            check_bucket_name(bucket)
        except S3Error:
            raise ConfigError(f"{where('buckets', f'[{n}]')}: {bucket!r} is no valid bucket name") from None


def _numbers(settings: Settings) -> Iterable[tuple[str, int, int, int]]:
    server, limits = settings.server, settings.server.limits
    huge = 1 << 62
    yield "server.port", server.port, 0, 65535
    if server.workers != "auto":
        yield "server.workers", server.workers, 1, 1024
    yield "server.keep_alive", server.keep_alive, 1, 86_400
    yield "server.shutdown_grace", server.shutdown_grace, 0, 86_400
    yield "server.limits.header_bytes", limits.header_bytes, 4096, 16 * 1024**2
    yield "server.limits.xml_bytes", limits.xml_bytes, 64 * 1024, 64 * 1024**2
    yield "server.limits.object_bytes", limits.object_bytes, 1, huge
    yield "server.limits.put_bytes", limits.put_bytes, 1, huge
    yield "server.limits.connections", limits.connections, 1, 1_000_000
    yield "storage.inline_limit", settings.storage.inline_limit, 0, LARGEST_INLINE
    yield "upkeep.interval", settings.upkeep.interval, 1, 86_400
    yield "upkeep.upload_expiry_days", settings.upkeep.upload_expiry_days, 1, 36_500
    yield "upkeep.scrub_days", settings.upkeep.scrub_days, 0, 36_500


def _check_server(settings: Settings, where: Where) -> None:
    server, tls = settings.server, settings.server.tls
    if not server.region or not _is_token(server.region):
        # It is a part of every signature's scope, which is divided by slashes.
        raise ConfigError(f"{where('server', 'region')}: must be a name without spaces, commas or slashes")
    for n, proxy in enumerate(server.trusted_proxies):
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            place = where("server", "trusted_proxies", f"[{n}]")
            raise ConfigError(f"{place}: {proxy!r} is no address and no network") from None
    if (tls.certificate is None) != (tls.key is None):
        one, other = ("key", "certificate") if tls.certificate is None else ("certificate", "key")
        raise ConfigError(f"{where('server', 'tls', one)}: server.tls.{other} must be given too")
    for name, path in (("certificate", tls.certificate), ("key", tls.key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"{where('server', 'tls', name)}: {path}: no such file")


def _check_accounts(settings: Settings, where: Where) -> None:
    auth = settings.auth
    taken: dict[str, dict[str, str]] = {"access_key": {}, "user_id": {}, "email": {}}
    accounts: list[tuple[tuple[str, ...], AuthSettings | UserSettings]] = [(("auth",), auth)]
    accounts += [(("auth", "users", f"[{n}]"), user) for n, user in enumerate(auth.users)]
    for at, account in accounts:
        for name, value in (("access_key", account.access_key), ("secret_key", account.secret_key)):
            if not value:
                raise ConfigError(f"{where(*at, name)}: must not be empty")
        if not _is_token(account.access_key):
            raise ConfigError(f"{where(*at, 'access_key')}: must not have spaces, commas or slashes")
        one = dotted(at)
        for name, value, shown in (
            ("access_key", account.access_key, account.access_key),
            ("user_id", account.user_id or canonical_id(account.access_key), account.user_id),
            ("email", account.email.lower(), account.email),
        ):
            other = taken[name].setdefault(value, one) if value else one
            if other != one:
                raise ConfigError(f"{where(*at, name)}: {shown!r} is that of {other} too")


def _is_token(text: str) -> bool:
    return text.isprintable() and not any(mark in text for mark in " ,/")
