/** Messages that no correct server sends are refused and counted, and all others are processed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type HopAge,
  Kind,
  PeerState,
  type Position,
  type Record as RecordMessage,
  type ToAgent,
} from "@isthmus/proto";
import { bucketOf, hashRecord, KINDS, sameSums } from "@isthmus/records";
import { createRecordSource, fastCheckOptions, makeService, makeSlice, type RecordSource } from "@isthmus/testing";
import fc from "fast-check";
import { createSyncCore, type SyncCore, type SyncEffect } from "./core.js";
import type { SourceDelta } from "./source-types.js";

const OWN = 1;

function makeCore(): SyncCore {
  return createSyncCore({ node: "n1", version: "v", floors: new Map(), localClusterId: OWN });
}

function sourceStateMessage(clusterId: number, cluster: string, status = PeerState.PEER_STATE_IN_SYNC): ToAgent {
  return { message: { $case: "sourceState", value: { clusterId, cluster, status, behind: false, hops: [] } } };
}

function west(): RecordSource {
  const source = createRecordSource({ clusterId: 2 });
  source.change([makeService("a/a"), makeService("a/b"), makeSlice("a/a", { ready: ["10.0.0.1"] })]);
  return source;
}

interface Took {
  readonly deltas: readonly SourceDelta[];
  readonly counted: readonly string[];
  readonly effects: readonly SyncEffect[];
}

/** Feeds messages, and answers requests for buckets. */
function feed(core: SyncCore, from: RecordSource, messages: readonly ToAgent[]): Took {
  const effects: SyncEffect[] = [];
  const queue = [...messages];
  for (let message = queue.shift(); message !== undefined; message = queue.shift()) {
    for (const effect of core.step({ is: "message", message })) {
      effects.push(effect);
      const sent = effect.is === "send" ? effect.message.message : undefined;
      if (sent?.$case === "buckets") queue.unshift(...from.answer(sent.value));
    }
  }
  return {
    effects,
    deltas: effects.flatMap((effect) => (effect.is === "apply" ? [effect.delta] : [])),
    counted: effects.flatMap((effect) => (effect.is === "count" ? [effect.event] : [])),
  };
}

/** A core in sync with west. */
function synced(): { core: SyncCore; from: RecordSource } {
  const core = makeCore();
  const from = west();
  assert.deepEqual(feed(core, from, [sourceStateMessage(2, "west"), ...from.firstSync()]).counted, []);
  return { core, from };
}

/** A change of the source with additional upserts and deletes. */
function changeWith(from: RecordSource, more: { upserts?: RecordMessage[]; deletes?: { kind: Kind; key: string }[] }) {
  const { message } = from.change([makeService("a/c")]);
  assert.ok(message?.$case === "batch");
  const { upserts, deletes } = message.value;
  const value = {
    ...message.value,
    upserts: [...(more.upserts ?? []), ...upserts],
    deletes: [...deletes, ...(more.deletes ?? [])],
  };
  return { message: { ...message, value } } satisfies ToAgent;
}

const downstream = ({ deltas }: Took) => deltas.flatMap(({ upserts, deletes }) => [...upserts, ...deletes]);

test("records of a source are refused until a SourceState announced it", () => {
  const core = makeCore();
  const from = west();
  const { counted, deltas } = feed(core, from, from.firstSync());
  assert.deepEqual([new Set(counted), deltas, core.sources.size], [new Set(["unknown-source"]), [], 0]);
  const late = feed(core, from, [sourceStateMessage(2, "west"), ...from.firstSync()]);
  assert.deepEqual([late.counted, late.deltas.length], [[], 1]);
});

test("an invalid cluster name, and the local cluster under its real id, are refused", () => {
  const core = makeCore();
  const from = west();
  for (const state of [
    sourceStateMessage(2, ""),
    sourceStateMessage(2, "West!"),
    sourceStateMessage(OWN, "east"),
    sourceStateMessage(4095, "west"),
  ]) {
    assert.deepEqual(feed(core, from, [state]).counted, ["bad-cluster"]);
  }
  assert.equal(core.sources.size, 0);
});

