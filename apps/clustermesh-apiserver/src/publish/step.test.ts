/** The publisher's core on a model of the store: any order of calls, losses, wipes and rivals. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Head, HeadState } from "@isthmus/proto";
import {
  createRecordTable,
  type HashedRecord,
  kindOfKey,
  type RecordTable,
  STORE_KINDS,
  sameSums,
} from "@isthmus/records";
import { fastCheckOptions } from "@isthmus/testing";
import fc from "fast-check";
import { anyRecord } from "./testing/fixture.js";
import {
  createModelPublisher,
  createModelStore,
  type Fate,
  type ModelPublisher,
  type ModelStore,
  settle,
} from "./testing/model-store.js";

const FATES: readonly Fate[] = ["done", "done", "done", "done", "done", "done", "lost-before", "lost-after", "late"];

type Act =
  | { readonly type: "change"; readonly key: number; readonly value: number | undefined }
  /** More than one txn holds. */
  | { readonly type: "many"; readonly value: number }
  | { readonly type: "decide"; readonly who: number; readonly fate: Fate }
  | { readonly type: "deliver" | "tick" | "late" | "restart" | "run"; readonly who: number }
  | { readonly type: "store"; readonly fault: "wipe" | "keep" | "setBack" | "full" | "space" }
  | { readonly type: "vandal"; readonly key: string }
  /** Writes a store id of so many bytes past the publisher. */
  | { readonly type: "rename"; readonly length: number };

const who = fc.nat(1);
const change: fc.Arbitrary<Act> = fc.record({
  type: fc.constant("change" as const),
  key: fc.nat(20),
  value: fc.option(fc.nat(3), { nil: undefined }),
});
const many: fc.Arbitrary<Act> = fc.record({ type: fc.constant("many" as const), value: fc.nat(3) });
const moves: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: change },
  { weight: 10, arbitrary: fc.record({ type: fc.constant("decide" as const), who, fate: fc.constantFrom(...FATES) }) },
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constantFrom("deliver" as const, "tick" as const, "late" as const), who }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom("restart" as const, "run" as const), who }) },
);
const storeFault = fc.constantFrom(
  "wipe" as const,
  "keep" as const,
  "setBack" as const,
  "full" as const,
  "space" as const,
);
const anyKey = fc.oneof(
  fc.nat(20).map((key) => record(key, 0).key),
  fc.constantFrom("head", "fence", "store", "config"),
);
const faults: fc.Arbitrary<Act> = fc.oneof(
  { weight: 30, arbitrary: moves },
  { weight: 1, arbitrary: many },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("store" as const), fault: storeFault }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("vandal" as const), key: anyKey }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("rename" as const), length: fc.constantFrom(0, 7, 16, 40) }),
  },
);

function record(key: number, value: number): HashedRecord {
  return anyRecord(key % 2 === 0 ? `nodes/n${key}` : `slices/a/b/s${key}`, `${value}`);
}

/** Runs calls and watch events of one publisher until it is quiet. */
function run(publisher: ModelPublisher): void {
  publisher.deliver();
  for (let i = 0; publisher.calls > 0 && i < 50; i++) publisher.decide("done");
}

function befall(store: ModelStore, fault: "wipe" | "keep" | "setBack" | "full" | "space"): void {
  if (fault === "full" || fault === "space") store.full = fault === "full";
  else store[fault]();
}

interface Scene {
  readonly publishers: number;
  /** Exported from the start. When set, the first publisher starts with the acts, else it is live before them. */
  readonly initial?: number;
}

interface End {
  readonly store: ModelStore;
  readonly publishers: ModelPublisher[];
  readonly wanted: RecordTable;
}

interface Stage extends End {
  readonly clock: { now: number };
}

/** Publishers that export `initial` records; none has started. */
function set({ publishers: count, initial = 0 }: Scene): Stage {
  const store = createModelStore();
  const clock = { now: 0 };
  const wanted = createRecordTable();
  const publishers = Array.from({ length: count }, (_, i) => createModelPublisher(store, clock, `i${i}`, () => 0.5));
  const exported = Array.from({ length: initial }, (_, i) => record(i, 0));
  for (const each of exported) wanted.set(each);
  const first = { upserts: exported, deletes: [], observedMicros: 0 };
  for (const publisher of publishers) publisher.feed({ type: "changed", change: first });
  return { store, clock, wanted, publishers };
}

