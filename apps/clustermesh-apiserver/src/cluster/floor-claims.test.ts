import assert from "node:assert/strict";
import { test } from "node:test";
import { createFloorClaims, MAX_LOST_REVISIONS } from "./floor-claims.js";

const beyond = (floor: bigint, have = 100n) => [{ type: "services", floor, have }];

test("a node's floor proves a restore only once, as the node's first floor", () => {
  const claims = createFloorClaims({ now: () => 0 });
  assert.equal(claims.judge("a", beyond(200n)), "restored");
  assert.equal(claims.judge("a", beyond(300n)), "refused");
  assert.equal(claims.judge("b", beyond(300n)), "restored", "every node has its own");
  assert.equal(claims.refused, 1);
});

test("a floor of a node that was served does not prove a restore", () => {
  const claims = createFloorClaims({ now: () => 0 });
  claims.markServed("a");
  assert.equal(claims.judge("a", beyond(200n)), "refused");
});

test("a floor further ahead than any backup is old is refused, even as the first one", () => {
  const claims = createFloorClaims({ now: () => 0 });
  assert.equal(claims.judge("a", beyond(100n + MAX_LOST_REVISIONS + 1n)), "refused");
  assert.equal(claims.judge("b", beyond(100n + MAX_LOST_REVISIONS)), "restored");
});

test("one node causes at most one listing of Kubernetes every five seconds, however often it connects", () => {
  let now = 0;
  const claims = createFloorClaims({ now: () => now });
  assert.deepEqual([claims.reserveListing("a"), claims.reserveListing("b")], [0, 0]);
  now = 1000;
  assert.equal(claims.reserveListing("a"), 4000);
  for (let i = 0; i < 100; i++) assert.ok(claims.reserveListing("a") <= 5000, "and never longer for having come often");
  now = 60_000;
  assert.equal(claims.reserveListing("a"), 0);
});
