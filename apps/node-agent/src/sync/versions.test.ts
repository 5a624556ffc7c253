/** Agent and server of different versions: what one does not know is no difference and deletes nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Buckets, Kind, type Mark, PeerState, ToAgent } from "@isthmus/proto";
import { hashRecord } from "@isthmus/records";
import { createRecordSource, makeNode, makeService, type RecordSource } from "@isthmus/testing";
import { reportSource } from "../source-report.js";
import { createSyncCore, type SyncCore } from "./core.js";
import { createSource } from "./source.js";
import type { Source, SourceStep } from "./source-types.js";
import { answerAll, feedSource } from "./testing/feed-source.js";

/** The kind that an older server does not know: here, nodes. */
const YOUNG = Kind.KIND_NODE;

function feed(source: Source, messages: readonly ToAgent[]): SourceStep[] {
  return messages.map((message) => feedSource(source, message));
}

function server(): RecordSource {
  const from = createRecordSource({ clusterId: 2 });
  from.change([makeService("a/a"), makeNode("n1", "192.168.0.1", "10.2.0.0/24")]);
  return from;
}

function synced(): { readonly source: Source; readonly from: RecordSource } {
  const from = server();
  const source = createSource({ clusterId: 2, floor: undefined });
  feed(source, from.firstSync());
  assert.equal(source.phase, "InSync");
  return { source, from };
}

function withMark(message: ToAgent, change: (mark: Mark) => Mark): ToAgent {
  const inner = message.message;
  return inner?.$case === "mark" ? { message: { $case: "mark", value: change(inner.value) } } : message;
}

const unnamed = (message: ToAgent): ToAgent =>
  withMark(message, (mark) => ({ ...mark, sums: mark.sums.filter(({ kind }) => kind !== YOUNG) }));
const notExported = (message: ToAgent): ToAgent =>
  withMark(message, (mark) => ({
    ...mark,
    sums: mark.sums.map((sum) => (sum.kind === YOUNG ? { ...sum, exported: false, count: 0 } : sum)),
  }));

/** The first sync of a server that does not know nodes. */
function olderFirstSync(from: RecordSource, mark: (message: ToAgent) => ToAgent): ToAgent[] {
  return from.firstSync().map((message) => {
    const inner = message.message;
    if (inner?.$case !== "batch") return mark(message);
    const upserts = inner.value.upserts.filter(({ kind }) => kind !== YOUNG);
    return { message: { $case: "batch", value: { ...inner.value, upserts } } };
  });
}

for (const [name, mark] of [
  ["does not name", unnamed],
  ["does not export", notExported],
] as const) {
  test(`a mark that ${name} a kind is no difference, and deletes none of its records`, () => {
    const { source, from } = synced();
    const steps = feed(source, [mark(from.mark())]);
    assert.deepEqual(
      steps.flatMap(({ buckets, events, delta }) => [
        ...(buckets === undefined ? [] : [buckets]),
        ...(events ?? []),
        ...(delta?.deletes ?? []),
      ]),
      [],
    );
    assert.equal(source.phase, "InSync");
  });

  test(`a first sync of a server that ${name} a kind deletes absent records of the other kinds only`, () => {
    const { source, from } = synced();
    from.change([makeService("a/b")], [makeService("a/a")]);
    source.reconnect();
    const deletes = feed(source, olderFirstSync(from, mark)).flatMap(({ delta }) => delta?.deletes ?? []);
    assert.deepEqual(
      deletes.map(({ key }) => key),
      ["services/a/a"],
    );
    assert.deepEqual([...source.table.records()].map(({ key }) => key).sort(), ["nodes/n1", "services/a/b"]);
    assert.equal(source.phase, "InSync");
  });
}

test("an unknown kind in the mark of a newer server is no difference, and is not requested", () => {
  const { source, from } = synced();
  const rockets = { kind: 99 as Kind, exported: true, count: 3, sum: Buffer.alloc(16, 9) };
  const steps = feed(source, [withMark(from.mark(), (mark) => ({ ...mark, sums: [...mark.sums, rockets] }))]);
  assert.deepEqual(
    steps.flatMap(({ buckets, events }) => [...(buckets === undefined ? [] : [buckets]), ...(events ?? [])]),
    [],
  );
});

test("records of a kind that only the server knows are added, changed and deleted without effect", () => {
  const rocket = (value: string) => hashRecord(99 as Kind, "rockets/r1", Buffer.from(value));
  const from = server();
  from.change([rocket("new")]);
  const source = createSource({ clusterId: 2, floor: undefined });
  const steps = feed(source, [
    ...from.firstSync(1),
    from.change([rocket("changed"), makeService("a/b")]),
    from.change([], [rocket("changed")]),
    from.mark(),
  ]);
  assert.deepEqual(new Set(steps.flatMap(({ events = [] }) => events)), new Set(["unknown-kind"]));
  assert.ok(steps.every(({ buckets }) => buckets === undefined));
  assert.deepEqual([...source.table.records()].map(({ key }) => key).sort(), [
    "nodes/n1",
    "services/a/a",
    "services/a/b",
  ]);
  assert.equal(source.phase, "InSync");
});

test("an older server ends the exchange of a kind that it does not know without replacing anything", () => {
  const { source, from } = synced();
  from.change([makeService("a/lost")]);
  const [gap] = feed(source, [from.change([makeService("a/c")])]);
  const answer = (asked: Buckets): ToAgent[] => {
    if (asked.kind !== YOUNG) return from.answer(asked);
    const { clusterId, kind } = asked;
    const value = { clusterId, kind, index: 256, records: [], position: from.position, last: true };
    return [{ message: { $case: "bucket", value } }];
  };
  answerAll(source, gap, answer);
  assert.equal(source.phase, "InSync");
  assert.deepEqual([...source.table.records()].map(({ key }) => key).sort(), [
    "nodes/n1",
    "services/a/a",
    "services/a/c",
    "services/a/lost",
  ]);
});

/** The effects of a SourceState with this number, as it arrives from the wire. */
function stateEffects(core: SyncCore, status: number) {
  const value = { clusterId: 2, cluster: "west", status: status as PeerState, behind: false, hops: [] };
  const bytes = ToAgent.encode({ message: { $case: "sourceState", value } }).finish();
  return core.step({ is: "message", message: ToAgent.decode(bytes) });
}

test("a state that this agent does not know, Refused, and none are stale: nothing is deleted, and the source goes on", () => {
  const core = createSyncCore({ node: "n1", version: "0", floors: new Map() });
  stateEffects(core, PeerState.PEER_STATE_IN_SYNC);
  const source = core.source(2);
  const from = server();
  feed(source, from.firstSync());
  assert.equal(reportSource(source, 1).state, "live");
  for (const status of [PeerState.PEER_STATE_UNSPECIFIED, PeerState.PEER_STATE_REFUSED, 7, -1]) {
    assert.deepEqual(stateEffects(core, status), []);
    assert.equal(core.sources.get(2), source);
    assert.deepEqual([source.phase, source.table.size, reportSource(source, 1).state], ["InSync", 2, "stale"]);
  }
  const [step] = feed(source, [from.change([makeService("a/b")])]);
  assert.deepEqual(
    step?.delta?.upserts.map(({ key }) => key),
    ["services/a/b"],
  );
  stateEffects(core, PeerState.PEER_STATE_IN_SYNC);
  assert.equal(reportSource(source, 1).state, "live");
});
