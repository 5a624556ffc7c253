import assert from "node:assert/strict";
import { test } from "node:test";
import { backendGeneration, MAP_NAMES, ServiceRow } from "@isthmus/bpf";
import { wordsAddress } from "@isthmus/clustermesh";
import type { FrontendPlan } from "@isthmus/loadbalancer";
import { parseAddress } from "@isthmus/model";
import { createMemoryKernel, Killed, SMALL_KERNEL } from "@isthmus/testing";
import { nodeName } from "../desired/nodes/nodes.js";
import { frontendName, rejectName } from "../desired/services/frontends.js";
import { describeKernel, frontendOf, makePlan, selectable, startBench } from "./testing/testbed.js";

const VIP = "10.96.0.10";
const A = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
const B = ["2:10.2.0.1", "2:10.2.0.2"];

const names = (found: readonly { backend: string }[] | undefined) => found?.map(({ backend }) => backend);

test("a Service is served, follows its endpoints, and is removed", async () => {
  const kernel = createMemoryKernel();
  const port = kernel.open();
  const bench = await startBench(port);
  await bench.set([makePlan("shop/cart", VIP, [A, B])]);
  assert.deepEqual(names(await selectable(port, frontendOf(VIP))), [...A.map((a) => `1:${a}`), ...B]);
  await bench.set([makePlan("shop/cart", VIP, [B])]);
  assert.deepEqual(names(await selectable(port, frontendOf(VIP))), B);
  await bench.set("shop/cart");
  await bench.datapath.settled();
  assert.deepEqual(await describeKernel(port), []);
  assert.deepEqual(
    bench.datapath.fill().map(({ used }) => used),
    [0, 0, 0, 0, 0, 0],
  );
});

test("unknown ports of a VIP are refused while it has a port", async () => {
  const port = createMemoryKernel().open();
  const bench = await startBench(port);
  const reject = rejectName(frontendName(parseAddress(VIP), 80, 6));
  await bench.set([makePlan("a/a", VIP, [A]), makePlan("a/a", VIP, [A], 443)]);
  assert.ok((await port.frontends.load()).has(reject));
  await bench.set([makePlan("a/a", VIP, [A], 443)]);
  assert.ok((await port.frontends.load()).has(reject));
  await bench.set("a/a");
  assert.equal((await port.frontends.load()).size, 0);
});

test("adding an endpoint takes four writes, whatever the number of Services", async () => {
  const kernel = createMemoryKernel();
  const bench = await startBench(kernel.open());
  await bench.set(...Array.from({ length: 50 }, (_, i) => [makePlan(`a/s${i}`, `10.96.1.${i}`, [[`10.1.1.${i}`]])]));
  await bench.datapath.settled();
  const before = kernel.log.count;
  await bench.set([makePlan("a/s7", "10.96.1.7", [["10.1.1.7", "10.1.2.7"]])]);
  assert.equal(kernel.log.count - before, 4); // body, id, line, word
  const freed = kernel.log.count;
  await bench.datapath.settled();
  assert.equal(kernel.log.count, freed); // a line needs no write to be free
});

test("a table of several lines is a run of lines, also if the lines were freed one by one", async () => {
  const port = createMemoryKernel({ ...SMALL_KERNEL, linesPerSegment: 8, maxSegments: 2 }).open();
  const bench = await startBench(port);
  await bench.set(...Array.from({ length: 8 }, (_, i) => [makePlan(`a/s${i}`, `10.96.1.${i}`, [[`10.1.1.${i}`]])]));
  await bench.set(...Array.from({ length: 6 }, (_, i) => `a/s${i}`));
  await bench.datapath.settled();
  const many = Array.from({ length: 90 }, (_, i) => `10.1.3.${i}`);
  await bench.set([makePlan("a/big", VIP, [many])]);
  assert.equal(port.tables.segments.length, 1);
  assert.equal((await selectable(port, frontendOf(VIP)))?.length, 90);
  await bench.set([makePlan("a/big2", "10.96.0.11", [many])]);
  assert.equal(port.tables.segments.length, 2);
  assert.equal((await selectable(port, frontendOf("10.96.0.11")))?.length, 90);
});

