import assert from "node:assert/strict";
import { test } from "node:test";
import { retry } from "./retry-loop.js";
import { createFakeClock, settle } from "./testing/fake-clock.js";

test("an action is repeated with growing waits until it succeeds, and each failure is reported", async () => {
  const clock = createFakeClock();
  const [at, failures]: [number[], string[]] = [[], []];
  const attempt = async () => {
    at.push(clock.now());
    if (at.length < 4) throw new Error(`attempt ${at.length}`);
    return "done";
  };
  const onFailure = (thrown: unknown) => void failures.push((thrown as Error).message);
  const options = { minMs: 100, maxMs: 150, random: () => 1, onFailure };
  const result = retry(attempt, options, { clock, signal: new AbortController().signal });
  await settle();
  await clock.advance(1000);
  assert.equal(await result, "done");
  assert.deepEqual(at, [0, 100, 250, 400]);
  assert.deepEqual(failures, ["attempt 1", "attempt 2", "attempt 3"]);
});

test("an abort ends the wait, and there is no further attempt", async () => {
  const clock = createFakeClock();
  const stop = new AbortController();
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    throw new Error("no answer");
  };
  const result = retry(attempt, { minMs: 100, maxMs: 100 }, { clock, signal: stop.signal });
  await settle();
  await clock.advance(10);
  stop.abort(new Error("stopping"));
  await assert.rejects(result, /stopping/);
  await assert.rejects(retry(attempt, { minMs: 100, maxMs: 100 }, { clock, signal: stop.signal }), /stopping/);
  assert.deepEqual([attempts, clock.waiting], [1, 0]);
});

test("an attempt that fails because of the abort is not reported", async () => {
  const stop = new AbortController();
  const attempt = async () => {
    stop.abort(new Error("stopping"));
    throw new Error("canceled");
  };
  const onFailure = () => assert.fail("it was reported");
  const modules = { clock: createFakeClock(), signal: stop.signal };
  await assert.rejects(retry(attempt, { minMs: 100, maxMs: 100, onFailure }, modules), /stopping/);
});

test("an error of the report ends the loop", async () => {
  const options = {
    minMs: 100,
    maxMs: 100,
    onFailure: () => {
      throw new Error("not to be retried");
    },
  };
  const modules = { clock: createFakeClock(), signal: new AbortController().signal };
  await assert.rejects(
    retry(() => Promise.reject(new Error("no answer")), options, modules),
    /not to be retried/,
  );
});
