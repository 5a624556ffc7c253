import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyLock } from "./key-lock.js";

test("one key: in order, also after a failure; two keys: side by side", async () => {
  const lock = createKeyLock();
  const order: string[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const first = lock.run("a", async () => {
    await gate;
    order.push("a1");
    throw new Error("no");
  });
  const second = lock.run("a", async () => order.push("a2"));
  await lock.run("b", async () => order.push("b"));
  await new Promise(setImmediate);
  assert.deepEqual([...lock.busy], ["a"]);
  release();
  await assert.rejects(first, /no/);
  await second;
  await lock.run("a", async () => order.push("a3"));
  assert.deepEqual(order, ["b", "a1", "a2", "a3"]);
  await new Promise(setImmediate);
  assert.equal(lock.busy.size, 0);
});
