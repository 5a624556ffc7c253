import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { claimId, type FaultRecord, readRecords, removeRecord, writeRecord } from "./records.js";

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-faults-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "faults");
}

const record = (id: number): FaultRecord => ({
  id,
  fault: { kind: "dark", cluster: "west" },
  beganAtMs: 1,
  endsAtMs: 2,
  guard: { pid: 1, startTicks: 1 },
  underlay: { pid: 1, startTicks: 1 },
  effects: { drops: [], held: [], suspended: [] },
});

test("records are read in order of their ids, none where no fault was", async (t) => {
  const folder = await folderFor(t);
  assert.deepEqual(await readRecords(folder), []);
  await claimId(folder);
  for (const id of [10, 9]) await writeRecord(folder, record(id));
  assert.deepEqual(await readRecords(folder), [record(9), record(10)]);
  await removeRecord(folder, 9);
  await removeRecord(folder, 9);
  assert.deepEqual(await readRecords(folder), [record(10)]);
});

test("an id is not used again, and fits into the 16 bits of a filter's priority", async (t) => {
  const folder = await folderFor(t);
  assert.deepEqual([await claimId(folder), await claimId(folder)], [1, 2]);
  await writeFile(join(folder, "last-id"), "65535");
  assert.equal(await claimId(folder), 1);
});