test("the local cluster cannot be removed by a message", () => {
  const core = makeCore();
  const own = createRecordSource({ clusterId: 0 });
  own.change([makeService("a/a")]);
  feed(core, own, [sourceStateMessage(0, "east"), ...own.firstSync()]);
  const removed = feed(core, own, [sourceStateMessage(0, "east", PeerState.PEER_STATE_REMOVED)]);
  assert.deepEqual([removed.counted, removed.deltas], [["bad-cluster"], []]);
  assert.equal(core.sources.get(0)?.table.size, 1);
});

test("records of an unknown kind are ignored, and digests agree without them", () => {
  const { core, from } = synced();
  const strange = { kind: 99 as Kind, key: "rockets/r1", value: Buffer.from("x") };
  const took = feed(core, from, [changeWith(from, { upserts: [strange] }), from.mark()]);
  assert.deepEqual(took.counted, ["unknown-kind"]);
  assert.deepEqual(
    downstream(took).map(({ key }) => key),
    ["services/a/c"],
  );
  assert.equal(core.sources.get(2)?.phase, "InSync");
});

test("a record whose key does not fit its kind is stored for the digest only", () => {
  const { core, from } = synced();
  const bad = [
    hashRecord(Kind.KIND_SERVICE, "services/only-one", Buffer.from("x")),
    hashRecord(Kind.KIND_NODE, "services/a/b", Buffer.from("x")),
    hashRecord(Kind.KIND_SLICE, "", Buffer.from("x")),
    hashRecord(Kind.KIND_NODE, "nodes/../etc", Buffer.from("x")),
  ];
  const took = feed(core, from, [from.change(bad), from.mark()]);
  assert.deepEqual(took.counted, ["bad-record"]);
  // The Service "services/a/b" is deleted: the record under its key is no longer one.
  assert.deepEqual(
    downstream(took).map(({ kind, key }) => [kind, key]),
    [[Kind.KIND_SERVICE, "services/a/b"]],
  );
  const removal = feed(core, from, [from.change([], bad), from.mark()]);
  assert.deepEqual([removal.counted, downstream(removal)], [[], []]);
  assert.ok(sameSums(core.sources.get(2)?.table.sums(KINDS) ?? [], from.table.sums(KINDS)));
});

test("a delete of an unknown key changes nothing; a delete with another kind deletes the record with its key", () => {
  const { core, from } = synced();
  const never = { kind: Kind.KIND_SERVICE, key: "services/never/seen" };
  const took = feed(core, from, [changeWith(from, { deletes: [never] }), from.mark()]);
  assert.deepEqual(took.counted, []);
  assert.deepEqual(
    downstream(took).map(({ key }) => key),
    ["services/a/c"],
  );
  const { message } = from.change([], [makeService("a/b")]);
  assert.ok(message?.$case === "batch");
  const deletes = [{ kind: Kind.KIND_NODE, key: "services/a/b" }];
  const removal = feed(core, from, [{ message: { ...message, value: { ...message.value, deletes } } }]);
  assert.deepEqual(downstream(removal), [{ kind: Kind.KIND_SERVICE, key: "services/a/b" }]);
});

