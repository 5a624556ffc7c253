import assert from "node:assert/strict";
import { test } from "node:test";
import { createPace } from "./pace.js";

const OPTIONS = { minMs: 200, maxMs: 30_000, quietMs: 60_000 };

test("the second run may follow at once, then the wait doubles up to its bound; a quiet period resets it", () => {
  const pace = createPace({ ...OPTIONS, random: () => 1 });
  const waits: number[] = [];
  let now = 0;
  for (let i = 0; i < 12; i++) {
    assert.equal(pace.waitMs(now), 0);
    pace.recordRun(now);
    waits.push(pace.waitMs(now));
    now += pace.waitMs(now);
  }
  assert.deepEqual(waits, [0, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
  now += OPTIONS.quietMs + 1;
  pace.recordRun(now);
  assert.equal(pace.waitMs(now), 0);
  pace.recordRun(now);
  assert.equal(pace.waitMs(now), 200);
});

test("constant requests run at most twice per maxMs", () => {
  const pace = createPace(OPTIONS);
  let done = 0;
  for (let now = 0; now < 3_600_000; now += 10) {
    if (pace.waitMs(now) > 0) continue;
    pace.recordRun(now);
    done++;
  }
  assert.ok(done >= 120 && done <= 2 * 120 + 12, `${done} times in an hour`);
});

test("after a reset the next run does not wait", () => {
  const pace = createPace(OPTIONS);
  for (let i = 0; i < 5; i++) pace.recordRun(i);
  assert.ok(pace.waitMs(5) > 0);
  pace.reset();
  assert.equal(pace.waitMs(5), 0);
});