test("a full map fails only the Service without room, which is retried when there is room", async () => {
  const port = createMemoryKernel({ ...SMALL_KERNEL, backends: 5 }).open();
  const bench = await startBench(port);
  await bench.set(
    [makePlan("a/one", "10.96.0.1", [["10.1.0.1", "10.1.0.2"]])],
    [makePlan("a/two", "10.96.0.2", [["10.1.0.3", "10.1.0.4", "10.1.0.5"]])],
    [makePlan("a/three", "10.96.0.3", [["10.1.0.6"]])],
  );
  const { status } = bench.datapath;
  const states = () => [1, 2, 3].map((i) => status.get(frontendOf(`10.96.0.${i}`))?.state);
  assert.deepEqual(states(), ["Done", "Error", "Done"]);
  assert.equal(await selectable(port, frontendOf("10.96.0.2")), undefined);
  await bench.set("a/one");
  await bench.datapath.settled();
  await bench.datapath.apply();
  assert.deepEqual(states(), [undefined, "Done", "Done"]);
  assert.equal((await selectable(port, frontendOf("10.96.0.2")))?.length, 3);
});

test("full maps of frontends, services and tables fail only the Service without room", async () => {
  for (const small of [{ frontends: 2 }, { services: 3 }, { linesPerSegment: 2, maxSegments: 1 }]) {
    const port = createMemoryKernel({ ...SMALL_KERNEL, ...small }).open();
    const bench = await startBench(port);
    await bench.set(...[1, 2, 3].map((i) => [makePlan(`a/s${i}`, `10.96.0.${i}`, [[`10.1.0.${i}`]])]));
    assert.equal(bench.datapath.status.errors.has(frontendOf("10.96.0.3")), true, JSON.stringify(small));
    assert.equal((await selectable(port, frontendOf("10.96.0.1")))?.length, 1);
    await bench.set("a/s1");
    await bench.datapath.settled();
    await bench.datapath.apply();
    assert.equal(bench.datapath.status.errors.has(frontendOf("10.96.0.3")), false, JSON.stringify(small));
    assert.equal((await selectable(port, frontendOf("10.96.0.3")))?.length, 1);
  }
});

test("freed objects are written again only after a grace period", async () => {
  const kernel = createMemoryKernel({ ...SMALL_KERNEL, backends: 3, linesPerSegment: 2, maxSegments: 1 });
  const port = kernel.open();
  const bench = await startBench(port);
  await bench.set([makePlan("a/one", "10.96.0.1", [["10.1.0.1"]])]);
  kernel.holdGrace();
  await bench.set([makePlan("a/one", "10.96.0.1", [["10.1.0.2"]])]);
  const [held] = (await selectable(port, frontendOf("10.96.0.1"))) ?? [];
  await bench.set([makePlan("a/one", "10.96.0.1", [["10.1.0.3"]])]);
  assert.equal(bench.datapath.status.get(frontendOf("10.96.0.1"))?.state, "Error");
  assert.deepEqual(names(await selectable(port, frontendOf("10.96.0.1"))), [held?.backend]);
  kernel.releaseGrace();
  await bench.datapath.settled();
  await bench.datapath.apply();
  assert.deepEqual(names(await selectable(port, frontendOf("10.96.0.1"))), ["1:10.1.0.3"]);
});

test("a reused index has another generation, also after a restart", async () => {
  const kernel = createMemoryKernel({ ...SMALL_KERNEL, backends: 2 });
  let bench = await startBench(kernel.open());
  const seen = new Set<number>();
  for (let i = 1; i <= 300; i++) {
    const port = kernel.open();
    bench = await startBench(port);
    await bench.set([makePlan("a/a", VIP, [[`10.1.${i >> 8}.${i & 255}`]])]);
    seen.add(backendGeneration((await selectable(port, frontendOf(VIP)))?.[0]?.id ?? 0));
    await bench.set("a/a");
    await bench.datapath.settled();
  }
  assert.equal(seen.size, 255); // wraps, and never 0
  assert.equal(seen.has(0), false);
});

