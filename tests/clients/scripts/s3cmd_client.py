"""s3cmd, with a configuration that names the endpoint as its manual says for servers other than AWS."""

import re
import subprocess
from pathlib import Path

from exercise import BUCKET, CA, HOST, SECURE, SMALL, doing, exercise, finish, same

configuration = {"host_base": HOST, "host_bucket": HOST, "use_https": str(SECURE), "ca_certs_file": CA or ""}
lines = [f"{name} = {value}\n" for name, value in configuration.items()]
Path("~/.s3cfg").expanduser().write_text("[default]\n" + "".join(lines))
local = Path("local")


def s3cmd(*words):
    done = subprocess.run(["s3cmd", *words], capture_output=True, text=True, check=False)
    if done.returncode == 64 or ("ERROR" in done.stderr and "404" in done.stderr) or done.returncode == 12:
        raise FileNotFoundError(done.stderr)
    if done.returncode:
        raise RuntimeError(f"s3cmd {' '.join(words)}: {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def at(key):
    return f"s3://{BUCKET}/{key}"


def entries(out):
    return [line.partition(f"s3://{BUCKET}/")[2] for line in out.splitlines() if "s3://" in line]


class S3cmd:
    missing = FileNotFoundError

    def create_bucket(self):
        s3cmd("mb", f"s3://{BUCKET}")
        assert BUCKET in s3cmd("ls")

    def put(self, key, body):
        local.write_bytes(body)
        s3cmd("put", str(local), at(key))

    def put_many(self, keys):
        for key in keys:
            path = Path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"0")
        s3cmd("put", "--recursive", "many", f"s3://{BUCKET}/")

    def get(self, key):
        s3cmd("get", "--force", at(key), str(local))
        return local.read_bytes()

    def size(self, key):
        return int(re.search(r"File size: (\d+)", s3cmd("info", at(key)))[1])

    def list(self, prefix):
        return entries(s3cmd("ls", "--recursive", at(prefix)))

    def folders(self, prefix):
        return entries(s3cmd("ls", at(prefix)))

    def copy(self, source, target):
        s3cmd("cp", at(source), at(target))

    def move(self, source, target):
        s3cmd("mv", at(source), at(target))

    def delete(self, key):
        s3cmd("rm", at(key))

    def delete_many(self, keys):
        s3cmd("rm", "--recursive", at("many/"))

    def put_described(self, key, body, metadata):
        local.write_bytes(body)
        headers = [f"--add-header=x-amz-meta-{name}:{value}" for name, value in metadata.items()]
        s3cmd("put", *headers, str(local), at(key))

    def describe(self, key):
        found = re.findall(r"x-amz-meta-(\S+): (.*)", s3cmd("info", at(key)))
        return {name: value for name, value in found if name != "s3cmd-attrs"}

    def sync_up(self, folder, prefix):
        s3cmd("sync", f"{folder}/", at(prefix) + "/")
        assert "upload" not in s3cmd("sync", f"{folder}/", at(prefix) + "/")

    def sync_down(self, prefix, folder):
        s3cmd("sync", at(prefix) + "/", f"{folder}/")


exercise(S3cmd())
with doing("usage"):
    assert int(s3cmd("du", f"s3://{BUCKET}").split()[0]) > len(SMALL)
with doing("modify metadata"):
    s3cmd("modify", "--add-header=content-type:text/x-new", at("small"))
    assert "text/x-new" in s3cmd("info", at("small"))
with doing("continue a download"):
    Path("part").write_bytes(SMALL[:500])
    s3cmd("get", "--continue", at("small"), "part")
    same(Path("part").read_bytes(), SMALL)
with doing("tags"):
    s3cmd("settagging", at("small"), "colour=blue")
    assert "blue" in s3cmd("gettagging", at("small"))
with doing("multipart uploads"):
    s3cmd("multipart", f"s3://{BUCKET}")
with doing("access list"):
    s3cmd("setacl", "--acl-private", at("small"))
with doing("remove a bucket"):
    s3cmd("mb", f"s3://{BUCKET}-2")
    s3cmd("put", str(local), f"s3://{BUCKET}-2/x")
    s3cmd("rb", "--recursive", "--force", f"s3://{BUCKET}-2")
    assert f"{BUCKET}-2" not in s3cmd("ls")
finish()
