/** The rate at which a peer can cause listings: the first repair is immediate, later ones back off, whatever the peer writes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Head, type KindSum } from "@isthmus/proto";
import { createModelPublisher, createModelStore, type ModelStore } from "../publish/testing/model-store.js";
import { isVerified, sourceReport } from "./report.js";
import { RELIST } from "./state.js";
import { slice } from "./testing/fixture.js";
import { createModelReader, type ModelReader, settleBoth } from "./testing/model-reader.js";

const STEP_MS = 500;
const TEN_MINUTES = 600_000;
/** Doubling from 200 ms takes nine listings; then, with jitter, at most two per longest interval. */
const MOST_LISTINGS = 10 + (2 * TEN_MINUTES) / RELIST.maxMs;

/** A reader in sync with a publisher that is silent afterwards. */
function inSync() {
  const store = createModelStore();
  const clock = { now: 0 };
  const publisher = createModelPublisher(store, clock, "p", () => 0.5);
  publisher.feed({
    type: "changed",
    change: { upserts: [slice(1, 1), slice(1, 2)], deletes: [], observedMicros: 1 },
  });
  publisher.feed({ type: "start" });
  const reader = createModelReader(store, clock);
  reader.feed({ type: "start" });
  settleBoth(clock, store, publisher, reader);
  assert.ok(isVerified(reader.state));
  clock.now += 2 * RELIST.quietMs;
  return { store, clock, reader };
}

/** Performs all waiting effects without advancing the time. */
function answerAll(reader: ModelReader, clock: { now: number }): void {
  reader.deliver();
  while (reader.calls > 0) reader.decide(true);
  if (reader.wakeAt <= clock.now) reader.tick();
  while (reader.calls > 0) reader.decide(true);
}

/** Writes the next head with the sums that `change` returns. */
function rewriteHead(store: ModelStore, change: (sums: KindSum[]) => KindSum[]): void {
  const head = Head.decode(store.keys.get("head")?.value ?? Buffer.alloc(0));
  const value = Head.encode({ ...head, seq: head.seq + 1n, beat: head.beat + 1n, sums: change(head.sums) }).finish();
  store.txn([], [{ type: "put", key: "head", value }]);
}

const wrong = (sums: readonly KindSum[]): KindSum[] => sums.map((sum) => ({ ...sum, count: sum.count + 1 }));
const right = (sums: readonly KindSum[]): KindSum[] => sums.map((sum) => ({ ...sum, count: sum.count - 1 }));

function listingsWhile(act: (store: ModelStore, turn: number) => void): ReturnType<typeof inSync> & { asked: number } {
  const scene = inSync();
  const { store, clock, reader } = scene;
  const before = reader.listings;
  for (let turn = 0; turn * STEP_MS < TEN_MINUTES; turn++) {
    clock.now += STEP_MS;
    act(store, turn);
    answerAll(reader, clock);
  }
  return { ...scene, asked: reader.listings - before };
}

test("sums that alternate between wrong and right cost a listing per back-off interval, not per head", () => {
  const { asked, reader, clock } = listingsWhile((store, turn) => rewriteHead(store, turn % 2 === 0 ? wrong : right));
  assert.ok(asked >= 5 && asked <= MOST_LISTINGS, `${asked} listings`);
  assert.match(sourceReport(reader.state, clock.now).message, /^$|differs/);
});

test("sums that stay wrong cost a listing per back-off interval", () => {
  const { asked } = listingsWhile((store, turn) => rewriteHead(store, turn === 0 ? wrong : (sums) => sums));
  assert.ok(asked >= 5 && asked <= MOST_LISTINGS, `${asked} listings`);
});

test("a store id that keeps changing costs a listing per back-off interval and deletes nothing", () => {
  const { asked, reader } = listingsWhile((store, turn) => {
    const value = Buffer.alloc(16);
    value.writeUInt32BE(turn + 1);
    store.txn([], [{ type: "put", key: "store", value }]);
  });
  assert.ok(asked >= 5 && asked <= MOST_LISTINGS, `${asked} listings`);
  assert.equal(reader.index.size, 2);
});

test("a head that goes back and forth, a store without an id and a refused watch cost a listing per back-off interval", () => {
  for (const act of [
    (store: ModelStore, turn: number) => {
      const head = Head.decode(store.keys.get("head")?.value ?? Buffer.alloc(0));
      const value = Head.encode({ ...head, seq: turn % 2 === 0 ? 1n : 1000n + BigInt(turn) }).finish();
      store.txn([], [{ type: "put", key: "head", value }]);
    },
    (store: ModelStore) => {
      store.txn([], [{ type: "delete", key: "store" }]);
      rewriteHead(store, (sums) => sums);
    },
    (store: ModelStore) => {
      store.compact(store.revision + 5n);
    },
  ]) {
    const { asked, reader } = listingsWhile(act);
    // A restored store is also listed once its publisher can have beaten twice.
    assert.ok(asked <= MOST_LISTINGS + TEN_MINUTES / 10_000, `${asked} listings`);
    assert.equal(reader.index.size, 2);
  }
});

test("the first difference is repaired at once, and again after a quiet time", () => {
  const { store, clock, reader } = inSync();
  for (let i = 0; i < 3; i++) {
    const before = reader.listings;
    rewriteHead(store, wrong);
    reader.deliver();
    assert.equal(reader.listings, before + 1, "no wait");
    rewriteHead(store, right);
    for (let turn = 0; turn < 20; turn++) {
      clock.now += STEP_MS;
      answerAll(reader, clock);
    }
    assert.ok(isVerified(reader.state));
    clock.now += 2 * RELIST.quietMs;
  }
});

for (const length of [0, 7, 15, 17, 1024]) {
  test(`a store id of ${length} bytes is refused with a sentence and not treated as another store`, () => {
    const { store, clock, reader } = inSync();
    const before = reader.index.position;
    store.txn([], [{ type: "put", key: "store", value: Buffer.alloc(length, 1) }]);
    answerAll(reader, clock);
    const { state, message } = sourceReport(reader.state, clock.now);
    assert.equal(state, "Refused");
    assert.match(message, new RegExp(`"store" holds ${length} bytes`));
    assert.deepEqual(reader.index.position, before);
    assert.equal(reader.index.size, 2);
  });
}
