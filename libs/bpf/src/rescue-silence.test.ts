/** Connects to a Service whose backend does not answer (bpf/lib/rescue.h), by real sockets. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { waitFor } from "@isthmus/runtime";
import { backendId } from "./backend-id.js";
import { NatFlag, Proto, ServiceFlag, ServiceRow } from "./gen/index.js";
import { makePacket, sealTcp, TcpFlag } from "./testing/packets.js";
import { addService, CLOSED, makeNode, makeNodes, nodeOf, SERVICE, silence, VIP } from "./testing/rescue-nodes.js";
import type { ServicePod } from "./testing/service-node.js";
import { TcAction } from "./testing/skb-run.js";

/** A state in /proc/net/tcp. */
const SYN_RECEIVED = "03";

test("a connect to a silent backend is moved at the first repeat of its SYN, early once the node's round-trip time is known", async (t) => {
  const { near, a, b, c, d } = await makeNodes(t);
  await addService(near, { d: [d, "alive"] });
  const timeout = async () => {
    const began = process.hrtime.bigint();
    const socket = await a.sockets.open("tcp", 4);
    await a.sockets.connect(socket, VIP, 80);
    return Number(process.hrtime.bigint() - began) / 1e6;
  };
  silence(c);
  const dead = near.write.backend({ index: 8, address: c.address, port: CLOSED, node: nodeOf(c) });
  const port = await b.sockets.server("tcp", 4, b.address, "b");
  const alive = near.write.backend({ index: 9, address: b.address, port, node: nodeOf(b) });
  const toSilent = () => near.write.service(SERVICE, [{ ids: [dead] }, { ids: [alive] }]);
  toSilent();
  assert.ok((await timeout()) > 900, "nothing is known of the node");
  near.write.service(SERVICE, [{ ids: [backendId(1, 1)] }]);
  await waitFor(
    "the round-trip time of the node",
    async () => (await a.sockets.dial(VIP, 80, 5, 4)) !== undefined && near.rttUs(nodeOf(d)) > 0,
    { timeoutMs: 5000 },
  );
  toSilent();
  for (let i = 0; i < 5; i++) {
    const ms = await timeout();
    assert.ok(ms > 80 && ms < 800, `${ms} ms`);
  }
  assert.equal(near.counts()["moved"], 6);
  near.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 400);
  const ms = await timeout();
  assert.ok(ms > 350 && ms < 900, `${ms} ms`);
  near.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.flags, ServiceFlag.NoRescue);
  // Long enough for a repeat.
  const socket = await a.sockets.open("tcp", 4, 1500);
  await assert.rejects(a.sockets.connect(socket, VIP, 80), { code: "TIMEOUT" });
  assert.equal(near.counts()["moved"], 7);
});

test("a connect whose backends are all silent ends about as late as one that is not moved", async (t) => {
  const { node, a, b, c, d } = await makeNode(t);
  for (const pod of [a, b]) pod.netns.sysctl("net.ipv4.tcp_syn_retries=1");
  for (const pod of [c, d]) silence(pod);
  const [first, second] = [c, d].map(({ address }, i) => node.write.backend({ index: i + 1, address, port: CLOSED }));
  await node.addService(SERVICE, VIP, 80, Proto.Tcp, [{ ids: [first ?? 0] }, { ids: [second ?? 0] }]);
  node.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 100);
  /** Milliseconds until the kernel gives up: 3000 by this number of repeats. The limit of the socket object is 5000. */
  const giveUp = async (client: ServicePod, host: string, port: number) => {
    const began = performance.now();
    const socket = await client.sockets.open("tcp", 4);
    await assert.rejects(client.sockets.connect(socket, host, port), { code: "ETIMEDOUT" });
    return performance.now() - began;
  };
  // In the first one the programs learn how long the kernel's tick is.
  const [direct] = await Promise.all([giveUp(b, c.address, CLOSED), giveUp(a, VIP, 80)]);
  const before = node.counts()["moved"] ?? 0;
  const early = await giveUp(a, VIP, 80);
  assert.equal(node.counts()["moved"], before + 1, "to the other backend");
  t.diagnostic(`${direct.toFixed(0)} ms, and ${early.toFixed(0)} ms with an early first repeat`);
  assert.ok(Math.min(direct, early) > 2000, `${direct} and ${early} ms`);
});

test("a connect to a backend whose accept queue is full is moved every time, for nothing marks the backend", async (t) => {
  const { node, a, b, c, d } = await makeNode(t);
  c.netns.sysctl("net.core.somaxconn=1");
  const tiers: { readonly ids: readonly number[]; readonly port: number }[] = [];
  for (const [i, pod] of [c, d].entries()) {
    const port = await pod.sockets.server("tcp", 4, pod.address, "cd"[i] ?? "");
    tiers.push({ ids: [node.write.backend({ index: i + 1, address: pod.address, port })], port });
  }
  await node.addService(SERVICE, VIP, 80, Proto.Tcp, tiers);
  node.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 100);
  process.kill(c.sockets.pid, "SIGSTOP");
  const fill = async () => b.sockets.connect(await b.sockets.open("tcp", 4, 300), c.address, tiers[0]?.port ?? 0);
  const fits = () =>
    fill().then(
      () => true,
      () => false,
    );
  for (let left = 8; left > 0 && (await fits()); ) left -= 1;
  await assert.rejects(fill(), { code: "TIMEOUT" }, "the queue is full");
  assert.deepEqual(await a.sockets.dial(VIP, 80, 3, 4), { d: 3 });
  assert.equal(node.counts()["moved"], 3);
});