function changeAll(
  { wanted, publishers }: End,
  upserts: readonly HashedRecord[],
  deletes: readonly HashedRecord[],
): void {
  for (const each of upserts) wanted.set(each);
  for (const { key } of deletes) wanted.delete(key);
  for (const publisher of publishers) {
    publisher.feed({ type: "changed", change: { upserts, deletes, observedMicros: 1 } });
  }
}

function play(acts: readonly Act[], scene: Scene): End {
  const stage = set(scene);
  const { store, clock, publishers } = stage;
  publishers[0]?.feed({ type: "start" });
  if (scene.initial === undefined) settle(clock, publishers);
  for (const act of acts) {
    clock.now += 100;
    if (act.type === "store") befall(store, act.fault);
    else if (act.type === "vandal") store.txn([], [{ type: "delete", key: act.key }]);
    else if (act.type === "rename") {
      store.txn([], [{ type: "put", key: "store", value: Buffer.alloc(act.length, 7) }]);
    } else if (act.type === "change" || act.type === "many") {
      const keys = act.type === "many" ? Array.from({ length: 300 }, (_, i) => i) : [act.key];
      const next = keys.map((key) => record(key, act.value ?? 0));
      const upserts = act.value === undefined ? [] : next;
      const deletes = act.value === undefined ? next : [];
      changeAll(stage, upserts, deletes);
    } else {
      const publisher = publishers[act.who % publishers.length] as ModelPublisher;
      if (act.type === "decide") publisher.decide(act.fate);
      else if (act.type === "deliver") publisher.deliver();
      else if (act.type === "late") publisher.runLate();
      else if (act.type === "restart") publisher.feed({ type: "start" });
      else if (act.type === "run") run(publisher);
      else publisher.tick();
    }
  }
  store.full = false;
  for (const publisher of publishers) if (publisher.state.phase.status === "Off") publisher.feed({ type: "start" });
  settle(clock, publishers);
  return stage;
}

function assertPublished({ store, publishers, wanted }: End): void {
  const table = createRecordTable();
  for (const { key, value } of store.keys.values()) if (kindOfKey(key) !== undefined) table.set(anyRecord(key, value));
  const head = store.keys.get("head");
  const { state, sums } = Head.decode(head?.value ?? Buffer.alloc(0));
  assert.equal(state, HeadState.HEAD_STATE_LIVE);
  assert.ok(sameSums(table.sums(STORE_KINDS), wanted.sums(STORE_KINDS)), "the store holds what is exported");
  assert.ok(sameSums(sums, wanted.sums(STORE_KINDS)), "and its head says so");
  assert.equal(store.keys.get("store")?.value.length, 16);
  assert.ok(store.keys.has("config") && store.keys.has("fence"));
  const statuses = publishers.map((publisher) => publisher.state.phase.status);
  assert.equal(statuses.filter((status) => status === "Live").length, 1, statuses.join());
}

test("one publisher with lost and late calls keeps sums exact at every revision and ends with the right records", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 30, arbitrary: moves }, { weight: 1, arbitrary: many }), { maxLength: 200 }),
      (acts) => {
        const end = play(acts, { publishers: 1 });
        assert.deepEqual(end.store.violations, []);
        assertPublished(end);
      },
    ),
    fastCheckOptions(100),
  );
});

test("of two publishers the fence lets one write, sums stay exact, and the right records remain", () => {
  fc.assert(
    fc.property(fc.array(moves, { maxLength: 200 }), (acts) => {
      const end = play(acts, { publishers: 2 });
      assert.deepEqual(end.store.violations, []);
      assertPublished(end);
    }),
    fastCheckOptions(200),
  );
});

test("beats continue when timers fire a little early", () => {
  const stage = set({ publishers: 1 });
  const [publisher] = stage.publishers as [ModelPublisher];
  publisher.feed({ type: "start" });
  run(publisher);
  const beat = (): bigint => Head.decode(stage.store.keys.get("head")?.value ?? Buffer.alloc(0)).beat;
  for (let before = beat(), beats = 0; beats < 3; beats++, before = beat()) {
    for (let ticks = 0; ticks < 10 && beat() === before; ticks++) {
      assert.ok(Number.isFinite(publisher.wakeAt), "somebody wakes it");
      stage.clock.now = publisher.wakeAt - 0.4;
      publisher.tick();
      run(publisher);
    }
    assert.equal(beat(), before + 1n);
  }
});

