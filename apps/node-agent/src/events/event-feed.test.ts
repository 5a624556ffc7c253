/** Who gets which events, what programs are asked for, and what happens when a reader is slow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DropReason, EventKind, Verdict } from "@isthmus/bpf";
import { parseAddress } from "@isthmus/model";
import { type EventBatch, EventFilter } from "@isthmus/proto";
import { BATCH_EVENTS } from "./event-batch.js";
import { startFakeFeed } from "./testing/fake-events.js";
import { CLIENT, WEB } from "./testing/policy-names.js";

const ALL = EventFilter.create();
const DROP = { kind: EventKind.Drop, verdict: Verdict.Drop, reason: DropReason.SpoofedSource };
const AUDITED = { kind: EventKind.Audited, verdict: Verdict.Audit, reason: DropReason.IngressDenied };
const DENIALS = [EventKind.Drop, EventKind.Audited];
const FLOWS = [EventKind.FlowNew, EventKind.FlowPickedUp, EventKind.FlowClosed, EventKind.Moved];
const ports = (batch: EventBatch | undefined) => batch?.events.map(({ source }) => source?.port);

test("programs write drops always, and what passes in audit mode, and flows only while somebody wants them", () => {
  const stop = new AbortController();
  const { feed, wanted, reading } = startFakeFeed(stop.signal);
  assert.deepEqual(wanted(), DENIALS);
  const drops = feed.subscribe({ ...ALL, dropsOnly: true });
  assert.deepEqual(wanted(), DENIALS);
  const all = feed.subscribe(ALL);
  assert.deepEqual(wanted(), [...FLOWS, ...DENIALS].sort());
  all.close();
  assert.deepEqual([wanted(), feed.subscribers], [DENIALS, 1]);
  drops.close();
  feed.subscribe(ALL);
  stop.abort();
  assert.deepEqual([wanted(), reading()], [[], false], "without a reader nothing is written");
});

test("flows of one pod are written only while it is on this node", () => {
  const { feed, pods, wanted } = startFakeFeed();
  const other = feed.subscribe({ ...ALL, fromNamespace: "shop", fromPod: "c" });
  const otherNamespace = feed.subscribe({ ...ALL, fromNamespace: "other", fromPod: "a" });
  assert.deepEqual(wanted(), DENIALS);
  otherNamespace.close();
  pods.set(13, { namespace: "shop", name: "c", addresses: [parseAddress("10.1.0.3")] });
  assert.deepEqual(wanted(), [...FLOWS, ...DENIALS].sort(), "it came to this node");
  pods.delete(13);
  assert.deepEqual(wanted(), DENIALS);
  other.close();
  feed.subscribe({ ...ALL, fromNamespace: "shop", fromPod: "a" });
  assert.deepEqual(wanted(), [...FLOWS, ...DENIALS].sort());
});

test("a filter of a Service lets the flows pass whose pods dialled it", () => {
  const { feed, write } = startFakeFeed();
  const web = feed.subscribe({ ...ALL, serviceNamespace: "shop", service: "web" });
  const fromB = feed.subscribe({
    ...ALL,
    fromNamespace: "shop",
    fromPod: "b",
    serviceNamespace: "shop",
    service: "web",
  });
  const otherNamespace = feed.subscribe({ ...ALL, serviceNamespace: "other", service: "web" });
  const dialled = { service: 7, vip: parseAddress("10.96.0.10"), vipPort: 80 };
  write([
    { sourcePort: 1 },
    { sourcePort: 2, ...dialled },
    { sourcePort: 3, ...dialled, vipPort: 81 },
    { sourcePort: 4, ...dialled, kind: EventKind.FlowClosed, ifindex: 12, source: parseAddress("10.1.0.2") },
    { ...DROP, sourcePort: 5 },
  ]);
  assert.deepEqual(
    [web, fromB, otherNamespace].map((each) => ports(each.take())),
    [[2, 4], [4], undefined],
  );
});

test("each subscriber gets what its filter lets pass", () => {
  const { feed, write } = startFakeFeed();
  const all = feed.subscribe(ALL);
  const fromB = feed.subscribe({ ...ALL, fromNamespace: "shop", fromPod: "b" });
  const otherNamespace = feed.subscribe({ ...ALL, fromNamespace: "other", fromPod: "b" });
  const drops = feed.subscribe({ ...ALL, dropsOnly: true });
  write([
    { sourcePort: 1 },
    { sourcePort: 2, ifindex: 12, source: parseAddress("10.1.0.2") },
    // Of b, whatever it claims.
    { ...DROP, sourcePort: 3, ifindex: 12 },
    { ...AUDITED, sourcePort: 4 },
  ]);
  assert.deepEqual(
    [all, fromB, otherNamespace, drops].map((each) => ports(each.take())),
    [[1, 2, 3, 4], [2, 3], undefined, [3, 4]],
  );
  assert.equal(all.take(), undefined);
  assert.equal(feed.counts.read, 4);
});

test("every drop is passed to the listener for drops, also without a subscriber", () => {
  const { write, dropped } = startFakeFeed();
  write([{ sourcePort: 1 }, { ...DROP, sourcePort: 2, ifindex: 12 }, { ...AUDITED, sourcePort: 3 }]);
  assert.deepEqual(
    dropped.map(({ dropReason, source }) => [dropReason, source?.port, source?.pod]),
    [["spoofed_source", 2, "b"]],
  );
});

test("a new subscriber gets the latest denials first, at most 100, those of audit mode too", () => {
  const { feed, write } = startFakeFeed();
  write([
    { sourcePort: 9 },
    ...Array.from({ length: 150 }, (_, i) => ({ ...(i % 2 === 0 ? DROP : AUDITED), sourcePort: i + 1 })),
  ]);
  assert.deepEqual(
    ports(feed.subscribe(ALL).take()),
    Array.from({ length: 100 }, (_, i) => i + 51),
  );
  assert.equal(feed.subscribe({ ...ALL, fromNamespace: "shop", fromPod: "b" }).take(), undefined);
});

test("a full batch is ready at once, fewer events after a while", async () => {
  const { feed, write, clock } = startFakeFeed();
  const subscription = feed.subscribe(ALL);
  let ready = 0;
  subscription.onReady(() => ready++);
  write([{ sourcePort: 1 }]);
  write([{ sourcePort: 2 }]);
  assert.equal(ready, 0);
  await clock.advance(100);
  assert.equal(ready, 1);
  assert.deepEqual(ports(subscription.take()), [1, 2]);
  write(Array.from({ length: BATCH_EVENTS }, () => ({})));
  assert.equal(ready, 2);
  subscription.close();
  await clock.advance(1000);
  assert.equal(ready, 2);
});

test("a slow reader costs a bounded queue, and gets the number of events that it missed", () => {
  const { feed, write } = startFakeFeed();
  const slow = feed.subscribe(ALL);
  for (let i = 0; i < 10; i++) write(Array.from({ length: 1000 }, (_, j) => ({ sourcePort: i * 1000 + j })));
  const got: number[] = [];
  let missed = 0n;
  for (let batch = slow.take(); batch !== undefined; batch = slow.take()) {
    assert.ok(batch.events.length <= BATCH_EVENTS);
    got.push(...batch.events.map(({ source }) => source?.port ?? -1));
    missed += batch.notShown?.slow ?? 0n;
  }
  assert.deepEqual([got.length, missed], [8 * BATCH_EVENTS, 10_000n - 8n * BigInt(BATCH_EVENTS)]);
  assert.deepEqual(
    got,
    got.map((_, i) => i),
    "the first ones, in their order",
  );
});

test("what programs did not write and what the queue lost is reported to each subscriber once", () => {
  const { feed, write, counts } = startFakeFeed();
  counts.limited = 5;
  const subscription = feed.subscribe(ALL);
  assert.equal(subscription.take(), undefined, "what was before is not its");
  counts.limited = 7;
  counts.lost = 1;
  write([], 4);
  assert.deepEqual(subscription.take(), {
    events: [],
    identities: [],
    notShown: { limited: 2n, ringFull: 1n, late: 4n, slow: 0n },
  });
  assert.equal(subscription.take(), undefined);
  assert.equal(feed.counts.late, 4);
});

test("a batch has what the identities of its events stood for when these were read, each once", () => {
  const { feed, write, engine } = startFakeFeed();
  const denied = { ...DROP, reason: DropReason.IngressDenied, sourceIdentity: CLIENT };
  write([denied, denied]);
  engine.deleteIdentity(CLIENT);
  engine.commit();
  const batch = feed.subscribe(ALL).take();
  assert.deepEqual(
    batch?.events.map(({ source, destination }) => [source?.identity, destination?.identity]),
    [
      [CLIENT, WEB],
      [CLIENT, WEB],
    ],
  );
  assert.deepEqual(
    batch.identities.map(({ number, labels }) => [number, labels.find(({ key }) => key === "app")?.value]),
    [
      [CLIENT, "client"],
      [WEB, "web"],
    ],
  );
  write([denied]);
  const later = feed.subscribe(ALL).take();
  assert.equal(later?.events.length, 3);
  assert.equal(later.identities.length, 2, "the last one's source has its number only");
});
