/** What a restored backup of the store must not do: take anything back that is newer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HashedRecord } from "@isthmus/records";
import { createModelPublisher, createModelStore, type ModelStore } from "../publish/model-store.js";
import { slice } from "./fixture.js";
import { createModelReader, settleBoth } from "./model-reader.js";
import { isVerified } from "./report.js";

/** A publisher and a reader that are in sync; then a backup is restored that does not know the newest changes. */
function setBack(between: (store: ModelStore) => void = () => undefined) {
  const store = createModelStore();
  const clock = { now: 0 };
  const publisher = createModelPublisher(store, clock, "p", () => 0.5);
  const [young, renewed, gone] = [slice(1, 2), slice(1, 1, 3), slice(1, 3)];
  const change = (upserts: readonly HashedRecord[], deletes: readonly HashedRecord[] = []) =>
    publisher.feed({ type: "changed", change: { upserts, deletes, observedMicros: 1 } });
  change([slice(1, 1), gone]);
  publisher.feed({ type: "start" });
  const reader = createModelReader(store, clock);
  reader.feed({ type: "start" });
  settleBoth(clock, store, publisher, reader);
  store.keep();
  between(store);
  settleBoth(clock, store, publisher, reader);
  change([young, renewed], [gone]);
  settleBoth(clock, store, publisher, reader);
  reader.deleted.clear();
  store.setBack();
  const look = () => {
    clock.now += 5_000;
    reader.deliver();
    if (reader.wakeAt <= clock.now) reader.tick();
    while (reader.calls > 0) reader.decide(true);
  };
  /** Nothing newer went, and nothing of the past came back. */
  const assertOfToday = () => {
    const held = [...reader.index.records()].map(({ key }) => key).sort();
    assert.deepEqual(held, [renewed.key, young.key]);
    assert.deepEqual(reader.index.get(renewed.key)?.hash, renewed.hash);
    assert.deepEqual([...reader.deleted], []);
  };
  return { store, clock, publisher, reader, young, renewed, look, assertOfToday };
}

test("a LIVE head of the past proves nothing: what is newer stays until its publisher has spoken", () => {
  const { store, clock, publisher, reader, look, assertOfToday } = setBack();
  const { position } = reader.index;
  for (let i = 0; i < 5; i++) look();
  assertOfToday();
  assert.deepEqual(reader.index.position, position, "nothing older is handed on");
  assert.match(reader.state.message, /was set back/);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state));
  assertOfToday();
  assert.notDeepEqual(reader.index.position?.storeId, position?.storeId, "the publisher saw it, too: another id");
});

test("a restored store whose publisher is loading is of the past: only what it writes is taken, until it is LIVE", () => {
  const { publisher, store, reader, clock, look, assertOfToday } = setBack();
  for (let step = 0; !isVerified(reader.state) || step < 3; step++) {
    assert.ok(step < 100, reader.state.message);
    publisher.deliver();
    if (publisher.wakeAt <= clock.now) publisher.tick();
    if (publisher.calls > 0) publisher.decide("done");
    look(); // between any two calls of the publisher
    assertOfToday();
  }
  assert.equal(store.violations.length, 0);
});

test("a backup of a store that was wiped since: its id was left before, and its LIVE head is of the past", () => {
  const { store, clock, publisher, reader, look, assertOfToday } = setBack((store) => store.wipe());
  for (let i = 0; i < 5; i++) look();
  assertOfToday();
  assert.match(reader.state.message, /was set back/);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state), reader.state.message);
  assertOfToday();
});

test("a publisher that started after the restore does not know of it: its word counts once it has beaten", () => {
  const { store, clock, reader, look, young, renewed, assertOfToday } = setBack();
  look();
  const next = createModelPublisher(store, clock, "q", () => 0.5);
  next.feed({ type: "changed", change: { upserts: [renewed, young], deletes: [], observedMicros: 1 } });
  next.feed({ type: "start" });
  for (let i = 0; i < 3; i++) next.decide("done"); // it has taken over, and its head is LIVE with the content of the backup
  look();
  settleBoth(clock, store, next, reader);
  assert.ok(isVerified(reader.state) && reader.state.phase.status === "Following", reader.state.message);
  assertOfToday();
});

test("a restore that others overtook is no step back in revisions: the heads tell", () => {
  const { store, clock, publisher, reader, assertOfToday } = setBack();
  for (let i = 0; i < 50; i++) store.txn([], [{ type: "put", key: `others/${i}`, value: Buffer.from("x") }]);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state), reader.state.message);
  assertOfToday();
});
