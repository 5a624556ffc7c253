import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { withFaultLock } from "./lock.js";

const LAB = `lock-${process.pid}`;

test("changes of one lab's faults run one after another, also after one that fails", async () => {
  const order: string[] = [];
  const work = (name: string) => async () => {
    order.push(`${name} begins`);
    await new Promise(setImmediate);
    order.push(`${name} ends`);
    if (name === "a") throw new Error("a failed");
  };
  const first = withFaultLock(LAB, work("a"));
  const second = withFaultLock(LAB, work("b"));
  await withFaultLock(`${LAB}-other`, async () => undefined);
  await assert.rejects(first, /a failed/);
  await second;
  assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends"]);
});

test("a process that is killed releases the lock", async () => {
  const lock = JSON.stringify(new URL("./lock.js", import.meta.url).href);
  const script = `const { withFaultLock } = await import(${lock});
    await withFaultLock("${LAB}", () => new Promise(() => { console.log("locked"); setInterval(() => {}, 1e6); }));`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  let entered = false;
  const waiting = withFaultLock(LAB, async () => {
    entered = true;
  });
  await withFaultLock(`${LAB}-other`, async () => undefined);
  assert.equal(entered, false);
  holder.kill("SIGKILL");
  await waiting;
});
