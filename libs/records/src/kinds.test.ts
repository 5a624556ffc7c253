import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind } from "@isthmus/proto";
import { KINDS, kindOfKey, kindSegment, namesInKey, RECORD_KINDS, STORE_KINDS } from "./kinds.js";

test("every kind of the wire is in the table once, in the order of its number", () => {
  const numbers = Object.values(Kind).filter((value): value is Kind => typeof value === "number" && value > 0);
  assert.deepEqual(
    KINDS,
    numbers.sort((a, b) => a - b),
  );
});

test("segments are distinct, and lead back to their kind", () => {
  assert.equal(new Set(RECORD_KINDS.map(({ segment }) => segment)).size, RECORD_KINDS.length);
  for (const { kind, segment, names } of RECORD_KINDS) {
    assert.equal(kindOfKey(`${segment}/a`), kind);
    assert.deepEqual([kindSegment(kind), namesInKey(kind)], [segment, names.length]);
  }
});

test("an unknown kind has neither segment nor names", () => {
  assert.deepEqual([kindSegment(99 as Kind), namesInKey(99 as Kind), kindOfKey("rockets/r1")], ["", 0, undefined]);
});

test("kinds of the local cluster alone are in no store", () => {
  assert.deepEqual(
    KINDS.filter((kind) => !STORE_KINDS.includes(kind)),
    [Kind.KIND_SERVICE_CONFIG, Kind.KIND_NODE_CONFIG],
  );
});
