import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "./fake-clock.js";

test("time only advances by advance, which resolves delays in order", async () => {
  const clock = createFakeClock(1_000_000);
  const woken: string[] = [];
  void clock.delay(20).then(() => woken.push(`late at ${clock.now()}`));
  void clock.delay(10).then(() => woken.push(`early at ${clock.now()}`));
  assert.deepEqual([clock.now(), clock.waiting], [0, 2]);
  await clock.advance(15);
  assert.deepEqual([woken, clock.now()], [["early at 10"], 15]);
  await clock.advance(5);
  assert.deepEqual([woken[1], clock.wallMicros()], ["late at 20", 1_020_000]);
});

test("an aborted delay rejects with the reason and is removed", async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const waiting = clock.delay(10, controller.signal);
  controller.abort(new Error("over"));
  await assert.rejects(waiting, /over/);
  await assert.rejects(clock.delay(10, controller.signal), /over/);
  assert.equal(clock.waiting, 0);
});
