import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, createBackoff } from "./backoff.js";

test("delays double from the minimum to the maximum and start again after a success", () => {
  const backoff = createBackoff({ minMs: 100, maxMs: 350, random: () => 1 });
  assert.deepEqual([backoff.nextMs(), backoff.nextMs(), backoff.nextMs(), backoff.nextMs()], [100, 200, 350, 350]);
  backoff.reset();
  assert.equal(backoff.nextMs(), 100);
});

test("jitter stays between half and the whole delay", () => {
  const backoff = createBackoff({ minMs: 100, maxMs: 100 });
  for (let i = 0; i < 1000; i++) {
    const delay = backoff.nextMs();
    assert.ok(delay >= 50 && delay <= 100, String(delay));
  }
});

test("the random share of a delay is an option, and 0 makes it exact", () => {
  const lowest = { minMs: 100, maxMs: 5_000, random: () => 0 };
  assert.deepEqual(
    [0, 1, 5, 6].map((failures) => backoffMs(failures, lowest)),
    [50, 100, 1600, 2500],
  );
  assert.deepEqual(
    [0, 1, 5, 6].map((failures) => backoffMs(failures, { ...lowest, jitter: 0 })),
    [100, 200, 3200, 5000],
  );
  assert.equal(backoffMs(1, { ...lowest, jitter: 0.2 }), 160);
});

test("any number of failures gives the maximum, in whole milliseconds", () => {
  assert.equal(backoffMs(100_000, { minMs: 100, maxMs: 5_000, jitter: 0 }), 5_000);
  assert.equal(backoffMs(0, { minMs: 3, maxMs: 9, random: () => 0.5 }), 2);
});
