import assert from "node:assert/strict";
import { test } from "node:test";
import { coalesce, createCache, type Step } from "./cache.js";
import type { Item } from "./types.js";

const item = (key: string, uid: string, version: number): Item<number> => ({
  key,
  uid,
  version: BigInt(version),
  value: version,
});
const fresh = (): Step<number> => ({ deletes: [], sets: [] });
const keys = (step: Step<number>) => ({
  deletes: step.deletes.map(({ key, uid }) => `${key}/${uid}`),
  sets: step.sets.map(({ key, uid }) => `${key}/${uid}`),
});
const make = () => createCache<number>(() => 0);

test("the same name with another uid is a deletion and a creation", () => {
  const cache = make();
  cache.event("set", item("a", "1", 5), fresh());
  const step = fresh();
  cache.event("set", item("a", "2", 6), step);
  assert.deepEqual(keys(step), { deletes: ["a/1"], sets: ["a/2"] });
});

test("an older or equal version of an object is ignored; a deletion applies only to the same uid", () => {
  const cache = make();
  cache.event("set", item("a", "2", 6), fresh());
  const step = fresh();
  cache.event("set", item("a", "2", 6), step);
  cache.event("set", item("a", "2", 5), step);
  cache.event("delete", item("a", "1", 7), step);
  assert.deepEqual(keys(step), { deletes: [], sets: [] });
  assert.equal(cache.items.size, 1);
});

test("a list gives the deleted and the changed objects, not the unchanged ones", () => {
  const cache = make();
  for (const each of [item("a", "1", 1), item("b", "1", 1), item("c", "1", 1)]) cache.event("set", each, fresh());
  const list = new Map([item("b", "1", 1), item("c", "2", 2), item("d", "1", 3)].map((each) => [each.key, each]));
  const step = cache.replace(list);
  assert.deepEqual(keys(step), { deletes: ["a/1", "c/1"], sets: ["c/2", "d/1"] });
});

test("a list is adopted although its versions are older", () => {
  const cache = make();
  cache.event("set", item("a", "1", 9), fresh());
  const older = new Map([["a", item("a", "1", 4)]]);
  assert.equal(cache.replace(older).sets[0]?.value, 4);
  assert.equal(cache.replace(older).sets.length, 0);
});

test("several events of one object in one step are merged to its last state", () => {
  const cache = make();
  const step = fresh();
  cache.event("set", item("a", "1", 1), step);
  cache.event("set", item("a", "1", 2), step);
  cache.event("set", item("b", "1", 3), step);
  cache.event("delete", item("b", "1", 4), step);
  const { sets, deletes } = coalesce(step, cache.items);
  assert.deepEqual(
    sets.map(({ key, value }) => [key, value]),
    [["a", 2]],
  );
  assert.deepEqual(
    deletes.map(({ key }) => key),
    ["b"],
  );
});
