"""What settings must be beside their types; the first rule that is broken is one line."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from bleepstore.auth.accounts import canonical_id
from bleepstore.config_file import ConfigError
from bleepstore.settings import Settings

LARGEST_INLINE = 1024 * 1024


def check_settings(settings: Settings, where: Callable[[str], str]) -> None:
    """Raise ConfigError for the first rule broken; ``where`` says where a key stands."""
    for dotted, value, least, most in _numbers(settings):
        if not least <= value <= most:
            raise ConfigError(f"{where(dotted)}: expected {least} to {most}, found {value}")
    server = settings.server
    if not server.region:
        raise ConfigError(f"{where('server.region')}: must not be empty")
    for proxy in server.trusted_proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            message = f"{proxy!r} is no address and no network"
            raise ConfigError(f"{where('server.trusted_proxies')}: {message}") from None
    tls = server.tls
    if (tls.certificate is None) != (tls.key is None):
        missing = "certificate" if tls.certificate is None else "key"
        raise ConfigError(f"{where('server.tls')}: server.tls.{missing} must be given too")
    for name, path in (("certificate", tls.certificate), ("key", tls.key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"{where(f'server.tls.{name}')}: {path}: no such file")
    _check_accounts(settings, where)


def _numbers(settings: Settings) -> Iterable[tuple[str, int, int, int]]:
    server, limits = settings.server, settings.server.limits
    huge = 1 << 62
    yield "server.port", server.port, 0, 65535
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


def _check_accounts(settings: Settings, where: Callable[[str], str]) -> None:
    keys: dict[str, str] = {}
    ids: dict[str, str] = {}
    auth = settings.auth
    accounts = [("auth", auth.access_key, bool(auth.secret_key), auth.user_id)]
    accounts += [
        (f"auth.users[{n}]", user.access_key, bool(user.secret_key), user.user_id)
        for n, user in enumerate(auth.users)
    ]
    for at, access_key, secret, user_id in accounts:
        place = where("auth.access_key") if at == "auth" else f"{where('auth.users')}: {at}"
        if not access_key or not secret:
            raise ConfigError(f"{place}: access_key and secret_key must not be empty")
        if "/" in access_key or "," in access_key or not access_key.isprintable() or " " in access_key:
            raise ConfigError(f"{place}.access_key: must not have spaces, commas or slashes")
        if access_key in keys:
            raise ConfigError(f"{place}.access_key: {access_key!r} is that of {keys[access_key]} too")
        keys[access_key] = at
        identity = user_id or canonical_id(access_key)
        if identity in ids:
            raise ConfigError(f"{place}.user_id: {identity!r} is that of {ids[identity]} too")
        ids[identity] = at