test("sockets of the node's own network namespace keep the kernel's time, since no program sees their packets", async (t) => {
  const { near, a, c } = await makeNodes(t);
  await addService(near, { c: [c, "dead"] });
  silence(c);
  near.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 100);
  // Only with the second connect the programs know how long the kernel's tick is.
  await waitFor("an early repeat in a pod", async () => !isKernels(await rtoOfConnect(a.sockets)), { timeoutMs: 5000 });
  for (let i = 0; i < 3; i++) {
    const [pod, node] = [await rtoOfConnect(a.sockets), await rtoOfConnect(near.sockets)];
    assert.ok(!isKernels(pod) && isKernels(node), `${pod} ms in a pod, ${node} ms on the node`);
  }
});

/** Whether a connect's first SYN is sent again after the kernel's time, which is twice as long after each. */
const isKernels = (rtoMs: number) => Number.isInteger(Math.log2(rtoMs / 1000));

/** Milliseconds until the SYN of a connect to the Service is sent again. */
async function rtoOfConnect(sockets: ServicePod["sockets"]): Promise<number> {
  const socket = await sockets.open("tcp", 4, 1);
  await sockets.connect(socket, VIP, 80).catch(() => undefined);
  const ms = await sockets.rto(socket);
  await sockets.close(socket);
  return ms;
}

test("a server of a pod sends its SYN-ACK again after the kernel's time", async (t) => {
  const { node, a, b } = await makeNode(t);
  await addService(node, { a: [a, "alive"] });
  node.datapath.services.storeWord32(SERVICE, ServiceRow.offsets.rescueAfterMs, 100);
  assert.deepEqual(await b.sockets.dial(VIP, 80, 1, 4), { a: 1 }, "the programs are asked for times in pod b");
  const targetPort = await b.sockets.server("tcp", 4, b.address, "b");
  // The SYN goes out past the stack, which would reset the answer.
  a.netns.ip("route", "add", "blackhole", b.address);
  const ends = { source: a.address, sourcePort: CLOSED, target: b.address, targetPort };
  const began = performance.now();
  const syn = makePacket({ ...ends, sourceMac: a.mac, targetMac: a.hostMac, flags: TcpFlag.Syn });
  await a.sockets.forge("eth0", sealTcp(syn));
  const waiting = await waitFor("a half-open connection", () => halfOpen(b.sockets.pid), { timeoutMs: 5000 });
  const elapsed = performance.now() - began;
  assert.ok(elapsed + (waiting.repeats === 0 ? waiting.leftMs : 0) > 900, JSON.stringify({ elapsed, ...waiting }));
});

/** The first half-open connection in the network namespace of a process. */
function halfOpen(pid: number): { readonly leftMs: number; readonly repeats: number } | undefined {
  const rows = readFileSync(`/proc/${pid}/net/tcp`, "utf8")
    .split("\n")
    .map((row) => row.trim().split(/\s+/));
  const [, , , , , timer = "", repeats = ""] = rows.find(([, , , state]) => state === SYN_RECEIVED) ?? [];
  const [, ticks = ""] = timer.split(":");
  return timer === "" ? undefined : { leftMs: Number.parseInt(ticks, 16) * 10, repeats: Number.parseInt(repeats, 16) };
}

/** A connect of pod a that was moved from silent pod c to silent pod d; and what they would answer. */
async function makeSilent(t: TestContext) {
  const { node, a, c, d } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { d: [d, "dead"] });
  for (const pod of [c, d]) silence(pod);
  const socket = await a.sockets.open("tcp", 4);
  const port = await a.sockets.bind(socket, a.address);
  a.sockets.connect(socket, VIP, 80).catch(() => undefined);
  await waitFor("the move", () => node.counts()["moved"] === 1, { timeoutMs: 5000 });
  const [front] = (await node.natRows()).filter(({ flags }) => flags & NatFlag.Front);
  assert.ok(front);
  const answer = (from: ServicePod, targetPort: number) =>
    node.run(
      "from_pod",
      from.ifindex,
      makePacket({
        ...{ source: from.address, sourcePort: CLOSED, target: a.address, targetPort, sourceMac: from.mac },
        ...{ flags: TcpFlag.Syn | TcpFlag.Ack, seq: 77, ack: front.isn + 1 },
      }),
    );
  return { node, answerOfC: () => answer(c, port), answerOfD: () => answer(d, front.clientPort), port };
}

const portsOf = (packet: Uint8Array) => {
  const view = Buffer.from(packet).subarray(34);
  return { source: view.readUInt16BE(0), target: view.readUInt16BE(2), seq: view.readUInt32BE(4), flags: view[13] };
};

test("the first backend that answers has the connect: the one that it was moved to", async (t) => {
  const { node, answerOfC, answerOfD, port } = await makeSilent(t);
  const { action, packet } = await answerOfD();
  assert.deepEqual([action, portsOf(packet).target], [TcAction.Redirect, port], "it is translated");
  const late = await answerOfC();
  const { flags, seq } = portsOf(late.packet);
  assert.deepEqual([late.action, flags], [TcAction.Redirect, TcpFlag.Rst], "the other one is reset");
  const [{ isn } = { isn: 0 }] = await node.natRows();
  assert.equal(seq, isn + 1);
  assert.equal((await node.natRows()).length, 2);
});

test("the first backend that answers has the connect: the one that it was moved from", async (t) => {
  const { node, answerOfC, answerOfD, port } = await makeSilent(t);
  const { action, packet } = await answerOfC();
  assert.deepEqual([action, portsOf(packet).target, portsOf(packet).seq], [TcAction.Redirect, port, 77]);
  assert.deepEqual(await node.natRows(), []);
  const late = await answerOfD();
  assert.notEqual(portsOf(late.packet).target, port, "the pod has no socket of that port, and resets it");
});
