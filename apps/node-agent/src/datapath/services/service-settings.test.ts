/** When connects of a Service are moved, as its row of mesh_services says it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DatapathPort, FrontendRow, ServiceFlag, ServiceRow } from "@isthmus/bpf";
import type { RescueAfter } from "@isthmus/model";
import { createMemoryKernel, SMALL_KERNEL } from "@isthmus/testing";
import { frontendOf, makePlan, startBench } from "../testing/testbed.js";

const VIP = "10.96.0.10";
const plan = (rescueAfter: RescueAfter) => [makePlan("shop/cart", VIP, [["10.1.0.1", "10.1.0.2"]], 80, rescueAfter)];

async function rowOf(port: DatapathPort): Promise<number> {
  return FrontendRow.decode((await port.frontends.load()).get(frontendOf(VIP)) ?? new Uint8Array(FrontendRow.size))
    .service;
}

/** As a program reads it. */
function settingOf(port: DatapathPort, row: number): RescueAfter {
  const { flags, rescueAfterMs } = ServiceRow.decode(port.services.read(row));
  return flags & ServiceFlag.NoRescue ? "off" : rescueAfterMs || "auto";
}

test("each change stores the words that differ, and a program finds the setting before or the one after", async () => {
  const values: readonly RescueAfter[] = ["auto", "off", 250];
  for (const before of values) {
    for (const after of values) {
      const kernel = createMemoryKernel();
      const port = kernel.open();
      const bench = await startBench(port);
      await bench.set(plan(before));
      const row = await rowOf(port);
      assert.equal(settingOf(port, row), before);
      const writes: string[] = [];
      kernel.log.onWrite(({ map, what }) => {
        writes.push(`${map} ${what}`);
        const found = settingOf(port, row);
        assert.ok(found === before || found === after, `${found} on the way from ${before} to ${after}`);
      });
      await bench.set(plan(after));
      assert.equal(settingOf(port, row), after);
      const words = before === after ? 0 : [before, after].toSorted().join() === "250,off" ? 2 : 1;
      assert.deepEqual(writes, Array(words).fill("mesh_services_v1 word"), `${before} to ${after}`);
    }
  }
});

test("a fresh agent writes nothing, and follows a setting that changed meanwhile", async () => {
  const kernel = createMemoryKernel();
  await (await startBench(kernel.open())).set(plan(250));
  const before = kernel.log.count;
  await (await startBench(kernel.open())).set(plan(250));
  assert.equal(kernel.log.count, before);
  const port = kernel.open();
  await (await startBench(port)).set(plan("off"));
  assert.equal(settingOf(port, await rowOf(port)), "off");
  assert.equal(kernel.log.count, before + 2);
});

test("a row that is used again has nothing of the Service before, also one that an older version freed", async () => {
  const kernel = createMemoryKernel({ ...SMALL_KERNEL, services: 2 });
  const port = kernel.open();
  const bench = await startBench(port);
  await bench.set(plan("off"));
  const row = await rowOf(port);
  await bench.set("shop/cart");
  await bench.datapath.settled();
  port.services.storeWord32(row, ServiceRow.offsets.flags, ServiceFlag.NoRescue);
  port.services.storeWord32(row, ServiceRow.offsets.rescueAfterMs, 70);
  const next = await startBench(kernel.open());
  await next.set(plan("auto"));
  assert.equal(await rowOf(port), row);
  assert.equal(settingOf(port, row), "auto");
});
