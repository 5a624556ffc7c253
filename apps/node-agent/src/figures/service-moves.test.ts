/** Counts of moved connects by Service. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrontendRow, ServiceRow } from "@isthmus/bpf";
import { createMemoryKernel } from "@isthmus/testing";
import { frontendOf, makePlan, startBench } from "../datapath/testing/testbed.js";
import { countMoves } from "./service-moves.js";

const VIP = "10.96.0.10";
const plans = (service: string, ...ports: number[]) =>
  ports.map((port) => makePlan(service, VIP, [["10.1.0.1"]], port));
const cart = (reason: string, count: number) => ({ namespace: "shop", service: "cart", reason, count });
const pay = (reason: string, count: number) => ({ namespace: "shop", service: "pay", reason, count });

/** A datapath, and what programs count for the Service that has a port of the VIP now. */
async function makeBench(kernel = createMemoryKernel()) {
  const port = kernel.open();
  const bench = await startBench(port);
  async function moved(count: number, reason: string, vipPort: number) {
    const frontend = (await port.frontends.load()).get(frontendOf(VIP, vipPort)) ?? assert.fail("no such frontend");
    const { service } = FrontendRow.decode(frontend);
    const { gen: generation } = ServiceRow.decode(port.services.read(service));
    return { service, generation, counts: new Map([[reason, count]]) };
  }
  return { ...bench, moved };
}

test("the counts of all frontends of a Service are summed by reason", async () => {
  const { set, moved, datapath } = await makeBench();
  await set(plans("shop/cart", 80, 81), plans("shop/pay", 443));
  const refused = [await moved(2, "refused", 80), await moved(3, "refused", 81), await moved(4, "refused", 443)];
  assert.deepEqual(countMoves([...refused, await moved(1, "silent", 81)], datapath.serviceOf), [
    cart("refused", 5),
    pay("refused", 4),
    cart("silent", 1),
  ]);
});

test("a Service has nothing of the counts of one that had its row before", async () => {
  const { set, moved, datapath } = await makeBench();
  await set(plans("shop/cart", 80));
  const before = await moved(2, "refused", 80);
  await set("shop/cart");
  assert.deepEqual(countMoves([before], datapath.serviceOf), [], "the Service is gone");
  await datapath.settled();
  await set(plans("shop/pay", 443));
  const after = await moved(1, "silent", 443);
  assert.equal(after.service, before.service, "the row is used again");
  assert.deepEqual(countMoves([before, after], datapath.serviceOf), [pay("silent", 1)]);
});

test("nor of one that had its address and port until the same apply", async () => {
  const { set, moved, datapath } = await makeBench();
  await set(plans("shop/cart", 80));
  const before = await moved(2, "refused", 80);
  await set("shop/cart", plans("shop/pay", 80));
  const after = await moved(1, "silent", 80);
  assert.equal(after.service, before.service, "the row stays");
  assert.deepEqual(countMoves([before, after], datapath.serviceOf), [pay("silent", 1)]);
  await set(plans("shop/pay", 80, 81));
  assert.deepEqual(countMoves([after], datapath.serviceOf), [pay("silent", 1)], "a changed Service keeps its counts");
});

test("after a restart counts are of no Service until its records are there", async () => {
  const kernel = createMemoryKernel();
  await (await makeBench(kernel)).set(plans("shop/cart", 80));
  const { set, moved, datapath } = await makeBench(kernel);
  const moves = [await moved(2, "refused", 80)];
  assert.deepEqual(countMoves(moves, datapath.serviceOf), []);
  await set(plans("shop/cart", 80));
  assert.deepEqual(countMoves(moves, datapath.serviceOf), [cart("refused", 2)]);
});
