import assert from "node:assert/strict";
import { test } from "node:test";
import { nextTurn } from "@isthmus/runtime";
import { settle } from "@isthmus/testing";
import { createKeyLock } from "./key-lock.js";

test("work on one key runs in order, also after a failure; work on two keys runs concurrently", async () => {
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
  await nextTurn();
  assert.deepEqual([...lock.busy], ["a"]);
  release();
  await assert.rejects(first, /no/);
  await second;
  await lock.run("a", async () => order.push("a3"));
  assert.deepEqual(order, ["b", "a1", "a2", "a3"]);
  await nextTurn();
  assert.equal(lock.busy.size, 0);
});

test("work on several keys waits for each of them and blocks later work on any, which runs also after a failure", async () => {
  const lock = createKeyLock();
  const done: string[] = [];
  let end = (): void => undefined;
  const first = lock.run("a", () => new Promise<void>((resolve) => (end = resolve)));
  const all = lock.runAll(["a", "b"], async () => {
    done.push("all");
    throw new Error("failed");
  });
  const later = lock.run("b", async () => void done.push("later"));
  await settle();
  assert.deepEqual([done, [...lock.busy]], [[], ["a", "b"]]);
  end();
  await assert.rejects(all, /failed/);
  await Promise.all([first, later]);
  await settle();
  assert.deepEqual([done, [...lock.busy]], [["all", "later"], []]);
});
