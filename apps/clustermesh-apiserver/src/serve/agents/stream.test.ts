/** The stream over real gRPC on loopback, with fake sources. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Kind, PeerState, type Position } from "@isthmus/proto";
import { accumulate, bucketOf, emptySum, KINDS, sumBytes } from "@isthmus/records";
import { nextTurn } from "@isthmus/runtime";
import { until } from "@isthmus/testing";
import { createFakeSource } from "../../testing/fake-source.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { serveStream } from "../../testing/serve-stream.js";
import type { TestAgent } from "../../testing/test-agent.js";
import type { StreamHubOptions } from "./stream-hub.js";

let tls: MeshTls;
before(async () => {
  tls = await createMeshTls();
});
after(() => tls.remove());

const serve = (t: { after(work: () => Promise<void>): void }, options: Partial<StreamHubOptions> = {}) =>
  serveStream(t, tls, options);

const inSync = (agent: TestAgent, ...clusters: readonly number[]) =>
  until(`in sync: ${clusters.join()}`, () => clusters.every((id) => agent.source(id).inSync));
const positions = (agent: TestAgent, clusterId: number) => {
  const { position } = agent.source(clusterId);
  return { clusterId, floor: position, have: position };
};

test("after Welcome the local source comes first, each source has a matching Mark, and only the own node's configuration is sent", async (t) => {
  const { agent } = await serve(t);
  const one = await agent("n1");
  await inSync(one, 0, 1);
  assert.deepEqual(one.welcome, {
    instance: "test",
    servers: ["a:1", "b:2"],
    protocol: 1,
    cluster: "west",
    clusterId: 2,
  });
  assert.deepEqual([...new Set(one.batches.map(({ clusterId }) => clusterId))], [0, 1]);
  assert.deepEqual(one.keys(0).sort(), ["node-configs/n1", "services/a/x", "slices/a/x/x-1"]);
});

test("a change reaches every agent as one batch from its position; another node's configuration is not sent", async (t) => {
  const { own, agent } = await serve(t);
  const agents = [await agent("n1"), await agent("n2")];
  for (const each of agents) await inSync(each, 0, 1);
  const before = agents.map((each) => each.batches.length);
  own.change({ "node-configs/n1": "changed" });
  own.change({ "services/a/y": "2" }, ["slices/a/x/x-1"]);
  for (const each of agents) await until("y", () => each.value(0, "services/a/y") !== undefined);
  const [one, two] = agents.map((each, i) => each.batches.slice(before[i]));
  assert.equal(Buffer.from(agents[0]?.value(0, "node-configs/n1") ?? []).toString(), "changed");
  assert.ok(one !== undefined && two !== undefined);
  assert.deepEqual(
    two.flatMap(({ upserts }) => upserts.map(({ key }) => key)),
    ["services/a/y"],
  );
  assert.deepEqual(
    two.flatMap(({ deletes }) => deletes.map(({ key }) => key)),
    ["slices/a/x/x-1"],
  );
  for (const each of agents) assert.equal(each.source(0).broken, undefined, "each batch begins where the last ended");
});

test("resuming at a position sends only the missed changes", async (t) => {
  const { own, agent } = await serve(t);
  const first = await agent();
  await inSync(first, 0);
  first.close();
  own.change({ "services/a/y": "2" });
  const again = await agent("n1", { held: first.held, sources: [positions(first, 0)] });
  await until("y", () => again.value(0, "services/a/y") !== undefined);
  await until("the mark", () => again.source(0).marks.good >= 2);
  assert.equal(again.source(0).firstSyncs, 1);
  assert.deepEqual(
    again.batches.filter(({ clusterId }) => clusterId === 0).flatMap(({ upserts }) => upserts).length,
    1,
  );
});

test("an agent that was away too long compares with the Mark and gets only the buckets that differ", async (t) => {
  const { own, agent } = await serve(t);
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`services/a/s${i}`, "1"]));
  own.change(many);
  const first = await agent();
  await inSync(first, 0);
  first.close();
  // More deletions than the index remembers.
  own.change(
    { "services/a/new": "1" },
    Array.from({ length: 60 }, (_, i) => `services/a/s${i}`),
  );
  const again = await agent("n1", { held: first.held, sources: [positions(first, 0)] });
  await until("a mark of another position", () => again.marks.some(({ clusterId }) => clusterId === 0));
  const { table } = again.source(0);
  askForBuckets(again, KINDS);
  await until("the same records", () => again.keys(0).length === 3 + 241);
  assert.ok(again.bucketsSeen < 256, `only what differs: ${again.bucketsSeen}`);
  assert.equal(table.get("services/a/s0"), undefined);
  assert.equal(again.source(0).firstSyncs, 1);
});

/** Sends the sums of its records of these kinds. */
function askForBuckets(agent: TestAgent, kinds: readonly Kind[]): void {
  for (const kind of kinds) {
    const sums = Array.from({ length: 256 }, emptySum);
    for (const record of agent.source(0).table.records(kind)) {
      const sum = sums[bucketOf(record.key)];
      if (sum !== undefined) accumulate(sum, record.hash, 1);
    }
    agent.send({ $case: "buckets", value: { clusterId: 0, kind, sums: sums.map(sumBytes) } });
  }
}

