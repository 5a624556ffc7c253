import assert from "node:assert/strict";
import { test } from "node:test";
import { reservedIdentity } from "@isthmus/identity";
import { parsePrefix } from "@isthmus/model";
import { createNodeLocalIdentities } from "./node-local-identities.js";

const WORLD = reservedIdentity("world");
const NODE = reservedIdentity("remote-node");
const FIRST = 4095 * 2 ** 20 + 256;
const [A, B] = [parsePrefix("192.0.2.0/24"), parsePrefix("198.51.100.0/24")];
const NONE = { inUse: [], prefixes: new Map<string, number>() };

test("labels and prefix have one number, which is forgotten two calls after its last use and not given again", () => {
  const local = createNodeLocalIdentities(NONE);
  const number = local.acquire(WORLD, A)?.number;
  assert.equal(number, FIRST);
  assert.equal(local.acquire(WORLD, A)?.number, number);
  assert.equal(local.acquire(NODE, A)?.number, FIRST + 1);
  assert.deepEqual(
    local.takeChanges().made.map(({ base }) => base),
    [WORLD, NODE],
  );
  local.release(FIRST as typeof WORLD);
  assert.equal(local.takeChanges().again, false);
  local.release(FIRST as typeof WORLD);
  assert.deepEqual(local.takeChanges(), { made: [], forgotten: [], again: true });
  const { forgotten, again } = local.takeChanges();
  assert.deepEqual([forgotten.map((one) => one.number), again], [[FIRST], false]);
  assert.equal(local.acquire(WORLD, A)?.number, FIRST + 2);
});

test("an identity that is used again in time keeps its number", () => {
  const local = createNodeLocalIdentities(NONE);
  local.acquire(WORLD, A);
  local.release(FIRST as typeof WORLD);
  assert.equal(local.takeChanges().again, true);
  assert.equal(local.acquire(WORLD, A)?.number, FIRST);
  assert.deepEqual(local.takeChanges(), { made: [], forgotten: [], again: false });
});

test("numbers that the maps have are skipped, but for the prefixes that have them", () => {
  const local = createNodeLocalIdentities({
    inUse: [FIRST, FIRST + 1],
    prefixes: new Map([["198.51.100.0/24", FIRST + 1]]),
  });
  assert.equal(local.acquire(WORLD, A)?.number, FIRST + 2);
  assert.equal(local.acquire(NODE, B)?.number, FIRST + 3);
  assert.equal(local.acquire(WORLD, B)?.number, FIRST + 1);
});
