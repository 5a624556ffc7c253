/** UDP sockets that are connected and disconnected, to VIPs and to pods in turn (bpf/lib/sock.h, udp.h). */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { MAP_NAMES, UdpReverseKey, UdpReverseRow } from "./index.js";
import { UpdateFlag } from "./kernel-constants.js";
import { native } from "./native.js";
import { startNode, type TestNode } from "./testing/node.js";
import { createServing, type Serving } from "./testing/serving.js";

let node: TestNode;
let serving: Serving;
before(async () => {
  node = await startNode("udp");
  serving = createServing(node);
});
after(() => node.remove());

const FAMILIES = [
  [4, ""],
  [6, "::ffff:"],
] as const;

test("a socket leaves a backend that left its Service, even if another Service still has it", async () => {
  const { vip, service, ids } = await serving.serve("udp", 2);
  const other = await serving.serve("udp");
  node.write.service(other.service, [{ ids: [...other.ids, ...ids] }]);
  const { sock, data } = await serving.askUdp(4, vip, 80, false);
  node.write.service(service, [{ ids: other.ids }]);
  await node.pod.sendto(sock, vip, 80, "x");
  const now = await node.pod.receive(sock);
  assert.notEqual(now.data, data);
  assert.deepEqual(now, { data: `${other.first.name}:x`, from: [vip, 80] });
});

test("a socket keeps its backend when tables are rewritten", async () => {
  const { vip, service, ids } = await serving.serve("udp", 5);
  const { sock, data } = await serving.askUdp(4, vip, 80, false);
  for (const tiers of [[ids.toReversed()], [ids.slice(3), ids.slice(0, 3)], [ids.slice(0, 1), ids.slice(1)], [ids]]) {
    node.write.service(
      service,
      tiers.map((slots) => ({ ids: slots })),
    );
    await node.pod.sendto(sock, vip, 80, "x");
    assert.deepEqual(await node.pod.receive(sock), { data, from: [vip, 80] });
  }
});

test("a connected socket that sends to its VIP explicitly is answered by its backend", async () => {
  const { vip } = await serving.serve("udp", 5);
  for (const [family, prefix] of FAMILIES) {
    const { sock, data, from } = await serving.askUdp(family, prefix + vip, 80, true);
    for (let i = 0; i < 10; i++) {
      await node.pod.sendto(sock, prefix + vip, 80, "x");
      assert.deepEqual(await node.pod.receive(sock), { data, from });
    }
  }
});

test("a socket that was disconnected shows pods as pods, and VIPs as VIPs", async () => {
  const { vip, first } = await serving.serve("udp");
  for (const [family, prefix] of FAMILIES) {
    const { sock } = await serving.askUdp(family, prefix + vip, 80, true);
    await node.pod.disconnect(sock);
    for (const from of [[prefix + first.address, first.port] as const, [prefix + vip, 80] as const]) {
      await node.pod.sendto(sock, ...from, "x");
      assert.deepEqual(await node.pod.receive(sock), { data: `${first.name}:x`, from });
    }
  }
});

test("a socket that sent to a VIP and then connects to the pod shows the pod", async () => {
  const { vip, first } = await serving.serve("udp");
  for (const [family, prefix] of FAMILIES) {
    const { sock } = await serving.askUdp(family, prefix + vip, 80, false);
    await node.pod.connect(sock, prefix + first.address, first.port);
    await node.pod.send(sock, "y");
    const from = [prefix + first.address, first.port];
    assert.deepEqual(await node.pod.receive(sock), { data: `${first.name}:y`, from });
    assert.deepEqual(await node.pod.peer(sock), from);
  }
});

test("an answer that arrived before the socket was connected elsewhere still shows its VIP", async () => {
  const [one, two] = [await serving.serve("udp"), await serving.serve("udp")];
  const sock = await node.pod.open("udp", 4);
  await node.pod.sendto(sock, one.vip, 80, "x");
  await node.pod.peek(sock);
  await node.pod.connect(sock, two.vip, 80);
  assert.deepEqual(await node.pod.receive(sock), { data: `${one.first.name}:x`, from: [one.vip, 80] });
});

