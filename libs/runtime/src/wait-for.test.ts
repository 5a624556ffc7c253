import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { createEmitter } from "./emitter.js";
import { createFakeClock, settle } from "./testing/fake-clock.js";
import { nextTurn } from "./turns.js";
import { waitFor, waitWithin } from "./wait-for.js";

test("a condition that holds is found at once, without a delay", async () => {
  const clock = createFakeClock();
  assert.equal(await waitFor("it", () => "here", { timeoutMs: 0, clock }), "here");
  assert.equal(await waitFor("it", async () => 0, { clock }), 0);
});

test("polls until there is a value; errors of a look reject", async () => {
  const clock = createFakeClock();
  const at: number[] = [];
  const look = () => {
    at.push(clock.now());
    return at.length === 3 && "found";
  };
  const found = waitFor("it", look, { timeoutMs: 1000, everyMs: 10, clock });
  await settle();
  await clock.advance(1000);
  assert.equal(await found, "found");
  assert.deepEqual(at, [0, 10, 20]);
  await assert.rejects(
    waitFor("it", () => Promise.reject(new Error("refused")), { timeoutMs: 1000, clock }),
    /^Error: refused/,
  );
});

test("the time-out comes after a last look, with the reason in its sentence", async () => {
  const clock = createFakeClock();
  const at: number[] = [];
  const look = () => {
    at.push(clock.now());
    return undefined;
  };
  const waiting = waitFor("the store", look, { timeoutMs: 1500, everyMs: 1000, reason: () => "no answer", clock });
  const failed = assert.rejects(waiting, {
    code: "TIMEOUT",
    message: "Timed out after 1.5 s waiting for the store: no answer",
  });
  await settle();
  await clock.advance(5000);
  await failed;
  assert.deepEqual(at, [0, 1000, 1500]);
  assert.equal(await waitWithin(look, { timeoutMs: 0, clock }), undefined);
});

test("with notifications the condition is not polled, and many changes in one turn are one look", async () => {
  const clock = createFakeClock();
  const changes = createEmitter();
  let [looks, holds] = [0, false];
  const look = () => {
    looks++;
    return holds;
  };
  const found = waitFor("it", look, { timeoutMs: 60_000, changes: changes.subscribe, clock });
  await settle();
  await clock.advance(30_000);
  assert.equal(looks, 1);
  // Promises settle between the changes, the turn of the event loop does not end.
  for (let i = 0; i < 100; i++) {
    if (i % 10 === 0) changes.emit();
    await Promise.resolve();
  }
  await nextTurn();
  await nextTurn();
  assert.equal(looks, 2);
  holds = true;
  changes.emit();
  assert.equal(await found, true);
  assert.equal(clock.waiting, 0);
});

test("a change during a look is not missed", async () => {
  const changes = createEmitter();
  let value: string | undefined;
  const look = async () => {
    const seen = value;
    await nextTurn();
    if (value === undefined) {
      value = "changed meanwhile";
      changes.emit();
    }
    return seen;
  };
  assert.equal(await waitFor("it", look, { changes: changes.subscribe }), "changed meanwhile");
});

test("an abort rejects with its reason, and nothing stays subscribed", async () => {
  let subscribed = 0;
  const changes = () => {
    subscribed++;
    return () => void subscribed--;
  };
  const clock = createFakeClock();
  for (const options of [{ changes }, { timeoutMs: 1000, changes }, { timeoutMs: 1000 }]) {
    const stop = new AbortController();
    const waiting = waitWithin(() => false, { ...options, signal: stop.signal, clock });
    const failed = assert.rejects(waiting, /stopping/);
    await settle();
    stop.abort(new Error("stopping"));
    await failed;
    assert.deepEqual([subscribed, clock.waiting, getEventListeners(stop.signal, "abort").length], [0, 0, 0]);
    await assert.rejects(
      waitWithin(() => true, { ...options, signal: stop.signal, clock }),
      /stopping/,
    );
  }
});
