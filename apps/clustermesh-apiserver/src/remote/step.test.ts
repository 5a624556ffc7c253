/** The reader's core on a model of the store, fed by the real publisher's core: any order of what can happen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createRecordTable,
  createSourceIndex,
  type HashedRecord,
  hashRecord,
  kindOfKey,
  sameSums,
} from "@isthmus/records";
import fc from "fast-check";
import {
  createModelPublisher,
  createModelStore,
  type ModelPublisher,
  type ModelStore,
  settle,
} from "../publish/model-store.js";
import { exploring } from "../testing/exploring.js";
import { createAddressClaims } from "./address-claims.js";
import { createAdmission } from "./admission.js";
import type { Meta, ReaderEffect, ReaderEvent } from "./events.js";
import { OWN, peer, slice } from "./fixture.js";
import { limitsOf } from "./peer.js";
import { isProved } from "./report.js";
import type { ReaderState } from "./state.js";
import { createReaderState, step } from "./step.js";

/** Small, so that it is met. */
const HELD = { events: 8, bytes: 1 << 20 };

type NewEvent = ReaderEvent extends infer E ? (E extends ReaderEvent ? Omit<E, "now" | "wallMicros"> : never) : never;
type Call = Extract<ReaderEffect, { type: "range" | "check-store" | "probe" }>;

interface ModelReader {
  readonly state: ReaderState;
  readonly index: ReturnType<typeof createSourceIndex>;
  readonly deleted: Set<string>;
  readonly calls: number;
  readonly wakeAt: number;
  feed(event: NewEvent): void;
  decide(answered: boolean): void;
  /** The watch hands on what it has; `lose` drops its n-th event: what a broken watch would do. */
  deliver(lose?: number): void;
  /** The stream breaks, and another opens. */
  cut(): void;
  tick(): void;
}

function createModelReader(store: ModelStore, clock: { now: number }): ModelReader {
  const east = peer("east", 1);
  const admission = createAdmission(limitsOf(east, OWN, [east]), createAddressClaims());
  const state = createReaderState({ cluster: "east", clusterId: 1, admission, random: () => 0.5, held: HELD });
  const index = createSourceIndex();
  const deleted = new Set<string>();
  index.onChange(({ deletes }) => {
    for (const { key } of deletes) deleted.add(key);
  });
  const calls: Call[] = [];
  let watch: { next: bigint; life: number } | undefined;
  let [opens, wakeAt] = [0, Number.POSITIVE_INFINITY];

  function feed(event: NewEvent): void {
    const effects = step(state, { ...event, now: clock.now, wallMicros: clock.now * 1000 } as ReaderEvent);
    for (const effect of effects) {
      if (effect.type === "emit") index.apply(effect.change);
      else if (effect.type === "wake") wakeAt = clock.now + effect.ms;
      else if (effect.type === "unwatch") watch = undefined;
      else if (effect.type === "watch") {
        watch = { next: effect.from, life: store.life };
        opens = 0;
        open();
      } else calls.push(effect);
    }
  }

  /** A stream opens: below what was seen, the watch knows by itself that the store was set back. */
  function open(): void {
    if (watch === undefined) return;
    const ahead = store.after(watch.next);
    if (typeof ahead === "string") over(ahead);
    else {
      watch.life = store.life;
      feed({ type: "opened", open: ++opens });
    }
  }

  function over(sentence: string): void {
    watch = undefined;
    feed({ type: "watch-over", sentence });
  }

  function answer(call: Call): NewEvent {
    if (call.type === "probe") return { type: "probed", headRevision: store.keys.get("head")?.modRevision ?? 0n };
    if (call.type === "check-store") {
      const { open } = call;
      return { type: "store-checked", open, storeId: store.keys.get("store")?.value, revision: store.revision };
    }
    const records: HashedRecord[] = [];
    const metas: Meta[] = [];
    for (const entry of store.keys.values()) {
      const kind = kindOfKey(entry.key);
      if (kind === undefined) metas.push(entry);
      else records.push(hashRecord(kind, entry.key, entry.value));
    }
    return { type: "ranged", records, metas, claim: undefined, revision: store.revision };
  }

  return {
    state,
    index,
    deleted,
    get calls() {
      return calls.length;
    },
    get wakeAt() {
      return wakeAt;
    },
    feed,
    decide(answered) {
      const call = calls.shift();
      if (call === undefined) return;
      if (answered) feed(answer(call));
      else if (call.type === "range") feed({ type: "range-failed", sentence: "lost" });
      else if (call.type === "check-store") feed({ type: "check-failed", open: call.open, sentence: "lost" });
    },
    deliver(lose) {
      if (watch === undefined) return;
      if (watch.life !== store.life) {
        feed({ type: "lost", sentence: "reset" });
        return open();
      }
      const ahead = store.after(watch.next);
      if (typeof ahead === "string") return over(ahead);
      const events = ahead
        .filter((_, i) => i !== lose)
        .map((event) => {
          const kind = kindOfKey(event.key);
          if (event.deleted || kind === undefined) return event;
          return { ...event, record: hashRecord(kind, event.key, event.value) };
        });
      watch.next = store.revision + 1n;
      if (events.length > 0) feed({ type: "seen", events, revision: store.revision });
    },
    cut() {
      if (watch === undefined) return;
      feed({ type: "lost", sentence: "cut" });
      open();
    },
    tick() {
      wakeAt = Number.POSITIVE_INFINITY;
      feed({ type: "tick" });
    },
  };
}

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
        | "settle";
    }
  | { readonly type: "decide"; readonly answered: boolean }
  | { readonly type: "deliver"; readonly lose: number | undefined }
  | { readonly type: "vandal"; readonly key: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("change" as const),
      key: fc.nat(12),
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
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("wipe" as const, "restart" as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom("keep" as const, "set-back" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("full" as const, "space" as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("vandal" as const), key: fc.nat(12) }) },
);

