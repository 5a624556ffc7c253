/** Random histories in maps that are too small: a Service without room, for all or a part, leaves no unused entries. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DatapathPort } from "@isthmus/bpf";
import { createMemoryKernel, fastCheckOptions, type KernelSizes } from "@isthmus/testing";
import fc from "fast-check";
import { type BackendText, type Bench, frontendOf, makePlan, selectable, startBench } from "./testing/testbed.js";

/** Room for a third of what the Services may want; 12 backend rows for all clusters, 4 for the local one. */
const SIZES: KernelSizes = {
  frontends: 6,
  serviceRanges: 8,
  services: 4,
  backends: 16,
  nodes: 8,
  clusters: 8,
  linesPerSegment: 3,
  maxSegments: 2,
};
const IPS = ["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"] as const;

const backend = fc
  .tuple(fc.constantFrom(1, 2, 3), fc.integer({ min: 1, max: 12 }), fc.constantFrom("", "@n1", "@n2"))
  .map(([cluster, host, node]): BackendText => `${cluster}:10.${cluster}.0.${host}${node}`);
/** Slots without repeats, which are edited in place; with repeats, as weights cause them; and of more than one line. */
const tier = fc.oneof(
  { weight: 3, arbitrary: fc.uniqueArray(backend, { selector: (text) => text.split("@")[0], maxLength: 14 }) },
  { weight: 1, arbitrary: fc.array(backend, { maxLength: 40 }) },
);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("set" as const),
      which: fc.nat(3),
      tiers: fc.array(tier, { maxLength: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("remove" as const), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("hold" as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("restart" as const) }) },
);

/** Ids of all Services that a program can reach; checks that each has a live row. */
async function reachable(port: DatapathPort): Promise<ReadonlySet<number>> {
  const found = await Promise.all(IPS.map((ip) => selectable(port, frontendOf(ip))));
  const slots = found.flatMap((service) => service ?? []);
  for (const slot of slots) assert.notEqual(slot.backend, "stale");
  return new Set(slots.map(({ id }) => id));
}

function used({ datapath }: Bench, map: string): number | undefined {
  return datapath.fill().find((fill) => fill.map === map)?.used;
}

test("a full map leaves no unreachable backend, whatever was planned, narrowed and undone", async () => {
  let full = 0;
  let narrowed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
      const kernel = createMemoryKernel(SIZES);
      let port = kernel.open();
      let time = 0;
      let bench = await startBench(port, () => time);
      const model = new Map<number, ReturnType<typeof makePlan>>();

      async function checkSettled(): Promise<void> {
        kernel.releaseGrace();
        for (let i = 0; i < 4; i++) {
          await bench.datapath.settled();
          time += 60_000;
          await bench.datapath.apply();
        }
        await bench.datapath.settled();
        assert.equal(used(bench, "mesh_backends_v1"), (await reachable(port)).size);
      }

      for (const step of actions) {
        if (step.what === "hold") kernel.holdGrace();
        else if (step.what === "settle") await checkSettled();
        else if (step.what === "restart") {
          await checkSettled();
          port = kernel.open();
          bench = await startBench(port, () => time);
          await bench.set(...[...model.values()].map((plan) => [plan]));
          bench.datapath.touch({ sweepFrontends: true });
          await bench.datapath.apply();
        } else {
          const name = `a/s${step.which}`;
          const tiers = step.what === "set" ? step.tiers.filter((slots) => slots.length > 0) : [];
          const plan = makePlan(name, IPS[step.which] ?? "", tiers);
          if (step.what === "set") model.set(step.which, plan);
          else model.delete(step.which);
          await bench.set(step.what === "set" ? [plan] : name);
          full += bench.datapath.status.errors.size;
          narrowed += (await isNarrowed(port, IPS[step.which] ?? "", plan)) ? 1 : 0;
        }
        await reachable(port);
      }
      await checkSettled();
      await bench.set(...IPS.map((_, which) => `a/s${which}`));
      await checkSettled();
      assert.deepEqual([...new Set(bench.datapath.fill().map((fill) => fill.used))], [0]);
    }),
    fastCheckOptions(150),
  );
  assert.ok(full > 0 && narrowed > 0, `${full} times no room, ${narrowed} times served in part`);
});

test("a Service whose frontend finds no room takes no backend, line or row", async () => {
  const kernel = createMemoryKernel(SIZES);
  let time = 0;
  const bench = await startBench(kernel.open(), () => time);
  const set = (which: number, ...tiers: (readonly BackendText[])[]) =>
    bench.set([makePlan(`a/s${which}`, IPS[which] ?? "", tiers)]);
  await set(3);
  await set(1);
  // The row of a Service is freed after the grace period: until then neither of the next two Services finds one.
  kernel.holdGrace();
  await bench.set("a/s1");
  await set(1);
  await set(2, ["1:10.1.0.1"]);
  await set(0);
  kernel.releaseGrace();
  for (let i = 0; i < 4; i++) {
    await bench.datapath.settled();
    time += 60_000;
    await bench.datapath.apply();
  }
  assert.equal(used(bench, "mesh_frontends_v1"), SIZES.frontends, "all rows are taken");
  assert.deepEqual([used(bench, "mesh_backends_v1"), used(bench, "mesh_tables_v1")], [0, 0]);
});

/** True when the frontend serves only a part of the wanted backends. */
async function isNarrowed(port: DatapathPort, ip: string, plan: ReturnType<typeof makePlan>): Promise<boolean> {
  const found = await selectable(port, frontendOf(ip));
  const slots = plan.tiers.reduce((sum, tier) => sum + tier.slots.length, 0);
  return found !== undefined && found.length > 0 && found.length < slots;
}
