/** The reader's state machine with the publisher's state machine on a model of the store: random sequences of events and faults. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { STORE_KEY } from "@isthmus/kvstore";
import { Head } from "@isthmus/proto";
import { createRecordTable, type HashedRecord, sameSums } from "@isthmus/records";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import {
  createModelPublisher,
  createModelStore,
  type ModelPublisher,
  type ModelStore,
} from "../publish/testing/model-store.js";
import { isVerified } from "./report.js";
import { slice } from "./testing/fixture.js";
import { createModelReader, settleBoth } from "./testing/model-reader.js";

/** Highest number of a key that changes. */
const KEYS = 12;

type Act =
  | { readonly type: "change"; readonly key: number; readonly version: number | undefined }
  | { readonly type: "publish"; readonly calls: number }
  | {
      readonly type:
        | "wipe"
        | "cut"
        | "tick"
        | "restart"
        | "compact"
        | "keep"
        | "set-back"
        | "full"
        | "space"
        | "settle"
        | "replace"
        | "lose-id"
        | "lie";
    }
  /** Writes a store id of this length without the publisher. */
  | { readonly type: "rename"; readonly length: number }
  | { readonly type: "decide"; readonly answered: boolean }
  | { readonly type: "deliver"; readonly lose: number | undefined }
  | { readonly type: "vandal"; readonly key: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("change" as const),
      key: fc.nat(KEYS),
      version: fc.option(fc.nat(3), { nil: undefined }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("publish" as const), calls: fc.integer({ min: 1, max: 3 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("decide" as const),
      answered: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("deliver" as const), lose: fc.constant(undefined) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("deliver" as const), lose: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constantFrom("cut" as const, "tick" as const, "compact" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom("wipe" as const, "restart" as const, "replace" as const) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom("keep" as const, "set-back" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("full" as const, "space" as const, "lose-id" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("lie" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("rename" as const), length: fc.constantFrom(7, 16) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("vandal" as const), key: fc.nat(KEYS) }) },
);

/** Records that are always exported: no sequence may delete them. */
const STABLE = Array.from({ length: 5 }, (_, i) => slice(1, 100 + i));

function runPublisher(publisher: ModelPublisher, calls: number): void {
  publisher.deliver();
  for (let i = 0; publisher.calls > 0 && i < calls; i++) publisher.decide("done");
}

/** Writes a head that differs from the records in the store. */
function lie(store: ModelStore): void {
  const entry = store.keys.get("head");
  if (entry === undefined) return;
  const head = Head.decode(entry.value);
  const sums = head.sums.map((sum) => ({ ...sum, count: sum.count + 1 }));
  store.txn([], [{ type: "put", key: "head", value: Head.encode({ ...head, sums }).finish() }]);
}

test("nothing is lost, nothing is deleted unverified, and the final state equals that of a fresh start", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 150 }), (acts) => {
      const store = createModelStore();
      const clock = { now: 0 };
      const wanted = createRecordTable();
      let publisher = createModelPublisher(store, clock, "p", () => 0.5);
      let processes = 1;
      /** A new process without the previous one's knowledge of the store. */
      const replace = (): void => {
        publisher = createModelPublisher(store, clock, `p${++processes}`, () => 0.5);
        change([...wanted.records()], []);
        publisher.feed({ type: "start" });
      };
      const change = (upserts: readonly HashedRecord[], deletes: readonly HashedRecord[]): void => {
        for (const record of upserts) wanted.set(record);
        for (const { key } of deletes) wanted.delete(key);
        publisher.feed({ type: "changed", change: { upserts, deletes, observedMicros: 1 } });
      };
      change(STABLE, []);
      publisher.feed({ type: "start" });
      const reader = createModelReader(store, clock);
      reader.feed({ type: "start" });
      /** Keys that were verified as exported or deleted and not changed since: the reader's state is newer than any backup. */
      const known = new Set(STABLE.map(({ key }) => key));
      const gone = new Set<string>();
      /** The reader missed an event of the store's id. */
      let lostId = false;
      const timeRunsForwards = (): void => {
        for (const key of known) {
          assert.ok(!reader.deleted.has(key), `${key} was deleted`);
          const held = reader.index.get(key)?.hash;
          if (held !== undefined) assert.deepEqual(held, wanted.get(key)?.hash, `${key} has an old value`);
        }
        for (const key of gone) assert.equal(reader.index.get(key), undefined, `${key} came back`);
      };
      for (const each of acts) {
        clock.now += 200;
        if (each.type === "change") {
          const record = slice(1, each.key, each.version ?? 0);
          known.delete(record.key);
          gone.delete(record.key);
          if (each.version === undefined) change([], [record]);
          else change([record], []);
        } else if (each.type === "publish") runPublisher(publisher, each.calls);
        else if (each.type === "wipe") store.wipe();
        else if (each.type === "compact") store.compact(store.revision);
        else if (each.type === "keep") store.keep();
        else if (each.type === "set-back") store.setBack();
        else if (each.type === "full" || each.type === "space") store.full = each.type === "full";
        else if (each.type === "replace") replace();
        else if (each.type === "restart") publisher.feed({ type: "start" });
        else if (each.type === "lose-id") store.txn([], [{ type: "delete", key: "store" }]);
        else if (each.type === "rename") {
          store.txn([], [{ type: "put", key: "store", value: Buffer.alloc(each.length, 7) }]);
        } else if (each.type === "lie") lie(store);
        else if (each.type === "vandal") {
          known.delete(slice(1, each.key).key);
          store.txn([], [{ type: "delete", key: slice(1, each.key).key }]);
        } else if (each.type === "decide") reader.decide(each.answered);
        else if (each.type === "deliver") {
          if (reader.deliver(each.lose) === STORE_KEY) lostId = true;
        } else if (each.type === "settle") {
          settleBoth(clock, store, publisher, reader);
          for (const { key } of wanted.records()) known.add(key);
          for (let i = 0; i <= KEYS; i++) if (!known.has(slice(1, i).key)) gone.add(slice(1, i).key);
          reader.deleted.clear();
        } else reader[each.type]();
        timeRunsForwards();
      }
      settleBoth(clock, store, publisher, reader);
      timeRunsForwards();
      // No sum covers the store's id: a reader that missed its event reads it when the watch is opened again.
      if (lostId) {
        reader.cut();
        settleBoth(clock, store, publisher, reader);
        timeRunsForwards();
      }
      assert.ok(isVerified(reader.state), `in the end ${reader.state.phase.status}: ${reader.state.message}`);
      assert.ok(sameSums(reader.index.sums(), wanted.sums([5])), "the index equals the exported records");
      assert.deepEqual(reader.index.position?.storeId, Buffer.from(store.keys.get("store")?.value ?? ""));
    }),
    fastCheckOptions(500),
  );
});
