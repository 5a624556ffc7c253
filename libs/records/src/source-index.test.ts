import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, type Position } from "@isthmus/proto";
import fc from "fast-check";
import { hashRecord } from "./hash.js";
import { localPosition, remotePosition } from "./position.js";
import { createRecordTable, sameSums } from "./record-table.js";
import { createSourceIndex, type IndexDelta, type SourceIndex } from "./source-index.js";

const STORE_A = Buffer.alloc(16, 0xa);
const STORE_B = Buffer.alloc(16, 0xb);
const at = (revision: number, store = STORE_A): Position => remotePosition(store, BigInt(revision));
const node = (name: string, value = "v") => hashRecord(Kind.KIND_NODE, `nodes/${name}`, Buffer.from(value));
const slice = (name: string, value = "v") => hashRecord(Kind.KIND_SLICE, `slices/a/b/${name}`, Buffer.from(value));
const deletion = (name: string) => ({ kind: Kind.KIND_NODE, key: `nodes/${name}` });
const change = (position: Position, upserts = [node("x")], deletes: ReturnType<typeof deletion>[] = []) => ({
  upserts,
  deletes,
  position,
  observedMicros: Number(position.revision),
});

test("listeners receive a change once, in apply order, with the previous position", () => {
  const index = createSourceIndex();
  const deltas: IndexDelta[] = [];
  index.onChange((delta) => deltas.push(delta));
  index.apply(change(at(1), [slice("s"), node("n")]));
  index.apply(change(at(2), [node("n")], []));
  index.apply(change(at(3), [node("n", "w")], []));
  assert.deepEqual(
    deltas.map(({ previous: from, position, upserts }) => [
      from?.revision,
      position.revision,
      upserts.map(({ key }) => key),
    ]),
    [
      [undefined, 1n, ["nodes/n", "slices/a/b/s"]],
      [1n, 3n, ["nodes/n"]],
    ],
  );
});

test("since returns only upserts and deletes after a position", () => {
  const index = createSourceIndex();
  index.apply(change(at(10), [node("a"), node("b")]));
  index.apply(change(at(11), [node("c")]));
  index.apply(change(at(12), [], [deletion("a")]));
  const delta = index.since(at(10));
  assert.ok(typeof delta !== "string");
  assert.deepEqual(
    [delta.upserts.map(({ key }) => key), delta.deletes.map(({ key }) => key)],
    [["nodes/c"], ["nodes/a"]],
  );
  assert.equal(delta.position.revision, 12n);
  assert.equal(delta.observedMicros, 12);
  assert.equal(index.since(at(9)), "too-old", "what was deleted before the first listing is not known");
  assert.equal(index.since(at(13)), "behind");
  assert.equal(index.since(at(12, STORE_B)), "other-store");
});

test("a client that is ahead of the last content makes the index announce the current position", () => {
  const index = createSourceIndex();
  const positions: (readonly [bigint | undefined, bigint])[] = [];
  index.onChange(({ previous: from, position }) => positions.push([from?.revision, position.revision]));
  index.apply(change(at(1)));
  index.apply(change(at(5), []));
  const delta = index.since(at(4));
  assert.ok(typeof delta !== "string");
  assert.equal(delta.position.revision, 5n);
  index.apply(change(at(6), [node("y")]));
  assert.deepEqual(positions, [
    [undefined, 1n],
    [1n, 5n],
    [5n, 6n],
  ]);
});

test("positions of a wiped store can be used up to the last one that was followed", () => {
  const index = createSourceIndex();
  index.apply(change(at(1), [node("a"), node("b")]));
  index.apply(change(at(7), [node("c")]));
  index.apply(change(at(2, STORE_B), [], [deletion("a")]));
  const old = index.since(at(1));
  assert.ok(typeof old !== "string");
  assert.deepEqual([old.upserts.length, old.deletes.length], [1, 1]);
  assert.equal(index.since(at(8)), "other-store", "the index has never deltas this position");
  assert.equal(index.since(at(1, STORE_B)), "too-old");
  const current = index.since(at(2, STORE_B));
  assert.ok(typeof current !== "string" && current.upserts.length + current.deletes.length === 0);
});

