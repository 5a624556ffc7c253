/** What the maps hold for a frontend: on real maps as an agent wrote them, and against the choice of the programs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { BackendId, BackendRow, native, openDatapath, Rank, RankHelp, rankBit } from "@isthmus/bpf";
import {
  createWriter,
  frontend,
  loadTestObject,
  makeCgroup,
  OBJECTS,
  openSelection,
  uniqueName,
} from "@isthmus/bpf/testing";
import { formatAddress, parseAddress, parsePrefix, type ServiceName, TCP } from "@isthmus/model";
import { FrontendRowState, type FrontendRows, type NodeFrontends } from "@isthmus/proto";
import { inTurns } from "@isthmus/runtime";
import { createMemoryKernel, SMALL_KERNEL } from "@isthmus/testing";
import { makePlan, startBench } from "../datapath/testing/testbed.js";
import { createFrontendLookup, type FrontendLookup, type FrontendLookupModules } from "./frontend-lookup.js";

const IP = "10.96.0.1";
const {
  FRONTEND_ROW_STATE_SERVICE: SERVICE,
  FRONTEND_ROW_STATE_REFUSED: REFUSED,
  FRONTEND_ROW_STATE_OTHER_PROXY: OTHER_PROXY,
  FRONTEND_ROW_STATE_UNKNOWN: UNKNOWN,
  FRONTEND_ROW_STATE_NONE: NONE,
} = FrontendRowState;

const address = (ip: string, port = 80) => ({ address: Buffer.from(parseAddress(ip)), port, protocol: TCP });

async function lookUp(lookup: FrontendLookup, ...frontends: readonly ReturnType<typeof address>[]) {
  const work = lookup.open({ frontends: [...frontends] });
  assert.ok(!("problem" in work), JSON.stringify(work));
  const { frontends: rows }: NodeFrontends = await inTurns(work);
  assert.equal(rows.length, frontends.length);
  return rows;
}

/** `10.1.0.5 x2 up` per tier. */
const shown = (rows: FrontendRows | undefined) =>
  rows?.tiers.map(({ backends }) =>
    backends.map(({ address, slots, rank }) => `${formatAddress(address)} x${slots} ${RankHelp.get(rank)?.name}`),
  );

/** The maps of a node of cluster 1 in the kernel, in a pin folder and a control group of their own. */
async function realMaps(t: TestContext) {
  const name = uniqueName("lookup");
  const cgroup = makeCgroup(name);
  t.after(() => cgroup.remove());
  const bpffs = join("/sys/fs/bpf", name);
  const sizes = { frontends: 256, services: 256, backends: 1024, nodes: 64, udp: 64 };
  const config = { clusterId: 1 };
  const port = await openDatapath({ bpffs, cgroup: cgroup.path, objectDir: OBJECTS, config, sizes });
  t.after(() => port.destroy());
  const bench = await startBench(port);
  const problems: Error[] = [];
  const modules: FrontendLookupModules = { port, localCluster: 1, desired: bench.desired, problems: () => problems };
  return { port, bench, problems, lookup: createFrontendLookup(modules) };
}

test("a frontend has its service row, tiers, slots and backends as the agent wrote them, with ranks and their reporters", async (t) => {
  const { port, bench, lookup, problems } = await realMaps(t);
  const tiers = [["10.1.0.1", "10.1.0.2", "10.1.0.1"], ["2:10.2.0.1"]];
  await bench.set([makePlan("shop/web", IP, tiers, 80, 250)]);
  const [rows] = await lookUp(lookup, address(IP));
  assert.ok(rows !== undefined);
  assert.deepEqual([rows.state, rows.plannedFor, rows.rescueAfterMs, rows.noRescue], [SERVICE, "shop/web", 250, false]);
  assert.deepEqual(
    rows.tiers.map(({ slots, tries, cluster, skipped, stale }) => ({ slots, tries, cluster, skipped, stale })),
    [
      { slots: 3, tries: 2, cluster: 1, skipped: false, stale: 0 },
      { slots: 1, tries: 0, cluster: 2, skipped: false, stale: 0 },
    ],
  );
  assert.deepEqual(
    shown(rows)?.map((tier) => [...tier].sort()),
    [["10.1.0.1 x2 up", "10.1.0.2 x1 up"], ["10.2.0.1 x1 up"]],
  );
  assert.deepEqual([rows.activeTier, rows.backendsLeftOut, rows.problems], [1, 0, []]);

  const index = rows.tiers[0]?.backends.find(({ slots }) => slots === 2)?.index ?? 0;
  port.clusterState.storeWord32(2, 0, rankBit(Rank.Down, 3));
  port.backends.storeWord32(index, 0, 0);
  problems.push(new Error("map is full\u001b[2J"));
  const [after] = await lookUp(lookup, address(IP));
  assert.deepEqual(shown(after), [["10.1.0.2 x1 up"], ["10.2.0.1 x1 down"]]);
  assert.deepEqual([after?.tiers[0]?.stale, after?.tiers[1]?.skipped, after?.activeTier], [2, true, 1]);
  assert.equal(after?.tiers[1]?.backends[0]?.clusterState, rankBit(Rank.Down, 3));
  assert.deepEqual(after?.problems, ["map is full\\u{1b}[2J"]);
});

