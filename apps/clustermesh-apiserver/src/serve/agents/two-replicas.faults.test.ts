/**
 * Two replicas disagree while a store is wiped: one has read it before the wipe, the other after. An agent that moves between
 * them never returns to an older position and never mixes stores. With a real etcd and real streams.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Store } from "@isthmus/kvstore";
import { type CutProxy, type EtcdServer, startCutProxy, startEtcd } from "@isthmus/kvstore/testing";
import { systemClock } from "@isthmus/model";
import { createMetrics, silentLogger } from "@isthmus/observe";
import type { Position } from "@isthmus/proto";
import { accumulate, bucketOf, emptySum, type RecordTable, STORE_KINDS, sameSums, sumBytes } from "@isthmus/records";
import { until } from "@isthmus/testing";
import {
  clusterConfig,
  createMemoryExport,
  openStore,
  runPublisher,
  untilPublished,
} from "../../publish/testing/fixture.js";
import { remoteStreamSource } from "../../remote/remote-stream-source.js";
import { peer, runSources, slice, slices, untilSame } from "../../remote/testing/fixture.js";
import { createFakeSource, createFakeSources } from "../../testing/fake-source.js";
import { createMeshTls, type MeshTls } from "../../testing/mesh-tls.js";
import { connectAgent, type HeldSource, type TestAgent } from "../../testing/test-agent.js";
import { watchTlsFiles } from "../grpc/tls-files.js";
import { createAgentRegistry } from "./agent-registry.js";
import { createAgentQueries } from "./agent-queries.js";
import { createStreamHub } from "./stream-hub.js";
import { startStreamServer } from "./stream-server.js";

const EAST = 1;

let etcd: EtcdServer;
let store: Store;
let proxy: CutProxy;
let far: Store;
let tls: MeshTls;

before(async () => {
  tls = await createMeshTls();
  etcd = await startEtcd();
  store = await openStore(etcd);
  proxy = await startCutProxy(etcd.port);
  far = await openStore(etcd, "root", proxy.port);
});
after(async () => {
  for (const each of [store, far]) each.close();
  await proxy.close();
  await etcd.close();
  tls.remove();
});

interface After {
  after(work: () => unknown): void;
}

/** A server that follows east with its own store client. */
async function startReplica(t: After, way: Store) {
  const running = runSources(way, [peer("east", EAST)]);
  const east = running.source(EAST);
  const sources = createFakeSources(createFakeSource(0, "west"), remoteStreamSource(east, systemClock));
  const log = silentLogger;
  const hub = createStreamHub(
    { maxSnapshots: 10, maxAgents: 10 },
    { sources, agents: createAgentRegistry(systemClock), clock: systemClock, metrics: createMetrics() },
  );
  const files = watchTlsFiles(tls.folder, log);
  const server = await startStreamServer(
    { address: "127.0.0.1:0", instance: "test", cluster: "west", clusterId: 2 },
    { hub, queries: createAgentQueries(), tls: files, clock: systemClock, log, servers: () => [] },
  );
  t.after(async () => {
    await server.close(500);
    hub.close();
    files.close();
    await running.stop();
  });
  return { east, port: server.port };
}

type Replica = Awaited<ReturnType<typeof startReplica>>;

/** An agent whose applied position is the floor of its next stream. */
function createMover(t: After, node: string) {
  const held = new Map<number, HeldSource>();
  const [path, marks]: [Position[], Position[]] = [[], []];
  let agent: (TestAgent & { readonly held: Map<number, HeldSource> }) | undefined;
  const leave = (): void => {
    if (agent === undefined) return;
    for (const { clusterId, to } of agent.batches) if (clusterId === EAST && to !== undefined) path.push(to);
    for (const { clusterId, position } of agent.marks)
      if (clusterId === EAST && position !== undefined) marks.push(position);
    agent.close();
    agent = undefined;
  };
  t.after(leave);
  const now = (): TestAgent => {
    assert.ok(agent !== undefined);
    return agent;
  };
  return {
    now,
    leave,
    table: (): RecordTable | undefined => held.get(EAST)?.table,
    async moveTo({ port }: Replica): Promise<void> {
      leave();
      const position = held.get(EAST)?.position;
      const sources = position === undefined ? [] : [{ clusterId: EAST, floor: position, have: position }];
      agent = connectAgent({ port, node, tls: await tls.node(node), held, sources });
    },
    isWithheld: () => now().states.some(({ clusterId, behind }) => clusterId === EAST && behind),
    /** Requests buckets after each Mark, as an agent does when sums differ, until it has the exported records. */
    async holds(wanted: RecordTable): Promise<void> {
      let asked = 0;
      await until(`${node} has the exported records`, () => {
        const { table } = now().source(EAST);
        if (sameSums(table.sums(STORE_KINDS), wanted.sums(STORE_KINDS))) return true;
        const marks = now().marks.filter(({ clusterId }) => clusterId === EAST).length;
        if (marks > asked) askForBuckets(now());
        asked = Math.max(asked, marks);
        return false;
      });
    },
    /** The positions of all content over all streams, and those of all Marks. */
    paths(): readonly (readonly Position[])[] {
      leave();
      return [path, marks];
    },
  };
}

