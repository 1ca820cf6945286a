"""AWS CLI v1: ``aws s3`` and ``aws s3api``, each command a process."""

import json
import os
import subprocess
from pathlib import Path

from exercise import (
    AWKWARD_KEYS,
    BUCKET,
    LARGE,
    MANY,
    METADATA,
    SMALL,
    doing,
    fetch,
    finish,
    make_tree,
    read_tree,
    same,
    stored,
)

HERE = f"s3://{BUCKET}"
FILES = {name: key.removeprefix("odd/") for name, key in AWKWARD_KEYS.items() if name != "double slash"}


def aws(*words, stdin=b"", **environment):
    done = subprocess.run(
        ["aws", *words], input=stdin, capture_output=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"aws {' '.join(words)}: {done.returncode}\n{done.stderr.decode()[-3000:]}")
    return done.stdout


def s3(*words, **options):
    return aws("s3", *words, **options)


def api(operation, *words, **options):
    out = aws("s3api", operation, "--bucket", BUCKET, *words, **options)
    return json.loads(out) if out.strip() else {}


def refused(code, *words):
    try:
        api(*words)
    except RuntimeError as error:
        if code not in str(error):
            raise
    else:
        raise AssertionError(f"{words} was not refused")


with doing("create bucket"):
    s3("mb", HERE)
    assert BUCKET.encode() in s3("ls")
for name, body in (("small", SMALL), ("empty", b""), ("large", LARGE)):
    Path(name).write_bytes(body)
    with doing(f"put {name}"):
        s3("cp", name, f"{HERE}/{name}")
        stored(name, body)
with doing("put from standard input"):
    s3("cp", "-", f"{HERE}/piped", stdin=LARGE)
    stored("piped", LARGE)
with doing("get"):
    same(s3("cp", f"{HERE}/small", "-"), SMALL)
    s3("cp", f"{HERE}/empty", "got-empty")
    same(Path("got-empty").read_bytes(), b"")
with doing("get large"):
    s3("cp", f"{HERE}/large", "got")
    same(Path("got").read_bytes(), LARGE)
with doing("get ranged"):
    api("get-object", "--key", "large", "--range", "bytes=9000000-9000099", "got")
    same(Path("got").read_bytes(), LARGE[9000000:9000100])
with doing("size"):
    same(api("head-object", "--key", "large")["ContentLength"], len(LARGE))
with doing("get what is missing"):
    refused("NoSuchKey", "get-object", "--key", "none", "got")

with doing("keys of awkward files"):
    for name in FILES.values():
        path = Path("odd", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"odd/{name}".encode())
    s3("cp", "odd", f"{HERE}/odd", "--recursive")
    for name in FILES.values():
        stored(f"odd/{name}", f"odd/{name}".encode())
with doing("list awkward keys"):
    lines = s3("ls", f"{HERE}/odd/", "--recursive").decode().splitlines()
    same(
        sorted(line.split(maxsplit=3)[3] for line in lines), sorted(f"odd/{name}" for name in FILES.values())
    )
with doing("copy awkward keys"):
    s3("cp", f"{HERE}/odd", f"{HERE}/copies", "--recursive")
    for name in FILES.values():
        stored(f"copies/{name}", f"odd/{name}".encode())
with doing("move awkward keys"):
    s3("mv", f"{HERE}/copies", f"{HERE}/moved", "--recursive")
    found = api("list-objects-v2", "--prefix", "moved/")["Contents"]
    same(sorted(e["Key"] for e in found), sorted(f"moved/{name}" for name in FILES.values()))
    assert "Contents" not in api("list-objects-v2", "--prefix", "copies/")
    s3("cp", f"{HERE}/moved", f"{HERE}/copies", "--recursive")
with doing("get awkward keys"):
    s3("cp", f"{HERE}/moved", "back", "--recursive")
    same(read_tree(Path("back")), {name: f"odd/{name}".encode() for name in FILES.values()})
