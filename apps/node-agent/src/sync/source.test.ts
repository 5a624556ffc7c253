import assert from "node:assert/strict";
import { test } from "node:test";
import { Kind, PeerState, type ToAgent } from "@isthmus/proto";
import { type HashedRecord, hashRecord, KINDS, sameSums } from "@isthmus/records";
import {
  createRecordSource,
  fastCheckOptions,
  makeNode,
  makeService,
  makeSlice,
  type RecordSource,
} from "@isthmus/testing";
import fc from "fast-check";
import { createSource } from "./source.js";
import type { Source, SourceDelta, SourceStep } from "./source-types.js";
import { answerAll, feedSource as feed } from "./testing/feed-source.js";

/** Feeds all messages; returns the deltas and events. */
function feedAll(source: Source, messages: readonly ToAgent[]): { deltas: SourceDelta[]; events: string[] } {
  const steps = messages.map((message) => feed(source, message));
  return {
    deltas: steps.flatMap(({ delta }) => (delta === undefined ? [] : [delta])),
    events: steps.flatMap(({ events }) => events ?? []),
  };
}

function server(clusterId = 2): RecordSource {
  const source = createRecordSource({ clusterId });
  source.change([makeService("a/a"), makeService("a/b"), makeSlice("a/a", { ready: ["10.0.0.1"] })]);
  return source;
}

const keysOf = (source: Source) => [...source.table.records()].map(({ key }) => key).sort();
const inSync = (source: Source, of: RecordSource) => sameSums(source.table.sums(KINDS), of.table.sums(KINDS));

test("a first sync is emitted as a whole when the mark agrees, and not before", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  const messages = from.firstSync(1);
  assert.deepEqual(feedAll(source, messages.slice(0, -1)), { deltas: [], events: [] });
  assert.equal(source.phase, "Verifying");
  const { deltas } = feedAll(source, messages.slice(-1));
  assert.deepEqual([deltas.length, deltas[0]?.transition, deltas[0]?.upserts.length], [1, "first", 3]);
  assert.deepEqual(source.have, from.position);
});

test("records that a second first sync does not name are deleted only when its mark agrees", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  from.change([], [makeService("a/b")]);
  source.reconnect();
  const messages = from.firstSync();
  const mark = messages.at(-1)?.message;
  assert.equal(mark?.$case, "mark");
  const lying = {
    message: {
      $case: "mark" as const,
      value: {
        clusterId: 2,
        position: from.position,
        sums: server()
          .table.sums(KINDS)
          .map((sum) => ({ ...sum, sum: Buffer.alloc(16, 1) })),
      },
    },
  };
  feedAll(source, messages.slice(0, -1));
  const wrong = feed(source, lying);
  assert.deepEqual(wrong.events, ["mark-mismatch"]);
  assert.ok(keysOf(source).includes("services/a/b"));
  source.reconnect();
  const { deltas, events } = feedAll(source, from.firstSync());
  assert.deepEqual(events, ["unnamed-deleted"]);
  assert.deepEqual(
    deltas.flatMap((delta) => delta.deletes.map(({ key }) => key)),
    ["services/a/b"],
  );
});

test("changes between the last chunk and the mark are applied", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  const first = from.firstSync().slice(0, -1);
  const change = from.change([makeService("a/c")], [makeService("a/b")]);
  const { deltas } = feedAll(source, [...first, change, from.mark()]);
  assert.deepEqual(
    deltas.map(({ transition }) => transition),
    ["first"],
  );
  assert.deepEqual(keysOf(source), ["services/a/a", "services/a/c", "slices/a/a/a"]);
});

test("a batch after a gap is dropped, and buckets repair the missed changes", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  from.change([makeService("a/lost")], [makeService("a/b")]); // never arrives
  const gap = feed(source, from.change([makeService("a/c")]));
  assert.deepEqual([gap.events, gap.buckets?.kind, gap.delta], [["gap"], KINDS[0], undefined]);
  assert.equal(source.have, undefined);
  const late = from.change([makeService("a/d")]); // sent while the exchange runs
  const asked: Kind[] = [];
  answerAll(source, gap, (question) => {
    asked.push(question.kind);
    return [...from.answer(question), ...(asked.length === 1 ? [late] : [])];
  });
  assert.deepEqual(asked, KINDS, "one kind after the other, since the sums of all at once take too long");
  feedAll(source, [from.mark()]);
  assert.deepEqual([source.phase, inSync(source, from)], ["InSync", true]);
  assert.deepEqual(source.have, from.position);
});

test("a mark that differs at the source's position is counted and repaired", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  source.table.delete("services/a/a");
  const step = feed(source, from.mark());
  assert.deepEqual([step.events, step.buckets?.kind], [["mark-mismatch"], Kind.KIND_SERVICE]);
  assert.equal(answerAll(source, step, from.answer).at(-1)?.buckets, undefined);
  assert.equal(inSync(source, from), true);
});

test("the stream ends if buckets cannot repair the records", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  const other = server();
  other.change([makeService("a/never")]);
  const mark = from.mark().message;
  const otherMark = other.mark().message;
  assert.ok(mark?.$case === "mark" && otherMark?.$case === "mark");
  const lie: ToAgent = { message: { $case: "mark", value: { ...mark.value, sums: otherMark.value.sums } } };
  let step = feed(source, lie);
  let restarted = false;
  for (let round = 0; round < 5 && !restarted; round++) {
    for (const answered of answerAll(source, step, from.answer)) {
      step = answered;
      restarted ||= step.reopenStream === true;
    }
  }
  assert.equal(restarted, true);
});

