/** The cost of many agents at once, of agents that send continuously, and of agents that do not read or vanished is bounded. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { startProxy } from "@isthmus/kube/testing";
import { systemClock } from "@isthmus/model";
import { createMetrics } from "@isthmus/observe";
import { type Hello, Kind, Role } from "@isthmus/proto";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import { createFakeSource, createFakeSources } from "../../testing/fake-source.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { serveStream } from "../../testing/serve-stream.js";
import type { AgentHandle } from "./agent-handle.js";
import { createAgentRegistry } from "./agent-registry.js";
import type { Leaving } from "./session.js";
import { createStreamHub } from "./stream-hub.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

const many = (count: number, bytes: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`services/big/s${i}`, "x".repeat(bytes)]));

/** A hub without a server, with a local source of about 3 MB in about fifty chunks. */
function hubOf(t: { after(work: () => void): void }, maxSnapshots: number) {
  const own = createFakeSource(0, "west");
  own.change(many(1500, 2000));
  const hub = createStreamHub(
    { maxSnapshots, maxAgents: 10_000 },
    {
      sources: createFakeSources(own),
      agents: createAgentRegistry(systemClock),
      clock: systemClock,
      metrics: createMetrics(),
    },
  );
  t.after(() => hub.close());
  return { own, hub };
}

const hello = (node: string): Hello => ({
  role: Role.ROLE_AGENT,
  node,
  protocolMin: 1,
  protocolMax: 1,
  capabilities: [],
  sources: [],
  version: "",
});

/** An agent's stream without a network; it is full after `room` writes until `drain`. */
function stream(room: number) {
  const made = {
    written: [] as Buffer[],
    leaving: undefined as Leaving | undefined,
    failed: undefined as unknown,
    left: room,
    write(bytes: Buffer) {
      made.written.push(bytes);
      return --made.left > 0;
    },
    goAway: (leaving: Leaving) => {
      made.leaving = leaving;
    },
    fail: (thrown: unknown) => {
      made.failed = thrown;
    },
  };
  return made;
}

test("of 2,000 agents at once some begin, the others retry at different times, and finally all are served", async (t) => {
  const { hub } = hubOf(t, 128);
  let waiting = Array.from({ length: 2000 }, (_, i) => `n${i}`);
  const served = new Set<string>();
  const buffers = new Set<Buffer>();
  let rounds = 0;
  for (; waiting.length > 0; rounds++) {
    const opened = waiting.map((node) => {
      const to = stream(10);
      return { node, to, handle: hub.open(hello(node), to) };
    });
    const away = opened.filter(({ to }) => to.leaving !== undefined);
    assert.ok(opened.length - away.length <= 128, `${opened.length - away.length} first syncs at once`);
    for (const { to } of away)
      assert.ok((to.leaving?.retryAfterMs ?? 0) >= 500 && (to.leaving?.retryAfterMs ?? 0) < 2001);
    for (const { node, to, handle } of opened) {
      if (to.leaving !== undefined) handle?.closed();
      else served.add(node);
    }
    for (const { to, handle } of opened.filter(({ to }) => to.leaving === undefined)) {
      while (to.left <= 0) {
        to.left = 10;
        handle?.drained();
      }
      assert.ok(to.written.length > 40);
      for (const bytes of to.written) if (bytes.length > 10_000) buffers.add(bytes);
    }
    waiting = away.map(({ node }) => node);
    await nextTurn();
  }
  assert.equal(served.size, 2000);
  assert.ok(rounds >= 2000 / 128 && rounds < 40, `${rounds} rounds`);
  assert.ok(buffers.size < 60, `${buffers.size} chunks in memory: they are shared`);
});

test("an agent that does not read costs a cursor only: nothing is written or encoded for it", async (t) => {
  const { own, hub } = hubOf(t, 10);
  const to = stream(1);
  const handle = hub.open(hello("n1"), to) as AgentHandle;
  assert.equal(to.written.length, 1, "only the first message was written");
  for (let i = 0; i < 500; i++) {
    own.change({ "services/a/hot": `${i}${"x".repeat(20_000)}` });
    handle.buckets({ clusterId: 0, kind: Kind.KIND_SERVICE, sums: [] });
    await nextTurn();
  }
  assert.equal(to.written.length, 1);
  to.left = 1_000_000;
  handle.drained();
  // The first sync, its buckets once, and one delta: not five hundred.
  assert.ok(to.written.length < 50 + 256 + 20, `${to.written.length} messages`);
});

test("a bucket is encoded only when the stream has room for it", async (t) => {
  const { own, hub } = hubOf(t, 10);
  const to = stream(1_000_000);
  const handle = hub.open(hello("n1"), to) as AgentHandle;
  const before = to.written.length;
  to.left = 3;
  handle.buckets({ clusterId: 0, kind: Kind.KIND_SERVICE, sums: [] });
  assert.equal(to.written.length, before + 3);
  own.change({}, ["services/big/s1"]);
  to.left = 1_000_000;
  handle.drained();
  assert.ok(to.written.length >= before + 256 + 1, "after the exchange the changes that came meanwhile follow");
});

test("10,000 Acks and Buckets a second from one agent: others are served promptly, and memory is bounded", async (t) => {
  const served = await serveStream(t, tls);
  served.own.change(many(2000, 500));
  const [good, bad] = [await served.agent("n1"), await served.agent("n2")];
  await until("in sync", () => good.source(0).inSync && bad.source(0).inSync);
  const rss = process.memoryUsage().rss;
  const position = served.own.index.announced;
  let sent = 0;
  const flood = setInterval(() => {
    for (let i = 0; i < 100; i++, sent += 2) {
      const applied = [{ clusterId: 0, position, observedUs: 1n, appliedUs: 2n }];
      bad.send({
        $case: "ack",
        value: { applied, views: [], policyRevision: 0n, maps: [], conditions: [], policies: undefined },
      });
      bad.send({ $case: "buckets", value: { clusterId: 0, kind: Kind.KIND_SERVICE, sums: [Buffer.alloc(16, i)] } });
    }
  }, 20);
  t.after(() => clearInterval(flood));
  for (let i = 0; i < 10; i++) {
    const value = `under flood ${i}`;
    served.own.change({ "services/a/hot": value });
    await until(value, () => Buffer.from(good.value(0, "services/a/hot") ?? []).toString() === value, 5000);
    const more = sent + 200;
    await until("more of the flood", () => sent >= more, 5000);
  }
  clearInterval(flood);
  assert.ok(sent >= 2000, `${sent} messages`); // 200 between two changes
  const grown = (process.memoryUsage().rss - rss) >> 20;
  assert.ok(grown < 500, `${grown} MB more`);
  assert.equal(good.ended, false);
  await until("the flooding agent's stream is ended", () => bad.error !== undefined);
  assert.equal(bad.error?.code, status.RESOURCE_EXHAUSTED);
});

test("an agent that vanished without closing its connection is removed", async (t) => {
  const served = await serveStream(t, tls);
  const proxy = await startProxy({ host: "127.0.0.1", port: served.port });
  t.after(() => proxy.close());
  const lost = await served.agent("n1", { port: proxy.port });
  await until("in sync", () => lost.source(0).inSync);
  proxy.stall();
  await until("forgotten", () => served.hub.size === 0, 30_000);
  assert.equal(served.agents.reports()[0]?.connected, false);
});