with doing("key with double slash"):
    key = AWKWARD_KEYS["double slash"]
    s3("cp", "small", f"{HERE}/{key}")
    same(s3("cp", f"{HERE}/{key}", "-"), SMALL)
    stored(key, SMALL)

with doing("copy large"):
    s3("cp", f"{HERE}/large", f"{HERE}/large-copy")
with doing("move"):
    s3("mv", f"{HERE}/large-copy", f"{HERE}/large-moved")
    refused("404", "head-object", "--key", "large-copy")
    stored("large-moved", LARGE)
with doing("metadata"):
    words = [
        "--metadata",
        json.dumps(METADATA),
        "--content-type",
        "text/x-odd",
        "--cache-control",
        "no-cache",
    ]
    s3("cp", "small", f"{HERE}/described", *words)
    s3("cp", f"{HERE}/described", f"{HERE}/described-copy")
    found = api("head-object", "--key", "described-copy")
    same(
        [found["Metadata"], found["ContentType"], found["CacheControl"]], [METADATA, "text/x-odd", "no-cache"]
    )
with doing("put if absent"):
    put = ["put-object", "--key", "once", "--body", "small", "--if-none-match", "*"]
    api(*put)
    refused("PreconditionFailed", *put)
    stored("once", SMALL)

# In us-east-1 the CLI signs URLs by the version before 4 unless told which.
Path("v4").write_text("[default]\ns3 =\n    signature_version = s3v4\n")
with doing("presigned GET"):
    url = s3("presign", f"{HERE}/odd/{FILES['percent and digits']}", AWS_CONFIG_FILE="v4").decode().strip()
    same(fetch(url), b"odd/" + FILES["percent and digits"].encode())

files = make_tree(Path("source"))
with doing("sync up"):
    out = s3("sync", "source", f"{HERE}/tree")
    same(out.count(b"upload: "), len(files))
    for name, body in files.items():
        if name not in ("1.txt", "2.txt"):
            stored(f"tree/{name}", body)
with doing("sync up again"):
    same(s3("sync", "source", f"{HERE}/tree"), b"")
with doing("sync down"):
    s3("sync", f"{HERE}/tree", "target")
    same(read_tree(Path("target")), files)
with doing("sync with removal"):
    Path("target/1.txt").unlink()
    Path("target/2.txt").write_bytes(b"other")
    os.utime("target/2.txt", (1_700_000_000, 1_700_000_000))
    out = s3("sync", "target", f"{HERE}/tree", "--delete")
    same([out.count(b"delete: "), out.count(b"upload: ")], [1, 1])
    stored("tree/2.txt", b"other")
    s3("sync", f"{HERE}/tree", "target", "--delete")
    same(read_tree(Path("target")), {n: b for n, b in files.items() if n != "1.txt"} | {"2.txt": b"other"})
with doing("sync between prefixes"):
    s3("sync", f"{HERE}/tree", f"{HERE}/tree-2")
    stored("tree-2/sub/large.bin", files["sub/large.bin"])

for key in MANY:
    path = Path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
with doing("put 1500 keys"):
    s3("cp", "many", f"{HERE}/many", "--recursive", "--quiet")
with doing("list 1500 keys"):
    lines = s3("ls", f"{HERE}/many/", "--recursive").decode().splitlines()
    same([line.split()[3] for line in lines], sorted(MANY))
with doing("list with a delimiter"):
    same(s3("ls", f"{HERE}/many/").decode().split(), ["PRE", "0/", "PRE", "1/", "PRE", "2/"])
with doing("delete many"):
    s3("rm", f"{HERE}/many", "--recursive", "--quiet")
    assert "Contents" not in api("list-objects-v2", "--prefix", "many/")
with doing("remove a bucket"):
    s3("mb", f"{HERE}-2")
    s3("cp", "small", f"{HERE}-2/small")
    s3("rb", f"{HERE}-2", "--force")
    assert f"{BUCKET}-2".encode() not in s3("ls")
finish()
