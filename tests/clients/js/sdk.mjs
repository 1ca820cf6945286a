// aws-sdk-js v3: the client with its defaults, lib-storage, the presigner, checksums.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { lookup } from "node:dns";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Readable } from "node:stream";
import {
  AWKWARD_KEYS, BUCKET, LARGE, MANY, SMALL, URL_OF_SERVER, assertBytes, doing, forEach, load, stored,
} from "./exercise.mjs";

const {
  S3Client, CopyObjectCommand, CreateBucketCommand, DeleteObjectCommand, DeleteObjectsCommand,
  GetObjectAttributesCommand, GetObjectCommand, HeadObjectCommand, ListBucketsCommand, PutObjectCommand,
  paginateListObjectsV2, waitUntilBucketExists,
} = load("@aws-sdk/client-s3");
const { Upload } = load("@aws-sdk/lib-storage");
const { getSignedUrl } = load("@aws-sdk/s3-request-presigner");
const { Sha512 } = load("@aws-sdk/checksums/sha");
const { Xxh64, Xxh3_64, Xxh3_128 } = load("@aws-sdk/checksums/xxh");

const s3 = new S3Client({});
const Bucket = BUCKET;

async function bodyOf(Key, options = {}) {
  const reply = await s3.send(new GetObjectCommand({ Bucket, Key, ...options }));
  return Buffer.from(await reply.Body.transformToByteArray());
}

async function listing(options) {
  const found = { keys: [], prefixes: [] };
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, ...options })) {
    found.keys.push(...(page.Contents ?? []).map((entry) => entry.Key));
    found.prefixes.push(...(page.CommonPrefixes ?? []).map((entry) => entry.Prefix));
  }
  return found;
}

await doing("create bucket", async () => {
  await s3.send(new CreateBucketCommand({ Bucket }));
  await waitUntilBucketExists({ client: s3, maxWaitTime: 10 }, { Bucket });
  const { Buckets } = await s3.send(new ListBucketsCommand({}));
  assert.ok(Buckets.some((bucket) => bucket.Name === Bucket));
});

await doing("put small", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "small", Body: SMALL }));
  stored("small", SMALL);
});
await doing("put empty", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "empty", Body: "" }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "no body" }));
  stored("empty", "");
  stored("no body", "");
});
await doing("put stream of known length", async () => {
  const Body = Readable.from([SMALL, SMALL]);
  await s3.send(new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: 2 * SMALL.length }));
  stored("stream", Buffer.concat([SMALL, SMALL]));
});
await doing("put large", async () => {
  await new Upload({ client: s3, params: { Bucket, Key: "large", Body: LARGE } }).done();
  const { ETag } = await s3.send(new HeadObjectCommand({ Bucket, Key: "large" }));
  assert.match(ETag, /-4"$/);
  stored("large", LARGE);
});
await doing("put large stream", async () => {
  function* pieces() {
    for (let at = 0; at < LARGE.length; at += 100_000) yield LARGE.subarray(at, at + 100_000);
  }
  await new Upload({ client: s3, params: { Bucket, Key: "large stream", Body: Readable.from(pieces()) } }).done();
  stored("large stream", LARGE);
});
await doing("put small by lib-storage", async () => {
  await new Upload({ client: s3, params: { Bucket, Key: "small upload", Body: Readable.from([SMALL]) } }).done();
  await new Upload({ client: s3, params: { Bucket, Key: "empty upload", Body: Readable.from([]) } }).done();
  stored("small upload", SMALL);
  stored("empty upload", "");
});
await doing("abort an upload", async () => {
  const upload = new Upload({ client: s3, params: { Bucket, Key: "aborted", Body: LARGE } });
  upload.on("httpUploadProgress", () => upload.abort());
  await assert.rejects(upload.done(), { name: "AbortError" });
  assert.deepEqual((await listing({ Prefix: "aborted" })).keys, []);
});

await doing("get", async () => {
  assertBytes(await bodyOf("small"), SMALL);
  assertBytes(await bodyOf("empty"), Buffer.alloc(0));
  assertBytes(await bodyOf("large"), LARGE);
});
await doing("get ranged", async () => {
  assertBytes(await bodyOf("small", { Range: "bytes=10-19" }), SMALL.subarray(10, 20));
  assertBytes(await bodyOf("small", { Range: "bytes=-5" }), SMALL.subarray(-5));
  assertBytes(await bodyOf("large", { Range: "bytes=9000000-9000099" }), LARGE.subarray(9000000, 9000100));
  assertBytes(await bodyOf("large", { PartNumber: 2 }), LARGE.subarray(5 * 1024 ** 2, 10 * 1024 ** 2));
});
await doing("get a missing key", async () => {
  await assert.rejects(bodyOf("missing"), { name: "NoSuchKey" });
  await assert.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: "missing" })), { name: "NotFound" });
});
await doing("metadata", async () => {
  const given = {
    Metadata: { one: "1", "two-words": "a b, c" }, ContentType: "text/x", CacheControl: "no-cache",
    ContentEncoding: "gzip", ContentDisposition: 'attachment; filename="a b"',
  };
  await s3.send(new PutObjectCommand({ Bucket, Key: "meta", Body: "m", ...given }));
  const found = await s3.send(new HeadObjectCommand({ Bucket, Key: "meta" }));
  for (const [name, value] of Object.entries(given)) assert.deepEqual(found[name], value);
});

