"""The form of a browser's upload: fields first, then one file, streamed.

Authority: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html and RFC 7578.
What stands before the file is bounded, the file is never held, and what follows it is ignored. The
parser of multipart/form-data is python-multipart's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bleepstore.errors import S3Error
from bleepstore.exchange import Authentication, Body
from bleepstore.http.body import INLINE
from bleepstore.http.checksums import ALGORITHMS
from bleepstore.http.digests import Digests, read_declared
from bleepstore.http.framing import PLAIN, Piece

FIELD_BYTES = 20 * 1024
"""All that stands before the file."""
FILE = "file"


class Form:
    """Reads one form from the raw pieces of a body."""

    def __init__(self, body: AsyncIterator[bytes], content_type: str) -> None:
        """Raises S3Error MalformedPOSTRequest for a content type without a boundary."""
        # Imported here: few servers see a form.
        from python_multipart.multipart import MultipartParser, parse_options_header

        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 200:
            raise S3Error("MalformedPOSTRequest")
        self._options = parse_options_header
        self._body = body
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._part_named,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )
        self._begun = False
        self._spent = 0
        self._name = ""
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._value = bytearray()
        self._file: list[bytes] = []
        self._file_state = 0
        """0 before the file, 1 in it, 2 after it."""
        self._ended = False
        self.fields: dict[str, str] = {}
        """By name in lower case, as far as they were read."""
        self.filename = ""
        """As the browser gave it, without folders."""

    # --- what the parser found --------------------------------------------------------------------

    def _part_begin(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def _spend(self, size: int) -> None:
        self._spent += size
        if self._spent > FIELD_BYTES:
            raise S3Error("MaxPostPreDataLengthExceededError", MaxPostPreDataLengthBytes=str(FIELD_BYTES))

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._spend(end - start)
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._spend(end - start)
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _part_named(self) -> None:
        _, options = self._options(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name", b"")).lower()
        if not self._name:
            raise S3Error("MalformedPOSTRequest")
        if self._name == FILE:
            if self._file_state:
                message = "POST requires exactly one file upload per request."
                raise S3Error("InvalidArgument", message, ArgumentName="file", ArgumentValue="1")
            self._file_state = 1
            name = _text(options.get(b"filename", b""))
            self.filename = name.replace("\\", "/").rpartition("/")[2]

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file_state == 1:
            self._file.append(data[start:end])
        elif self._file_state == 0:
            self._spend(end - start)
            self._value += data[start:end]

    def _part_end(self) -> None:
        if self._file_state == 1:
            self._file_state = 2
        elif self._file_state == 0:
            if self._name in self.fields:
                raise S3Error(
                    "InvalidArgument",
                    "POST requires exactly one value for each field.",
                    ArgumentName=self._name[:128],
                    ArgumentValue="",
                )
            self.fields[self._name] = _text(bytes(self._value))

    def _end(self) -> None:
        self._ended = True

    # --- reading ----------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        from python_multipart.exceptions import FormParserError

        if not self._begun:
            # After an empty line the parser would skip what is no boundary, but only as far as it came
            # with the line: whether a form is well-formed must not depend on packets.
            data = data.lstrip(b"\r\n")
            self._begun = bool(data)
        try:
            self._parser.write(data)
        except FormParserError:
            raise S3Error("MalformedPOSTRequest") from None

    async def read_fields(self) -> None:
        """Read up to the file. Raises S3Error MalformedPOSTRequest, InvalidArgument,
        MaxPostPreDataLengthExceededError."""
        async for data in self._body:
            self._feed(data)
            if self._file_state:
                return
        message = "POST requires exactly one file upload per request."
        raise S3Error("InvalidArgument", message, ArgumentName="file", ArgumentValue="0")

    async def file(self) -> AsyncIterator[bytes]:
        """The pieces of the file, to the end of the form. Raises S3Error MalformedPOSTRequest."""
        yield self._taken()
        async for data in self._body:
            self._feed(data)
            yield self._taken()
        if not self._ended:
            raise S3Error("MalformedPOSTRequest")

    def _taken(self) -> bytes:
        taken, self._file = self._file, []
        return taken[0] if len(taken) == 1 else b"".join(taken)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise S3Error("MalformedPOSTRequest") from None


class FormFile(Body):
    """The file of a form as the body of an upload, verified as the form's fields say."""

    def __init__(
        self, form: Form, headers: dict[str, str], raw: Body, bounds: tuple[int, int] | None, limit: int
    ) -> None:
        """``headers``: what the fields stand for. ``bounds``: the policy's content-length-range."""
        self._form = form
        self._headers = headers
        self._raw = raw
        self._least, self._most = bounds or (0, limit)
        self._most = min(self._most, limit)
        self._required: str | None = None
        self._digests: Digests | None = None
        self._ended = False
        self.length = None

    def require_checksum(self, algorithm: str) -> None:
        """Compute this algorithm where the form declares none."""
        if algorithm not in ALGORITHMS:
            raise ValueError(algorithm)
        self._required = algorithm

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces. Raises S3Error EntityTooLarge, EntityTooSmall, BadDigest ..."""
        declared = read_declared(self._headers, PLAIN)
        digests = self._digests = Digests(declared, required=self._required, signer=None)
        size = 0
        async for data in self._form.file():
            size += len(data)
            if size > self._most:
                raise S3Error("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(self._most))
            if len(data) <= INLINE:
                digests.absorb(Piece(data, []))
            else:
                await asyncio.get_running_loop().run_in_executor(None, digests.absorb, Piece(data, []))
            if data:
                yield data
        if size < self._least:
            raise S3Error("EntityTooSmall", ProposedSize=str(size), MinSizeAllowed=str(self._least))
        digests.verify({}, None)
        self._ended = True

    @property
    def md5(self) -> str:
        """Hex MD5 of all bytes."""
        return self._finished().md5

    @property
    def checksum(self) -> tuple[str, str] | None:
        """(algorithm, base64) of all bytes."""
        return self._finished().checksum

    def _finished(self) -> Digests:
        if self._digests is None or not self._ended:
            raise RuntimeError("the file has not been read to its end")
        return self._digests

    async def read(self, limit: int) -> bytes:
        """A file is streamed."""
        raise NotImplementedError

    def authenticated(self, authentication: Authentication) -> None:
        """A form has no chunk signatures."""

    def ignore_checksums(self) -> None:
        """The fields always describe the file."""

    async def drain(self) -> bool:
        """Swallow a small rest of the form."""
        return await self._raw.drain()
