"""What Cloud Storage promises of objects, in memory: generations, preconditions, limits.

Strict where the emulator is not: every precondition of every call, digests that a client sends, names,
metadata, sources of a compose, sizes of chunks. Written from the reference of the JSON API.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import google_crc32c

CHUNK = 256 * 1024
WRITABLE = (
    *("contentType", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage"),
    *("metadata", "customTime", "storageClass"),
)


class Refused(Exception):
    """An error that is answered."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.status, self.reason = status, reason


@dataclass
class Held:
    """One version of an object."""

    resource: dict[str, Any]
    data: bytes

    @property
    def numbers(self) -> tuple[int, int]:
        return int(self.resource["generation"]), int(self.resource["metageneration"])


@dataclass
class Session:
    """A resumable upload."""

    bucket: str
    resource: dict[str, Any]
    query: Mapping[str, str]
    data: bytearray = field(default_factory=bytearray)
    done: dict[str, Any] | None = None


@dataclass
class Service:
    """All buckets."""

    versioned: bool = False
    """Replaced and removed objects can still be read by their generation."""
    rewritten_at_once: int = 1 << 60
    """Bytes that one call of a rewrite copies."""
    buckets: dict[str, dict[str, Held]] = field(default_factory=dict)
    archive: dict[tuple[str, str, int], Held] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    rewrites: dict[str, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _generation: int = 1_790_000_000_000_000

    def names(self, bucket: str) -> list[str]:
        """All that is stored."""
        with self.lock:
            return list(self.objects(bucket))

    def objects(self, bucket: str) -> dict[str, Held]:
        if bucket not in self.buckets:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[bucket]

    # --- one object -------------------------------------------------------------------------------

    def find(self, bucket: str, name: str, query: Mapping[str, str], source: str = "") -> Held:
        """The object, at the conditions of a query. ``source``: those of a rewrite's source."""
        held = self.objects(bucket).get(name)
        wanted = query.get(f"{source}Generation" if source else "generation")
        if wanted is not None and (held is None or held.numbers[0] != int(wanted)):
            held = self.archive.get((bucket, name, int(wanted)))
        if held is None:
            raise Refused(404, "notFound", f"No such object: {bucket}/{name}")
        self._check(held, query, "ifSource" if source else "if")
        return held

    def _check(self, held: Held | None, query: Mapping[str, str], begin: str = "if") -> None:
        generation, metageneration = held.numbers if held else (0, 0)
        for name, found in (("GenerationMatch", generation), ("MetagenerationMatch", metageneration)):
            wanted = query.get(begin + name)
            if wanted is not None and int(wanted) != found:
                raise Refused(412, "conditionNotMet", "At least one of the pre-conditions did not hold.")

    def store(
        self,
        bucket: str,
        name: str,
        data: bytes,
        given: Mapping[str, Any],
        query: Mapping[str, str],
        components: int | None = None,
    ) -> dict[str, Any]:
        """Make an object, on the conditions of a query."""
        _check_name(name)
        _check_metadata(given.get("metadata") or {})
        digests = {"crc32c": _crc32c(data)}
        if components is None:
            digests["md5Hash"] = base64.b64encode(hashlib.md5(data).digest()).decode()
        for digest, found in digests.items():
            if given.get(digest, found) != found:
                raise Refused(400, "invalid", f"Provided {digest} doesn't match calculated {digest}.")
        objects = self.objects(bucket)
        self._check(objects.get(name), query)
        self._generation += 1
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        resource = {key: given[key] for key in WRITABLE if given.get(key)} | digests
        resource |= {"kind": "storage#object", "name": name, "bucket": bucket, "size": str(len(data))}
        resource |= {"generation": str(self._generation), "metageneration": "1"}
        resource |= {"timeCreated": now, "updated": now}
        if components is not None:
            resource["componentCount"] = components
        self._put_away(bucket, name)
        objects[name] = Held(resource, data)
        return resource

    def _put_away(self, bucket: str, name: str) -> None:
        held = self.objects(bucket).pop(name, None)
        if held is not None and self.versioned:
            self.archive[bucket, name, held.numbers[0]] = held

    def delete(self, bucket: str, name: str, query: Mapping[str, str]) -> None:
        self.find(bucket, name, query)
        self._put_away(bucket, name)

    def patch(
        self, bucket: str, name: str, given: Mapping[str, Any], query: Mapping[str, str]
    ) -> dict[str, Any]:
        """Change metadata alone."""
        held = self.find(bucket, name, query)
        _check_metadata(given.get("metadata") or {})
        held.resource = held.resource | {key: given[key] for key in WRITABLE if key in given}
        held.resource["metageneration"] = str(held.numbers[1] + 1)
        return held.resource

    # --- objects of objects -----------------------------------------------------------------------

    def compose(
        self, bucket: str, name: str, request: Mapping[str, Any], query: Mapping[str, str]
    ) -> dict[str, Any]:
        sources = request["sourceObjects"]
        if not 1 <= len(sources) <= 32:
            raise Refused(400, "invalid", "The number of source components is not between 1 and 32.")
        found = []
        for source in sources:
            conditions = dict(source.get("objectPreconditions") or {})
            if source.get("generation") is not None:
                conditions["generation"] = source["generation"]
            found.append(self.find(bucket, source["name"], conditions))
        count = sum(held.resource.get("componentCount", 1) for held in found)
        data = b"".join(held.data for held in found)
        return self.store(bucket, name, data, request.get("destination") or {}, query, count)

    def rewrite(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        given: Mapping[str, Any],
        query: Mapping[str, str],
    ) -> dict[str, Any]:
        held = self.find(*source, query, source="source")
        token = query.get("rewriteToken") or secrets.token_urlsafe(40)
        done = min(self.rewrites.pop(token, 0) + self.rewritten_at_once, len(held.data))
        answer = {"kind": "storage#rewriteResponse", "totalBytesRewritten": str(done)}
        answer |= {"objectSize": str(len(held.data)), "done": done == len(held.data)}
        if done < len(held.data):
            self._check(self.objects(target[0]).get(target[1]), query)
            self.rewrites[token] = done
            return answer | {"rewriteToken": token}
        # Metadata that is given replaces all of the source's.
        own = {key: given[key] for key in given if key in WRITABLE}
        count = held.resource.get("componentCount")
        made = self.store(*target, held.data, own or held.resource, query, count)
        return answer | {"resource": made}

    # --- resumable uploads ------------------------------------------------------------------------

    def begin(self, bucket: str, given: dict[str, Any], query: Mapping[str, str]) -> str:
        self.objects(bucket)
        _check_name(given["name"])
        session = secrets.token_hex(16)
        self.sessions[session] = Session(bucket, given, dict(query))
        return session

    def append(
        self, key: str, start: int | None, data: bytes, total: int | None, crc: str | None
    ) -> dict[str, Any] | int:
        """Take a chunk (``start`` is ``None`` in a question): the object, or how many bytes are there."""
        session = self.sessions.get(key)
        if session is None:
            raise Refused(404, "notFound", "No such upload session.")
        if session.done is not None:
            return session.done
        if start is not None:
            if start > len(session.data):
                raise Refused(503, "backendError", "Chunks are missing.")
            if total is None and (start + len(data)) % CHUNK:
                raise Refused(400, "invalid", "A chunk that is not the last is a multiple of 256 KiB.")
            session.data += data[len(session.data) - start :]
        if total is None or len(session.data) < total:
            return len(session.data)
        given = dict(session.resource)
        if crc is not None:
            given["crc32c"] = crc
        session.done = self.store(session.bucket, given["name"], bytes(session.data), given, session.query)
        session.data.clear()
        return session.done

    # --- listings ---------------------------------------------------------------------------------

    def list(self, bucket: str, query: Mapping[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = base64.b64decode(query.get("pageToken", ""))
        begin = query.get("startOffset", "").encode()
        items: list[dict[str, Any]] = []
        prefixes: list[str] = []
        answer: dict[str, Any] = {"kind": "storage#objects"}
        last = b""
        for encoded, name in sorted((name.encode(), name) for name in self.objects(bucket)):
            if encoded <= after or encoded < begin or not name.startswith(prefix):
                continue
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            common = name[: cut + len(delimiter)] if cut >= 0 else ""
            if common and prefixes[-1:] == [common]:
                continue
            if len(items) + len(prefixes) == int(query.get("maxResults", 1000)):
                answer["nextPageToken"] = base64.b64encode(last).decode()
                break
            if common:
                prefixes.append(common)
                last = common.encode() + b"\xff"
            else:
                items.append(self.objects(bucket)[name].resource)
                last = encoded
        return _only(answer | {"items": items, "prefixes": prefixes}, query.get("fields", ""))


def _only(answer: dict[str, Any], fields: str) -> dict[str, Any]:
    """What ``fields`` asks for: names, and one list of names in brackets."""
    if not fields:
        return answer
    head, bracket, rest = fields.partition("items(")
    inner, _, tail = rest.partition(")")
    kept = {name for name in (head + tail).split(",") if name}
    found = {name: value for name, value in answer.items() if name in kept}
    if bracket:
        names = inner.split(",")
        found["items"] = [{n: item[n] for n in names if n in item} for item in answer["items"]]
    return found


def _crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def _check_name(name: str) -> None:
    if not 1 <= len(name.encode()) <= 1024 or name in (".", "..") or "\r" in name or "\n" in name:
        raise Refused(400, "invalid", "Disallowed unicode characters or length in the object's name.")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    texts: Iterable[tuple[bytes, bytes]] = [(k.encode(), v.encode()) for k, v in metadata.items()]
    if any(len(name) > 1024 or len(value) > 4096 for name, value in texts):
        raise Refused(400, "invalid", "A field of the metadata is too long.")
    if sum(len(name) + len(value) for name, value in texts) > 8192:
        raise Refused(400, "metadataTooLarge", json.dumps(f"{len(metadata)} fields are too large."))
