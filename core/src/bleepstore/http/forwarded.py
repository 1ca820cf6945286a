"""What a trusted reverse proxy says about the request it passes on.

``X-Forwarded-Proto``, ``-Host`` and ``-For`` are believed only from ``server.trusted_proxies``:
anybody else could forge the address that policies and logs see.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


class TrustedProxies:
    """The configured proxies, as addresses or networks."""

    def __init__(self, proxies: Sequence[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(p, strict=False) for p in proxies)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Whether an address is that of a proxy."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)

    def origin(self, client: str, scheme: str, headers: dict[str, str]) -> tuple[str, str]:
        """The client's address and scheme as the proxy saw them.

        ``headers["host"]`` becomes the host that the client asked, which is what it signed.
        """
        if not self.trusts(client):
            return client, scheme
        proto = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()
        if host:
            headers["host"] = host
        # From the right: each proxy appends the peer it saw, and only proxies are to be believed.
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            address = hop.strip()
            if not address:
                break
            client = address
            if not self.trusts(address):
                break
        return client, proto if proto in ("http", "https") else scheme