test("tombstones are bounded, and a position before the dropped ones is too old", () => {
  const index = createSourceIndex({ maxTombstones: 8 });
  index.apply(
    change(
      at(1),
      Array.from({ length: 20 }, (_, i) => node(`n${i}`)),
    ),
  );
  for (let i = 0; i < 20; i++) index.apply(change(at(2 + i), [], [deletion(`n${i}`)]));
  assert.equal(index.since(at(1)), "too-old");
  assert.equal(index.after(0), undefined);
  const delta = index.since(at(20));
  assert.ok(typeof delta !== "string");
  assert.deepEqual(
    delta.deletes.map(({ key }) => key),
    ["nodes/n19"],
  );
});

test("local positions are vectors: a client above in one component is ahead", () => {
  const index = createSourceIndex();
  const local = (...versions: bigint[]) => localPosition(STORE_A, versions);
  index.apply(change(local(5n, 5n)));
  index.apply(change(local(6n, 5n), [node("y")]));
  assert.equal(index.since(local(5n, 6n)), "behind");
  const delta = index.since(local(5n, 5n));
  assert.ok(typeof delta !== "string");
  assert.deepEqual(
    delta.upserts.map(({ key }) => key),
    ["nodes/y"],
  );
});

/** A client: a table that applies deltas. */
function follow(index: SourceIndex, deltas: readonly Pick<IndexDelta, "upserts" | "deletes">[]): boolean {
  const table = createRecordTable();
  for (const { upserts, deletes } of deltas) {
    for (const record of upserts) table.set(record);
    for (const { key } of deletes) table.delete(key);
  }
  return table.size === index.size && sameSums(table.sums([Kind.KIND_NODE]), index.sums([Kind.KIND_NODE]));
}

test("a client that disconnects and resumes at any revision ends with the same records", () => {
  const step = fc.array(fc.tuple(fc.nat(30), fc.option(fc.nat(3), { nil: undefined })), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.nat(59), (steps, leave) => {
      const index = createSourceIndex({ maxTombstones: 1000 });
      const deltas: IndexDelta[] = [];
      let cursor = 0;
      let have: Position | undefined;
      for (const [i, keys] of steps.entries()) {
        const latest = new Map(keys);
        const upserts = [...latest].flatMap(([key, value]) =>
          value === undefined ? [] : [node(`n${key}`, `${value}`)],
        );
        const deletes = [...latest].flatMap(([key, value]) => (value === undefined ? [deletion(`n${key}`)] : []));
        const delta = index.apply(change(at(i + 1), upserts, deletes));
        if (i <= leave && delta !== undefined) {
          deltas.push(delta);
          cursor = delta.toSeq;
          have = delta.position;
        }
      }
      const byCursor = index.after(cursor);
      const byPosition = have === undefined ? undefined : index.since(have);
      assert.ok(byCursor !== undefined && byPosition !== undefined && typeof byPosition !== "string");
      assert.ok(follow(index, [...deltas, byCursor]), "by cursor");
      assert.ok(follow(index, [...deltas, byPosition]), "by position");
    }),
  );
});

test("buckets of two indexes differ exactly where a record differs", () => {
  const [a, b] = [createSourceIndex(), createSourceIndex()];
  const many = Array.from({ length: 500 }, (_, i) => node(`n${i}`));
  a.apply(change(at(1), many));
  b.apply(change(at(1), many.slice(1)));
  const [sa, sb] = [a.buckets(Kind.KIND_NODE), b.buckets(Kind.KIND_NODE)];
  const differing = sa.flatMap((sum, i) => (sum.equals(sb[i] ?? Buffer.alloc(0)) ? [] : [i]));
  assert.equal(differing.length, 1);
  const records = a.bucketRecords(Kind.KIND_NODE, new Set(differing)).get(differing[0] ?? -1) ?? [];
  assert.ok(records.some(({ key }) => key === "nodes/n0"));
  assert.ok(records.length < 20);
});
