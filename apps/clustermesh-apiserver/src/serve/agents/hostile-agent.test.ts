/** Misbehaving agents, and internal errors of the server at one agent: other agents are not affected. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { status } from "@grpc/grpc-js";
import { createLogger } from "@isthmus/observe";
import { createAuthority, issue } from "@isthmus/pki";
import { Ack, Kind, PeerState, SourceReport, StatusResponse, type ToServer } from "@isthmus/proto";
import { hashRecord, remotePosition } from "@isthmus/records";
import { until } from "@isthmus/testing";
import { clampStatus } from "../../membership/clamp-status.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { type ServedStream, serveStream } from "../../testing/serve-stream.js";
import type { AgentTls, TestAgent } from "../../testing/test-agent.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

type Message = NonNullable<ToServer["message"]>;

/** Makes a change of the local cluster and waits until the agent has it. */
let changes = 0;
async function isServed({ own }: ServedStream, agent: TestAgent): Promise<void> {
  const value = `change ${++changes}`;
  own.change({ "services/a/hot": value });
  await until(value, () => Buffer.from(agent.value(0, "services/a/hot") ?? []).toString() === value, 5000);
}

const huge = 2n ** 64n - 1n;
const position = (size: number) => ({
  storeId: Buffer.alloc(size, 7),
  revision: huge,
  versions: [huge, 0n, huge],
  added: [],
});
const ack = (value: Parameters<typeof Ack.fromPartial>[0]): Message => ({
  $case: "ack",
  value: Ack.fromPartial(value),
});

/** Senseless messages within the bounds. */
const ODD: readonly Message[] = [
  ack({ policyRevision: huge }),
  ack({
    applied: [0, 1, 99, 4095, 2 ** 31].flatMap((clusterId) => [
      { clusterId, position: undefined, observedUs: huge, appliedUs: 0n },
      { clusterId, position: position(1), observedUs: 1n, appliedUs: huge },
    ]),
    views: [{ clusterId: 1, rank: 2 ** 31, evidence: "x".repeat(200) }],
  }),
  ack({ maps: Array.from({ length: 256 }, (_, i) => ({ map: `\x1b[2J${i}`, used: 1, capacity: 0 })) }),
  ...[-1, 0, 99, 2 ** 31 - 1].map((kind): Message => ({ $case: "buckets", value: { clusterId: 0, kind, sums: [] } })),
  { $case: "buckets", value: { clusterId: 0, kind: Kind.KIND_SERVICE, sums: Array(256).fill(Buffer.alloc(1)) } },
  { $case: "buckets", value: { clusterId: 77, kind: Kind.KIND_SERVICE, sums: [] } },
  {
    $case: "report",
    value: { up: true, namespace: "\0", pod: "../..", podUid: "", address: Buffer.alloc(3), hostPorts: [] },
  },
];

/** Messages above a bound; no correct agent sends them. */
const TOO_LARGE: readonly Message[] = [
  ack({ applied: [{ clusterId: 1, position: position(17) }] }),
  ack({ applied: [{ clusterId: 0, position: { ...position(16), versions: Array(81).fill(1n) } }] }),
  ack({ views: [{ clusterId: 1, rank: 1, evidence: "x".repeat(1000) }] }),
  ack({ maps: Array.from({ length: 257 }, () => ({ map: "m", used: 1, capacity: 0 })) }),
  ack({ maps: [{ map: "m".repeat(65), used: 1, capacity: 1 }] }),
  { $case: "buckets", value: { clusterId: 0, kind: Kind.KIND_SERVICE, sums: Array(257).fill(Buffer.alloc(16)) } },
  { $case: "buckets", value: { clusterId: 0, kind: Kind.KIND_SERVICE, sums: [Buffer.alloc(17)] } },
  {
    $case: "report",
    value: { up: true, namespace: "n".repeat(254), pod: "", podUid: "", address: Buffer.alloc(4), hostPorts: [] },
  },
  {
    $case: "report",
    value: {
      ...{ up: true, namespace: "n", pod: "p", podUid: "u", address: Buffer.alloc(4) },
      hostPorts: Array.from({ length: 65 }, () => ({ name: "", port: 80, protocol: 6 })),
    },
  },
  ack({ conditions: Array.from({ length: 9 }, () => ({ type: "t", message: "m" })) }),
  ack({ conditions: [{ type: "t", message: "m".repeat(1025) }] }),
];

