/** One endpoint of a Service changes: its table is edited in place or rewritten, and equals the plan. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DatapathPort } from "@isthmus/bpf";
import { createMemoryKernel, SMALL_KERNEL } from "@isthmus/testing";
import { frontendOf, makePlan, type Reachable, selectable, startBench } from "./testing/testbed.js";

const VIP = "10.96.0.1";
const host = (i: number) => `10.1.${i >> 8}.${i & 255}`;
const hosts = (count: number, from = 0) => Array.from({ length: count }, (_, i) => host(from + i));
const plan = (...tiers: readonly (readonly string[])[]) => [makePlan("a/a", VIP, tiers)];

const members = (found: readonly Reachable[] | undefined) => found?.map(({ backend }) => backend).sort();
const named = (texts: readonly string[]) => texts.map((text) => `1:${text}`).sort();

async function slotsOf(port: DatapathPort): Promise<readonly string[]> {
  return (await selectable(port, frontendOf(VIP)))?.map(({ backend }) => backend) ?? [];
}

test("up to 256 endpoints, a one-endpoint change is at most four writes, and a restart writes nothing", async () => {
  for (const count of [1, 2, 10, 15, 100, 255, 256]) {
    const kernel = createMemoryKernel();
    const port = kernel.open();
    const bench = await startBench(port);
    let now: readonly string[] = hosts(count);
    let next = count;
    await bench.set(plan(now));
    async function change(to: readonly string[]): Promise<number> {
      await bench.datapath.settled();
      const before = kernel.log.count;
      kernel.holdGrace();
      await bench.set(plan(to));
      const writes = kernel.log.count - before;
      kernel.releaseGrace();
      now = to;
      assert.deepEqual(members(await selectable(port, frontendOf(VIP))), named(to));
      return writes;
    }
    for (const at of [0, count >> 1, count - 1]) {
      const other = now.with(at, host(next++));
      assert.equal(await change(other), 3, `${count}: another endpoint at ${at}`); // body, id, slot
      if (count === 1) continue;
      const less = now.toSpliced(at, 1);
      const writes = await change(less);
      assert.ok(writes >= 1 && writes <= 2, `${count}: ${writes} writes for one less at ${at}`); // slot, word
      assert.equal(await change([...now, host(next++)]), 4, `${count}: one more`); // body, id, slot, word
    }
    await bench.datapath.settled();
    const before = kernel.log.count;
    const restarted = await startBench(kernel.open());
    await restarted.set(plan(now.toReversed()));
    await restarted.datapath.settled();
    assert.equal(kernel.log.count, before, `${count}: a restart`);
  }
});

test("a table that grows to 256 slots is rewritten four times, and shrinks again", async () => {
  const kernel = createMemoryKernel();
  const port = kernel.open();
  const bench = await startBench(port);
  const lines = () => bench.datapath.fill().find(({ map }) => map === "mesh_tables_v1")?.used ?? 0;
  let rewritten = 0;
  await bench.set(plan(hosts(1)));
  for (let count = 2; count <= 256; count++) {
    await bench.datapath.settled();
    const before = kernel.log.count;
    await bench.set(plan(hosts(count)));
    if (kernel.log.count - before > 4) rewritten++;
  }
  assert.equal(rewritten, 4); // at 17, 33, 65 and 129
  await bench.datapath.settled();
  assert.equal(lines(), 16);
  for (let count = 255; count >= 1; count--) {
    const before = kernel.log.count;
    await bench.set(plan(hosts(count)));
    await bench.datapath.settled();
    assert.ok(kernel.log.count - before <= 6, `${count}`); // slot or three lines, word; freed: id, tombstone
  }
  assert.ok(lines() <= 4, `${lines()} lines for one slot`);
  assert.deepEqual(await slotsOf(port), ["1:10.1.0.0"]);
});

test("tables beyond 256 slots, and weighted ones, have the order of their plan", async () => {
  const port = createMemoryKernel().open();
  const bench = await startBench(port);
  for (const to of [hosts(256), hosts(257), hosts(300).toReversed(), hosts(299), hosts(250), hosts(260).toReversed()]) {
    await bench.set(plan(to));
    const slots = await slotsOf(port);
    if (to.length > 256)
      assert.deepEqual(
        slots,
        to.map((text) => `1:${text}`),
      );
    else assert.deepEqual(slots.toSorted(), named(to));
  }
  const weighted = [host(1), host(2), host(1), host(3)];
  await bench.set(plan(weighted));
  assert.deepEqual(
    await slotsOf(port),
    weighted.map((text) => `1:${text}`),
  );
  await bench.set(plan([host(2), host(3), host(1)]));
  assert.deepEqual((await slotsOf(port)).toSorted(), named([host(1), host(2), host(3)]));
});

test("a tier without room does not stop other tiers, and a failed plan leaves nothing behind", async () => {
  const kernel = createMemoryKernel({ ...SMALL_KERNEL, backends: 6 });
  const port = kernel.open();
  const bench = await startBench(port);
  await bench.set(plan(hosts(3)));
  await bench.set(plan(hosts(2), hosts(9, 10)));
  assert.equal(bench.datapath.status.errors.size, 1);
  await bench.datapath.settled();
  assert.deepEqual(members(await selectable(port, frontendOf(VIP))), named(hosts(2)));
  await bench.set(plan(hosts(4)));
  await bench.datapath.settled();
  assert.deepEqual(members(await selectable(port, frontendOf(VIP))), named(hosts(4)));
  assert.equal(bench.datapath.fill().find(({ map }) => map === "mesh_backends_v1")?.used, 4);
});
