import assert from "node:assert/strict";
import { test } from "node:test";
import { insertMissing, removeExtra } from "./apply-hash.js";
import { createDeltaTracker, type DeltaTracker } from "./delta-tracker.js";
import type { BatchResult, HashPort } from "./ports.js";

/** A hash that logs its calls; keys that begin with "!" fail. */
function makeHash(entries: Record<string, string>): { port: HashPort; log: string[]; memory: Map<string, string> } {
  const memory = new Map(Object.entries(entries));
  const log: string[] = [];
  const each = (keys: Iterable<string>, act: (key: string) => void): BatchResult => {
    const done = new Set<string>();
    const failed = new Map<string, Error>();
    for (const key of keys) {
      if (key.startsWith("!")) failed.set(key, new Error("refused"));
      else {
        act(key);
        done.add(key);
      }
    }
    return { done, failed };
  };
  const port: HashPort = {
    name: "test",
    keySize: 1,
    valueSize: 1,
    maxEntries: 8,
    load: async () => new Map([...memory].map(([key, value]) => [key, Buffer.from(value, "latin1")])),
    parts: () => assert.fail("not needed"),
    get: () => assert.fail("not needed"),
    insert: async (wanted) =>
      each(wanted.keys(), (key) => {
        assert.equal(memory.has(key), false);
        memory.set(key, Buffer.from(wanted.get(key) ?? "").toString("latin1"));
        log.push(`+${key}`);
      }),
    delete: async (keys) =>
      each(keys, (key) => {
        memory.delete(key);
        log.push(`-${key}`);
      }),
  };
  return { port, log, memory };
}

function trackerOf(memory: ReadonlyMap<string, string>): DeltaTracker {
  const tracker = createDeltaTracker();
  for (const [key, value] of memory) tracker.setActual(key, value);
  return tracker;
}

test("equal entries cause no calls; a changed value is removed, then inserted", async () => {
  const { port, log, memory } = makeHash({ a: "1", b: "1", c: "1" });
  const tracker = trackerOf(memory);
  for (const [key, value] of [
    ["a", "1"],
    ["b", "2"],
    ["d", "1"],
  ] as const)
    tracker.setDesired(key, value);
  assert.equal((await insertMissing(port, tracker)).size, 0);
  assert.equal((await removeExtra(port, tracker)).size, 0);
  assert.deepEqual(log, ["-b", "+b", "+d", "-c"]);
  assert.deepEqual(
    [...memory],
    [
      ["a", "1"],
      ["b", "2"],
      ["d", "1"],
    ],
  );
  assert.deepEqual([tracker.toInsert.size, tracker.toRemove.size], [0, 0]);
});

test("a failed key stays pending and the others are done; only the given keys are changed", async () => {
  const { port, log, memory } = makeHash({ "!x": "1" });
  const tracker = trackerOf(memory);
  for (const key of ["!x", "!y", "a", "b"]) tracker.setDesired(key, "2");
  const failed = await insertMissing(port, tracker, ["!x", "!y", "a"]);
  assert.deepEqual([[...failed.keys()], log], [["!x", "!y"], ["+a"]]);
  assert.deepEqual([...tracker.toInsert].sort(), ["!x", "!y", "b"]);
});
