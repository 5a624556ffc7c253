import assert from "node:assert/strict";
import { test } from "node:test";
import { createEmitter } from "./emitter.js";

test("listeners are called in the order of their subscriptions until they are removed", () => {
  const { subscribe, emit } = createEmitter<number>();
  const calls: string[] = [];
  const stop = subscribe((value) => void calls.push(`a${value}`));
  subscribe((value) => void calls.push(`b${value}`));
  emit(1);
  stop();
  stop();
  emit(2);
  assert.deepEqual(calls, ["a1", "b1", "b2"]);
});

test("a listener that is removed during an emit is not called, one that is added waits for the next emit", () => {
  const changes = createEmitter();
  const calls: string[] = [];
  changes.subscribe(() => {
    calls.push("first");
    stop();
    changes.subscribe(() => void calls.push("added"));
  });
  const stop = changes.subscribe(() => void calls.push("removed"));
  changes.emit();
  assert.deepEqual(calls, ["first"]);
  changes.emit();
  assert.deepEqual(calls, ["first", "first", "added"]);
});

test("one function may be subscribed twice, and each subscription ends by itself", () => {
  const changes = createEmitter();
  let calls = 0;
  const listener = () => void calls++;
  const stop = changes.subscribe(listener);
  changes.subscribe(listener);
  changes.emit();
  stop();
  changes.emit();
  assert.equal(calls, 3);
});

test("a listener that throws does not stop the others, and its error reaches the emitter's caller", () => {
  const changes = createEmitter();
  const calls: string[] = [];
  const fail = (message: string) => () => {
    throw new Error(message);
  };
  changes.subscribe(fail("one"));
  changes.subscribe(() => void calls.push("called"));
  assert.throws(changes.emit, /^Error: one$/);
  changes.subscribe(fail("two"));
  assert.throws(changes.emit, (thrown: AggregateError) => {
    assert.deepEqual(thrown.errors.map(String), ["Error: one", "Error: two"]);
    return true;
  });
  assert.deepEqual(calls, ["called", "called"]);
});
