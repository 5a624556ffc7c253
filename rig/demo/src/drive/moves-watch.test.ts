import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "@isthmus/runtime";
import { watchMoves } from "./moves-watch.js";

test("the counter is read again and again, each time with the time", async (t) => {
  let moved = 5;
  const watch = watchMoves(() => moved);
  t.after(() => watch.stop());
  assert.deepEqual(
    watch.readings.map((reading) => reading.moved),
    [5],
  );
  moved = 9;
  await waitFor("another reading", () => watch.readings.length > 1, { timeoutMs: 10_000, everyMs: 10 });
  assert.equal(watch.readings[1]?.moved, 9);
  assert.ok((watch.readings[1]?.at ?? 0) > (watch.readings[0]?.at ?? 0));
});
