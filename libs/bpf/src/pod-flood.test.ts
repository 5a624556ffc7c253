/** A flood of SYNs from random ports, and what others notice of it: nothing. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { makePodNode } from "./testing/pod-network.js";

const [CLIENT, SERVER, FLOODER] = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
const ESTABLISHED = 10;
/** New connections that are made during the flood, at least. */
const CONNECTS = 200;
/** Flows of the flood, at least: as many as the larger table has rows, and 128 times those of the smaller one. */
const FLOWS = 524_288;
/** Nobody listens there. */
const CLOSED = 9;

/**
 * Floods the server, at a port that is open and at one that is not. Meanwhile the client uses its connections, TCP and
 * UDP, and makes new ones.
 */
async function flooded(t: TestContext, rows: number, from: "pod" | "network"): Promise<void> {
  const node = makePodNode(t, "clsact", rows);
  const [client, server, flooder] = [
    await node.addLivePod(CLIENT),
    await node.addLivePod(SERVER),
    await node.addLivePod(FLOODER),
  ];
  const port = await server.sockets.server("tcp", 4, SERVER, "server");
  const echo = await server.sockets.server("echo", 4, SERVER, "");
  const udp = await server.sockets.server("udp", 4, SERVER, "server");
  const [streams, datagrams]: [number[], number[]] = [[], []];
  for (let i = 0; i < ESTABLISHED; i++) {
    streams.push(await client.sockets.open("tcp", 4));
    await client.sockets.connect(streams[i] ?? 0, SERVER, echo);
    datagrams.push(await client.sockets.open("udp", 4));
  }

  /** Uses every connection once: none is picked up, so none lost its row. */
  async function exchange(word: string): Promise<void> {
    for (const stream of streams) {
      await client.sockets.send(stream, word);
      assert.equal((await client.sockets.receive(stream)).data, word);
    }
    for (const socket of datagrams) {
      await client.sockets.sendto(socket, SERVER, udp, word);
      assert.equal((await client.sockets.receive(socket)).data, `server:${word}`);
    }
  }

  await exchange("before");
  const uplink = await node.addUplink("10.2.0.0/16");
  const target = [SERVER, [port, CLOSED]] as const;
  const stop =
    from === "pod"
      ? node.flood(flooder.netns, "eth0", flooder.hostMac, FLOODER, ...target)
      : node.flood(uplink.other, "up1", uplink.mac, "10.2", ...target);
  const before = node.counts();
  const since = (name: string) => (node.counts()[name] ?? 0) - (before[name] ?? 0);
  let connects = 0;
  while (since("flow_new") <= FLOWS || connects < CONNECTS) {
    assert.deepEqual(await client.sockets.dial(SERVER, port, 10, 4), { server: 10 });
    connects += 10;
    await exchange(`during ${connects}`);
    await setImmediate();
  }
  const perSecond = await stop();
  await exchange("after");
  t.diagnostic(
    `${perSecond} SYNs a second, ${connects} connects, ` +
      `${since("flow_picked_up")} flows of ${since("flow_new")} picked up, ${since("flow_evicted")} evicted`,
  );
  assert.equal(since("flow_evicted"), 0);
}

for (const from of ["pod", "network"] as const)
  for (const rows of [4096, FLOWS])
    test(`a flood of SYNs from a ${from} evicts none of the others' flows from ${rows} rows`, (t) =>
      flooded(t, rows, from));
