/** What counters grew by in the last minute. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "@isthmus/testing";
import { createRecentCounters } from "./recent-counters.js";

function setUp(start: number) {
  const clock = createFakeClock();
  const stop = new AbortController();
  const state = { count: start, readings: 0 };
  const counters = createRecentCounters({
    clock,
    signal: stop.signal,
    read() {
      state.readings++;
      return new Map([["flow_new", state.count]]);
    },
  });
  return { clock, stop, state, lastMinute: () => counters.read().get("flow_new") };
}

test("what was there at the start is not of the last minute", () => {
  const { state, lastMinute } = setUp(1000);
  assert.deepEqual(lastMinute(), { total: 1000, lastMinute: 0 });
  state.count += 5;
  assert.deepEqual(lastMinute(), { total: 1005, lastMinute: 5 });
});

test("what is counted is of the last minute for 60 to 70 s", async () => {
  const { clock, state, lastMinute } = setUp(0);
  await clock.advance(25_000);
  state.count = 7;
  await clock.advance(60_000);
  assert.deepEqual(lastMinute(), { total: 7, lastMinute: 7 });
  await clock.advance(10_000);
  assert.deepEqual(lastMinute(), { total: 7, lastMinute: 0 });
  state.count = 9;
  assert.deepEqual(lastMinute(), { total: 9, lastMinute: 2 });
});

test("nothing is read after the end", async () => {
  const { clock, stop, state } = setUp(0);
  stop.abort();
  await clock.advance(60_000);
  assert.equal(state.readings, 1);
});
