import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Position } from "@isthmus/proto";
import { makeService, makeSlice } from "@isthmus/testing";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.js";
import { openStateFiles } from "./state-files.js";

const POSITION: Position = { storeId: Buffer.alloc(16, 3), revision: 42n, versions: [] };
const RECORDS = [makeService("a/a"), makeSlice("a/a", { ready: ["10.0.0.1"] })];

test("a snapshot is read back with the records and position that were written", () => {
  const read = decodeSnapshot(encodeSnapshot(2, POSITION, RECORDS));
  assert.deepEqual([read.clusterId, read.position], [2, POSITION]);
  assert.deepEqual(
    read.records.map(({ key, hash }) => [key, Buffer.from(hash)]),
    RECORDS.map(({ key, hash }) => [key, Buffer.from(hash)]),
  );
});

test("a file truncated anywhere, or with any byte altered, is refused with an error", () => {
  const whole = encodeSnapshot(2, POSITION, RECORDS);
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => decodeSnapshot(whole.subarray(0, length)), {
      code: "SNAPSHOT",
      message: /^Cannot use the snapshot: /,
    });
  }
  for (let at = 0; at < whole.length; at++) {
    const altered = Buffer.from(whole);
    altered[at] = (altered[at] ?? 0) ^ 1;
    assert.throws(() => decodeSnapshot(altered), { code: "SNAPSHOT" });
  }
});

test("one broken file does not hide the others", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-state-"));
  t.after(() => rm(folder, { recursive: true }));
  const files = openStateFiles(folder);
  await files.saveSnapshot(0, encodeSnapshot(0, POSITION, RECORDS));
  await writeFile(join(folder, "source-2.snap"), encodeSnapshot(2, POSITION, RECORDS).subarray(0, 100));
  const { good, refused } = await files.snapshots();
  assert.deepEqual(
    good.map(({ clusterId }) => clusterId),
    [0],
  );
  assert.deepEqual(
    refused.map(({ file, error }) => [file, error.code]),
    [["source-2.snap", "SNAPSHOT"]],
  );
  await files.deleteSnapshot(0);
  assert.equal((await files.snapshots()).good.length, 0);
});

test("a folder that cannot be read is refused; one that is not there is empty", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-snapshot-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "file"), "");
  assert.deepEqual(await openStateFiles(join(folder, "none")).snapshots(), { good: [], refused: [] });
  const { good, refused } = await openStateFiles(join(folder, "file")).snapshots();
  assert.deepEqual([good.length, refused.length], [0, 1]);
  assert.match(refused[0]?.error.message ?? "", /ENOTDIR/);
});
