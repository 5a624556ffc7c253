/** Rows of connections that were moved by the programs, from their move to their end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EndpointRow, NatStateRow, type PacketPath, Proto } from "@isthmus/bpf";
import { makeServiceNode, type ServiceNode, type ServicePod } from "@isthmus/bpf/testing";
import { bytesKey, parseAddress } from "@isthmus/model";
import { silentLogger } from "@isthmus/observe";
import { waitFor } from "@isthmus/runtime";
import { createFakeClock } from "@isthmus/testing";
import { collectNatRows } from "./nat-rows.js";

const VIP = "10.96.0.1";
const HOUR_NS = 3600n * 1_000_000_000n;
const MINUTE_NS = HOUR_NS / 60n;

/** Connects from a pod until so many connects were moved; the sockets of those. */
async function moveConnects(node: ServiceNode, { sockets }: ServicePod, count: number): Promise<readonly number[]> {
  const moved: number[] = [];
  for (let tries = 0; moved.length < count; tries++) {
    assert.ok(tries < 50 * count, "connects were not moved");
    const before = node.counts()["moved"] ?? 0;
    const socket = await sockets.open("tcp", 4);
    await sockets.connect(socket, VIP, 80);
    if ((node.counts()["moved"] ?? 0) > before) moved.push(socket);
    else await sockets.close(socket);
  }
  return moved;
}

test("rows of connections that ended go when late segments no longer come, and a living one goes on", async (t) => {
  const node = await makeServiceNode(t);
  const [client, dead, alive] = [
    await node.addPod("10.1.0.1"),
    await node.addPod("10.1.0.2"),
    await node.addPod("10.1.0.3"),
  ];
  const port = await alive.sockets.server("echo", 4, alive.address, "alive");
  const ids = [
    node.write.backend({ index: 1, address: dead.address, port }),
    node.write.backend({ index: 2, address: alive.address, port }),
  ];
  await node.addService(7, VIP, 80, Proto.Tcp, [{ ids, tries: 1 }]);
  const path = node.datapath.packets as PacketPath;
  const [clock, stop] = [createFakeClock(), new AbortController()];
  t.after(() => stop.abort());
  let laterNs = 0n;
  const monotonicNs = () => process.hrtime.bigint() + laterNs;
  const pods = new Map([client, dead, alive].map(({ address }, i) => [bytesKey(parseAddress(address)), i + 1]));
  const fill = collectNatRows({ path, pods, monotonicNs, clock, log: silentLogger, signal: stop.signal });
  const movedConnects = () => {
    const { moved, movesEnded } = EndpointRow.decode(path.endpoints.read(1));
    return moved - movesEnded;
  };
  const used = () => NatStateRow.decode(path.natState.read(0)).used;
  const round = async () => {
    await waitFor("the round before to end", () => clock.waiting === 1, { timeoutMs: 10_000, everyMs: 1 });
    await clock.advance(5000);
    await waitFor("the round to end", () => clock.waiting === 1, { timeoutMs: 10_000, everyMs: 1 });
  };
  const roundsUntil = (count: number) =>
    waitFor(
      `${count} rows`,
      async () => {
        await round();
        return (await node.natRows()).length === count;
      },
      { timeoutMs: 20_000 },
    );

  const [living, closed, reset] = await moveConnects(node, client, 3);
  assert.ok(living !== undefined && closed !== undefined && reset !== undefined);
  assert.equal(await client.sockets.exchange(living, 10_000), true);
  await client.sockets.close(closed);
  await client.sockets.abort(reset);
  laterNs = MINUTE_NS / 2n;
  await round();
  await round();
  assert.deepEqual([(await node.natRows()).length, fill.used, used()], [6, 6, 1], "late segments may come");
  assert.equal(movedConnects(), 3);
  laterNs = 2n * MINUTE_NS;
  await roundsUntil(2);
  assert.deepEqual([fill.used, movedConnects()], [2, 1]);
  laterNs = 5n * HOUR_NS;
  await round();
  assert.equal(await client.sockets.exchange(living, 1 << 20), true);

  node.forgetFlows();
  await round();
  assert.equal((await node.natRows()).length, 2, "a flow without rows in mesh_conntrack");
  assert.equal(await client.sockets.exchange(living, 10_000), true);
  await client.sockets.close(living);
  laterNs += 2n * MINUTE_NS;
  await roundsUntil(0);
  await round();
  assert.deepEqual([used(), movedConnects()], [0, 0], "programs look no row up");

  const [next] = await moveConnects(node, client, 1);
  assert.equal(used(), 1);
  assert.equal(await client.sockets.exchange(next ?? 0, 10_000), true);
  await round();
  assert.deepEqual([(await node.natRows()).length, fill.used], [2, 2]);
});
