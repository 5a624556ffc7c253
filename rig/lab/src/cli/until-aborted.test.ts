import assert from "node:assert/strict";
import { test } from "node:test";
import { untilAborted } from "./until-aborted.js";

test("rejects at the signal when the work does not end, and returns the result of work that ends before", async () => {
  const stop = new AbortController();
  const left = untilAborted(new Promise(() => undefined), stop.signal);
  assert.equal(await untilAborted(Promise.resolve(7), stop.signal), 7);
  stop.abort(new Error("Interrupted"));
  await assert.rejects(left, /Interrupted/);
  await assert.rejects(untilAborted(new Promise(() => undefined), stop.signal), /Interrupted/);
  await assert.rejects(untilAborted(Promise.reject(new Error("no lab")), undefined), /no lab/);
});
