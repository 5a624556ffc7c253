import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock, settle } from "@isthmus/testing";
import { createPassLoop } from "./pass-loop.js";

function rig() {
  const clock = createFakeClock();
  const stop = new AbortController();
  const state = { passes: 0, problem: undefined as string | undefined, reported: [] as string[] };
  const loop = createPassLoop({
    clock,
    signal: stop.signal,
    async pass() {
      state.passes++;
      await settle();
      if (state.problem === "thrown") throw new Error("thrown");
      return state.problem;
    },
    failed: (problem) => void state.reported.push(problem),
  });
  return { clock, stop, state, loop };
}

test("triggers during a pass cause one more pass", async () => {
  const { state, loop } = rig();
  for (let i = 0; i < 10; i++) loop.trigger();
  for (let i = 0; i < 10; i++) await settle();
  assert.equal(state.passes, 2);
});

test("a problem is reported once and retried with back-off until it is solved, whatever the number of triggers", async () => {
  const { clock, state, loop } = rig();
  state.problem = "no gateway";
  for (let i = 0; i < 20; i++) {
    loop.trigger();
    for (let turn = 0; turn < 4; turn++) await settle();
  }
  const before = state.passes;
  for (let i = 0; i < 120; i++) await clock.advance(1000);
  assert.ok(state.passes - before <= 10, `${state.passes - before} tries in two minutes`);
  assert.ok(state.passes - before >= 2);
  assert.deepEqual([state.reported, loop.problem], [["no gateway"], "no gateway"]);
  state.problem = "thrown";
  for (let i = 0; i < 60; i++) await clock.advance(1000);
  assert.deepEqual(state.reported, ["no gateway", "thrown"]);
  state.problem = undefined;
  for (let i = 0; i < 60; i++) await clock.advance(1000);
  assert.equal(loop.problem, undefined);
  const healed = state.passes;
  for (let i = 0; i < 60; i++) await clock.advance(1000);
  assert.equal(state.passes, healed);
});

test("no pass runs after abort", async () => {
  const { clock, stop, state, loop } = rig();
  state.problem = "no gateway";
  loop.trigger();
  for (let turn = 0; turn < 4; turn++) await settle();
  stop.abort();
  loop.trigger();
  await clock.advance(60_000);
  assert.deepEqual([state.passes, clock.waiting], [1, 0]);
});