for (const Key of AWKWARD_KEYS) {
  await doing(`key ${Key}`, async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    assertBytes(await bodyOf(Key), Buffer.from(Key));
    assert.deepEqual((await listing({ Prefix: Key })).keys, [Key]);
    assert.deepEqual((await listing({ Prefix: Key, EncodingType: "url" })).keys.length, 1);
    const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
    await s3.send(new CopyObjectCommand({ Bucket, Key: `copies/${Key}`, CopySource }));
    stored(`copies/${Key}`, Key);
    await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    assert.deepEqual((await listing({ Prefix: Key })).keys, []);
  });
}

await doing("copy and move", async () => {
  await s3.send(new CopyObjectCommand({ Bucket, Key: "copy of large", CopySource: `${Bucket}/large` }));
  await s3.send(new CopyObjectCommand({ Bucket, Key: "moved", CopySource: `/${Bucket}/small upload` }));
  await s3.send(new DeleteObjectCommand({ Bucket, Key: "small upload" }));
  await s3.send(new CopyObjectCommand({ Bucket, Key: "small upload", CopySource: `${Bucket}/moved` }));
  stored("copy of large", LARGE);
  stored("moved", SMALL);
});

await doing("list 1,500 keys", async () => {
  await forEach(MANY, 16, (Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" })));
  assert.deepEqual((await listing({ Prefix: "many/" })).keys, [...MANY].sort());
  assert.equal((await listing({ Prefix: "many/1/" })).keys.length, 500);
  const found = await listing({ Prefix: "many/", Delimiter: "/" });
  assert.deepEqual(found, { keys: [], prefixes: ["many/0/", "many/1/", "many/2/"] });
});
await doing("delete many", async () => {
  for (const half of [MANY.slice(0, 1000), MANY.slice(1000)]) {
    const Objects = half.map((Key) => ({ Key }));
    const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.equal(Deleted.length, half.length);
    assert.equal(Errors, undefined);
  }
  assert.deepEqual((await listing({ Prefix: "many/" })).keys, []);
});

await doing("presigned get", async () => {
  for (const Key of ["small", `copies/${AWKWARD_KEYS[6]}`]) {
    const reply = await fetch(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key })));
    assert.equal(reply.status, 200);
    assertBytes(Buffer.from(await reply.arrayBuffer()), Key === "small" ? SMALL : Buffer.from(AWKWARD_KEYS[6]));
  }
});
await doing("presigned put", async () => {
  const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "presigned a+b" }));
  const reply = await fetch(url, { method: "PUT", body: SMALL });
  assert.equal(reply.status, 200, await reply.text());
  stored("presigned a+b", SMALL);
});
await doing("presigned put with metadata", async () => {
  const command = new PutObjectCommand({
    Bucket, Key: "presigned meta", ContentType: "text/x", Metadata: { one: "1" },
  });
  const url = await getSignedUrl(s3, command, { expiresIn: 60, signableHeaders: new Set(["content-type"]) });
  const reply = await fetch(url, { method: "PUT", body: SMALL, headers: { "content-type": "text/x" } });
  assert.equal(reply.status, 200, await reply.text());
  const found = await s3.send(new HeadObjectCommand({ Bucket, Key: "presigned meta" }));
  assert.deepEqual([found.ContentType, found.Metadata], ["text/x", { one: "1" }]);
});

