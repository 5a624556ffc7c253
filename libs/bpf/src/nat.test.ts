/** Rows of mesh_nat, as the agent reads those that the programs wrote. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesKey, formatAddress, keyBytes, parseAddress } from "@isthmus/model";
import { FlowKey, NatRow, Proto } from "./gen/index.js";
import { clientOf, readNatRow } from "./nat.js";
import { makeNatRows } from "./testing/nat-rows.js";
import { makeServiceNode } from "./testing/service-node.js";

const VIP = "10.96.0.1";

test("the two rows of each moved flow lead to each other", async (t) => {
  const node = await makeServiceNode(t);
  // In keys addresses are compared from their last byte on: some clients come before the backends, some behind them.
  const clients = [await node.addPod("10.1.0.1"), await node.addPod("10.1.9.2"), await node.addPod("10.1.3.200")];
  const [dead, alive] = [await node.addPod("10.1.7.2"), await node.addPod("10.1.4.3")];
  const port = await alive.sockets.server("tcp", 4, alive.address, "alive");
  const ids = [
    node.write.backend({ index: 1, address: dead.address, port }),
    node.write.backend({ index: 2, address: alive.address, port }),
  ];
  await node.addService(7, VIP, 80, Proto.Tcp, [{ ids, tries: 1 }]);
  for (const { sockets } of clients) assert.deepEqual(await sockets.dial(VIP, 80, 40, 4), { alive: 40 });

  const rows = (await node.datapath.packets?.nat.load()) ?? new Map<string, Uint8Array>();
  assert.equal(rows.size, 2 * (node.counts()["moved"] ?? 0));
  const backendOf = (key: string) => {
    const { a, b } = FlowKey.decode(keyBytes(key));
    return [a, b].map(formatAddress).find((address) => address === dead.address || address === alive.address);
  };
  const seen = new Set<string>();
  for (const [key, row] of rows) {
    const tuple = readNatRow(keyBytes(key), row);
    assert.ok(tuple !== undefined);
    const other = rows.get(tuple.other);
    assert.ok(other !== undefined, "the other row");
    const back = readNatRow(keyBytes(tuple.other), other);
    assert.ok(back !== undefined);
    assert.deepEqual([back.isFront, back.other], [!tuple.isFront, key]);
    const client = clientOf(key, tuple);
    assert.equal(clientOf(tuple.other, back), client);
    assert.ok(clients.some(({ address }) => bytesKey(parseAddress(address)) === client));
    assert.equal(backendOf(key), tuple.isFront ? dead.address : alive.address);
    seen.add(`${NatRow.decode(row).flags}`);
  }
  assert.deepEqual([...seen].sort(), ["0", "1", "2", "3"], "the client is end a of some, and end b of others");
});

test("a row with another key or content than its check says is none", () => {
  const ends = { client: "10.1.0.1", first: "10.1.0.2", backend: "10.2.0.3" };
  const { front, wire } = makeNatRows({ ...ends, clientPort: 40_000, port: 80, wirePort: 61_000, isn: 7 });
  const key = keyBytes(front[0]);
  assert.deepEqual(readNatRow(key, front[1]), { isFront: true, isClientB: false, other: wire[0] });
  for (const byte of [0, NatRow.offsets.isn, NatRow.offsets.check]) {
    const changed = front[1].slice();
    changed[byte] = (changed[byte] ?? 0) ^ 1;
    assert.equal(readNatRow(key, changed), undefined, `byte ${byte}`);
  }
  assert.equal(readNatRow(keyBytes(wire[0]), front[1]), undefined);
});
