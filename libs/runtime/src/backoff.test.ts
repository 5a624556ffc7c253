import assert from "node:assert/strict";
import { test } from "node:test";
import { createBackoff } from "./backoff.js";

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