test("a fresh agent adopts ids, rows and lines, and writes nothing", async () => {
  const kernel = createMemoryKernel();
  const state = [
    [makePlan("a/one", "10.96.0.1", [A, B])],
    [makePlan("a/two", "10.96.0.2", [[], []].slice(0, 0))],
    [makePlan("a/big", "10.96.0.3", [Array.from({ length: 40 }, (_, i) => `10.1.4.${i}`)])],
  ];
  const first = await startBench(kernel.open());
  await first.set(...state);
  await first.datapath.settled();
  const before = kernel.log.count;
  const port = kernel.open();
  const second = await startBench(port);
  await second.set(...state);
  second.datapath.touch({ sweepFrontends: true });
  await second.datapath.apply();
  await second.datapath.settled();
  assert.equal(kernel.log.count, before);
});

test("adopted frontends are not removed before the sweep", async () => {
  const kernel = createMemoryKernel();
  await (await startBench(kernel.open())).set([makePlan("a/one", "10.96.0.1", [A])]);
  const port = kernel.open();
  const bench = await startBench(port);
  await bench.set([makePlan("a/two", "10.96.0.2", [B])]);
  assert.equal((await selectable(port, frontendOf("10.96.0.1")))?.length, 3);
  bench.datapath.touch({ sweepFrontends: true });
  await bench.datapath.apply();
  assert.equal(await selectable(port, frontendOf("10.96.0.1")), undefined);
});

/** The scenario of the crash test: each step is a whole desired state. */
const STEPS: readonly (readonly FrontendPlan[])[] = [
  [makePlan("a/one", "10.96.0.1", [A, B]), makePlan("a/two", "10.96.0.2", [["10.1.0.1", "10.1.0.9"]])],
  [makePlan("a/one", "10.96.0.1", [B], 80, "off"), makePlan("a/two", "10.96.0.2", [["10.1.0.1", "10.1.0.9"]])],
  [makePlan("a/one", "10.96.0.1", [["10.1.0.7"], B]), makePlan("a/three", "10.96.0.3", [["10.1.0.8"]], 80, 250)],
  [makePlan("a/one", "10.96.0.1", [Array.from({ length: 20 }, (_, i) => `10.1.5.${i}`), B])],
];

async function reach(bench: Awaited<ReturnType<typeof startBench>>, step: readonly FrontendPlan[]): Promise<void> {
  const wanted = new Set(step.map((plan) => plan.frontend.service));
  const gone = ["a/one", "a/two", "a/three"].filter((name) => !wanted.has(name as never));
  await bench.set(...step.map((plan) => [plan]), ...gone);
  bench.datapath.touch({ sweepFrontends: true });
  await bench.datapath.apply();
  await bench.datapath.settled();
}

async function freshState(step: readonly FrontendPlan[]): Promise<string[]> {
  const port = createMemoryKernel().open();
  await reach(await startBench(port), step);
  return describeKernel(port);
}

/** Checks that every slot names a backend that one of the two states allows for its frontend. */
async function checkReaders(port: Parameters<typeof selectable>[0], allowed: ReadonlyMap<string, Set<string>>) {
  for (const [ip, backends] of allowed) {
    for (const { backend } of (await selectable(port, frontendOf(ip))) ?? []) {
      assert.ok(backends.has(backend), `${ip} reaches ${backend}`);
    }
  }
}

function allowedIn(...steps: readonly (readonly FrontendPlan[])[]): Map<string, Set<string>> {
  const allowed = new Map(["10.96.0.1", "10.96.0.2", "10.96.0.3"].map((ip) => [ip, new Set<string>()]));
  for (const plan of steps.flat()) {
    const ip = plan.frontend.address.subarray(12).join(".");
    for (const { slots } of plan.tiers)
      for (const slot of slots) allowed.get(ip)?.add(`${slot.clusterId}:${wordsAddress(slot).subarray(12).join(".")}`);
  }
  return allowed;
}

