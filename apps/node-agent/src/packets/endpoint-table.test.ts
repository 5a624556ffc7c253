/** Rows of pods, and what is enforced for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { EndpointRow } from "@isthmus/bpf";
import { addressFromBytes, bytesKey, formatAddress, keyBytes, parseAddress } from "@isthmus/model";
import { createMemoryKernel } from "@isthmus/testing";
import { type Endpoint, openEndpointTable } from "./endpoint-table.js";

const ADDRESS = parseAddress("10.1.0.1");
const KEY = bytesKey(ADDRESS);
const POD: Endpoint = {
  ...{ address: ADDRESS, ifindex: 11, netnsId: 3 },
  ...{ mac: "02:00:00:00:00:01", hostMac: "02:00:00:00:00:02" },
};
const OTHER: Endpoint = { ...POD, mac: "02:00:00:00:00:03" };

async function setUp(kernel = createMemoryKernel()) {
  const port = kernel.open();
  const table = await openEndpointTable(port, {
    gracePeriod: () => port.gracePeriod(),
    removed: async () => undefined,
  });
  const changes: string[] = [];
  table.onChange((address) => {
    const held = table.policyOf(address);
    changes.push(`${formatAddress(addressFromBytes(keyBytes(address)))} ${held === undefined ? "gone" : held.word}`);
  });
  return { kernel, port, table, changes };
}

test("a new row allows everything, and keeps what is set", async () => {
  const { kernel, table } = await setUp();
  assert.equal(table.setPolicy(KEY, 7n, 5), false);
  await table.put(POD);
  assert.deepEqual(table.policyOf(KEY), { word: 0n, identity: 0 });
  assert.equal(table.setPolicy(KEY, 7n, 5), true);
  await table.put(POD);
  await table.put({ ...POD, netnsId: 4 });
  assert.deepEqual(table.policyOf(KEY), { word: 7n, identity: 5 });
  const again = await setUp(kernel);
  assert.deepEqual([...again.table.addresses], [KEY]);
  await again.table.put(POD);
  assert.deepEqual(again.table.policyOf(KEY), { word: 7n, identity: 5 });
  const row = EndpointRow.decode(again.port.endpoints.read(again.table.rows.get(KEY) ?? 0));
  assert.deepEqual([row.policy, row.identity, row.ifindex, row.netnsId], [7n, 5, 11, 4]);
});

test("the row of another pod with the address begins anew, and each change is reported when it has happened", async () => {
  const { table, changes } = await setUp();
  await table.put(POD);
  table.setPolicy(KEY, 7n, 5);
  await table.put(OTHER);
  assert.deepEqual(table.policyOf(KEY), { word: 0n, identity: 0 });
  await table.remove(ADDRESS, POD.mac);
  await table.remove(ADDRESS, OTHER.mac);
  assert.equal(table.setPolicy(KEY, 8n, 6), false);
  assert.deepEqual(changes, ["10.1.0.1 0", "10.1.0.1 gone", "10.1.0.1 0", "10.1.0.1 gone"]);
});

test("a row that is replaced keeps what is set, also meanwhile, and nothing is reported of it", async () => {
  const { kernel, table, changes } = await setUp();
  await table.put(POD);
  table.setPolicy(KEY, 7n, 5);
  kernel.holdGrace();
  const replacing = table.put({ ...POD, ifindex: 12 });
  await setImmediate();
  assert.equal(table.rows.get(KEY), undefined);
  assert.deepEqual(table.policyOf(KEY), { word: 7n, identity: 5 });
  assert.equal(table.setPolicy(KEY, 8n, 6), true);
  kernel.releaseGrace();
  kernel.log.onWrite(({ map, what }) => what === "insert" && map.includes("index") && table.setPolicy(KEY, 9n, 6));
  await replacing;
  assert.deepEqual(table.policyOf(KEY), { word: 9n, identity: 6 });
  assert.deepEqual(changes, ["10.1.0.1 0"]);
});

test("a row that cannot be replaced is reported as gone", async () => {
  const { kernel, table, changes } = await setUp();
  await table.put(POD);
  kernel.log.failWhen(({ what }) => (what === "insert" ? new Error("The kernel refused the write") : undefined));
  await assert.rejects(table.put({ ...POD, ifindex: 12 }), /refused the write/);
  assert.deepEqual(changes, ["10.1.0.1 0", "10.1.0.1 gone"]);
  assert.equal(table.setPolicy(KEY, 8n, 6), false);
  kernel.log.failWhen(undefined);
  await table.put({ ...POD, ifindex: 12 });
  assert.deepEqual(table.policyOf(KEY), { word: 0n, identity: 0 });
});