test("a mark of a later position shows which kinds to fetch, and advances the source if none differs", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  from.change([]);
  assert.equal(feed(source, from.mark()).buckets, undefined);
  assert.deepEqual(source.have, from.position);
  from.change([makeService("a/c")]);
  const step = feed(source, from.mark());
  assert.deepEqual([step.events, step.buckets?.kind], [[], Kind.KIND_SERVICE]);
});

test("a position below the floor is refused, and so is a local one that cannot be compared with it", () => {
  const remote = server();
  const old = remote.firstSync();
  remote.change([makeService("a/c")]);
  const source = createSource({ clusterId: 2, floor: remote.position });
  assert.deepEqual(new Set(feedAll(source, old).events), new Set(["below-floor"]));
  assert.equal(source.phase, "Empty");

  const storeId = Buffer.alloc(16, 1);
  const own = createSource({ clusterId: 0, floor: { storeId, revision: 0n, versions: [5n, 5n], added: [] } });
  const batch = (versions: bigint[]) =>
    own.batch({
      clusterId: 0,
      from: undefined,
      to: { storeId, revision: 0n, versions, added: [] },
      upserts: [],
      deletes: [],
      observedUs: 0n,
      last: true,
    });
  assert.deepEqual(batch([9n, 4n]).events, ["below-floor"]);
  assert.deepEqual(batch([5n, 6n]).events, []);
});

test("a position with another store id is not below the floor", () => {
  const before = server();
  const source = createSource({ clusterId: 2, floor: before.position });
  const wiped = createRecordSource({ clusterId: 2, storeId: Buffer.alloc(16, 9) });
  wiped.change([makeService("a/a")]);
  assert.equal(feedAll(source, wiped.firstSync()).deltas[0]?.transition, "first");
  assert.deepEqual(source.floor?.storeId, Buffer.alloc(16, 9));
});

test("a stale, connecting or syncing source deletes nothing; a removed source deletes everything", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  const state = (status: PeerState) => source.state({ clusterId: 2, cluster: "west", status, behind: false, hops: [] });
  for (const status of [PeerState.PEER_STATE_STALE, PeerState.PEER_STATE_CONNECTING, PeerState.PEER_STATE_SYNCING]) {
    assert.equal(state(status).delta, undefined);
  }
  source.reconnect();
  assert.equal(keysOf(source).length, 3);
  const removed = state(PeerState.PEER_STATE_REMOVED).delta;
  assert.deepEqual([removed?.transition, removed?.deletes.length, removed?.floor], ["removed", 3, undefined]);
});

test("after any losses, reconnects and repairs, a source in sync equals the server, and positions never decrease", () => {
  const POOL: readonly HashedRecord[] = Array.from({ length: 6 }, (_, i) =>
    i % 2 === 0 ? makeService(`a/s${i}`) : makeNode(`n${i}`, `172.18.0.${i}`, `10.1.${i}.0/24`),
  );
  const step = fc.record({
    what: fc.constantFrom("put", "drop", "lose", "reconnect", "mark"),
    which: fc.integer({ min: 0, max: POOL.length - 1 }),
    version: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const from = createRecordSource({ clusterId: 2 });
      const source = createSource({ clusterId: 2, floor: undefined });
      const seen = new Map<string, string>();
      let last = 0n;
      const take = (messages: readonly ToAgent[]): void => {
        for (const message of messages) {
          const result = feed(source, message);
          const { delta } = result;
          if (delta !== undefined) {
            for (const { key, hash } of delta.upserts) seen.set(key, Buffer.from(hash).toString("hex"));
            for (const { key } of delta.deletes) seen.delete(key);
            assert.ok((delta.floor?.revision ?? 0n) >= last);
            last = delta.floor?.revision ?? last;
          }
          if (result.buckets !== undefined) take(from.answer(result.buckets));
        }
      };
      const connect = () => {
        source.reconnect();
        const resumable = source.have !== undefined && source.have.revision === from.position.revision;
        take(resumable ? [from.mark()] : from.firstSync(2));
      };
      connect();
      for (const { what, which, version } of steps) {
        const base = POOL[which] as HashedRecord;
        const record = hashRecord(base.kind, base.key, Buffer.concat([base.value, Buffer.from([0x78, version])]));
        if (what === "reconnect") connect();
        else if (what === "mark") take([from.mark()]);
        else {
          const change = what === "drop" ? from.change([], [base]) : from.change([record]);
          if (what !== "lose") take([change]);
        }
      }
      take([from.mark()]);
      assert.equal(source.phase, "InSync");
      assert.equal(inSync(source, from), true);
      const theirs = [...from.table.records()].map(({ key, hash }) => `${key}=${Buffer.from(hash).toString("hex")}`);
      assert.deepEqual([...seen].map(([key, hash]) => `${key}=${hash}`).sort(), theirs.sort());
    }),
    fastCheckOptions(300),
  );
});

test("a stream that needs too many repairs is closed, and the next stream counts from zero", () => {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feedAll(source, from.firstSync());
  const lie = (): SourceStep => {
    source.table.delete("services/a/a");
    return feed(source, from.mark());
  };
  const mend = (step: SourceStep) => answerAll(source, step, from.answer);
  let repairs = 0;
  let step = lie();
  for (; step.reopenStream !== true; step = lie()) {
    mend(step);
    assert.equal(inSync(source, from), true);
    assert.ok(++repairs < 20);
  }
  assert.equal(repairs, 8);
  assert.equal(step.buckets, undefined);
  source.reconnect();
  feedAll(source, from.firstSync());
  mend(lie());
  assert.equal(inSync(source, from), true);
});
