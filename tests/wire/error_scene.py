"""Where errors are asked for: a bucket, who asks, and a second server; see ``error_rows``."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from raw_http import RawReply, request_bytes
from server_process import FIRST, SECOND, Account
from signed_wire import Unsigned, Wire
from sigv4_by_hand import Signer


@dataclass
class Scene:
    """Who asks what of which bucket."""

    wire: Wire
    bucket: str
    other: Wire
    """A server in another region, with ACLs disabled."""

    @property
    def stranger(self) -> Wire:
        return Wire(self.wire.server, SECOND)

    @property
    def nobody(self) -> Wire:
        return Unsigned(self.wire.server)

    def put(self, key: str = "k", body: bytes = b"content") -> str:
        """The path of a new object."""
        assert self.wire.ask("PUT", f"{self.bucket}/{key}", body).status == 200
        return f"{self.bucket}/{key}"

    def upload(self, parts: int = 0) -> str:
        """The path and query of an upload with parts of one byte."""
        reply = self.wire.ask("POST", f"{self.bucket}/m?uploads", b"")
        target = f"{self.bucket}/m?uploadId={re.findall('<UploadId>(.*)</UploadId>', reply.body.decode())[0]}"
        for number in range(1, parts + 1):
            assert self.wire.ask("PUT", f"{target}&partNumber={number}", b"x").status == 200
        return target

    def complete(self, target: str, *numbers: int) -> RawReply:
        """Complete an upload of such parts."""
        etag = hashlib.md5(b"x").hexdigest()
        parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n in numbers)
        return self.wire.ask(
            "POST", target, f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        )

    def form(self, fields: dict[str, str], end: str = "--b--\r\n") -> RawReply:
        """Post a form that nobody signed, with a file."""
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()
        ]
        parts.append('--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nfile\r\n' + end)
        kind = "multipart/form-data; boundary=b"
        return self.nobody.ask("POST", self.bucket, "".join(parts).encode(), content_type=kind)

    def at(self, when: datetime, account: Account = FIRST) -> RawReply:
        """A request that was signed at another time."""
        signer = Signer(account.access_key, account.secret_key)
        signed = signer.sign("GET", self.bucket, {"Host": self.wire.host}, at=when)
        return self.wire.raw(request_bytes("GET", self.bucket, signed.headers))
