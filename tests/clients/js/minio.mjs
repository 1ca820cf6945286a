// minio-js: the client with its defaults.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  AWKWARD_KEYS, BUCKET, LARGE, MANY, SMALL, URL_OF_SERVER, assertBytes, collect, doing, forEach, load, stored,
} from "./exercise.mjs";

const Minio = load("minio");
const client = new Minio.Client({
  endPoint: URL_OF_SERVER.hostname,
  port: Number(URL_OF_SERVER.port),
  useSSL: URL_OF_SERVER.protocol === "https:",
  accessKey: process.env.AWS_ACCESS_KEY_ID,
  secretKey: process.env.AWS_SECRET_ACCESS_KEY,
});
const folder = mkdtempSync(join(tmpdir(), "minio-js-"));

const bodyOf = async (key) => collect(await client.getObject(BUCKET, key));
const listing = async (prefix, recursive = true) => {
  const found = { keys: [], prefixes: [] };
  for await (const entry of client.listObjectsV2(BUCKET, prefix, recursive)) {
    if (entry.prefix !== undefined) found.prefixes.push(entry.prefix);
    else found.keys.push(entry.name);
  }
  return found;
};

await doing("create bucket", async () => {
  assert.equal(await client.bucketExists(BUCKET), false);
  await client.makeBucket(BUCKET);
  assert.equal(await client.bucketExists(BUCKET), true);
  assert.ok((await client.listBuckets()).some((bucket) => bucket.name === BUCKET));
});
await doing("put small", async () => {
  await client.putObject(BUCKET, "small", SMALL);
  stored("small", SMALL);
});
await doing("put empty", async () => {
  await client.putObject(BUCKET, "empty", "");
  stored("empty", "");
});
await doing("put stream", async () => {
  await client.putObject(BUCKET, "stream", Readable.from([SMALL, SMALL]));
  stored("stream", Buffer.concat([SMALL, SMALL]));
});
await doing("put large", async () => {
  await client.putObject(BUCKET, "large", LARGE);
  stored("large", LARGE);
});
await doing("put in parts", async () => {
  // 64 MiB a part by default, and one part where its whole body is in memory already: so from a file.
  const body = Buffer.concat([LARGE, LARGE, LARGE, LARGE]);
  writeFileSync(join(folder, "parts"), body);
  await client.fPutObject(BUCKET, "parts", join(folder, "parts"));
  assert.match((await client.statObject(BUCKET, "parts")).etag, /-2$/);
  stored("parts", body);
});
await doing("put and get a file", async () => {
  writeFileSync(join(folder, "up"), LARGE);
  await client.fPutObject(BUCKET, "file", join(folder, "up"));
  await client.fGetObject(BUCKET, "file", join(folder, "down"));
  assertBytes(readFileSync(join(folder, "down")), LARGE);
});
await doing("get", async () => {
  assertBytes(await bodyOf("small"), SMALL);
  assertBytes(await bodyOf("empty"), Buffer.alloc(0));
  await assert.rejects(bodyOf("missing"), { code: "NoSuchKey" });
});
await doing("get ranged", async () => {
  assertBytes(await collect(await client.getPartialObject(BUCKET, "large", 9000000, 100)), LARGE.subarray(9000000, 9000100));
  assertBytes(await collect(await client.getPartialObject(BUCKET, "small", 1000)), SMALL.subarray(1000));
});
await doing("metadata", async () => {
  await client.putObject(BUCKET, "meta", "m", 1, { "Content-Type": "text/x", "X-Amz-Meta-One": "1", "two-words": "a b" });
  const { metaData } = await client.statObject(BUCKET, "meta");
  assert.deepEqual([metaData["content-type"], metaData.one, metaData["two-words"]], ["text/x", "1", "a b"]);
});
for (const key of AWKWARD_KEYS) {
  await doing(`key ${key}`, async () => {
    await client.putObject(BUCKET, key, key);
    assertBytes(await bodyOf(key), Buffer.from(key));
    assert.deepEqual((await listing(key)).keys, [key]);
    await client.copyObject(BUCKET, `copies/${key}`, `/${BUCKET}/${key}`);
    stored(`copies/${key}`, key);
    await client.removeObject(BUCKET, key);
    assert.deepEqual((await listing(key)).keys, []);
  });
}
await doing("compose", async () => {
  const source = (name) => new Minio.CopySourceOptions({ Bucket: BUCKET, Object: name });
  const target = new Minio.CopyDestinationOptions({ Bucket: BUCKET, Object: "composed" });
  await client.composeObject(target, [source("large"), source("small")]);
  stored("composed", Buffer.concat([LARGE, SMALL]));
});
await doing("list 1,500 keys", async () => {
  await forEach(MANY, 16, (key) => client.putObject(BUCKET, key, "x"));
  assert.deepEqual((await listing("many/")).keys, [...MANY].sort());
  assert.deepEqual(await listing("many/", false), { keys: [], prefixes: ["many/0/", "many/1/", "many/2/"] });
});
await doing("delete many", async () => {
  await client.removeObjects(BUCKET, MANY);
  assert.deepEqual((await listing("many/")).keys, []);
});
await doing("tags", async () => {
  await client.setObjectTagging(BUCKET, "small", { one: "1", two: "b c" });
  const tags = (await client.getObjectTagging(BUCKET, "small")).map(({ Key, Value }) => [Key, String(Value)]);
  assert.deepEqual(tags.sort(), [["one", "1"], ["two", "b c"]]);
});
await doing("unfinished uploads", async () => {
  await client.initiateNewMultipartUpload(BUCKET, "unfinished", {});
  const found = [];
  for await (const upload of client.listIncompleteUploads(BUCKET, "", true)) found.push(upload.key);
  assert.deepEqual(found, ["unfinished"]);
  await client.removeIncompleteUpload(BUCKET, "unfinished");
});
await doing("presigned get", async () => {
  const reply = await fetch(await client.presignedGetObject(BUCKET, `copies/${AWKWARD_KEYS[6]}`, 60));
  assert.equal(reply.status, 200);
  assert.equal(await reply.text(), AWKWARD_KEYS[6]);
});
await doing("presigned put", async () => {
  const url = await client.presignedPutObject(BUCKET, "presigned a+b", 60);
  const reply = await fetch(url, { method: "PUT", body: SMALL });
  assert.equal(reply.status, 200, await reply.text());
  stored("presigned a+b", SMALL);
});

rmSync(folder, { recursive: true });