test("senseless messages before and after Hello do not affect other agents, and no memory grows", async (t) => {
  const served = await serveStream(t, tls);
  const good = await served.agent("n1");
  const bad = await served.agent("n2", {
    sources: [
      { clusterId: 0, floor: position(0), have: position(15) },
      { clusterId: 0, floor: undefined, have: position(16) },
      { clusterId: 2 ** 31, floor: position(16), have: undefined },
    ],
  });
  await until("both are connected", () => served.hub.size === 2);
  for (const message of ODD) bad.send(message);
  bad.send({ $case: "buckets", value: { clusterId: 1, kind: Kind.KIND_SERVICE, sums: [] } });
  await until("all were read", () => bad.bucketsSeen > 0 || bad.ended);
  await isServed(served, good);
  const report = served.agents.reports().find(({ node }) => node === "n2");
  assert.equal(report?.maps.length, 256);
  assert.deepEqual(
    report?.sources.map(({ clusterId }) => clusterId),
    [0, 1],
  );
  assert.doesNotMatch(JSON.stringify(report?.maps.map(({ map }) => map)), /\\u001b/);
  const kinds = new Set([...served.own.index.records()].map(({ kind }) => kind));
  assert.ok(kinds.size <= 4);
});

test("a message above a bound ends its stream with the name of the field; other agents are served", async (t) => {
  const served = await serveStream(t, tls);
  const good = await served.agent("n1");
  for (const message of TOO_LARGE) {
    const bad = await served.agent("n2");
    await until("connected", () => served.hub.size === 2);
    bad.send(message);
    await until("refused", () => bad.error !== undefined);
    assert.equal(bad.error?.code, status.INVALID_ARGUMENT);
    assert.match(bad.error?.details ?? "", /^Message out of bounds: (ack|buckets|report)\.[a-z_.]+ has /);
    await until("forgotten", () => served.hub.size === 1);
  }
  await isServed(served, good);
});

test("requests for unknown kinds get one empty message each and replace nothing", async (t) => {
  const served = await serveStream(t, tls);
  const one = await served.agent("n1");
  await until("in sync", () => one.source(0).inSync);
  const held = one.keys(0).length;
  for (let kind = 100; kind < 400; kind++) one.send({ $case: "buckets", value: { clusterId: 0, kind, sums: [] } });
  await until("some are answered", () => one.emptyExchanges.size > 0);
  assert.equal(one.bucketsSeen, 0);
  assert.equal(one.keys(0).length, held);
  await isServed(served, one);
});

test("a peer or node whose clock is wrong by years ends no stream, and the status can still be reported", async (t) => {
  const served = await serveStream(t, tls);
  const one = await served.agent("n1");
  await until("in sync", () => one.source(0).inSync && one.source(1).inSync);
  const { east, agents } = served;
  for (const ageMs of [2 ** 33, -5, Number.NaN]) {
    const hops = [{ hop: "kubernetes", ageMs }];
    Object.assign(east, { state: () => ({ status: PeerState.PEER_STATE_STALE, hops }) });
    const before = one.states.length;
    east.tell(PeerState.PEER_STATE_STALE);
    await until("the states are sent", () => one.states.length > before);
  }
  for (const observedMicros of [-9e18, 9e30, Number.NaN, 0.5]) {
    const key = `services/a/at${observedMicros}`;
    const position = remotePosition(Buffer.alloc(16, 2), 1_000n + BigInt(one.batches.length));
    const upserts = [hashRecord(Kind.KIND_SERVICE, key, Buffer.from("x"))];
    east.index.apply({ upserts, deletes: [], position, observedMicros });
    await until(key, () => one.value(1, key) !== undefined);
  }
  const applied = [{ clusterId: 1, position: one.source(1).position, observedUs: 1n, appliedUs: huge }];
  one.send({
    $case: "ack",
    value: { applied, views: [], policyRevision: 0n, maps: [], conditions: [], policies: undefined },
  });
  const reported = () => agents.reports()[0]?.sources.some(({ lastPropagationMs }) => lastPropagationMs > 0) === true;
  await until("acknowledged", reported);
  const sources = [SourceReport.fromPartial({ skewMs: -9e15, beatAgeMs: 2 ** 40, kubeAgeMs: -1 })];
  const report = StatusResponse.fromPartial({ kubeAgeMs: 1e12, sources, agents: [...agents.reports()] });
  StatusResponse.encode(clampStatus(report)).finish();
  assert.equal(one.error, undefined);
});

