import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, Node } from "@isthmus/proto";
import { RECORD_KINDS } from "./kinds/index.js";
import { defineKind, type LocalKind } from "./kinds/record-kind.js";
import { KINDS, kindOfKey, kindSegment, namesInKey, STORE_KINDS } from "./kinds.js";

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
    [Kind.KIND_SERVICE_CONFIG, Kind.KIND_NODE_CONFIG, Kind.KIND_POLICY],
  );
});

test("an exported kind without bounds, or without a check of what a peer claims, does not compile", () => {
  const local: LocalKind<Kind.KIND_NODE, { kind: Kind.KIND_NODE }, Node> = {
    kind: Kind.KIND_NODE,
    segment: "nodes",
    names: ["node"],
    exported: false,
    meaning: "A node",
    parse: () => ({ kind: Kind.KIND_NODE }),
    message: Node,
    canonical: (node) => node,
  };
  const bounds = () => undefined;
  assert.equal(defineKind(local).exported, false);
  assert.equal(defineKind({ ...local, exported: true, bounds, check: () => undefined }).exported, true);
  // @ts-expect-error: nothing checks the sizes that a peer sends.
  defineKind({ ...local, exported: true, check: () => undefined });
  // @ts-expect-error: nothing checks what a peer claims.
  defineKind({ ...local, exported: true, bounds });
});
