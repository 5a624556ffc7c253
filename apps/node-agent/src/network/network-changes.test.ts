import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteEvent } from "@isthmus/bpf";
import { createFakeClock } from "@isthmus/testing";
import { followNetwork } from "./network-changes.js";

const EVENT: RouteEvent = { kind: "address", gone: false, linkLocal: false };

/** A socket that always has events; counts reads. */
function rig(acts: () => boolean) {
  const clock = createFakeClock();
  const stop = new AbortController();
  const state = { looks: 0, resting: false, closed: false };
  let wake = () => {};
  const changes = followNetwork({
    socket: {
      listen: (callback) => {
        wake = callback;
      },
      rest: (rests) => {
        state.resting = rests;
      },
      close: () => {
        state.closed = true;
      },
      receive: () => {
        state.looks++;
        return [EVENT];
      },
    },
    clock,
    signal: stop.signal,
  });
  const heard: RouteEvent[] = [];
  changes.subscribe((events) => {
    heard.push(...events);
    return acts();
  });
  /** Runs for so many milliseconds in which the socket always has events. */
  async function storm(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10) {
      if (!state.resting) wake();
      await clock.advance(10);
    }
  }
  return { state, heard, stop, storm, clock };
}

test("a storm of unrelated changes causes ten reads per second", async () => {
  const { state, heard, storm } = rig(() => false);
  await storm(10_000);
  assert.ok(state.looks >= 50 && state.looks <= 100, String(state.looks));
  assert.equal(heard.length, state.looks);
});

test("repairs that another program keeps undoing happen about once per second, and at once after a quiet time", async () => {
  const { state, storm, clock } = rig(() => true);
  await storm(30_000);
  assert.ok(state.looks >= 30 && state.looks <= 70, String(state.looks));
  await clock.advance(20_000);
  const before = state.looks;
  await storm(400);
  assert.ok(state.looks - before >= 2, String(state.looks - before));
});

test("abort closes the socket", async () => {
  const { state, stop } = rig(() => false);
  stop.abort();
  assert.equal(state.closed, true);
});