test("after a kill before any write, a fresh agent reaches the same state, and readers only reach right backends", async () => {
  let cuts = 0;
  for (let step = 0; step < STEPS.length; step++) {
    const from = STEPS[step - 1] ?? [];
    const to = STEPS[step] ?? [];
    const expected = await freshState(to);
    for (let cut = 0; ; cut++) {
      const kernel = createMemoryKernel();
      await reach(await startBench(kernel.open()), from);
      const dying = await startBench(kernel.open());
      const allowed = allowedIn(from, to);
      const checks: Promise<void>[] = [];
      const view = kernel.open;
      kernel.log.killBefore(cut);
      let killed = false;
      await reach(dying, to).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
        killed = true;
      });
      await dying.datapath.settled().catch(() => undefined);
      const port = view();
      checks.push(checkReaders(port, allowed));
      const next = await startBench(port);
      await checkReaders(port, allowed);
      await reach(next, to);
      await Promise.all(checks);
      assert.deepEqual(await describeKernel(port), expected, `step ${step}, cut before write ${cut}`);
      const backends = next.datapath.fill().find(({ map }) => map === "mesh_backends_v1");
      assert.equal(backends?.used, expected.filter((line) => line.startsWith("backend")).length);
      cuts++;
      if (!killed) break;
    }
  }
  assert.ok(cuts > 60, String(cuts));
});

/** Backends of cluster 2, from 10.2.0.0 on. */
const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `2:10.2.${(from + i) >> 8}.${(from + i) & 255}`);

test("a peer that fills its part of the maps does not stop Services from following local pods", async () => {
  const port = createMemoryKernel({ ...SMALL_KERNEL, backends: 64 }).open();
  let now = 0;
  const bench = await startBench(port, () => now);
  const found = async () => (names(await selectable(port, frontendOf(VIP))) ?? []).toSorted();
  await bench.set([makePlan("shop/cart", VIP, [[...A, ...B]])]);
  await bench.set([makePlan("shop/flood", "10.96.0.11", [many(500)])]);
  assert.deepEqual([...bench.datapath.status.errors].length, 1, "the flood finds no room and has an error");
  // Local pods are replaced while the peer adds more backends: its previous ones stay.
  await bench.set([makePlan("shop/cart", VIP, [["10.1.0.9", ...B, ...many(100, 1000)]])]);
  assert.deepEqual(await found(), ["1:10.1.0.9", ...B]);
  await bench.set([makePlan("shop/cart", VIP, [["10.1.0.8", "10.1.0.9", ...many(100, 1000)]])]);
  assert.deepEqual(await found(), ["1:10.1.0.8", "1:10.1.0.9"]);
  assert.match(
    [...bench.datapath.status.errors].map(([, error]) => error.message).join(),
    /Cannot add to mesh_backends/,
  );
  await bench.set("shop/flood", [makePlan("shop/cart", VIP, [["10.1.0.8", ...many(20, 1000)]])]);
  await bench.datapath.settled();
  now = 1_000_000;
  await bench.datapath.apply();
  assert.equal((await found()).length, 21, "all backends, once there is room");
  assert.deepEqual([...bench.datapath.status.errors], []);
});

test("a Service whose table finds no lines still follows the local cluster's backends", async () => {
  const port = createMemoryKernel({ ...SMALL_KERNEL, linesPerSegment: 4, maxSegments: 1 }).open();
  const bench = await startBench(port);
  await bench.set([makePlan("shop/cart", VIP, [[...A, ...B]])]);
  // A hostile weight: two backends, and a table that no segment holds.
  const heavy = Array.from({ length: 100 }, (_, i) => `2:10.2.0.${1 + (i & 1)}`);
  await bench.set([makePlan("shop/cart", VIP, [["10.1.0.9", ...heavy]])]);
  assert.deepEqual(names(await selectable(port, frontendOf(VIP))), ["1:10.1.0.9"]);
  // No backend of the local cluster is left: the present table is kept rather than an empty one.
  await bench.set([makePlan("shop/cart", VIP, [heavy])]);
  assert.deepEqual(names(await selectable(port, frontendOf(VIP))), ["1:10.1.0.9"]);
});

