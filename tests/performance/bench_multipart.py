#!/usr/bin/env python3
"""One large object: up by multipart, down in one piece and in ranges, 1 GB by default.

    python tests/performance/bench_multipart.py [--size 1024] [--part 16] [--clients 4] [--servers NAME...]

*Up* begins with CreateMultipartUpload and ends with the answer to CompleteMultipartUpload; the parts are
sent by several clients at once. Afterwards size and ETag are compared with what was sent. The ceiling is
one process that receives as much over loopback, hashes it, writes it and syncs it (``ceiling.py``).
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from functools import partial

import buckets
import ceiling
import clients
import report
from bench import BUCKET, Bench, arguments
from clients import Sent
from figures import Figure
from load import Load
from servers import Server

MIB = 1024 * 1024
PATIENCE = 600.0


class Content:
    """Parts that all differ, from one buffer: each begins a byte further on."""

    def __init__(self, size: int, part: int) -> None:
        self.count = size // part
        self.part = part
        self.size = self.count * part
        buffer = memoryview(os.urandom(part + self.count))
        self.parts = [buffer[number : number + part] for number in range(self.count)]
        self.etags = [hashlib.md5(part).digest() for part in self.parts]

    @property
    def etag(self) -> str:
        """What AWS would call the whole."""
        return f"{hashlib.md5(b''.join(self.etags)).hexdigest()}-{self.count}"


def up(server: Server, content: Content, key: str, count: int) -> Load:
    """The upload from its first request to its last answer, as one request."""
    s3, signer = buckets.client(server), server.presigner()
    s3.list_buckets()  # boto3 loads its model once, and not while the clock runs
    begun = time.perf_counter()
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    queries = [{"partNumber": str(number), "uploadId": upload} for number in range(1, content.count + 1)]
    sent = [
        Sent(signer.request("PUT", f"{BUCKET}/{key}", query), body)
        for query, body in zip(queries, content.parts, strict=True)
    ]
    done = clients.run(server.url, sent, connections=count, seconds=PATIENCE, once=True)
    if done.errors:
        return replace(done, requests=0)
    parts = [{"PartNumber": n, "ETag": f'"{etag.hex()}"'} for n, etag in enumerate(content.etags, 1)]
    s3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    seconds = time.perf_counter() - begun
    found = s3.head_object(Bucket=BUCKET, Key=key)
    if found["ContentLength"] != content.size:
        raise RuntimeError(f"{server.name}: what is stored has {found['ContentLength']} bytes")
    told = "" if found["ETag"].strip('"') == content.etag else f"its ETag is {found['ETag']}"
    return replace(done, requests=1, seconds=seconds, told=told)


def down(server: Server, content: Content, key: str, count: int) -> Load:
    """The whole in one GET, or in as many ranges as there were parts, by several clients at once."""
    request = server.presigner().request("GET", f"{BUCKET}/{key}")
    if count == 1:
        sent = [Sent(request)]
    else:
        spans = [(n * content.part, (n + 1) * content.part - 1) for n in range(content.count)]
        sent = [Sent(replace(request, headers=(("Range", f"bytes={a}-{b}"),))) for a, b in spans]
    done = clients.run(server.url, sent, connections=count, seconds=PATIENCE, once=True)
    if done.errors or done.bytes < content.size:
        return replace(done, requests=0, errors=max(done.errors, 1))
    return replace(done, requests=1)


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the object")
    parser.add_argument("--part", type=int, default=16, help="MiB of a part")
    parser.add_argument("--clients", type=int, default=4, help="clients that send parts or ask for ranges")
    options = parser.parse_args()
    content = Content(options.size * MIB, options.part * MIB)
    name = f"{content.size / MIB:,.0f} MiB"
    with Bench(options) as bench:
        for server in bench.servers:
            buckets.make(server, BUCKET)
        limits = []
        for round_ in bench.turns():
            limits.append(ceiling.measure(bench.directory, 0.5, size=options.size))
            key = f"large-{round_}"
            cases = (
                (f"up, {name}, {options.clients} clients", partial(up, count=options.clients)),
                (f"down, {name}, 1 client", partial(down, count=1)),
                (f"down in ranges, {name}, {options.clients} clients", partial(down, count=options.clients)),
            )
            for case, work in cases:
                for server in bench.servers:
                    bench.run(server, case, round_, partial(work, server, content, key), size=content.size)
            for server in bench.servers:
                buckets.client(server).delete_object(Bucket=BUCKET, Key=key)
        finish(bench, limits)


def finish(bench: Bench, limits: list[dict[str, float]]) -> None:
    """Write the report."""
    found = bench.found()
    bench.figures += report.ceilings(limits, ("PUT", "GET", "MD5", "write and fdatasync"))
    servers = [server.name for server in bench.servers]
    bench.notes.append(
        "Each cell: value · server CPU for the whole object, children included · **how many times as good "
        "the first server is**."
    )
    text = report.table(found, servers)
    text += "\n\n## Memory at the most, MiB\n\n"
    memory = [Figure(f.case, f.server, f.peak, "MiB") for f in found if f.peak]
    text += report.table(memory, servers, generator=False)
    text += "\n\n## What the machine allows\n\n" + report.table(bench.figures, ["ceiling"], generator=False)
    report.write(bench, "multipart", "Large objects", text, found)


if __name__ == "__main__":
    main()
