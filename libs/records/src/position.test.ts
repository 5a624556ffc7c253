import assert from "node:assert/strict";
import { test } from "node:test";
import { Position } from "@isthmus/proto";
import {
  comparePositions,
  isPositionOf,
  joinPositions,
  localPosition,
  remotePosition,
  versionsOf,
} from "./position.js";

const STORE = Buffer.alloc(16, 7);
const local = (...versions: readonly bigint[]) => localPosition(STORE, versions);
/** As a reader of the first version keeps and returns it: what it does not know is skipped by its decoder. */
const asFirst = (position: Position): Position => ({ ...position, added: [] });
const ONES = Array.from({ length: 8 }, () => 1n);

test("a position of the local cluster has a version of every type, of which the first eight are those of the first version", () => {
  const position = local(1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n);
  assert.deepEqual(position.versions, [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]);
  assert.deepEqual(versionsOf(position), [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n]);
  assert.deepEqual(versionsOf(asFirst(position)), position.versions);
  assert.deepEqual(versionsOf(remotePosition(STORE, 5n)), []);
  assert.deepEqual(Position.decode(Position.encode(position).finish()), position);
});

test("every type is compared, also those that were added", () => {
  assert.equal(comparePositions(local(...ONES, 1n), local(...ONES, 1n)), "equal");
  assert.equal(comparePositions(local(...ONES, 1n), local(...ONES, 2n)), "older");
  assert.equal(comparePositions(local(...ONES, 2n), local(...ONES, 1n)), "newer");
  assert.equal(comparePositions(local(2n, ...ONES.slice(1), 1n), local(...ONES, 2n)), "unordered");
  assert.deepEqual(joinPositions(local(...ONES, 2n), local(2n, ...ONES.slice(1), 1n)), local(2n, ...ONES.slice(1), 2n));
});

test("with a reader of the first version only the types that it knows are compared", () => {
  const [old, now] = [asFirst(local(...ONES)), local(...ONES, 7n)];
  assert.equal(comparePositions(old, now), "equal");
  assert.equal(comparePositions(now, old), "equal");
  assert.equal(comparePositions(old, local(2n, ...ONES.slice(1), 7n)), "older");
});

test("a position has as many versions as its source can have, and those of another source none", () => {
  const [nine, added] = [[...ONES, 1n], Array.from({ length: 8 }, () => 1n)];
  const at = (versions: bigint[], added: bigint[], revision = 0n) => ({ storeId: STORE, revision, versions, added });
  for (const good of [at([1n], []), at(ONES, []), at(ONES, added)]) assert.ok(isPositionOf(0, good));
  for (const bad of [at([], []), at([], [1n]), at(nine, []), at(ONES, [...added, 1n]), at(ONES, [], 1n)])
    assert.ok(!isPositionOf(0, bad));
  assert.ok(isPositionOf(2, at([], [], 5n)));
  for (const bad of [at([1n], [], 5n), at([], [1n], 5n)]) assert.ok(!isPositionOf(2, bad));
});
