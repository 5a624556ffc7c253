/** How large a batch of events becomes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventBatch, FlowEvent } from "@isthmus/proto";
import { BATCH_EVENTS, takeEvents } from "./event-batch.js";

/** What a server takes: serve/agents/message-bounds.ts. */
const SERVER_BYTES = 300_000;

const end = (identity: number) => ({
  ...{ address: Buffer.alloc(16, 255), port: 65_535, namespace: "n".repeat(63), pod: "p".repeat(253) },
  identity,
});

test("a batch is bounded in bytes, whatever names and labels its events have, and none is lost", () => {
  const name = { kind: "CiliumClusterwideNetworkPolicy", namespace: "n".repeat(63), name: "x".repeat(253) };
  const labels = Array.from({ length: 64 }, () => ({ key: "k".repeat(128), value: "v".repeat(128) }));
  const identity = { labels, moreLabels: 192, labelBytes: 64 * 256, prefix: "203.0.113.0/24" };
  const rules = Array.from({ length: 4 }, () => ({ policy: name, path: "spec.ingress[0]".padEnd(256) }));
  const queue = Array.from({ length: 600 }, (_, i) => ({
    event: FlowEvent.fromPartial({
      ...{ timeUs: 2n ** 60n, isn: i, dropReason: "r".repeat(64), dropMeaning: "m".repeat(256) },
      ...{ source: end(2 * i + 1), destination: end(2 * i + 2) },
      service: { address: Buffer.alloc(16), port: 80, namespace: name.namespace, name: name.name },
      policy: { rule: 2 ** 30 - 1, rules, isolating: Array.from({ length: 8 }, () => name) },
    }),
    identities: [2 * i + 1, 2 * i + 2].map((number) => [number, identity] as const),
  }));
  const taken: number[] = [];
  while (queue.length > 0) {
    const batch = takeEvents(queue);
    assert.ok(batch.events.length > 0);
    const { length } = EventBatch.encode({ ...batch, notShown: undefined }).finish();
    assert.ok(length < SERVER_BYTES, `${length} bytes`);
    assert.equal(batch.identities.length, 2 * batch.events.length);
    taken.push(...batch.events.map(({ isn }) => isn));
  }
  assert.deepEqual(
    taken,
    Array.from({ length: 600 }, (_, i) => i),
  );
});

test("events of usual size are bounded by their number", () => {
  const event = FlowEvent.fromPartial({ source: { pod: "web-0" }, destination: {} });
  const queue = Array.from({ length: BATCH_EVENTS + 1 }, () => ({ event, identities: [] }));
  assert.deepEqual([takeEvents(queue).events.length, takeEvents(queue).events.length], [BATCH_EVENTS, 1]);
});
