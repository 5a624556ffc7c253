/** The grace period against a program that runs for tens of milliseconds. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createGracePeriod } from "./grace.js";
import { native } from "./native.js";
import { loadTestObject } from "./testing/objects.js";

/** enum race_count, as bpf/tests/hold_test.bpf.c uses it. */
const BEGUN = 0;
const ENDED = 4;

/** True when in every run the program that had begun before the wait ended before the wait did. */
async function waitsFor(t: TestContext, wait: () => Promise<void>, runs: number): Promise<boolean> {
  const loaded = loadTestObject(t, "hold_test");
  const counts = loaded.array("mesh_test_counts");
  const count = (index: number) => Number(new DataView(counts.read(index).buffer).getBigUint64(0, true));
  let waited = true;
  for (let run = 1; run <= runs && waited; run++) {
    const held = native().testRun(loaded.program("hold"), new Uint8Array(64), 1);
    while (count(BEGUN) < run) await setImmediate();
    await wait();
    waited = count(ENDED) === run;
    await held;
  }
  return waited;
}

test("a grace period ends after the programs that ran when it began", async (t) => {
  assert.equal(await waitsFor(t, createGracePeriod(), 5), true);
});

test("the program outlasts a call that does not wait", async (t) => {
  // On a busy machine this thread may only run after the program has ended, so the test repeats until both overlap.
  assert.equal(await waitsFor(t, async () => undefined, 100), false);
});

test("calls share a grace period that has not begun; a failed one does not affect the next", async () => {
  let calls = 0;
  const counted = createGracePeriod(async () => {
    calls++;
    if (calls === 2) throw new Error("EPERM");
  });
  await Promise.all([counted(), counted(), counted()]);
  assert.equal(calls, 1);
  await assert.rejects(counted(), /EPERM/);
  await counted();
  assert.equal(calls, 3);
});