test("nodes of a peer leave room for nodes of the local cluster", async () => {
  const port = createMemoryKernel({ ...SMALL_KERNEL, nodes: 16 }).open();
  const bench = await startBench(port);
  const add = (cluster: number, i: number) =>
    bench.datapath.touch({
      nodes: [
        [
          nodeName(cluster, `n${i}`),
          {
            name: nodeName(cluster, `n${i}`),
            cluster,
            tunnel: parseAddress(`192.168.${cluster}.${i}`),
            health: parseAddress("::"),
          },
        ],
      ],
    });
  for (let i = 0; i < 100; i++) add(2, i);
  await bench.datapath.apply();
  for (let i = 0; i < 3; i++) add(1, i);
  await bench.datapath.apply();
  const failed = [...bench.datapath.status.errors].map(([key]) => key);
  assert.ok(failed.length > 0 && failed.every((key) => key.startsWith("node 2/")), failed.join());
});

test("what many removed Services leave is freed in rounds, a grace period before each, so that no round is long", async () => {
  const kernel = createMemoryKernel({
    ...SMALL_KERNEL,
    frontends: 8192,
    services: 4096,
    backends: 4096,
    linesPerSegment: 4096,
  });
  const port = kernel.open();
  const used: number[] = [];
  const watched = Object.create(port, {
    gracePeriod: {
      value: () => {
        used.push(bench?.datapath.fill().reduce((sum, { used: rows }) => sum + rows, 0) ?? 0);
        return port.gracePeriod();
      },
    },
  });
  let bench: Awaited<ReturnType<typeof startBench>> | undefined;
  bench = await startBench(watched);
  const services = Array.from({ length: 3000 }, (_, i) => `a/s${i}`);
  const low = (i: number) => `${i >> 8}.${i & 255}`;
  await bench.set(...services.map((name, i) => [makePlan(name, `10.96.${low(i)}`, [[`10.1.${low(i)}`]])]));
  await bench.datapath.settled();
  used.length = 0;
  await bench.set(...services);
  await bench.datapath.settled();
  assert.deepEqual(
    bench.datapath.fill().map((map) => map.used),
    [0, 0, 0, 0, 0, 0],
  );
  const steps = [...used, 0].slice(1).map((rows, i) => (used[i] ?? 0) - rows);
  // Rows of Services, of tables and of backends.
  assert.ok(steps.length >= 3 && Math.max(...steps) <= 3 * 1024, steps.join());
});

test("a table is given back in the round that empties the row that names it, or later", async () => {
  const sizes = { ...SMALL_KERNEL, frontends: 8192, services: 4096, backends: 4096, linesPerSegment: 4096 };
  const port = createMemoryKernel(sizes).open();
  let bench: Awaited<ReturnType<typeof startBench>> | undefined;
  let most = 0;
  const watched = Object.create(port, {
    gracePeriod: {
      value: () => {
        const rows = Array.from({ length: sizes.services }, (_, i) => ServiceRow.decode(port.services.read(i)));
        const named = rows.filter(({ tier }) => tier.some((word) => word !== 0n)).length;
        const used = bench?.datapath.fill().find(({ map }) => map === MAP_NAMES.tables)?.used ?? named;
        assert.ok(named <= used, `${named} rows name a table, ${used} are in use`);
        most = Math.max(most, named);
        return port.gracePeriod();
      },
    },
  });
  bench = await startBench(watched);
  const low = (i: number) => `${i >> 8}.${i & 255}`;
  // More than a round frees come first, and have no table.
  const services = Array.from({ length: 1500 }, (_, i) => [
    makePlan(`a/s${String(i).padStart(4, "0")}`, `10.96.${low(i)}`, i < 1400 ? [] : [[`10.1.${low(i)}`]]),
  ]);
  await bench.set(...services);
  await bench.datapath.settled();
  await bench.set(...services.map(([plan]) => plan?.frontend.service ?? ""));
  await bench.datapath.settled();
  assert.equal(most, 100);
});