test("a message of 100 MB ends its stream, not the server", async (t) => {
  const served = await serveStream(t, tls);
  const good = await served.agent("n1");
  const bad = await served.agent("n2");
  await until("both are connected", () => served.hub.size === 2);
  const before = process.memoryUsage().rss;
  const sums = [Buffer.alloc(100 << 20)];
  bad.send({ $case: "buckets", value: { clusterId: 0, kind: Kind.KIND_SERVICE, sums } });
  await until("refused", () => bad.error !== undefined);
  assert.equal(bad.error?.code, status.RESOURCE_EXHAUSTED);
  await until("forgotten", () => served.hub.size === 1);
  await isServed(served, good);
  // Client and server are one process here: the message itself and its encodings belong to the client.
  assert.ok(process.memoryUsage().rss - before < 700 << 20);
});

test("an internal error at one agent ends its stream with INTERNAL, is counted and logged; other agents are not affected", async (t) => {
  const lines: string[] = [];
  const log = createLogger({ app: "test", destination: { write: (line) => void lines.push(line) } });
  const served = await serveStream(t, tls, { log });
  const good = await served.agent("n1");
  await until("in sync", () => good.source(0).inSync);
  const { index } = served.east;
  const since = index.since;
  Object.assign(index, {
    since: (have: Parameters<typeof since>[0]) => {
      if (have.revision === 666n) throw new TypeError("a bug");
      return since(have);
    },
  });
  const floor = { storeId: Buffer.alloc(16, 2), revision: 666n, versions: [], added: [] };
  const bad = await served.agent("n2", { sources: [{ clusterId: 1, floor, have: undefined }] });
  await until("ended", () => bad.error !== undefined);
  assert.equal(bad.error?.code, status.INTERNAL);
  assert.doesNotMatch(bad.error?.details ?? "", /a bug/);
  await until("forgotten", () => served.hub.size === 1);
  await isServed(served, good);
  assert.match(await served.metrics.text(), /mesh_stream_errors_total 1/);
  assert.match(lines.join(""), /"level":"error".*"node":"n2".*a bug/);
});

test("an internal error during a change, or later in a catch-up, ends the stream and not the process", async (t) => {
  const served = await serveStream(t, tls);
  const one = await served.agent("n1");
  await until("in sync", () => one.source(0).inSync && one.source(1).inSync);
  const { index } = served.east;
  const throws = () => {
    throw new TypeError("a bug");
  };
  const { after: afterSeq } = index;
  Object.assign(index, { after: throws });
  served.east.change({ "services/a/z": "1" });
  await until("ended", () => one.error?.code === status.INTERNAL);
  Object.assign(index, { after: afterSeq });

  const floor = { storeId: Buffer.alloc(16, 2), revision: 10_000n, versions: [], added: [] };
  const two = await served.agent("n2", { sources: [{ clusterId: 1, floor, have: undefined }] });
  await until("asked", () => served.east.asked.length === 1);
  Object.assign(index, { since: throws });
  served.east.asked[0]?.resolve();
  await until("the second one ended", () => two.error?.code === status.INTERNAL);
  await until("forgotten", () => served.hub.size === 0);
});

/** How a TLS connection with this certificate ends; undefined while it stays open. */
async function handshake({ port }: ServedStream, pair: Partial<AgentTls>): Promise<string> {
  const { certificate, key } = pair;
  const proof = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  const socket = connect({ host: "127.0.0.1", port, ca: tls.ca, ALPNProtocols: ["h2"], ...proof });
  // The server checks the certificate after the client's handshake has succeeded: only a received byte shows the result.
  socket.once("secureConnect", () => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
  return new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("data", () => {
      socket.destroy();
      resolve("served");
    });
    socket.once("close", () => resolve("closed"));
  });
}

test("a client without a client certificate of this cluster's CA cannot connect", async (t) => {
  const served = await serveStream(t, tls);
  const foreign = await issue(await createAuthority("mesh ca of test"), {
    cn: "system:mesh-node:n1",
    usages: ["client"],
  });
  assert.equal(await handshake(served, await tls.node("n1")), "served");
  for (const pair of [{}, foreign, await tls.server()]) assert.notEqual(await handshake(served, pair), "served");
});

test("a stream is refused unless its certificate names the node in Hello", async (t) => {
  const served = await serveStream(t, tls);
  const refused = async (cn: string, node: string) => {
    const agent = await served.agent(node, { tls: await tls.client(cn) });
    await until("refused", () => agent.error !== undefined);
    assert.equal(agent.error?.code, status.PERMISSION_DENIED);
    assert.equal(agent.welcome, undefined);
  };
  await refused("n1", "n1");
  await refused("system:mesh-node:n2", "n1");
  await refused("system:mesh-node:", "");
  await refused("system:node:n1", "n1");
  assert.equal(served.hub.size, 0);
  await isServed(served, await served.agent("n1"));
});
