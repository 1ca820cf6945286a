// What both scripts share: where the server is, what is stored there, and how to report (as
// scripts/exercise.py does). Packages are those of the folder that the script is started in.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";

export const load = createRequire(`${process.cwd()}/`);
export const URL_OF_SERVER = new URL(process.env.BLEEPSTORE_TEST_URL);
export const BUCKET = process.env.BLEEPSTORE_TEST_BUCKET;
export const MIB = 1024 * 1024;
export const SMALL = Buffer.from(Array.from({ length: 1024 }, (_, n) => n % 256));
export const LARGE = Buffer.concat(
  Array.from({ length: (18 * MIB) / 32 }, (_, n) => createHash("sha256").update(`${n}`).digest()),
);
export const AWKWARD_KEYS = [
  "odd/with space",
  "odd/a+b",
  "odd/100%",
  "odd/%41 percent",
  "odd/key=value&x=y",
  "odd/grüße/日本語 🙂",
  "odd/q?m#h;c:a@e!$'(),*~[x]",
  "odd//double//slash",
];
export const MANY = Array.from({ length: 1500 }, (_, n) => `many/${n % 3}/${String(n).padStart(4, "0")}`);

export function say(line) {
  console.log(JSON.stringify(line));
}

// One operation: done when the function returns, failed when it throws; the script goes on either way.
export async function doing(operation, work) {
  try {
    await work();
    say({ done: operation });
  } catch (error) {
    process.exitCode = 1;
    const told = { name: error.name, code: error.Code ?? error.code, reply: error.$metadata };
    say({ failed: operation, why: `${error.stack}\n${JSON.stringify(told)}` });
  }
}

// Claim that this object is there at the end of the script; the test reads it.
export function stored(key, body) {
  say({ stored: key, md5: createHash("md5").update(body).digest("hex") });
}

export function assertBytes(found, expected) {
  assert.equal(found.length, expected.length);
  assert.ok(Buffer.from(found).equals(Buffer.from(expected)), "other bytes than were stored");
}

// Run this for every item, `width` at a time.
export async function forEach(items, width, work) {
  const rest = items[Symbol.iterator]();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

export async function collect(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}
