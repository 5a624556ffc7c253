/** Rows of sets that another row takes the place of, and classes that the former ones named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPolicyEngine, type PeerRow } from "@isthmus/policy";
import { inTurns } from "@isthmus/runtime";
import { createMemoryKernel } from "@isthmus/testing";
import { openSetStore } from "./set-store.js";
import { viewPolicy } from "./testing/decide.js";
import { labelsOf, networkPolicy, numberOf } from "./testing/policy-node.js";

/** The set of a pod that allows these ports of identity 0. */
function setOf(...ports: readonly number[]) {
  const engine = createPolicyEngine();
  for (const i of [0, 1]) engine.setIdentity(numberOf(i), labelsOf(i));
  const from = [{ podSelector: { matchLabels: { app: "a" } } }];
  const ingress = [{ from, ports: ports.map((port) => ({ port })) }];
  engine.setPolicy(networkPolicy("p", { podSelector: { matchLabels: { app: "b" } }, ingress }));
  engine.setSubject("pod", { identity: numberOf(1) });
  engine.commit();
  const set = engine.setOf("pod");
  const row = set?.rows.get(numberOf(0));
  assert.ok(set !== undefined && row !== undefined);
  return { set, row: row as PeerRow };
}

test("a row in place of another is one update, and the former one's class goes a grace period later", async () => {
  const kernel = createMemoryKernel();
  const { policy } = kernel.open();
  const store = await inTurns(openSetStore(policy));
  const stored = store.add(setOf(80).set, new Map());
  await store.write(() => undefined);
  const writes: string[] = [];
  kernel.log.onWrite(({ map, what }) => writes.push(`${what} ${map}`));
  const { row } = setOf(443, 8443);
  store.setRow(stored, numberOf(0), row);
  store.setRow(stored, numberOf(0), row);
  assert.deepEqual(await store.write(() => undefined), { sets: new Map(), rows: [] });
  assert.deepEqual(writes, [...new Array(2).fill("insert mesh_policy_ports_v1"), "update mesh_policy_peers_v1"]);
  assert.equal(viewPolicy(policy).counts.ports, 3);
  await store.takeClasses(10)?.free();
  await store.takeClasses(10)?.free();
  assert.equal(store.takeClasses(10), undefined);
  assert.deepEqual([viewPolicy(policy).counts.ports, store.usedPorts], [2, 2]);
  await store.free([stored]);
  await store.takeClasses(10)?.free();
  assert.deepEqual([store.usedSets, store.usedPeers, store.usedPorts], [0, 0, 0]);
  assert.deepEqual(viewPolicy(policy).counts, { sets: 0, peers: 0, ports: 0, addresses: 0, prefixes: 0 });
});

test("the class of a row that was deleted is freed a grace period after one in which no program may find the row", async () => {
  const { policy } = createMemoryKernel().open();
  const store = await inTurns(openSetStore(policy));
  const stored = store.add(setOf(80).set, new Map());
  await store.write(() => undefined);
  await store.deleteRows([[stored, numberOf(0)]]);
  const { peers, ports } = viewPolicy(policy).counts;
  assert.deepEqual([peers, ports], [0, 1]);
  // A program that found the row before may look the class up until the first of these is over.
  await store.takeClasses(10)?.free();
  assert.equal(viewPolicy(policy).counts.ports, 1);
  await store.takeClasses(10)?.free();
  assert.equal(viewPolicy(policy).counts.ports, 0);
  assert.equal(store.takeClasses(10), undefined);
});