test("connected to a VIP, a pod, nothing and another VIP in turn, a socket sees each answer from the address that it used", async () => {
  const [one, two] = [await serving.serve("udp", 3), await serving.serve("udp", 3)];
  const { sock } = await serving.askUdp(6, `::ffff:${one.vip}`, 80, true);
  const [pod] = two.servers;
  assert.ok(pod);
  await node.pod.connect(sock, `::ffff:${pod.address}`, pod.port);
  await node.pod.send(sock, "x");
  assert.deepEqual(await node.pod.receive(sock), { data: `${pod.name}:x`, from: [`::ffff:${pod.address}`, pod.port] });
  await node.pod.disconnect(sock);
  for (const vip of [one.vip, two.vip, one.vip]) {
    await node.pod.sendto(sock, `::ffff:${vip}`, 80, "x");
    assert.deepEqual((await node.pod.receive(sock)).from, [`::ffff:${vip}`, 80]);
  }
});

test("with one backend behind two VIPs, answers come from the VIP that was used last", async () => {
  const served = await serving.serve("udp");
  const other = await serving.alias("udp", served);
  const sock = await node.pod.open("udp", 4);
  for (const vip of [served.vip, other, other, served.vip]) {
    await node.pod.sendto(sock, vip, 80, "x");
    assert.deepEqual(await node.pod.receive(sock), { data: `${served.first.name}:x`, from: [vip, 80] });
  }
});

test("a reverse row with a torn VIP is not used, and is rewritten", async () => {
  const { vip, first } = await serving.serve("udp");
  const { sock } = await serving.askUdp(4, vip, 80, false);
  const map = native().openPin(join(node.options.bpffs, MAP_NAMES.udpReverse));
  const addr = Buffer.from(parseAddress(first.address));
  const { keys, values, count } = native().mapDump(map, undefined, 1024);
  const at = Array.from({ length: count }, (_, i) => i).find((i) =>
    addr.equals(UdpReverseKey.decode(keys, i * UdpReverseKey.size).addr),
  );
  assert.ok(at !== undefined);
  const key = keys.slice(at * UdpReverseKey.size, (at + 1) * UdpReverseKey.size);
  const row = UdpReverseRow.decode(values, at * UdpReverseRow.size);
  const torn = UdpReverseRow.encode({ ...row, vip: parseAddress("10.96.99.99") });
  await node.pod.sendto(sock, vip, 80, "x");
  await node.pod.peek(sock);
  native().mapUpdate(map, key, torn, UpdateFlag.Any);
  assert.deepEqual((await node.pod.receive(sock)).from, [first.address, first.port]);
  await node.pod.sendto(sock, vip, 80, "x");
  assert.deepEqual((await node.pod.receive(sock)).from, [vip, 80]);
  map.close();
});

test("the source of a datagram is only looked up for sockets that have sent to a Service", async () => {
  const { vip } = await serving.serve("udp");
  const [server, client] = [await node.pod.open("udp", 4), await node.host.open("udp", 4)];
  const serverPort = await node.pod.bind(server, "127.0.0.1");
  const port = await node.host.bind(client, "127.0.0.1");
  const key = { cookie: await node.pod.cookie(server), addr: parseAddress("127.0.0.1"), port };
  const map = native().openPin(join(node.options.bpffs, MAP_NAMES.udpReverse));
  // Every look-up of a row with a wrong check increments a counter.
  const row = UdpReverseRow.encode({ vip: parseAddress(vip), port: 80, check: 1n });
  native().mapUpdate(map, UdpReverseKey.encode(key), row, UpdateFlag.Any);
  map.close();
  const receive = () =>
    serving.counterIncrease("check_mismatch", async () => {
      await node.host.sendto(client, "127.0.0.1", serverPort, "x");
      assert.deepEqual(await node.pod.receive(server), { data: "x", from: ["127.0.0.1", port] });
    });
  assert.equal(await receive(), 0);
  await node.pod.sendto(server, vip, 80, "y");
  assert.deepEqual((await node.pod.receive(server)).from, [vip, 80]);
  assert.equal(await receive(), 1);
});

test("a protocol that Services do not support is left alone", async (t) => {
  const { vip } = await serving.serve("udp");
  const opened: number | Error = await node.pod.open("udplite", 4).catch((error: Error) => error);
  if (opened instanceof Error) {
    assert.ok("code" in opened && opened.code === "EPROTONOSUPPORT", String(opened));
    t.diagnostic("kernel: has no UDP-Lite, so no protocol but UDP sends through the hooks");
    return;
  }
  assert.equal(await serving.counterIncrease("sendmsg", () => node.pod.sendto(opened, vip, 80, "x")), 0);
});