test("an impossible position is refused, and does not become a floor", () => {
  const { core, from } = synced();
  const before = core.sources.get(2)?.floor;
  const storeId = Buffer.alloc(16, 3);
  const bad: (Position | undefined)[] = [
    undefined,
    { storeId: Buffer.alloc(0), revision: 9n, versions: [], added: [] },
    { storeId: Buffer.alloc(16), revision: 9n, versions: [], added: [] },
    { storeId: Buffer.alloc(17, 3), revision: 9n, versions: [], added: [] },
    { storeId, revision: 9n, versions: [1n], added: [] },
  ];
  for (const to of bad) {
    const { message } = from.change([makeService("a/d")]);
    assert.ok(message?.$case === "batch");
    const value = { ...message.value, from: undefined, to, last: true };
    assert.deepEqual(feed(core, from, [{ message: { ...message, value } }]).counted, ["malformed-position"]);
    const mark = { clusterId: 2, position: to, sums: [] };
    assert.deepEqual(feed(core, from, [{ message: { $case: "mark", value: mark } }]).counted, ["malformed-position"]);
  }
  assert.deepEqual(core.sources.get(2)?.floor, before);
  const own = { clusterId: 0, from: undefined, upserts: [], deletes: [], observedUs: 0n, last: true };
  feed(core, from, [sourceStateMessage(0, "east")]);
  for (const to of [
    { storeId, revision: 1n, versions: [], added: [] },
    { storeId, revision: 0n, versions: Array.from({ length: 9 }, () => 1n), added: [] },
    { storeId, revision: 0n, versions: [1n], added: Array.from({ length: 9 }, () => 1n) },
  ]) {
    const took = feed(core, from, [{ message: { $case: "batch", value: { ...own, to } } }]);
    assert.deepEqual(took.counted, ["malformed-position"]);
  }
});

test("a bucket that was not asked for, or has records of another bucket, is refused", () => {
  const { core, from } = synced();
  const source = core.sources.get(2);
  const service = Kind.KIND_SERVICE;
  const other = (bucketOf("services/a/a") + 1) % 256;
  const bucket = (kind: Kind, index: number, records: RecordMessage[], last = true): ToAgent => ({
    message: { $case: "bucket", value: { clusterId: 2, kind, index, records, position: from.position, last } },
  });
  assert.deepEqual(feed(core, from, [bucket(service, 0, [])]).counted, []);
  source?.table.delete("slices/a/a/a");
  core.step({ is: "message", message: from.mark() });
  assert.equal(source?.phase, "Repairing");
  const stray = { kind: service, key: "services/a/a", value: Buffer.from("stray") };
  assert.deepEqual(feed(core, from, [bucket(service, bucketOf("services/a/a"), [])]).counted, ["bad-bucket"]);
  const slices = feed(core, from, [bucket(Kind.KIND_SLICE, other, [stray], false)]);
  assert.deepEqual([slices.counted, downstream(slices)], [["bad-bucket"], []]);
  assert.equal(source?.table.get("services/a/a")?.kind, service);
});

test("buckets below the floor are requested again; the stream ends if the server stays below", () => {
  const { core, from } = synced();
  const stale = from.position;
  from.change([makeService("a/lost")]);
  const gap = core.step({ is: "message", message: from.change([makeService("a/c")]) });
  core.step({ is: "message", message: from.change([makeService("a/d")]) });
  const old = (kind: Kind): ToAgent => ({
    message: { $case: "bucket", value: { clusterId: 2, kind, index: 0, records: [], position: stale, last: true } },
  });
  let asked = gap.filter(({ is }) => is === "send").length;
  assert.equal(asked, 1);
  for (const kind of KINDS.slice(0, KINDS.indexOf(Kind.KIND_SERVICE)))
    for (const message of from.answer({ clusterId: 2, kind, sums: [] })) core.step({ is: "message", message });
  let left = false;
  for (let round = 0; round < 5 && !left; round++) {
    const took = core.step({ is: "message", message: old(Kind.KIND_SERVICE) });
    asked = took.filter(({ is }) => is === "send").length;
    left = took.some(({ is }) => is === "leave");
    assert.ok(left || asked === 1);
  }
  assert.equal(left, true);
});