test("a bulk txn that arrives after the head became LIVE is rejected by the fence", () => {
  const stage = set({ publishers: 1, initial: 400 });
  const [publisher] = stage.publishers as [ModelPublisher];
  publisher.feed({ type: "start" });
  for (let i = 0; i < 3; i++) publisher.decide("done"); // list, take over, list again
  assert.equal(publisher.state.phase.status, "Loading");
  publisher.decide("late");
  while (publisher.calls > 0) publisher.decide("lost-before");
  stage.clock.now += 10_000;
  publisher.tick();
  run(publisher);
  assert.equal(publisher.state.phase.status, "Live");
  changeAll(stage, [record(0, 3)], [record(2, 0)]);
  run(publisher);
  publisher.runLate();
  run(publisher);
  assertPublished(stage);
  assert.deepEqual(stage.store.violations, []);
});

test("a loader that was paused cannot write once another has taken over", () => {
  const stage = set({ publishers: 2, initial: 400 });
  const [paused, rival] = stage.publishers as [ModelPublisher, ModelPublisher];
  paused.feed({ type: "start" });
  for (let i = 0; i < 3; i++) paused.decide("done");
  rival.feed({ type: "start" });
  run(rival);
  assert.equal(rival.state.phase.status, "Live");
  changeAll(stage, [record(0, 3)], [record(2, 0)]);
  run(rival);
  const { revision } = stage.store;
  while (paused.calls > 0 && paused.state.phase.status === "Loading") paused.decide("done");
  assert.equal(stage.store.revision, revision);
  settle(stage.clock, stage.publishers);
  assertPublished(stage);
  assert.deepEqual(stage.store.violations, []);
});

for (const [phase, initial] of [
  ["Live", 20],
  ["Loading", 400],
] as const) {
  test(`a publisher that is ${phase} and saw another's take-over writes nothing, also before it has read the head`, () => {
    const stage = set({ publishers: 2, initial });
    const [older, rival] = stage.publishers as [ModelPublisher, ModelPublisher];
    older.feed({ type: "start" });
    if (phase === "Live") run(older);
    else for (let i = 0; i < 3; i++) older.decide("done"); // list, take over, list again
    assert.equal(older.state.phase.status, phase);
    rival.leased = true;
    rival.feed({ type: "start" });
    for (let i = 0; i < 10 && rival.state.phase.status !== "Live"; i++) {
      run(rival);
      stage.clock.now += 10_000;
      rival.tick();
    }
    assert.equal(rival.state.phase.status, "Live");
    older.deliver();
    const { revision } = stage.store;
    changeAll(stage, [record(0, 3)], [record(2, 0)]);
    while (older.calls > 0) older.decide("done");
    assert.equal(stage.store.revision, revision);
    assert.equal(older.state.phase.status, "Standby");
    settle(stage.clock, stage.publishers);
    assertPublished(stage);
    assert.deepEqual(stage.store.violations, []);
  });
}

const loading: fc.Arbitrary<Act> = fc.oneof(
  { weight: 2, arbitrary: change },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("decide" as const), who, fate: fc.constantFrom(...FATES) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom("tick" as const, "run" as const, "late" as const),
      who: fc.constant(0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("restart" as const, "run" as const), who }) },
);

test("after a bulk load with rivals and late txns the sums are exact once the head is LIVE", () => {
  fc.assert(
    fc.property(fc.array(loading, { maxLength: 60 }), (acts) => {
      const end = play(acts, { publishers: 2, initial: 400 });
      assert.deepEqual(end.store.violations, []);
      assertPublished(end);
    }),
    fastCheckOptions(40),
  );
});

test("after wipes, restores, a full store and external changes the right records are restored", () => {
  fc.assert(
    fc.property(fc.array(faults, { maxLength: 120 }), (acts) => {
      assertPublished(play(acts, { publishers: 1 }));
    }),
    fastCheckOptions(200),
  );
});

