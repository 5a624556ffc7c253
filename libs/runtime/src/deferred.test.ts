import assert from "node:assert/strict";
import { test } from "node:test";
import { createDeferred } from "./deferred.js";
import { createFakeClock, settle } from "./testing/fake-clock.js";

test("callers wait for the value, later ones get it at once", async () => {
  const clock = createFakeClock();
  const deferred = createDeferred<readonly string[]>(clock);
  const [first, second] = [deferred.get(100), deferred.get(100)];
  await settle();
  assert.equal(deferred.current, undefined);
  deferred.set(["a"]);
  assert.deepEqual([await first, await second, await deferred.get(0), deferred.current], Array(4).fill(["a"]));
  assert.equal(clock.waiting, 0);
});

test("without a value in time there is undefined", async () => {
  const clock = createFakeClock();
  const late = createDeferred<readonly string[]>(clock).get(100);
  await settle();
  await clock.advance(100);
  assert.equal(await late, undefined);
});