test("no message throws, and a healthy server afterwards repairs everything", () => {
  const kind = fc.constantFrom<Kind>(...KINDS, 0 as Kind, 99 as Kind, -1 as Kind);
  const key = fc.constantFrom("services/a/a", "services/a/b", "slices/a/a/a", "nodes/n", "", "/", "services/", "x/y/z");
  const bytes = fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array));
  const record = fc.record({ kind, key, value: bytes });
  const position = fc.option(
    fc.record({
      storeId: fc.constantFrom(Buffer.alloc(16, 3), Buffer.alloc(16, 7), Buffer.alloc(3), Buffer.alloc(16)),
      revision: fc.bigInt({ min: 0n, max: 4n }),
      versions: fc.array(fc.bigInt({ min: 0n, max: 3n }), { maxLength: 9 }),
      added: fc.array(fc.bigInt({ min: 0n, max: 3n }), { maxLength: 2 }),
    }),
    { nil: undefined },
  );
  const clusterId = fc.constantFrom(0, 1, 2, 3, 5000);
  const message: fc.Arbitrary<ToAgent["message"]> = fc.oneof(
    fc.record({
      $case: fc.constant("batch" as const),
      value: fc.record({
        clusterId,
        from: position,
        to: position,
        upserts: fc.array(record, { maxLength: 4 }),
        deletes: fc.array(fc.record({ kind, key }), { maxLength: 4 }),
        observedUs: fc.constant(0n),
        last: fc.boolean(),
      }),
    }),
    fc.record({
      $case: fc.constant("bucket" as const),
      value: fc.record({
        clusterId,
        kind,
        index: fc.constantFrom(0, bucketOf("services/a/a"), 255, 256, 9999),
        records: fc.array(record, { maxLength: 4 }),
        position,
        last: fc.boolean(),
      }),
    }),
    fc.record({
      $case: fc.constant("mark" as const),
      value: fc.record({
        clusterId,
        position,
        sums: fc.array(fc.record({ kind, exported: fc.boolean(), count: fc.nat(3), sum: bytes }), { maxLength: 3 }),
      }),
    }),
    fc.record({
      $case: fc.constant("sourceState" as const),
      value: fc.record({
        clusterId,
        cluster: fc.constantFrom("", "west", "?"),
        status: fc.constantFrom(PeerState.PEER_STATE_IN_SYNC, PeerState.PEER_STATE_STALE, 77 as PeerState),
        behind: fc.boolean(),
        hops: fc.constant<HopAge[]>([]),
      }),
    }),
    fc.constant(undefined),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 25 }), (messages) => {
      const { core } = synced();
      const healthy = createRecordSource({ clusterId: 2, storeId: Buffer.alloc(16, 9) });
      healthy.change([makeService("a/a"), makeSlice("a/z", {})]);
      const seen = new Map<string, string>();
      const note = (took: Took) => {
        for (const { transition, upserts, deletes } of took.deltas) {
          if (transition === "first") seen.clear();
          for (const { kind, key, hash } of upserts) seen.set(`${kind} ${key}`, Buffer.from(hash).toString("hex"));
          for (const { kind, key } of deletes) seen.delete(`${kind} ${key}`);
        }
      };
      for (const each of west().table.records()) {
        seen.set(`${each.kind} ${each.key}`, Buffer.from(each.hash).toString("hex"));
      }
      const ofWest = (took: Took): Took => ({ ...took, deltas: took.deltas.filter((delta) => delta.clusterId === 2) });
      const silent = { ...healthy, answer: () => [] };
      for (const each of messages) note(ofWest(feed(core, silent, [{ message: each }])));
      core.step({ is: "closed" });
      core.step({ is: "opened" });
      note(ofWest(feed(core, healthy, [sourceStateMessage(2, "west"), ...healthy.firstSync()])));
      const expected = [...healthy.table.records()].map((r) => [
        `${r.kind} ${r.key}`,
        Buffer.from(r.hash).toString("hex"),
      ]);
      assert.deepEqual(Object.fromEntries(seen), Object.fromEntries(expected));
    }),
    fastCheckOptions(300),
  );
});
