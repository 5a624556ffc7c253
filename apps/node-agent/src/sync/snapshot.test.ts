import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Position } from "@isthmus/proto";
import { hashRecord } from "@isthmus/records";
import { makeService, makeSlice } from "@isthmus/testing";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.js";
import { openStateFiles } from "./state-files.js";
import { readSnapshot, snapshotFile } from "./testing/snapshot-file.js";

const POSITION: Position = { storeId: Buffer.alloc(16, 3), revision: 42n, versions: [], added: [] };
const RECORDS = [makeService("a/a"), makeSlice("a/a", { ready: ["10.0.0.1"] })];

test("a snapshot is read back with the records and position that were written", () => {
  const read = readSnapshot(snapshotFile(2, POSITION, RECORDS));
  assert.deepEqual([read.clusterId, read.position], [2, POSITION]);
  assert.deepEqual(
    read.records.map(({ key, hash }) => [key, Buffer.from(hash)]),
    RECORDS.map(({ key, hash }) => [key, Buffer.from(hash)]),
  );
});

test("a file truncated anywhere, or with any byte altered, is refused with an error", () => {
  const whole = snapshotFile(2, POSITION, RECORDS);
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => readSnapshot(whole.subarray(0, length)), {
      code: "SNAPSHOT",
      message: /^Cannot use the snapshot: /,
    });
  }
  for (let at = 0; at < whole.length; at++) {
    const altered = Buffer.from(whole);
    altered[at] = (altered[at] ?? 0) ^ 1;
    assert.throws(() => readSnapshot(altered), { code: "SNAPSHOT" });
  }
});

test("a large snapshot is encoded in parts, and read in slices", () => {
  const records = Array.from({ length: 5000 }, (_, i) => makeSlice(`a/s${i}`, { ready: ["10.0.0.1", "10.0.0.2"] }));
  const long = hashRecord(records[0]?.kind ?? 0, "slices/a/long", Buffer.alloc(600_000, 7));
  records.splice(100, 0, long);
  const parts = [...encodeSnapshot(2, POSITION, records)];
  const sizes = parts.map(({ length }) => length);
  assert.ok(parts.length > 4 && sizes.filter((size) => size > 262_144).length === 1, sizes.join());
  const read = decodeSnapshot(Buffer.concat(parts));
  let slices = 0;
  let step = read.next();
  for (; step.done !== true; step = read.next()) slices++;
  assert.ok(slices > 50, String(slices));
  assert.deepEqual(
    step.value.records.map(({ key, hash }) => [key, Buffer.from(hash)]),
    records.map(({ key, hash }) => [key, Buffer.from(hash)]),
  );
});

test("one broken file does not hide the others", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-state-"));
  t.after(() => rm(folder, { recursive: true }));
  const files = openStateFiles(folder);
  await files.saveSnapshot(0, encodeSnapshot(0, POSITION, RECORDS));
  await writeFile(join(folder, "source-2.snap"), snapshotFile(2, POSITION, RECORDS).subarray(0, 100));
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