/** Keys that are exported all the time: no history may delete them. */
const STABLE = Array.from({ length: 5 }, (_, i) => slice(1, 100 + i));

function runPublisher(publisher: ModelPublisher, calls: number): void {
  publisher.deliver();
  for (let i = 0; publisher.calls > 0 && i < calls; i++) publisher.decide("done");
}

/** No more faults: until the reader has proved what the publisher exports. */
function settleBoth(clock: { now: number }, store: ModelStore, publisher: ModelPublisher, reader: ModelReader): void {
  store.full = false;
  for (let round = 0; round < 30; round++) {
    settle(clock, [publisher], 1);
    for (let i = 0; i < 20; i++) {
      reader.deliver();
      while (reader.calls > 0) reader.decide(true);
    }
    if (isProved(reader.state) && round > 3) break;
    clock.now = Math.max(clock.now + 5_000, Math.min(reader.wakeAt, clock.now + 60_000));
    if (publisher.wakeAt <= clock.now) publisher.tick();
    if (reader.wakeAt <= clock.now) reader.tick();
  }
}

test("nothing is lost, nothing is deleted without proof, and the end is the same as a fresh start's", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 150 }), (acts) => {
      const store = createModelStore();
      const clock = { now: 0 };
      const wanted = createRecordTable();
      const publisher = createModelPublisher(store, clock, "p", () => 0.5);
      const change = (upserts: readonly HashedRecord[], deletes: readonly HashedRecord[]): void => {
        for (const record of upserts) wanted.set(record);
        for (const { key } of deletes) wanted.delete(key);
        publisher.feed({ type: "changed", change: { upserts, deletes, observedMicros: 1 } });
      };
      change(STABLE, []);
      publisher.feed({ type: "start" });
      const reader = createModelReader(store, clock);
      reader.feed({ type: "start" });
      /** Exported and proved once, and not touched since: what is known of them is newer than any backup. */
      const known = new Set(STABLE.map(({ key }) => key));
      for (const each of acts) {
        clock.now += 200;
        if (each.type === "change") {
          const record = slice(1, each.key, each.version ?? 0);
          known.delete(record.key);
          if (each.version === undefined) change([], [record]);
          else change([record], []);
        } else if (each.type === "publish") runPublisher(publisher, each.calls);
        else if (each.type === "wipe") store.wipe();
        else if (each.type === "compact") store.compact(store.revision);
        else if (each.type === "keep") store.keep();
        else if (each.type === "set-back") store.setBack();
        else if (each.type === "full" || each.type === "space") store.full = each.type === "full";
        else if (each.type === "restart") publisher.feed({ type: "start" });
        else if (each.type === "vandal") {
          known.delete(slice(1, each.key).key);
          store.txn([], [{ type: "delete", key: slice(1, each.key).key }]);
        } else if (each.type === "decide") reader.decide(each.answered);
        else if (each.type === "deliver") reader.deliver(each.lose);
        else if (each.type === "settle") {
          settleBoth(clock, store, publisher, reader);
          for (const { key } of wanted.records()) known.add(key);
          reader.deleted.clear();
        } else reader[each.type]();
        for (const key of known) assert.ok(!reader.deleted.has(key), `${key} was deleted`);
      }
      settleBoth(clock, store, publisher, reader);
      for (const key of known) assert.ok(!reader.deleted.has(key), `${key} was deleted`);
      assert.ok(isProved(reader.state), `in the end ${reader.state.phase.status}: ${reader.state.message}`);
      assert.ok(sameSums(reader.index.sums(), wanted.sums([5])), "the index holds what is exported");
      assert.deepEqual(reader.index.position?.storeId, Buffer.from(store.keys.get("store")?.value ?? ""));
    }),
    exploring(500),
  );
});