test("a frontend without a row is what programs take it for", async (t) => {
  const { bench, lookup } = await realMaps(t);
  await bench.set([makePlan("shop/web", IP, [["10.1.0.1"]])], [makePlan("shop/empty", "10.96.0.2", [])]);
  const frontends = bench.desired.setOtherProxy("shop/left" as ServiceName, [parseAddress("10.96.0.3")]);
  bench.datapath.touch({ frontends, serviceRanges: [parsePrefix("10.96.0.0/16")] });
  await bench.datapath.apply();
  const asked = [address(IP), address(IP, 81), address("10.96.0.3"), address("10.96.0.4"), address("10.1.0.1")];
  const rows = await lookUp(lookup, ...asked, address("10.96.0.2"));
  assert.deepEqual(
    rows.map(({ state }) => state),
    [SERVICE, REFUSED, OTHER_PROXY, UNKNOWN, NONE, SERVICE],
  );
  assert.deepEqual([rows[5]?.tiers, rows[5]?.activeTier, rows[5]?.plannedFor], [[], 0, "shop/empty"]);
});

test("an answer has 1,000 backends at most, and the best rank is of all", async () => {
  const port = createMemoryKernel({ ...SMALL_KERNEL, backends: 4096 }).open();
  const bench = await startBench(port);
  const many = Array.from({ length: 3000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  await bench.set([makePlan("shop/web", IP, [many, ["2:10.2.0.1"]])]);
  const lookup = createFrontendLookup({ port, localCluster: 1, desired: bench.desired, problems: () => [] });
  const [rows] = await lookUp(lookup, address(IP));
  assert.deepEqual([rows?.tiers[0]?.backends.length, rows?.backendsLeftOut, rows?.activeTier], [1000, 2001, 1]);
  const slots = rows?.tiers[0]?.slots;
  assert.equal(slots, 3000);
  for (const { index } of rows?.tiers[0]?.backends ?? [])
    port.backends.writeBody(index, Uint8Array.of(Rank.Down), BackendRow.offsets.state);
  assert.equal((await lookUp(lookup, address(IP)))[0]?.activeTier, 1, "backends that are not in the answer are up");
});

test("a query out of bounds has no answer", () => {
  const port = createMemoryKernel().open();
  const lookup = createFrontendLookup({ port, localCluster: 1, desired: { get: () => undefined }, problems: () => [] });
  const many = Array.from({ length: 17 }, () => address(IP));
  assert.match(JSON.stringify(lookup.open({ frontends: many })), /at most 16 frontends/);
  for (const bad of [{ ...address(IP), address: Buffer.alloc(4) }, address(IP, 65_536)])
    assert.match(JSON.stringify(lookup.open({ frontends: [bad] })), /16 bytes and a port/);
});

test("the tier at which programs start is the one of their choice, whatever is suspect or down", async (t) => {
  const object = loadTestObject(t, "select_test");
  const maps = await openSelection(object);
  const memory = createMemoryKernel().open();
  await memory.frontends.insert(new Map([frontend(IP, 80, TCP, 1)]));
  const { frontends, serviceRanges } = memory;
  const lookup = createFrontendLookup({
    port: { ...maps, frontends, serviceRanges },
    ...{ localCluster: 1, desired: { get: () => undefined }, problems: () => [] },
  });
  const writer = createWriter(maps);
  const program = object.program("select_backend");
  /** struct select_request: service 1, a random hash. */
  const request = Buffer.alloc(24);
  request.writeUInt32LE(1, 16);
  const rank = (seed: number) => [Rank.Up, Rank.Draining, Rank.Suspect, Rank.Down][seed % 4] ?? Rank.Up;
  const chosenTiers = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) {
    const random = (i: number) => Math.imul(seed * 31 + i, 0x9e3779b1) >>> 20;
    // At most eight probes in all, which find the only backend that is up.
    const ids = [0, 1, 2].map((tier) =>
      Array.from({ length: 1 + (random(tier) % 2) }, (_, i) => {
        const index = 1 + 10 * tier + i;
        return writer.backend({ index, cluster: tier + 1, node: tier + 1, state: rank(random(40 + index)) });
      }),
    );
    writer.service(
      1,
      ids.map((each, tier) => ({
        ids: each,
        tries: each.length - 1,
        cluster: random(60 + tier) % 2 === 0 ? tier + 1 : 0,
      })),
    );
    for (const cluster of [1, 2, 3]) {
      maps.clusterState.storeWord32(cluster, 0, random(cluster) % 3 === 0 ? rankBit(rank(random(80 + cluster)), 1) : 0);
      maps.nodeState.storeWord32(
        cluster,
        0,
        random(9 + cluster) % 3 === 0 ? rankBit(rank(random(90 + cluster)), 2) : 0,
      );
    }
    const [rows] = await lookUp(lookup, address(IP));
    const chosen = BackendId.fromWord((await native().testRun(program, request, 1)).retval >>> 0).index;
    const tier = 1 + Math.floor((chosen - 1) / 10);
    assert.equal(rows?.activeTier, tier, `seed ${seed}: backend ${chosen}; ${JSON.stringify(shown(rows))}`);
    const backends = rows.tiers[tier - 1]?.backends ?? [];
    const lowest = Math.min(...backends.map((backend) => backend.rank));
    assert.equal(backends.find(({ index }) => index === chosen)?.rank, lowest, `seed ${seed}`);
    chosenTiers.add(tier);
  }
  assert.deepEqual([...chosenTiers].sort(), [1, 2, 3]);
});
