import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, type KindSum } from "@isthmus/proto";
import { differingKinds, exportedKinds } from "./exported-kinds.js";
import { hashRecord } from "./hash.js";
import { STORE_KINDS } from "./kinds.js";
import { createRecordTable } from "./record-table.js";

const UNKNOWN = 99 as Kind;
const table = createRecordTable();
for (const key of ["nodes/a", "nodes/b"]) table.set(hashRecord(Kind.KIND_NODE, key, Buffer.from("v")));
const held = table.sums(STORE_KINDS);
const node = held.find(({ kind }) => kind === Kind.KIND_NODE) as KindSum;
const unknown: KindSum = { kind: UNKNOWN, exported: true, count: 7, sum: Buffer.alloc(16, 7) };

test("a kind that only one side has is not a difference", () => {
  assert.deepEqual(differingKinds([...held, unknown], held), []);
  assert.deepEqual(differingKinds([], held), []);
  assert.deepEqual(
    differingKinds(
      held.filter(({ kind }) => kind !== Kind.KIND_NODE),
      held,
    ),
    [],
  );
});

test("a kind that is not marked as exported is not a difference, whatever its count", () => {
  assert.deepEqual(differingKinds([{ ...node, exported: false, count: 0 }], held), []);
});

test("count and sum of kinds that both have must agree, in every entry of a kind", () => {
  const other = { ...node, sum: Buffer.alloc(16, 1) };
  assert.deepEqual(differingKinds([{ ...node, count: 3 }], held), [Kind.KIND_NODE]);
  assert.deepEqual(differingKinds([{ ...node, count: 0 }], held), [Kind.KIND_NODE]);
  assert.deepEqual(differingKinds([other], held), [Kind.KIND_NODE]);
  assert.deepEqual(differingKinds([node, other], held), [Kind.KIND_NODE]);
  assert.deepEqual(differingKinds([{ ...node, kind: Kind.KIND_SLICE }], held), [Kind.KIND_SLICE]);
});

test("empty kinds are equal however their sum is written", () => {
  const none = { kind: Kind.KIND_SLICE, exported: true, count: 0, sum: Buffer.alloc(0) };
  assert.deepEqual(differingKinds([none], held), []);
});

test("exportedKinds includes unknown kinds", () => {
  const kinds = exportedKinds([unknown, node, { ...node, kind: Kind.KIND_SLICE, exported: false }]);
  assert.deepEqual([...kinds].sort(), [Kind.KIND_NODE, UNKNOWN]);
});