await doing("conditional put", async () => {
  const put = (options) => s3.send(new PutObjectCommand({ Bucket, Key: "once", Body: "1", ...options }));
  const { ETag } = await put({ IfNoneMatch: "*" });
  await assert.rejects(put({ IfNoneMatch: "*" }), { name: "PreconditionFailed" });
  await put({ IfMatch: ETag, Body: "2" });
  await assert.rejects(put({ IfMatch: ETag, Body: "3" }), { name: "PreconditionFailed" });
  stored("once", "2");
});
await doing("conditional get", async () => {
  const { ETag } = await s3.send(new HeadObjectCommand({ Bucket, Key: "small" }));
  assertBytes(await bodyOf("small", { IfMatch: ETag }), SMALL);
  await assert.rejects(bodyOf("small", { IfNoneMatch: ETag }), (error) => error.$metadata.httpStatusCode === 304);
});

// What the client has not built in it takes from the package beside it, and MD5 from the caller.
await doing("checksum MD5", async () => {
  const ChecksumMD5 = createHash("md5").update(SMALL).digest("base64");
  await s3.send(new PutObjectCommand({ Bucket, Key: "sum/MD5", Body: SMALL, ChecksumMD5 }));
  const found = await s3.send(new HeadObjectCommand({ Bucket, Key: "sum/MD5", ChecksumMode: "ENABLED" }));
  assert.equal(found.ChecksumMD5, ChecksumMD5);
  assertBytes(await bodyOf("sum/MD5"), SMALL);
});
const checksumAlgorithms = { SHA512: Sha512, XXHASH64: Xxh64, XXHASH3: Xxh3_64, XXHASH128: Xxh3_128 };
const complete = new S3Client({ checksumAlgorithms });
const BUILT_IN = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];
for (const ChecksumAlgorithm of [...BUILT_IN, ...Object.keys(checksumAlgorithms)]) {
  await doing(`checksum ${ChecksumAlgorithm}`, async () => {
    const client = BUILT_IN.includes(ChecksumAlgorithm) ? s3 : complete;
    const given = { Bucket, ChecksumAlgorithm };
    const put = await client.send(new PutObjectCommand({ ...given, Key: `sum/${ChecksumAlgorithm}`, Body: SMALL }));
    const Body = Readable.from([SMALL]);
    const ContentLength = SMALL.length;
    await client.send(
      new PutObjectCommand({ ...given, Key: `sum/${ChecksumAlgorithm}/trailer`, Body, ContentLength }),
    );
    const member = `Checksum${ChecksumAlgorithm}`;
    for (const Key of [`sum/${ChecksumAlgorithm}`, `sum/${ChecksumAlgorithm}/trailer`]) {
      const ObjectAttributes = ["Checksum"];
      const found = await client.send(new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes }));
      if (put[member] !== undefined) assert.equal(found.Checksum[member], put[member]);
      const reply = await client.send(new GetObjectCommand({ Bucket, Key }));
      assertBytes(await reply.Body.transformToByteArray(), SMALL);
      stored(Key, SMALL);
    }
  });
}
for (const ChecksumAlgorithm of BUILT_IN) {
  await doing(`multipart checksum ${ChecksumAlgorithm}`, async () => {
    const params = { Bucket, Key: `sum/${ChecksumAlgorithm}/parts`, Body: LARGE.subarray(0, 6_000_000), ChecksumAlgorithm };
    const done = await new Upload({ client: s3, params }).done();
    assert.ok(done[`Checksum${ChecksumAlgorithm}`]);
    assertBytes(await bodyOf(params.Key), params.Body);
  });
}

// Where the endpoint has a name the client puts the bucket before it. That every name below
// localhost is this machine is for the resolver to say (RFC 6761); here an agent's `lookup` does.
await doing("virtual host", async () => {
  const home = (hostname, options, callback) => lookup("127.0.0.1", options, callback);
  const agents = { httpAgent: new HttpAgent({ lookup: home }), httpsAgent: new HttpsAgent({ lookup: home }) };
  const endpoint = `${URL_OF_SERVER.protocol}//s3.localhost:${URL_OF_SERVER.port}`;
  const byName = new S3Client({ endpoint, requestHandler: agents });
  await byName.send(new PutObjectCommand({ Bucket, Key: "by//name/", Body: SMALL }));
  stored("by//name/", SMALL);
  const url = await getSignedUrl(byName, new GetObjectCommand({ Bucket, Key: "by//name/" }));
  assert.equal(new URL(url).hostname, `${Bucket}.s3.localhost`);
  const found = await byName.send(new GetObjectCommand({ Bucket, Key: "by//name/" }));
  assertBytes(await found.Body.transformToByteArray(), SMALL);
  byName.destroy();
});
