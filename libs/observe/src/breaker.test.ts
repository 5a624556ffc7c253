import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { createBreaker } from "./breaker.js";

const fail = () => Promise.reject(new Error("refused"));

test("a breaker stays closed below five calls, opens at five failures, and closes after a success", async (t) => {
  const breaker = createBreaker({ name: "store east", timeoutMs: 1000, resetMs: 20 });
  t.after(() => breaker.close());
  for (let i = 0; i < 4; i++) await assert.rejects(breaker.call(fail), /refused/);
  assert.equal(breaker.state, "closed");
  await assert.rejects(breaker.call(fail), /refused/);
  assert.equal(breaker.state, "open");
  await assert.rejects(breaker.call(fail), { code: "BREAKER_OPEN" });
  // The breaker's timers do not keep the process alive; this one does.
  const alive = setTimeout(() => undefined, 5000);
  await new Promise<void>((resolve) => breaker.onChange((state) => state === "half-open" && resolve()));
  clearTimeout(alive);
  assert.equal(await breaker.call(async () => 7), 7);
  assert.equal(breaker.state, "closed");
});

test("a call beyond its deadline is aborted and counts as a failure", async (t) => {
  const breaker = createBreaker({ name: "slow", timeoutMs: 10 });
  t.after(() => breaker.close());
  let aborted: Promise<unknown> | undefined;
  const work = (signal: AbortSignal) => {
    aborted = once(signal, "abort");
    return new Promise<never>(() => undefined);
  };
  await assert.rejects(breaker.call(work), { code: "DEADLINE" });
  await aborted;
});

test("harmless failures never open a breaker", async (t) => {
  const breaker = createBreaker({ name: "api", timeoutMs: 1000, isHarmless: () => true });
  t.after(() => breaker.close());
  for (let i = 0; i < 10; i++) await assert.rejects(breaker.call(fail), /refused/);
  assert.equal(breaker.state, "closed");
});