test("an agent ahead of this server is notified, and served once the server has caught up", async (t) => {
  const { east, agent } = await serve(t);
  const announced = east.index.announced as Position;
  const floor = { ...announced, revision: announced.revision + 1n };
  const one = await agent("n1", { sources: [{ clusterId: 1, floor, have: undefined }] });
  await inSync(one, 0);
  await until("asked", () => east.asked.length === 1);
  // catchUp is called in this process, while the state message is still in transit.
  await until("the state behind", () => one.states.some(({ clusterId, behind }) => clusterId === 1 && behind));
  assert.equal(
    one.batches.some(({ clusterId }) => clusterId === 1),
    false,
    "withheld",
  );
  east.change({ "services/a/z": "1" });
  east.asked[0]?.resolve();
  await inSync(one, 1);
  assert.equal(one.states.filter(({ clusterId }) => clusterId === 1).at(-1)?.behind, false);
  assert.ok((one.source(1).position?.revision ?? 0n) >= floor.revision);
});

test("an agent whose floor is of an unknown store is served after a quorum read, not before", async (t) => {
  const { east, agent } = await serve(t);
  const floor = { storeId: Buffer.alloc(16, 9), revision: 1n, versions: [], added: [] };
  const one = await agent("n1", { sources: [{ clusterId: 1, floor, have: undefined }] });
  await until("asked", () => east.asked.length === 1);
  assert.equal(
    one.batches.some(({ clusterId }) => clusterId === 1),
    false,
  );
  east.asked[0]?.resolve();
  await inSync(one, 1);
});

test("a shared snapshot below an agent's floor is not used for it", async (t) => {
  const { east, agent } = await serve(t);
  await inSync(await agent("n1"), 1);
  const floor = east.change({ "services/a/z": "1" });
  const two = await agent("n2", { sources: [{ clusterId: 1, floor, have: undefined }] });
  await inSync(two, 1);
  for (const { to } of two.batches.filter(({ clusterId }) => clusterId === 1))
    assert.ok((to?.revision ?? 0n) >= floor.revision);
});

test("an unverified source gets no Marks and no bucket exchange", async (t) => {
  const { east, agent } = await serve(t);
  east.prove(false);
  const one = await agent();
  await until("the records", () => one.value(1, "services/a/x") !== undefined);
  one.send({ $case: "buckets", value: { clusterId: 1, kind: KINDS[3] as Kind, sums: [] } });
  east.change({ "services/a/z": "1" });
  await until("a later batch", () => one.value(1, "services/a/z") !== undefined);
  assert.deepEqual([one.bucketsSeen, one.source(1).marks], [0, { good: 0, bad: 0 }]);
  east.prove(true);
  await inSync(one, 1);
  await until("the bucket", () => one.bucketsSeen > 0);
});

test("a kind that the publisher does not know is not marked and its buckets are not replaced; other kinds are", async (t) => {
  const { east, agent } = await serve(t);
  east.change({ "nodes/n": "1" });
  east.leaveOut(Kind.KIND_NODE);
  const one = await agent();
  await inSync(one, 1);
  const exported = one.marks.find(({ clusterId }) => clusterId === 1)?.sums.filter((sum) => !sum.exported);
  assert.deepEqual(
    exported?.map(({ kind }) => kind),
    [Kind.KIND_NODE],
  );
  for (const kind of [Kind.KIND_NODE, 99 as Kind, Kind.KIND_SERVICE])
    one.send({ $case: "buckets", value: { clusterId: 1, kind, sums: [] } });
  await until("the exchanges end", () => one.emptyExchanges.size === 2 && one.bucketsSeen === 256);
  assert.deepEqual([...one.emptyExchanges], [Kind.KIND_NODE, 99]);
  assert.ok(one.keys(1).includes("nodes/n"));
});

test("an agent that was away too long gets a first sync if the source is not verified for every kind", async (t) => {
  const { east, agent } = await serve(t);
  const many = Array.from({ length: 60 }, (_, i) => `services/a/s${i}`);
  east.change(Object.fromEntries(many.map((key) => [key, "1"])));
  const first = await agent();
  await inSync(first, 1);
  first.close();
  east.change({ "nodes/n": "new" }, many); // more deletions than the index remembers
  east.leaveOut(Kind.KIND_NODE);
  const again = await agent("n1", { held: first.held, sources: [positions(first, 1)] });
  await until("the node", () => again.keys(1).includes("nodes/n"));
  await until("one more first sync", () => again.source(1).firstSyncs === 2);
});

