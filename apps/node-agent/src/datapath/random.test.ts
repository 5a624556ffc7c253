/** Random histories compared with a fresh start: the maps end in the same state. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DatapathPort } from "@isthmus/bpf";
import { wordsAddress } from "@isthmus/clustermesh";
import type { FrontendPlan } from "@isthmus/loadbalancer";
import { formatAddress, type RescueAfter } from "@isthmus/model";
import { createMemoryKernel, fastCheckOptions, type KernelSizes, Killed } from "@isthmus/testing";
import fc from "fast-check";
import { describeKernel, frontendOf, makePlan, selectable, startBench } from "./testing/testbed.js";

const SIZES: KernelSizes = {
  frontends: 64,
  serviceRanges: 8,
  services: 24,
  backends: 48,
  nodes: 8,
  clusters: 8,
  linesPerSegment: 8,
  maxSegments: 4,
};
const IPS = ["10.96.0.1", "10.96.0.2", "10.96.0.3"] as const;

const host = fc.integer({ min: 1, max: 30 });
/** Slots of many or few endpoints, so that tables are edited and rewritten; with repeats, as weights cause them. */
const tier = fc.oneof(
  { weight: 4, arbitrary: fc.uniqueArray(host, { maxLength: 20 }) },
  { weight: 4, arbitrary: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 9, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(host, { maxLength: 20 }) },
);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("set" as const),
      which: fc.nat(2),
      tiers: fc.array(tier, { maxLength: 3 }),
      rescueAfter: fc.constantFrom<RescueAfter>("auto", "off", 250),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("remove" as const), which: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("hold" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("release" as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("die" as const), after: fc.nat(12) }) },
);

function planOf(which: number, tiers: readonly (readonly number[])[], rescueAfter: RescueAfter): FrontendPlan {
  const backends = tiers.filter((slots) => slots.length > 0).map((slots) => slots.map((slot) => `10.1.0.${slot}`));
  return makePlan(`a/s${which}`, IPS[which] ?? "", backends, 80, rescueAfter);
}

/** Number of entries that an agent adopts when it starts now: without the spare lines of tables. */
async function fillOf(port: DatapathPort, model: ReadonlyMap<number, FrontendPlan>) {
  const { datapath, set } = await startBench(port);
  await set(...[...model.values()].map((plan) => [plan]));
  await datapath.settled();
  return datapath.fill().filter(({ map }) => map !== "mesh_nodes_v1");
}

/** Each Service reaches exactly the slots of its plan. */
async function checkServed(port: DatapathPort, model: ReadonlyMap<number, FrontendPlan>): Promise<void> {
  for (const [which, ip] of IPS.entries()) {
    const found = (await selectable(port, frontendOf(ip)))?.map(({ backend }) => backend).sort();
    const slots = model.get(which)?.tiers.flatMap((tier) => tier.slots);
    assert.deepEqual(found, slots?.map((slot) => `1:${formatAddress(wordsAddress(slot))}`).sort());
  }
}

test("random changes, kills and held grace periods end in the state of a fresh start", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 25 }), async (actions) => {
      const kernel = createMemoryKernel(SIZES);
      const model = new Map<number, FrontendPlan>();
      let port = kernel.open();
      let bench = await startBench(port);

      /** Starts a new process, which sets all Services again and sweeps the others. */
      async function restart(): Promise<void> {
        kernel.releaseGrace();
        port = kernel.open();
        bench = await startBench(port);
        await bench.set(...[...model.values()].map((plan) => [plan]));
        bench.datapath.touch({ sweepFrontends: true });
        await bench.datapath.apply();
      }

      for (const step of actions) {
        if (step.what === "hold") kernel.holdGrace();
        else if (step.what === "release") kernel.releaseGrace();
        else if (step.what === "die") kernel.log.killBefore(step.after);
        else {
          if (step.what === "set") model.set(step.which, planOf(step.which, step.tiers, step.rescueAfter));
          else model.delete(step.which);
          const plan = model.get(step.which);
          try {
            await bench.set(plan === undefined ? `a/s${step.which}` : [plan]);
            if (bench.datapath.status.errors.size === 0) await checkServed(port, model);
          } catch (thrown) {
            if (!(thrown instanceof Killed)) throw thrown;
            await restart();
          }
        }
        for (const ip of IPS) {
          for (const { backend } of (await selectable(port, frontendOf(ip))) ?? []) assert.notEqual(backend, "stale");
        }
      }
      kernel.releaseGrace();
      await bench.datapath.settled().catch((thrown: unknown) => {
        if (!(thrown instanceof Killed)) throw thrown;
      });
      await restart();
      // Objects that found no room while grace periods were held are retried when these ended.
      for (let i = 0; i < 4; i++) {
        await bench.datapath.settled();
        await bench.datapath.apply();
      }
      await bench.datapath.settled();
      assert.equal(bench.datapath.status.errors.size, 0);

      const fresh = createMemoryKernel(SIZES).open();
      await (await startBench(fresh)).set(...[...model.values()].map((plan) => [plan]));
      assert.deepEqual(await describeKernel(port), await describeKernel(fresh));
      assert.deepEqual(await fillOf(port, model), await fillOf(fresh, model));
      await bench.set(...IPS.map((_, which) => `a/s${which}`));
      await bench.datapath.settled();
      assert.deepEqual([...new Set(bench.datapath.fill().map(({ used }) => used))], [0]);
    }),
    fastCheckOptions(150),
  );
});
