"""A client that does everything to keys of its own, at random, and tells the model.

Each worker has its keys, so that it knows the answer to each request; the keys ``shared/N`` are put and
deleted by all at once.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
from base64 import b64encode
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from s3_client import Answer, Lost, NotSent, S3Client
from store_model import BUCKET, Changes, Item, Model, Object, Violation, object_of, read

KEYS = 5
SHARED = 3
SIZES = (0, 1, 700, 5000, 32 * 1024, 64 * 1024, 64 * 1024 + 1, 150_000, 400_000)
"""Inline in the metadata database up to 64 KiB, a blob above."""
PART = 5 * 1024 * 1024
"""What all parts but the last must have."""
BASE = "base"
_FAILED = re.compile(rb"<Error>(<Key>[^<]*</Key>)?<Code>(InternalError|SlowDown|ServiceUnavailable)</Code>")
"""An answer, or one for a key, that does not say what happened: the writing process is gone."""
_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


@lru_cache(1)
def base_body() -> bytes:
    """The object of which parts are copied, so that large objects come without sending their bytes."""
    return random.Random(BASE).randbytes(PART)


def prepare(client: S3Client, model: Model) -> None:
    """Make the bucket and the object to copy from."""
    assert client.ask("PUT", f"/{BUCKET}").status == 200
    write = model.ask({("object", BASE): object_of(base_body(), "base")})
    model.acknowledge(write, client.ask("PUT", f"/{BUCKET}/{BASE}", base_body(), {"x-amz-meta-note": "base"}))


@dataclass
class _Upload:
    key: str
    id: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    """Of all parts ever sent, by ETag."""

    @property
    def item(self) -> Item:
        return ("upload", self.key, self.id)

    def part(self, number: int) -> Item:
        return ("part", self.key, self.id, str(number))


class Worker:
    """One thread's client."""

    def __init__(self, name: str, model: Model, seed: str, sizes: Sequence[int] = SIZES) -> None:
        """``sizes``: of bodies, each as often as it stands there."""
        self.name = name
        self._sizes = sizes
        self._model = model
        self._random = random.Random(f"{seed} {name}")
        self._client: S3Client
        self._uploads: list[_Upload] = []
        self._steps = {
            self._put: 8,
            self._put_shared: 4,
            self._put_conditionally: 4,
            self._copy: 3,
            self._delete: 3,
            self._delete_many: 1,
            self._create_upload: 2,
            self._upload_part: 4,
            self._copy_part: 3,
            self._complete: 2,
            self._abort: 1,
        }

    def run(self, port: int, ended: threading.Event, most: int = 10_000) -> None:
        """Work until ``ended``, at most so many steps. Raises Violation for an answer that is wrong."""
        self._client = S3Client(port)
        self._uploads = [upload for upload in self._uploads if self._is_open(upload)]
        try:
            for _ in range(most):
                if ended.is_set():
                    return
                (step,) = self._random.choices(list(self._steps), list(self._steps.values()))
                try:
                    step()
                except Lost:
                    continue  # the server is gone, or the worker that had this connection
        finally:
            self._client.close()

    def _is_open(self, upload: _Upload) -> bool:
        return self._model.possible(upload.item) == {"open"}

    def _ask(
        self,
        changes: Changes,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        expected: int = 200,
    ) -> Answer | None:
        """Ask for a change; the answer, or nothing where the server does not say what happened."""
        write = self._model.ask(changes)
        try:
            answer = self._client.ask(method, f"/{BUCKET}{target}", body, headers)
        except NotSent:
            self._model.refuse(write)
            raise
        if _FAILED.search(answer.body) and self._model.excused:
            return None
        if answer.status != expected or (answer.code and expected < 300):
            raise Violation(f"{method} {target} {headers}: {answer.status} {answer.code}, not {expected}")
        if expected < 300:
            self._model.acknowledge(write, answer)
        else:
            self._model.refuse(write)
        return answer

    def _key(self, *, there: bool | None = None) -> str | None:
        """A key of which it is known whether there is an object."""
        keys = [f"{self.name}/{n}" for n in range(KEYS)]
        sure = [key for key in keys if self._model.sure(("object", key))]
        if there is not None:
            sure = [key for key in sure if (self._model.now(("object", key)) is not None) is there]
        return self._random.choice(sure) if sure else None

    def _body(self) -> tuple[bytes, str]:
        return self._random.randbytes(self._random.choice(self._sizes)), str(self._random.random())

    # --- objects ----------------------------------------------------------------------------------------

    def _put(self) -> None:
        key = self._key()
        if key is not None:
            body, note = self._body()
            change = {("object", key): object_of(body, note)}
            self._ask(change, "PUT", f"/{key}", body, {"x-amz-meta-note": note})

    def _put_shared(self) -> None:
        key = f"shared/{self._random.randrange(SHARED)}"
        body, note = self._body()
        match self._random.randrange(4):
            case 0:
                self._ask({("object", key): None}, "DELETE", f"/{key}", expected=204)
            case 1:
                answer = self._client.ask("GET", f"/{BUCKET}/{key}")
                if answer.status == 200 and hashlib.md5(answer.body).hexdigest() != answer.etag:
                    raise Violation(f"{key} was read with the ETag of other bytes")
            case _:
                change = {("object", key): object_of(body, note)}
                self._ask(change, "PUT", f"/{key}", body, {"x-amz-meta-note": note})

    def _put_conditionally(self) -> None:
        key = self._key()
        if key is None:
            return
        old = self._model.now(("object", key))
        etag = old.etag if isinstance(old, Object) else ""
        condition, expected = self._random.choice(
            [
                ({"If-None-Match": "*"}, 412 if etag else 200),
                ({"If-Match": f'"{etag or "1" * 32}"'}, 200 if etag else 404),
                ({"If-Match": f'"{"0" * 32}"'}, 412 if etag else 404),
            ]
        )
        body, note = self._body()
        change = {("object", key): object_of(body, note)}
        headers = {"x-amz-meta-note": note, **condition}
        self._ask(change, "PUT", f"/{key}", body, headers, expected=expected)

    def _copy(self) -> None:
        source, key = self._random.choice([self._key(there=True), BASE]), self._key()
        if source is None or key is None or source == key:
            return
        value = self._model.now(("object", source))
        assert isinstance(value, Object)
        copy = value._replace(etag=value.md5)  # it has no parts, wherever it comes from
        self._ask(
            {("object", key): copy}, "PUT", f"/{key}", b"", {"x-amz-copy-source": f"/{BUCKET}/{source}"}
        )

    def _delete(self) -> None:
        key = self._key()
        if key is not None:
            self._ask({("object", key): None}, "DELETE", f"/{key}", expected=204)

    def _delete_many(self) -> None:
        keys = {key for _ in range(3) if (key := self._key()) is not None}
        if not keys:
            return
        names = "".join(f"<Object><Key>{key}</Key></Object>" for key in sorted(keys))
        body = f"<Delete>{names}</Delete>".encode()
        digest = {"Content-MD5": b64encode(hashlib.md5(body).digest()).decode()}
        writes = {key: self._model.ask({("object", key): None}) for key in keys}
        try:
            answer = self._client.ask("POST", f"/{BUCKET}?delete", body, digest)
        except NotSent:
            for write in writes.values():
                self._model.refuse(write)
            raise
        for key, write in writes.items():
            if f"<Deleted><Key>{key}</Key>".encode() in answer.body:
                self._model.acknowledge(write, answer)
            elif not (_FAILED.search(answer.body) and self._model.excused):
                raise Violation(f"{key} was not deleted: {answer.body!r}")

    # --- uploads ----------------------------------------------------------------------------------------

    def _upload(self) -> _Upload | None:
        opened = [upload for upload in self._uploads if self._is_open(upload)]
        return self._random.choice(opened) if opened else None

    def _create_upload(self) -> None:
        key = self._key()
        if key is None or len(self._uploads) >= 3:
            return
        answer, asked = None, self._model.moment()
        try:
            answer = self._ask({}, "POST", f"/{key}?uploads", b"", {"x-amz-meta-note": "upload"})
        finally:
            if answer is None:
                self._model.unnamed.add(key)
        if answer is not None:
            found = _UPLOAD_ID.search(answer.body)
            assert found
            upload = _Upload(key, found[1].decode())
            self._model.acknowledge(self._model.ask({upload.item: "open"}, asked=asked), answer)
            self._uploads.append(upload)

    def _upload_part(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        number, body = self._random.choice((1, 7, 7)), self._body()[0]
        if number == 1 and self._random.random() < 0.1:
            body = self._random.randbytes(PART)
        etag = hashlib.md5(body).hexdigest()
        upload.bodies[etag] = body
        target = f"/{upload.key}?partNumber={number}&uploadId={upload.id}"
        self._ask({upload.part(number): etag}, "PUT", target, body)

    def _copy_part(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        number = self._random.choice((1, 1, 7))
        body, headers = base_body(), {"x-amz-copy-source": f"/{BUCKET}/{BASE}"}
        if number == 7:
            start, end = sorted(self._random.sample(range(PART), 2))
            start = max(start, end - 100_000)
            body, headers["x-amz-copy-source-range"] = body[start : end + 1], f"bytes={start}-{end}"
        etag = hashlib.md5(body).hexdigest()
        upload.bodies[etag] = body
        target = f"/{upload.key}?partNumber={number}&uploadId={upload.id}"
        self._ask({upload.part(number): etag}, "PUT", target, b"", headers)

    def _complete(self) -> None:
        upload = self._upload()
        if upload is None or not self._model.sure(("object", upload.key)):
            return
        numbers = [number for number in (1, 7) if self._model.sure(upload.part(number))]
        numbers = [number for number in numbers if upload.part(number) not in self._model.replaced]
        parts = {n: str(etag) for n in numbers if (etag := self._model.now(upload.part(n))) is not None}
        if len(parts) == 2 and len(upload.bodies[parts[1]]) < PART:
            del parts[self._random.choice((1, 7))]
        if not parts:
            return
        body = b"".join(upload.bodies[etag] for etag in parts.values())
        digest = hashlib.md5(b"".join(bytes.fromhex(etag) for etag in parts.values())).hexdigest()
        changes: dict[Item, Hashable] = {
            ("object", upload.key): object_of(body, "upload", f"{digest}-{len(parts)}"),
            upload.item: None,
            **{upload.part(number): None for number in (1, 7)},
        }
        named = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts.items()
        )
        document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
        self._end(upload, self._ask(changes, "POST", f"/{upload.key}?uploadId={upload.id}", document))

    def _abort(self) -> None:
        upload = self._upload()
        if upload is not None:
            changes = dict.fromkeys((upload.item, upload.part(1), upload.part(7)), None)
            target = f"/{upload.key}?uploadId={upload.id}"
            self._end(upload, self._ask(changes, "DELETE", target, expected=204))

    def _end(self, upload: _Upload, answer: Answer | None) -> None:
        if answer is not None:
            self._uploads.remove(upload)
            if self._random.random() < 0.2:
                self._check_read(upload.key)

    def _check_read(self, key: str) -> None:
        """What was acknowledged is read at once as it will be later."""
        if self._model.sure(("object", key)) and (value := self._model.now(("object", key))) is not None:
            found = read(self._client, key)
            if found != value:
                raise Violation(f"{key} is {found} right after it became {value}")