test("after a restore the source continues with the new store id from the old position", async (t) => {
  const { own, agent } = await serve(t);
  const one = await agent();
  await inSync(one, 0);
  own.restore();
  const position = own.change({ "services/a/y": "2" });
  await until("the new store id", () => one.source(0).position?.storeId.equals(position.storeId) === true);
  assert.equal(one.source(0).broken, undefined);
});

test("peers are added and removed while agents are connected; earlier removals are also reported", async (t) => {
  const { sources, east, agent } = await serve(t);
  const one = await agent("n1", { sources: [{ clusterId: 7, floor: undefined, have: undefined }] });
  await inSync(one, 1);
  const removed = (id: number) =>
    one.states.some(({ clusterId, status }) => clusterId === id && status === PeerState.PEER_STATE_REMOVED);
  await until("cluster 7 is unknown here", () => removed(7));
  const north = createFakeSource(3, "north");
  north.change({ "services/a/x": "n" });
  sources.add(north);
  await inSync(one, 3);
  sources.remove(east);
  await until("east is removed", () => removed(1));
  assert.equal(removed(3), false);
});

test("a source that becomes stale is reported at once and keeps its records", async (t) => {
  const { east, agent } = await serve(t);
  const one = await agent();
  await inSync(one, 1);
  east.tell(PeerState.PEER_STATE_STALE);
  await until("stale", () =>
    one.states.some(({ clusterId, status }) => clusterId === 1 && status === PeerState.PEER_STATE_STALE),
  );
  assert.ok(one.value(1, "services/a/x") !== undefined);
});

test("first syncs beyond the limit are sent away with a retry time; a slow one does not block agents that resume", async (t) => {
  const { own, hub, agent } = await serve(t, { maxSnapshots: 1 });
  const filler = "x".repeat(20_000);
  own.change(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`services/big/s${i}`, filler])));
  const slow = await agent("n1");
  slow.pause();
  await until("the slow one is in its first sync", () => hub.size === 1);
  const { position } = { position: own.index.announced };
  const second = await agent("n2");
  await until("sent away", () => second.goAway !== undefined);
  assert.match(second.goAway?.reason ?? "", /first syncs/);
  assert.ok((second.goAway?.retryAfterMs ?? 0) >= 500);
  const resuming = await agent("n3", {
    sources: [
      { clusterId: 0, floor: position, have: position },
      {
        clusterId: 1,
        floor: undefined,
        have: { storeId: Buffer.alloc(16, 2), revision: 101n, versions: [], added: [] },
      },
    ],
  });
  own.change({ "services/a/y": "2" });
  await until("the one that resumed is served", () => resuming.value(0, "services/a/y") !== undefined);
  slow.resume();
  await inSync(slow, 0);
  assert.equal(slow.keys(0).length, 604);
  await inSync(await agent("n2"), 0);
});

test("a slow client gets the latest state, not every change", async (t) => {
  const { own, agent } = await serve(t);
  const slow = await agent();
  await inSync(slow, 0);
  slow.pause();
  const filler = "x".repeat(50_000);
  for (let i = 0; i < 400; i++) {
    own.change({ "services/a/hot": `${i}${filler}` });
    await nextTurn();
  }
  slow.resume();
  await until("the newest", () =>
    Buffer.from(slow.value(0, "services/a/hot") ?? [])
      .toString()
      .startsWith("399"),
  );
  assert.ok(slow.batches.length < 200, `${slow.batches.length} batches for 400 changes`);
  assert.equal(slow.source(0).broken, undefined);
});

test("Acks update applied positions and propagation times; a resumed position counts as applied", async (t) => {
  const { own, agents, agent } = await serve(t);
  const one = await agent();
  await inSync(one, 0);
  const report = () => agents.reports().find(({ node }) => node === "n1");
  const source = () => report()?.sources.find(({ clusterId }) => clusterId === 0);
  assert.equal(source()?.inSync, false, "nothing is applied yet");
  own.change({ "services/a/y": "2" });
  await until("y", () => one.value(0, "services/a/y") !== undefined);
  one.ack(0);
  await until("in sync", () => source()?.inSync === true);
  assert.equal(source()?.appliedRevision, 102n);
  assert.ok((source()?.lagMs ?? 1) === 0);
  const again = await agent("n1", { held: one.held as Map<number, never>, sources: [positions(one, 0)] });
  await until("replaced", () => one.goAway !== undefined);
  assert.equal(source()?.inSync, true);
  again.close();
  await until("the agent is disconnected", () => report()?.connected === false);
});

test("a renewed server certificate is used for the next connection", async (t) => {
  const { port } = await serve(t);
  const { connect } = await import("node:tls");
  const serial = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, ca: tls.ca, ALPNProtocols: ["h2"] }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once("error", reject);
    });
  const before = await serial();
  await tls.renew();
  await until("the new one", async () => (await serial()) !== before);
});