test("two publishers with the same changes in different order write the same bytes and sums", () => {
  const records = Array.from({ length: 40 }, (_, i) => record(i, i % 4));
  const whole = fc.shuffledSubarray(records, { minLength: records.length });
  const content = (order: readonly HashedRecord[]): string => {
    const acts = order.map(({ key, value }): Act => {
      return { type: "change", key: Number(key.replace(/\D/g, "")), value: Number(Buffer.from(value).toString()) };
    });
    const { store } = play(acts, { publishers: 1 });
    const head = Head.decode(store.keys.get("head")?.value ?? Buffer.alloc(0));
    const values = [...store.keys.values()].filter(({ key }) => kindOfKey(key) !== undefined);
    const text = values.map(({ key, value }) => `${key}=${Buffer.from(value).toString("hex")}`).sort();
    return JSON.stringify([text, head.sums.map(({ sum }) => sum.toString("hex"))]);
  };
  const expected = content(records);
  fc.assert(
    fc.property(whole, (order) => assert.equal(content(order), expected)),
    fastCheckOptions(20),
  );
});

test("the holder of the Lease waits for no other writer; another instance waits until the writer is silent", () => {
  const stage = set({ publishers: 2, initial: 1 });
  const [leased, other] = stage.publishers as [ModelPublisher, ModelPublisher];
  const run = (publisher: ModelPublisher) => settle(stage.clock, [publisher], 1);
  leased.feed({ type: "start" });
  run(leased);
  other.feed({ type: "start" });
  run(other);
  leased.deliver();
  run(leased);
  assert.equal(leased.state.phase.status, "Standby");
  settle(stage.clock, stage.publishers, 10);
  assert.deepEqual([leased.state.phase.status, other.state.phase.status], ["Standby", "Live"]);
  leased.leased = true;
  settle(stage.clock, stage.publishers, 10);
  assert.deepEqual([leased.state.phase.status, other.state.phase.status], ["Live", "Standby"]);
  assertPublished(stage);
  assert.deepEqual(stage.store.violations, []);
});

test("a publisher that finds the backup of an earlier store gives it another id", () => {
  const { store, clock, publishers, ...stage } = set({ publishers: 2, initial: 1 });
  const [first, second] = publishers as [ModelPublisher, ModelPublisher];
  const storeId = (): string => Buffer.from(store.keys.get("store")?.value ?? "").toString("hex");
  first.feed({ type: "start" });
  settle(clock, [first]);
  for (let i = 0; i < 30; i++) {
    changeAll({ store, publishers, ...stage }, [record(0, i)], []);
    run(first);
  }
  store.keep();
  const before = storeId();
  store.wipe();
  second.feed({ type: "start" });
  settle(clock, [second]);
  assert.notEqual(storeId(), before);
  store.setBack();
  settle(clock, [second], 40);
  assert.equal(second.state.phase.status, "Live");
  assert.notEqual(storeId(), before);
});

for (const length of [0, 7, 15, 17]) {
  test(`a store id of ${length} bytes is invalid: the publisher writes another`, () => {
    const stage = set({ publishers: 1, initial: 3 });
    stage.store.txn([], [{ type: "put", key: "store", value: Buffer.alloc(length, 7) }]);
    const [publisher] = stage.publishers as [ModelPublisher];
    publisher.feed({ type: "start" });
    settle(stage.clock, [publisher]);
    assertPublished(stage);
    assert.equal(publisher.state.storeId.length, 16);
  });
}

test("repeated external changes make the publisher list its records at growing intervals", () => {
  const stage = set({ publishers: 1, initial: 3 });
  const { store, clock } = stage;
  const [publisher] = stage.publishers as [ModelPublisher];
  publisher.feed({ type: "start" });
  settle(clock, [publisher]);
  const before = publisher.listings;
  for (let i = 0; i < 3000; i++) {
    clock.now += 100;
    store.txn(
      [],
      [i % 2 === 0 ? { type: "delete", key: "head" } : { type: "put", key: "store", value: Buffer.alloc(16, i) }],
    );
    run(publisher);
    if (publisher.wakeAt <= clock.now) publisher.tick();
    run(publisher);
  }
  const listings = publisher.listings - before;
  assert.ok(listings >= 20 && listings <= 300, `${listings} listings in five minutes`);
  settle(clock, [publisher]);
  assertPublished(stage);
});
