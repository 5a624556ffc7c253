import assert from "node:assert/strict";
import { test } from "node:test";
import { untilAborted } from "./until-aborted.js";

test("work that never ends is left at the signal; what ends before is its answer", async () => {
  const stop = new AbortController();
  const left = untilAborted(new Promise(() => undefined), stop.signal);
  assert.equal(await untilAborted(Promise.resolve(7), stop.signal), 7);
  stop.abort(new Error("Interrupted"));
  await assert.rejects(left, /Interrupted/);
  await assert.rejects(untilAborted(new Promise(() => undefined), stop.signal), /Interrupted/);
  await assert.rejects(untilAborted(Promise.reject(new Error("no lab")), undefined), /no lab/);
});
