/** Publisher and reader of adjacent versions (ADR 20) on the model of the store: nothing is lost, and no reader keeps listing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Head, type HeadState, Kind, PeerState } from "@isthmus/proto";
import { createRecordTable, type HashedRecord, hashRecord, kindOfKey, STORE_KINDS, sameSums } from "@isthmus/records";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import {
  createModelPublisher,
  createModelStore,
  type ModelPublisher,
  type ModelStore,
} from "../publish/testing/model-store.js";
import { GADGET, gadgetSum, newerVersion, olderVersion, withSums } from "../publish/testing/other-versions.js";
import { isVerified, peerState } from "./report.js";
import { node, slice } from "./testing/fixture.js";
import { createModelReader, settleBoth } from "./testing/model-reader.js";

/** Version of the publisher that starts next. */
type Edition = "older" | "this" | "newer";

const EDITIONS: Readonly<Record<Edition, (store: ModelStore) => ModelStore>> = {
  older: (store) => olderVersion(store, Kind.KIND_NODE),
  this: (store) => store,
  newer: newerVersion,
};

function scene() {
  const store = createModelStore();
  const clock = { now: 0 };
  const wanted = createRecordTable();
  let started = 0;
  let publisher: ModelPublisher;

  /** An older version does not export what it does not know. */
  const exportedBy = (edition: Edition, records: readonly HashedRecord[]): HashedRecord[] =>
    records.filter(({ kind }) => edition !== "older" || kind !== Kind.KIND_NODE);

  let edition: Edition = "this";
  const begin = (next: Edition): void => {
    edition = next;
    publisher = createModelPublisher(EDITIONS[edition](store), clock, `p${++started}`, () => 0.5);
    change([...wanted.records()], []);
    publisher.feed({ type: "start" });
  };
  const change = (upserts: readonly HashedRecord[], deletes: readonly HashedRecord[]): void => {
    for (const record of upserts) wanted.set(record);
    for (const { key } of deletes) wanted.delete(key);
    const exported = {
      upserts: exportedBy(edition, upserts),
      deletes: exportedBy(edition, deletes),
      observedMicros: 1,
    };
    publisher.feed({ type: "changed", change: exported });
  };
  const reader = createModelReader(store, clock);
  const settle = (): void => settleBoth(clock, store, publisher, reader);
  return { store, clock, wanted, reader, begin, change, settle, publisher: () => publisher };
}

/** A txn of a newer publisher: a gadget, and a head that counts it. */
function putGadget(store: ModelStore, name: string, value: string): void {
  const head = store.keys.get("head");
  const gadget = { key: `gadgets/${name}`, value: Buffer.from(value) };
  if (head === undefined) return;
  const after = new Map([...store.keys, [gadget.key, { ...gadget, modRevision: 0n }]]);
  const others = (write: Parameters<typeof withSums>[0]) =>
    withSums(write, (sums) => [...sums.filter(({ kind }) => kind !== GADGET), gadgetSum(after.values())]);
  store.txn([], [{ type: "put", ...gadget }, others({ type: "put", key: "head", value: head.value })]);
}

const heads = (store: ModelStore): Head => Head.decode(store.keys.get("head")?.value ?? Buffer.alloc(0));

test("this reader follows a newer publisher without differences and listings", () => {
  const { store, clock, reader, begin, change, settle } = scene();
  begin("newer");
  change([slice(1, 1), node(1, "n", "192.168.1.1")], []);
  reader.feed({ type: "start" });
  settle();
  putGadget(store, "a", "1");
  settle();
  assert.ok(isVerified(reader.state));
  const before = reader.listings;
  for (let i = 0; i < 50; i++) {
    putGadget(store, `g${i % 7}`, `${i}`);
    change([slice(1, 2, i)], []);
    settle();
    clock.now += 10_000;
    assert.ok(isVerified(reader.state), reader.state.message);
  }
  assert.deepEqual([reader.listings - before, reader.state.repairs], [0, 0]);
  assert.equal(heads(store).sums.find(({ kind }) => kind === GADGET)?.count, 8);
});

test("this publisher takes over from a newer one: keys of unknown kinds stay, and its heads have no sums of them", () => {
  const { store, reader, begin, change, settle } = scene();
  begin("newer");
  change([slice(1, 1), slice(1, 2)], []);
  reader.feed({ type: "start" });
  settle();
  putGadget(store, "a", "1");
  putGadget(store, "b", "2");
  begin("this");
  change([slice(1, 3)], [slice(1, 1)]);
  settle();
  assert.deepEqual([...store.keys.keys()].filter((key) => key.startsWith("gadgets/")).sort(), [
    "gadgets/a",
    "gadgets/b",
  ]);
  assert.equal(
    heads(store).sums.some(({ kind }) => kind === GADGET),
    false,
  );
  assert.ok(isVerified(reader.state), reader.state.message);
});

test("this reader follows an older publisher that took over: records of kinds unknown to it stay, even when the store is wiped", () => {
  const { store, clock, reader, begin, change, settle } = scene();
  begin("this");
  const [young, other] = [node(1, "n", "192.168.1.1"), node(1, "m", "192.168.1.2")];
  change([slice(1, 1), young, other], []);
  reader.feed({ type: "start" });
  settle();
  begin("older");
  change([slice(1, 2)], [slice(1, 1)]);
  settle();
  assert.ok(isVerified(reader.state), reader.state.message);
  store.wipe();
  settle();
  assert.ok(isVerified(reader.state), reader.state.message);
  const before = reader.listings;
  for (let i = 0; i < 20; i++) {
    change([slice(1, 3, i)], []);
    settle();
    clock.now += 10_000;
  }
  assert.equal(reader.listings, before);
  const held = [...reader.index.records()].map(({ key }) => key).sort();
  assert.deepEqual(held, ["nodes/m", "nodes/n", "slices/shop/cart/s2", "slices/shop/cart/s3"]);
  // The version that knows nodes is back, and one node was deleted: now absence means deletion.
  change([], [other]);
  reader.deleted.clear();
  begin("this");
  settle();
  assert.ok(isVerified(reader.state), reader.state.message);
  assert.deepEqual([...reader.deleted], [other.key]);
});

