import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "./authority.js";
import { readPair, readPem, writePair } from "./files.js";

test("a pair is read back as written, only the owner may read the key, and no temporary file is left", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "isthmus-pki-"));
  t.after(() => rm(dir, { recursive: true }));
  const pair = await createAuthority("ca");
  await writePair(join(dir, "deep"), "ca", pair);
  await writePair(join(dir, "deep"), "ca", pair);
  assert.deepEqual(await readPair(join(dir, "deep"), "ca"), pair);
  assert.equal((await stat(join(dir, "deep", "ca.key"))).mode & 0o777, 0o600);
  assert.deepEqual((await readdir(join(dir, "deep"))).sort(), ["ca.crt", "ca.key"]);
});

test("the error for a missing file or a file without PEM names the file", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "isthmus-pki-"));
  t.after(() => rm(dir, { recursive: true }));
  await assert.rejects(readPem(join(dir, "none")), { message: `Cannot read PEM file "${join(dir, "none")}"` });
  await writeFile(join(dir, "text"), "hello");
  await assert.rejects(readPem(join(dir, "text")), /holds no PEM block/);
});
