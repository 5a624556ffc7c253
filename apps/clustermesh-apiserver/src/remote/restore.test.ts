/** A restored backup of the store must not revert newer records. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HashedRecord } from "@isthmus/records";
import { createModelPublisher, createModelStore, type ModelStore } from "../publish/testing/model-store.js";
import { isVerified } from "./report.js";
import { slice } from "./testing/fixture.js";
import { createModelReader, settleBoth } from "./testing/model-reader.js";

/** A publisher and a reader in sync; then a backup without the newest changes is restored. */
function setBack(between: (store: ModelStore) => void = () => undefined) {
  const store = createModelStore();
  const clock = { now: 0 };
  const publisher = createModelPublisher(store, clock, "p", () => 0.5);
  const [added, updated, removed] = [slice(1, 2), slice(1, 1, 3), slice(1, 3)];
  const change = (upserts: readonly HashedRecord[], deletes: readonly HashedRecord[] = []) =>
    publisher.feed({ type: "changed", change: { upserts, deletes, observedMicros: 1 } });
  change([slice(1, 1), removed]);
  publisher.feed({ type: "start" });
  const reader = createModelReader(store, clock);
  reader.feed({ type: "start" });
  settleBoth(clock, store, publisher, reader);
  store.keep();
  between(store);
  settleBoth(clock, store, publisher, reader);
  change([added, updated], [removed]);
  settleBoth(clock, store, publisher, reader);
  reader.deleted.clear();
  store.setBack();
  const look = () => {
    clock.now += 5_000;
    reader.deliver();
    if (reader.wakeAt <= clock.now) reader.tick();
    while (reader.calls > 0) reader.decide(true);
  };
  /** No newer record was deleted, and no old one returned. */
  const assertCurrent = () => {
    const held = [...reader.index.records()].map(({ key }) => key).sort();
    assert.deepEqual(held, [updated.key, added.key]);
    assert.deepEqual(reader.index.get(updated.key)?.hash, updated.hash);
    assert.deepEqual([...reader.deleted], []);
  };
  return { store, clock, publisher, reader, added, updated, look, assertCurrent };
}

test("a LIVE head from a backup verifies nothing: newer records stay until the publisher has written", () => {
  const { store, clock, publisher, reader, look, assertCurrent } = setBack();
  const { position } = reader.index;
  for (let i = 0; i < 5; i++) look();
  assertCurrent();
  assert.deepEqual(reader.index.position, position, "nothing older is emitted");
  assert.match(reader.state.message, /was set back/);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state));
  assertCurrent();
  assert.notDeepEqual(
    reader.index.position?.storeId,
    position?.storeId,
    "the publisher noticed the restore and set another id",
  );
});

test("while the publisher loads a restored store, only records that it writes are accepted", () => {
  const { publisher, store, reader, clock, look, assertCurrent } = setBack();
  for (let step = 0; !isVerified(reader.state) || step < 3; step++) {
    assert.ok(step < 100, reader.state.message);
    publisher.deliver();
    if (publisher.wakeAt <= clock.now) publisher.tick();
    if (publisher.calls > 0) publisher.decide("done");
    look(); // between any two calls of the publisher
    assertCurrent();
  }
  assert.equal(store.violations.length, 0);
});

test("a backup from before a wipe is detected by its previous store id", () => {
  const { store, clock, publisher, reader, look, assertCurrent } = setBack((store) => store.wipe());
  for (let i = 0; i < 5; i++) look();
  assertCurrent();
  assert.match(reader.state.message, /was set back/);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state), reader.state.message);
  assertCurrent();
});

test("the head of a publisher that started after the restore counts once it has beaten", () => {
  const { store, clock, reader, look, added, updated, assertCurrent } = setBack();
  look();
  const next = createModelPublisher(store, clock, "q", () => 0.5);
  next.feed({ type: "changed", change: { upserts: [updated, added], deletes: [], observedMicros: 1 } });
  next.feed({ type: "start" });
  for (let i = 0; i < 3; i++) next.decide("done"); // it took over, and its head is LIVE with the content of the backup
  look();
  settleBoth(clock, store, next, reader);
  assert.ok(isVerified(reader.state) && reader.state.phase.status === "Following", reader.state.message);
  assertCurrent();
});

test("a restore is detected by the head's sequence number when other clusters' writes have raised the revision", () => {
  const { store, clock, publisher, reader, assertCurrent } = setBack();
  for (let i = 0; i < 50; i++) store.txn([], [{ type: "put", key: `others/${i}`, value: Buffer.from("x") }]);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state), reader.state.message);
  assertCurrent();
});
