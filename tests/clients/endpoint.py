"""Where a client finds the server, and the environment that it is started in."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "clients"
"""Where ``environments.mk`` installs: one folder for each set of clients."""
SCRIPTS = Path(__file__).with_name("scripts")

NAME = "s3.localhost"
"""A domain of the server, for buckets in host names: some TLS libraries take no ``*.localhost``."""


@dataclass(frozen=True)
class Authority:
    """Files of a certificate for this machine, and of who issued it.

    The issuer is a certificate of its own: some TLS libraries refuse a server that shows an authority's.
    """

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def issue(cls, folder: Path) -> Authority:
        """Make all three with openssl."""
        made = cls(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
        ca_key, request, extensions = folder / "ca-key.pem", folder / "request.pem", folder / "extensions"
        extensions.write_text(
            "basicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature,keyEncipherment\n"
            "extendedKeyUsage=serverAuth\n"
            f"subjectAltName=DNS:localhost,DNS:*.localhost,DNS:*.{NAME},IP:127.0.0.1\n"
        )
        new_key = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
        authority = ["-x509", "-days", "2", "-subj", "/CN=BleepStore test authority"]
        authority += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        issue = ["openssl", "x509", "-req", "-days", "2", "-CAcreateserial"]
        issue += ["-CA", str(made.ca), "-CAkey", str(ca_key), "-extfile", str(extensions)]
        for command in (
            [*new_key, *authority, "-keyout", str(ca_key), "-out", str(made.ca)],
            [*new_key, "-subj", "/CN=localhost", "-keyout", str(made.key), "-out", str(request)],
            [*issue, "-in", str(request), "-out", str(made.certificate)],
        ):
            subprocess.run(command, check=True, capture_output=True)
        return made


@dataclass(frozen=True)
class Endpoint:
    """A running server, as a client needs to know it."""

    transport: str
    """``http`` or ``tls``."""
    port: int
    access_key: str
    secret_key: str
    region: str
    ca: Path | None
    """The certificate to trust; ``None`` over plain HTTP."""

    @property
    def scheme(self) -> str:
        return "https" if self.transport == "tls" else "http"

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``: where bucket names cannot be in the host name, clients put them in the path."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def environment(self, home: Path, bucket: str) -> dict[str, str]:
        """The environment of a client: this server by the variables that AWS's tools read, and nothing else.

        ``BLEEPSTORE_TEST_*`` repeat it for scripts whose client reads none of them.
        """
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        made = {
            **kept,
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "BLEEPSTORE_TEST_URL": self.url,
            "BLEEPSTORE_TEST_BUCKET": bucket,
        }
        if self.ca is not None:
            for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                made[name] = str(self.ca)
            made["NODE_EXTRA_CA_CERTS"] = made["BLEEPSTORE_TEST_CA"] = str(self.ca)
        return made