/** Deletes a record, and writes a head with the sums of the others and a state that this reader does not know. */
function putHeadState(store: ModelStore, state: number, absent: string): void {
  store.txn([], [{ type: "delete", key: absent }]);
  const table = createRecordTable();
  for (const { key, value } of store.keys.values()) {
    const kind = kindOfKey(key);
    if (kind !== undefined) table.set(hashRecord(kind, key, value));
  }
  const head = { ...heads(store), seq: 99n, state: state as HeadState, sums: table.sums(STORE_KINDS) };
  const value = Buffer.from(Head.encode(head).finish());
  store.txn([], [{ type: "put", key: "head", value }]);
}

test("a head in a state of a newer version verifies nothing: what a listing lacks stays", () => {
  const { store, clock, reader, begin, change, settle } = scene();
  begin("this");
  const gone = slice(1, 1);
  change([gone, slice(1, 2)], []);
  reader.feed({ type: "start" });
  settle();
  assert.equal(peerState(reader.state, clock.now), PeerState.PEER_STATE_IN_SYNC);
  const { listings } = reader;
  putHeadState(store, 9, gone.key);
  store.compact(store.revision);
  reader.deliver();
  clock.now = Math.max(clock.now, reader.wakeAt);
  reader.tick();
  while (reader.calls > 0) reader.decide(true);
  assert.deepEqual([reader.listings - listings, reader.state.head?.state as number], [1, 9]);
  assert.equal(peerState(reader.state, clock.now), PeerState.PEER_STATE_SYNCING);
  assert.ok(reader.index.get(gone.key) !== undefined);
  assert.equal(reader.deleted.size, 0);
});

type Act =
  | { readonly type: "change"; readonly key: number; readonly version: number | undefined }
  | { readonly type: "begin"; readonly edition: Edition }
  | { readonly type: "gadget"; readonly name: number; readonly value: number }
  | { readonly type: "publish"; readonly calls: number }
  | { readonly type: "wipe" | "cut" | "tick" | "compact" | "deliver" | "settle" }
  | { readonly type: "decide"; readonly answered: boolean };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("change" as const),
      key: fc.nat(9),
      version: fc.option(fc.nat(2), { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("begin" as const),
      edition: fc.constantFrom<Edition>("older", "this", "newer"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("gadget" as const), name: fc.nat(3), value: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("publish" as const), calls: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("decide" as const), answered: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom("deliver" as const, "settle" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom("cut" as const, "tick" as const, "compact" as const, "wipe" as const),
    }),
  },
);

/** Even numbers are nodes, which the older version does not know. */
const record = (key: number, version: number): HashedRecord =>
  key % 2 === 0 ? node(1, `n${key}`, `192.168.1.${1 + key + 20 * version}`) : slice(1, key, version);

/** Exported by every version that knows nodes, and verified once: no sequence may delete it. */
const STABLE = node(1, "stable", "192.168.9.9");

test("publishers of this version, the previous and the next in any order: nothing is lost, and the end state is right", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
      const { store, clock, wanted, reader, begin, change, settle, publisher } = scene();
      let gadgets = 0;
      begin("this");
      change([STABLE], []);
      reader.feed({ type: "start" });
      settle();
      assert.ok(reader.index.get(STABLE.key) !== undefined);
      reader.deleted.clear();
      for (const each of acts) {
        clock.now += 200;
        if (each.type === "change") {
          if (each.version === undefined) change([], [record(each.key, 0)]);
          else change([record(each.key, each.version)], []);
        } else if (each.type === "begin") begin(each.edition);
        else if (each.type === "gadget") putGadget(store, `g${each.name}`, `${each.value}`);
        else if (each.type === "publish") {
          publisher().deliver();
          for (let i = 0; publisher().calls > 0 && i < each.calls; i++) publisher().decide("done");
        } else if (each.type === "wipe") store.wipe();
        else if (each.type === "compact") store.compact(store.revision);
        else if (each.type === "settle") settle();
        else if (each.type === "decide") reader.decide(each.answered);
        else reader[each.type]();
        const now = [...store.keys.keys()].filter((key) => key.startsWith("gadgets/")).length;
        if (each.type !== "wipe") assert.ok(now >= gadgets, "a publisher deleted records of an unknown kind");
        gadgets = now;
        assert.ok(!reader.deleted.has(STABLE.key), "deleted unverified");
      }
      settle();
      assert.ok(isVerified(reader.state), reader.state.message);
      assert.ok(!reader.deleted.has(STABLE.key));
      begin("this");
      settle();
      assert.ok(isVerified(reader.state), reader.state.message);
      const kinds = [Kind.KIND_NODE, Kind.KIND_SLICE];
      assert.ok(sameSums(reader.index.sums(kinds), wanted.sums(kinds)), "the index equals the exported records");
      assert.ok([...reader.index.records()].every(({ key }) => kindOfKey(key) !== undefined));
    }),
    fastCheckOptions(200),
  );
});