/** A publisher and a reader that are in sync; then a backup is restored that does not know the newest record. */
function setBack() {
  const store = createModelStore();
  const clock = { now: 0 };
  const publisher = createModelPublisher(store, clock, "p", () => 0.5);
  const [old, young] = [slice(1, 1), slice(1, 2)];
  const change = (upserts: readonly HashedRecord[]) =>
    publisher.feed({ type: "changed", change: { upserts, deletes: [], observedMicros: 1 } });
  change([old]);
  publisher.feed({ type: "start" });
  const reader = createModelReader(store, clock);
  reader.feed({ type: "start" });
  settleBoth(clock, store, publisher, reader);
  store.keep();
  change([young, slice(1, 1, 3)]);
  settleBoth(clock, store, publisher, reader);
  store.setBack();
  const look = () => {
    clock.now += 5_000;
    reader.deliver();
    if (reader.wakeAt <= clock.now) reader.tick();
    while (reader.calls > 0) reader.decide(true);
  };
  return { store, clock, publisher, reader, young, look };
}

test("a LIVE head of the past proves nothing: what is newer stays until its publisher has spoken", () => {
  const { store, clock, publisher, reader, young, look } = setBack();
  const { position } = reader.index;
  for (let i = 0; i < 5; i++) look();
  assert.deepEqual([...reader.deleted], []);
  assert.deepEqual(reader.index.position, position, "nothing older is handed on");
  assert.match(reader.state.message, /was set back/);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isProved(reader.state) && reader.index.get(young.key) !== undefined);
  assert.deepEqual([...reader.deleted], []);
  assert.notDeepEqual(reader.index.position?.storeId, position?.storeId, "the publisher saw it, too: another id");
});

test("a publisher that started after the restore does not know of it: its word counts once it has beaten", () => {
  const { store, clock, reader, look, young } = setBack();
  look();
  const next = createModelPublisher(store, clock, "q", () => 0.5);
  next.feed({ type: "changed", change: { upserts: [slice(1, 1, 3), young], deletes: [], observedMicros: 1 } });
  next.feed({ type: "start" });
  for (let i = 0; i < 3; i++) next.decide("done"); // it has taken over, and its head is LIVE with the content of the backup
  look();
  settleBoth(clock, store, next, reader);
  assert.ok(isProved(reader.state) && reader.state.phase.status === "Following", reader.state.message);
  assert.deepEqual([reader.index.size, [...reader.deleted]], [2, []]);
});

test("a restore that others overtook is no step back in revisions: the heads tell", () => {
  const { store, clock, publisher, reader, young } = setBack();
  for (let i = 0; i < 50; i++) store.txn([], [{ type: "put", key: `others/${i}`, value: Buffer.from("x") }]);
  settleBoth(clock, store, publisher, reader);
  assert.ok(isProved(reader.state), reader.state.message);
  assert.ok(reader.index.get(young.key) !== undefined);
  assert.deepEqual([...reader.deleted], []);
});
