import assert from "node:assert/strict";
import { test } from "node:test";
import { fastCheckOptions } from "@isthmus/testing";
import type { IWatchResponse } from "etcd3";
import fc from "fast-check";
import { createAssembler } from "./watch-assembler.js";

const NOTHING = {
  watch_id: "0",
  created: false,
  canceled: false,
  compact_revision: "0",
  cancel_reason: "",
  fragment: false,
};

function response(revisions: readonly number[], rest: Partial<IWatchResponse> = {}): IWatchResponse {
  const header = { cluster_id: "1", member_id: "1", revision: "9999", raft_term: "1" };
  const events = revisions.map((revision, i) => ({
    type: "Put" as const,
    kv: { key: Buffer.from(`${revision}/${i}`), value: Buffer.alloc(0), mod_revision: `${revision}` },
  }));
  return { ...NOTHING, header, events, ...rest } as unknown as IWatchResponse;
}

test("fragments are kept until the last one; a stream that ends earlier resumes at the start of the revision", () => {
  const assembler = createAssembler(10n);
  assert.equal(assembler.addResponse(response([10, 10], { fragment: true })).type, "alive");
  assert.equal(assembler.resume, 10n);
  assembler.reset(); // the connection broke: last event + 1 would be 11 and lose the rest of revision 10
  assert.equal(assembler.resume, 10n);
  assert.equal(assembler.addResponse(response([10, 10], { fragment: true })).type, "alive");
  const last = assembler.addResponse(response([10, 11]));
  assert.ok(last.type === "events" && last.events.length === 4 && last.revision === 11n);
  assert.equal(assembler.resume, 12n);
});

test("revisions of headers, created and progress responses do not change the resume point", () => {
  const assembler = createAssembler(10n);
  assert.deepEqual(assembler.addResponse(response([], { created: true })), { type: "created", storeRevision: 9999n });
  assert.equal(assembler.addResponse(response([])).type, "alive");
  assert.equal(assembler.resume, 10n);
});

test("events already emitted are not emitted again", () => {
  const assembler = createAssembler(10n);
  assembler.addResponse(response([10, 11]));
  assert.equal(assembler.addResponse(response([10, 11])).type, "alive");
  const message = assembler.addResponse(response([11, 12]));
  assert.ok(message.type === "events" && message.events.length === 1);
});

test("compaction and cancellation are distinguished", () => {
  const assembler = createAssembler(10n);
  const compacted = assembler.addResponse(response([], { canceled: true, compact_revision: "42" }));
  assert.deepEqual(compacted, { type: "compacted", revision: 42n });
  const denied = assembler.addResponse(response([], { canceled: true, cancel_reason: "permission denied" }));
  assert.deepEqual(denied, { type: "canceled", reason: "permission denied" });
});

test("a backlog in many fragments is not buffered whole: complete revisions are emitted early", () => {
  const assembler = createAssembler(1n, 10);
  const emitted = [1, 2, 3, 4, 5].map((revision) => {
    const message = assembler.addResponse(response([revision, revision, revision], { fragment: revision < 5 }));
    return message.type === "events" ? message.events.map(({ modRevision }) => Number(modRevision)) : message.type;
  });
  assert.deepEqual(emitted, ["alive", [1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4, 5, 5, 5]]);
  assert.equal(assembler.resume, 6n);
});

test("with any fragments and breaks each event is emitted once and in order", () => {
  const history = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(
      history,
      fc.infiniteStream(fc.nat(3)),
      fc.infiniteStream(fc.nat(4)),
      fc.nat(40),
      (sizes, cuts, breaks, maxPendingBytes) => {
        const all = sizes.flatMap((size, i) => Array.from({ length: size }, () => i + 1));
        const assembler = createAssembler(1n, maxPendingBytes);
        const got: number[] = [];
        for (let tries = 0; tries < 10_000 && assembler.resume <= BigInt(sizes.length); tries++) {
          assembler.reset();
          let rest = all.filter((revision) => BigInt(revision) >= assembler.resume);
          while (rest.length > 0) {
            if ((breaks.next().value ?? 1) === 0) break;
            const count = 1 + (cuts.next().value ?? 0);
            const [part, left] = [rest.slice(0, count), rest.slice(count)];
            const message = assembler.addResponse(response(part, { fragment: left.length > 0 }));
            if (message.type === "events") got.push(...message.events.map(({ modRevision }) => Number(modRevision)));
            rest = left;
          }
        }
        assert.deepEqual(got, all);
      },
    ),
    fastCheckOptions(300),
  );
});
