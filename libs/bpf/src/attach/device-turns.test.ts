import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { createDeviceTurns } from "./device-turns.js";

/** Calls that the test ends, and which of them have begun. */
function calls() {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const call = (name: string) => () =>
    new Promise<string>((resolve, reject) => {
      begun.push(name);
      ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
    });
  const end = async (name: string, error?: Error) => {
    ends.get(name)?.(error);
    await setImmediate();
  };
  const started = async () => {
    await setImmediate();
    return begun.splice(0);
  };
  return { call, end, started };
}

test("calls for different devices run at the same time, those for one in their order, also after one that failed", async () => {
  const turns = createDeviceTurns();
  const { call, end, started } = calls();
  const failing = turns.run(1, call("1a"));
  const second = turns.run(1, call("1b"));
  const other = turns.run(2, call("2a"));
  assert.deepEqual(await started(), ["1a", "2a"]);
  await Promise.all([assert.rejects(failing, /no device/), end("1a", new Error("no device"))]);
  assert.deepEqual(await started(), ["1b"]);
  await end("1b");
  await end("2a");
  assert.deepEqual(await Promise.all([second, other]), ["1b", "2a"]);
});

test("a call for all devices waits for those before it, and those after it wait for it", async () => {
  const turns = createDeviceTurns();
  const { call, end, started } = calls();
  void turns.run(1, call("1a"));
  void turns.run(2, call("2a"));
  const alone = turns.runAlone(call("all"));
  void turns.run(1, call("1b"));
  void turns.run(3, call("3a"));
  void turns.runAlone(call("again"));
  assert.deepEqual(await started(), ["1a", "2a"]);
  await end("1a");
  assert.deepEqual(await started(), []);
  await end("2a");
  assert.deepEqual(await started(), ["all"]);
  await Promise.all([assert.rejects(alone, /busy/), end("all", new Error("busy"))]);
  assert.deepEqual(await started(), ["1b", "3a"]);
  await end("1b");
  await end("3a");
  assert.deepEqual(await started(), ["again"]);
});
