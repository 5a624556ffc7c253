/** The cost of one compromised node for its apiserver: bytes kept, and time for which the event loop is blocked. */
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { after, before, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { MAX_CLUSTER_ID } from "@isthmus/model";
import { Ack, Hello, type Position, ToServer } from "@isthmus/proto";
import { until } from "@isthmus/testing";
import { bytesInUse } from "../../testing/bytes-in-use.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { connectRaw, type RawAgent } from "../../testing/raw-agent.js";
import { serveStream } from "../../testing/serve-stream.js";
import { MAX_MESSAGE_BYTES } from "./message-bounds.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

type Message = NonNullable<ToServer["message"]>;
const encode = (message: Message) => Buffer.from(ToServer.encode({ message }).finish());
const MB = 1 << 20;

const hello = (node: string, sources: Hello["sources"]) =>
  encode({
    $case: "hello",
    value: Hello.fromPartial({ node, protocolMin: 1, protocolMax: 1, version: "test", sources }),
  });
const position = (store: number, versions: number): Position => ({
  storeId: Buffer.alloc(store, 7),
  revision: 9n,
  versions: Array.from({ length: versions }, (_, i) => BigInt(i % 100)),
  added: [],
});
const ack = (clusterIds: readonly number[], at: Position) =>
  encode({
    $case: "ack",
    value: Ack.fromPartial({
      applied: clusterIds.map((clusterId) => ({ clusterId, position: at, observedUs: 1n, appliedUs: 2n })),
    }),
  });

/** The longest time for which the event loop was blocked during `work`. */
async function longestPause(work: () => Promise<void>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await work();
  delay.disable();
  return delay.max / 1e6;
}

async function raw(t: { after(work: () => void): void }, port: number, node: string): Promise<RawAgent> {
  const agent = connectRaw({ port, tls: await tls.node(node) });
  t.after(() => agent.close());
  return agent;
}

test("of 60 Acks of 4 MiB, each for another cluster, none is kept, and the stream ends", async (t) => {
  const served = await serveStream(t, tls);
  const messages = Array.from({ length: 60 }, (_, i) => ack([i + 2], position(4 * MB, 0)));
  const before = bytesInUse();
  const bad = await raw(t, served.port, "n1");
  bad.send(hello("n1", []));
  for (const message of messages) bad.send(message);
  await until("ended, or the last was taken", () => {
    const sources = served.agents.reports()[0]?.sources ?? [];
    return bad.error !== undefined || sources.some(({ clusterId }) => clusterId === 61);
  });
  const grown = bytesInUse() - before;
  assert.ok(grown < 8 * MB, `${(grown / MB).toFixed(1)} MiB more`);
  assert.equal(bad.error?.code, status.RESOURCE_EXHAUSTED);
});

test("Acks for clusters that are not served are not kept, however many a stream sends", async (t) => {
  const served = await serveStream(t, tls);
  const bad = await raw(t, served.port, "n1");
  bad.send(hello("n1", []));
  await until("connected", () => served.hub.size === 1);
  const message = ack(
    Array.from({ length: 2000 }, (_, i) => i + 2),
    position(16, 0),
  );
  const before = bytesInUse();
  for (let i = 0; i < 20; i++) bad.send(message);
  bad.send(ack([1], position(16, 0)));
  const taken = () =>
    served.agents.reports()[0]?.sources.some(({ appliedRevision }) => appliedRevision === 9n) === true;
  await until("all were read", taken);
  const grown = bytesInUse() - before;
  assert.ok(grown < MB, `${(grown / MB).toFixed(1)} MiB more`);
  assert.deepEqual(
    served.agents
      .reports()[0]
      ?.sources.map(({ clusterId }) => clusterId)
      .filter((id) => id > 1),
    [],
  );
  assert.match(await served.metrics.text(), /mesh_stream_ignored_total\{reason="unserved cluster"\} 40000/);
});

test("a Hello of 5.7 MiB does not stop the event loop", async (t) => {
  const served = await serveStream(t, tls);
  const message = hello("n1", [{ clusterId: 1, floor: undefined, have: position(16, 5_700_000) }]);
  assert.ok(message.length > 5 * MB);
  const bad = await raw(t, served.port, "n1");
  const paused = await longestPause(async () => {
    bad.send(message);
    await until("refused, or taken", () => bad.error !== undefined || served.hub.size === 1, 20_000);
  });
  assert.ok(paused < 500, `${Math.round(paused)} ms`);
  assert.equal(bad.error?.code, status.RESOURCE_EXHAUSTED);
});

test("a message within the size limit that exceeds a field's bound is refused before it is decoded", async (t) => {
  const served = await serveStream(t, tls);
  const refused: [words: RegExp, message: Buffer][] = [
    [/hello\.sources\.have\.versions/, hello("n1", [{ clusterId: 1, floor: undefined, have: position(16, 200_000) }])],
    [
      /hello\.sources\.have\.store_id/,
      hello("n1", [{ clusterId: 1, floor: undefined, have: position(MAX_MESSAGE_BYTES - 200, 0) }]),
    ],
    [/hello\.node/, hello("n".repeat(1000), [])],
  ];
  for (const [words, message] of refused) {
    assert.ok(message.length < MAX_MESSAGE_BYTES);
    const bad = await raw(t, served.port, "n1");
    const paused = await longestPause(async () => {
      bad.send(message);
      await until("refused", () => bad.error !== undefined);
    });
    assert.equal(bad.error?.code, status.INVALID_ARGUMENT);
    assert.match(bad.error?.details ?? "", words);
    assert.ok(paused < 500, `${Math.round(paused)} ms`);
  }
});

test("the largest Hello and Ack of an agent that follows every possible cluster are accepted", async (t) => {
  const served = await serveStream(t, tls);
  const most = { storeId: Buffer.alloc(16, 7), revision: 2n ** 64n - 1n, versions: [], added: [] };
  const versions = Array.from({ length: 8 }, () => 2n ** 64n - 1n);
  const own = { storeId: Buffer.alloc(16, 7), revision: 0n, versions, added: versions };
  const sources = Array.from({ length: MAX_CLUSTER_ID + 1 }, (_, clusterId) => {
    const at = clusterId === 0 ? own : most;
    return { clusterId, floor: at, have: at };
  });
  const good = await raw(t, served.port, "n1");
  good.send(hello("n1", sources));
  await until("connected", () => served.hub.size === 1);
  const value = Ack.fromPartial({
    applied: sources.map(({ clusterId, have }) => ({
      clusterId,
      position: have,
      observedUs: 2n ** 53n,
      appliedUs: 2n ** 53n,
    })),
    maps: Array.from({ length: 256 }, (_, i) => ({
      map: `m${i}`.padEnd(64, "x"),
      used: 2 ** 32 - 1,
      capacity: 2 ** 32 - 1,
    })),
  });
  good.send(encode({ $case: "ack", value }));
  await until("taken", () => served.agents.reports()[0]?.maps.length === 256);
  assert.equal(good.error, undefined);
});

test("continuous messages end the stream with the reason, and the node must wait before the next ones are accepted", async (t) => {
  const served = await serveStream(t, tls);
  const good = await served.agent("n2");
  await until("in sync", () => good.source(0).inSync);
  let refusals = 0;
  for (let i = 0; i < 200 && refusals < 5; i++) {
    const bad = await raw(t, served.port, "n1");
    bad.send(hello("n1", []));
    for (let j = 0; j < 500; j++) bad.send(ack([1], position(16, 0)));
    await until("ended or taken", () => bad.error !== undefined || served.hub.size === 2);
    if (bad.error !== undefined) {
      refusals++;
      assert.equal(bad.error.code, status.RESOURCE_EXHAUSTED);
      assert.match(bad.error.details ?? "", /node "n1" (opens streams|sends messages)/);
    }
    bad.close();
    await until("forgotten", () => served.hub.size === 1);
  }
  assert.equal(refusals, 5);
  assert.equal(good.error, undefined);
});
