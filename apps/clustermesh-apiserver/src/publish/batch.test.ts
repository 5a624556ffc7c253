import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecordTable } from "@isthmus/records";
import { chooseWrites, MAX_BYTES, MAX_WRITES } from "./batch.js";
import { createDirtySet } from "./dirty-set.js";
import { anyRecord } from "./testing/fixture.js";

test("writes are in writing order, with the newest time of observation", () => {
  const [dirty, wanted] = [createDirtySet(), createRecordTable()];
  for (const key of ["slices/a/b/c", "nodes/n", "identities/1048832"]) {
    wanted.set(anyRecord(key, "v"));
    dirty.add(key, "upsert", key.length);
  }
  for (const key of ["nodes/gone", "slices/a/b/gone"]) dirty.add(key, "delete", 1);
  const { writes, observedMicros } = chooseWrites(dirty, wanted);
  assert.deepEqual(
    writes.map(({ type, key }) => `${type} ${key}`),
    ["put identities/1048832", "put nodes/n", "put slices/a/b/c", "delete slices/a/b/gone", "delete nodes/gone"],
  );
  assert.equal(observedMicros, "identities/1048832".length);
});

test("a key is in the set once, with its latest state", () => {
  const dirty = createDirtySet();
  dirty.add("nodes/n", "upsert", 5);
  dirty.add("nodes/n", "delete", 3);
  assert.deepEqual([...dirty.ordered()], [["nodes/n", 5]]);
  dirty.remove("nodes/n");
  assert.equal(dirty.size, 0);
});

test("a txn holds at most 127 writes and 1 MiB, and no key of another txn in flight", () => {
  const [dirty, wanted] = [createDirtySet(), createRecordTable()];
  for (let i = 0; i < 200; i++) {
    wanted.set(anyRecord(`nodes/n${i}`, Buffer.alloc(20_000)));
    dirty.add(`nodes/n${i}`, "upsert", 0);
  }
  const large = chooseWrites(dirty, wanted);
  assert.equal(large.writes.length, Math.floor(MAX_BYTES / 20_136));
  const busy = new Set(large.writes.map(({ key }) => key));
  assert.ok(chooseWrites(dirty, wanted, MAX_WRITES, busy).writes.every(({ key }) => !busy.has(key)));
  for (let i = 0; i < 200; i++) wanted.set(anyRecord(`nodes/n${i}`, "small"));
  assert.equal(chooseWrites(dirty, wanted).writes.length, MAX_WRITES);
});