function askForBuckets(agent: TestAgent): void {
  for (const kind of STORE_KINDS) {
    const sums = Array.from({ length: 256 }, emptySum);
    for (const record of agent.source(EAST).table.records(kind)) {
      const sum = sums[bucketOf(record.key)];
      if (sum !== undefined) accumulate(sum, record.hash, 1);
    }
    agent.send({ $case: "buckets", value: { clusterId: EAST, kind, sums: sums.map(sumBytes) } });
  }
}

/** Asserts that positions never return to a previous store, and that revisions do not decrease within a store. */
function assertForward(path: readonly Position[], stores: readonly Buffer[]): void {
  let [at, revision] = [0, 0n];
  for (const { storeId, revision: next } of path) {
    const store = stores.findIndex((each) => each.equals(storeId));
    assert.ok(store >= at, `back to store ${store} from ${at}`);
    if (store > at) revision = 0n;
    assert.ok(next >= revision, `revision ${next} after ${revision} in store ${store}`);
    [at, revision] = [store, next];
  }
}

test("agents that move between replicas never go back while only one replica has noticed a wipe", async (t) => {
  const exported = createMemoryExport(slices(EAST, 100));
  const publisher = runPublisher(store, exported, { config: clusterConfig("east", EAST) });
  t.after(() => publisher.stop());
  const [near, blind] = [await startReplica(t, store), await startReplica(t, far)];
  await Promise.all([untilSame(near.east, exported.table), untilSame(blind.east, exported.table)]);
  const first = Buffer.from(near.east.index.position?.storeId ?? "");
  const [mover, ahead, late] = [createMover(t, "mover"), createMover(t, "ahead"), createMover(t, "late")];
  for (const each of [mover, ahead]) await each.moveTo(near);
  await late.moveTo(blind);
  for (const each of [mover, ahead, late]) await each.holds(exported.table);

  // The far replica loses the store; the store gets new revisions, so an agent of the near replica is ahead of the far one.
  proxy.setOpen(false);
  late.leave();
  exported.change([slice(EAST, 1, 2)], [{ key: "slices/shop/cart/s2" }]);
  await untilPublished(store, "east", exported);
  for (const each of [mover, ahead]) await each.holds(exported.table);
  await ahead.moveTo(blind);
  await until("the source is withheld from the agent ahead", ahead.isWithheld);

  // The store is wiped and filled again; the near replica and its agent switch to the new store.
  await etcd.wipe();
  exported.change([slice(EAST, 1, 3), slice(EAST, 200)], [{ key: "slices/shop/cart/s3" }]);
  await untilSame(near.east, exported.table);
  const second = Buffer.from(near.east.index.position?.storeId ?? "");
  assert.notDeepEqual(second, first);
  await mover.holds(exported.table);

  // The agent moves to the replica that still has the old store: that replica serves nothing of it.
  await mover.moveTo(blind);
  await until("the source is withheld there", mover.isWithheld);
  assert.ok(blind.east.index.position?.storeId.equals(first), "that replica still has the old store");
  for (const each of [mover, ahead]) {
    askForBuckets(each.now());
    const heard = each.now().states.length;
    await until("the server has sent it a state since", () => each.now().states.length > heard);
    const { batches, marks, bucketsSeen } = each.now();
    const ofEast = [...batches, ...marks].filter(({ clusterId }) => clusterId === EAST);
    assert.deepEqual([ofEast, bucketsSeen], [[], 0]);
  }

  // The far replica reaches the store again: both agents are served the new store.
  proxy.setOpen(true);
  await untilSame(blind.east, exported.table, 30_000);
  for (const each of [mover, ahead]) await each.holds(exported.table);
  // An agent that was away meanwhile connects with a position of the old store to the replica that has the new one.
  await late.moveTo(near);
  await late.holds(exported.table);
  exported.change([slice(EAST, 1, 4)]);
  for (const each of [mover, ahead, late]) await each.holds(exported.table);
  for (const path of [mover, ahead, late].flatMap((each) => each.paths())) assertForward(path, [first, second]);
});
