/** Services at the socket (bpf/sock.bpf.c): real sockets in a new cgroup, servers on loopback. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { BackendRow, Limit, MAP_NAMES, Proto, Rank, TcpOrigDstRow } from "./index.js";
import { UpdateFlag } from "./kernel-constants.js";
import { native } from "./native.js";
import { startNode, type TestNode } from "./testing/node.js";
import { createServing, type Serving } from "./testing/serving.js";
import { frontend, insertFrontends } from "./testing/writer.js";

let node: TestNode;
let serve: Serving["serve"];
let serveNothing: Serving["serveNothing"];
let counted: Serving["counterIncrease"];
let askUdp: Serving["askUdp"];
before(async () => {
  node = await startNode("sock");
  ({ serve, serveNothing, counterIncrease: counted, askUdp } = createServing(node));
});
after(() => node.remove());

test("TCP over IPv4 reaches a backend, and the peer is the VIP", async () => {
  const { vip, first } = await serve("tcp");
  const sock = await node.pod.open("tcp", 4);
  assert.equal(await counted("connect", () => node.pod.connect(sock, vip, 80)), 1);
  assert.deepEqual(await node.pod.peer(sock), [vip, 80]);
  assert.equal((await node.pod.receive(sock)).data, first.name);
});

test("connections spread over the backends", async () => {
  const { vip, servers } = await serve("tcp", 3);
  const answers = await node.pod.dial(vip, 80, 300, 4);
  for (const { name } of servers) assert.ok((answers[name] ?? 0) > 50, `${name}: ${answers[name]}`);
});

test("an AF_INET6 TCP socket reaches a v4-mapped VIP, and the peer is the VIP", async () => {
  const { vip, first } = await serve("tcp");
  const sock = await node.pod.open("tcp", 6);
  await node.pod.connect(sock, `::ffff:${vip}`, 80);
  assert.deepEqual(await node.pod.peer(sock), [`::ffff:${vip}`, 80]);
  assert.equal((await node.pod.receive(sock)).data, first.name);
});

test("TCP over IPv6 reaches a backend, and the peer is the VIP", async () => {
  const { vip, first } = await serve("tcp", 1, { family: 6, vip: "fd00:96::1" });
  const sock = await node.pod.open("tcp", 6);
  await node.pod.connect(sock, vip, 80);
  assert.deepEqual(await node.pod.peer(sock), [vip, 80]);
  assert.equal((await node.pod.receive(sock)).data, first.name);
});

test("an MPTCP socket reaches a backend, and the peer is the VIP", async () => {
  const { vip, first } = await serve("tcp");
  for (const [family, prefix] of [
    [4, ""],
    [6, "::ffff:"],
  ] as const) {
    const sock = await node.pod.open("mptcp", family);
    await node.pod.connect(sock, prefix + vip, 80);
    assert.deepEqual(await node.pod.peer(sock), [prefix + vip, 80]);
    assert.equal((await node.pod.receive(sock)).data, first.name);
  }
});

test("answers to a connected UDP socket come from the VIP", async () => {
  const { vip, first } = await serve("udp");
  const { sock, data, from } = await askUdp(4, vip, 80, true);
  assert.equal(data, `${first.name}:x`);
  assert.deepEqual(from, [vip, 80]);
  assert.deepEqual(await node.pod.peer(sock), [vip, 80]);
});

test("answers to an unconnected UDP socket come from the VIP", async () => {
  const { vip, first } = await serve("udp");
  const { data, from } = await askUdp(4, vip, 80, false);
  assert.equal(data, `${first.name}:x`);
  assert.deepEqual(from, [vip, 80]);
});

test("answers to an unconnected AF_INET6 UDP socket come from the v4-mapped VIP that it sent to", async () => {
  const { vip, first } = await serve("udp");
  const { data, from } = await askUdp(6, `::ffff:${vip}`, 80, false);
  assert.equal(data, `${first.name}:x`);
  assert.deepEqual(from, [`::ffff:${vip}`, 80]);
});

test("answers to an AF_INET6 UDP socket that is connected to a v4-mapped VIP always come from it", async () => {
  const { vip, servers } = await serve("udp", 3);
  const { sock, data, from } = await askUdp(6, `::ffff:${vip}`, 80, true);
  assert.deepEqual(from, [`::ffff:${vip}`, 80]);
  assert.deepEqual(await node.pod.peer(sock), [`::ffff:${vip}`, 80]);
  for (let i = 0; i < 20; i++) {
    await node.pod.send(sock, "x");
    const again = await node.pod.receive(sock);
    assert.equal(again.data, data);
    assert.deepEqual(again.from, from);
  }
  assert.ok(servers.some(({ name }) => data === `${name}:x`));
});

test("a connected AF_INET6 UDP socket is not translated twice, even if its backend's address is a frontend", async () => {
  const { vip, first } = await serve("udp");
  const other = await serve("udp");
  await insertFrontends(node.datapath.frontends, [frontend(first.address, first.port, Proto.Udp, other.service)]);
  const { data, from } = await askUdp(6, `::ffff:${vip}`, 80, true);
  assert.equal(data, `${first.name}:x`);
  assert.deepEqual(from, [`::ffff:${vip}`, 80]);
});

test("answers over IPv6 come from the VIP, for connected and unconnected UDP sockets", async () => {
  const { vip, first } = await serve("udp", 1, { family: 6, vip: "fd00:96::2" });
  for (const connected of [true, false]) {
    const { data, from } = await askUdp(6, vip, 80, connected);
    assert.equal(data, `${first.name}:x`);
    assert.deepEqual(from, [vip, 80]);
  }
});

test("each unconnected UDP socket keeps its backend", async () => {
  const { vip } = await serve("udp", 5);
  const all = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { sock, data } = await askUdp(4, vip, 80, false);
    all.add(data);
    for (let n = 0; n < 5; n++) {
      await node.pod.sendto(sock, vip, 80, "x");
      assert.equal((await node.pod.receive(sock)).data, data);
    }
    await node.pod.close(sock);
  }
  assert.ok(all.size > 1, "all sockets got the same backend");
});

test("answers of two Services to one UDP socket come from their own VIPs", async () => {
  const [one, two] = [await serve("udp"), await serve("udp", 1, { port: 53 })];
  const sock = await node.pod.open("udp", 4);
  for (const { vip, port, first } of [one, two, one]) {
    await node.pod.sendto(sock, vip, port, "x");
    assert.deepEqual(await node.pod.receive(sock), { data: `${first.name}:x`, from: [vip, port] });
  }
});

test("a UDP socket whose backend was removed gets another one, not the backend that reuses the index", async () => {
  const { vip, service, servers, ids } = await serve("udp", 2);
  const stranger = await serve("udp");
  const { sock, data } = await askUdp(4, vip, 80, false);
  const kept = servers.findIndex(({ name }) => data === `${name}:x`);
  const [removed, other] = [servers[kept], servers[1 - kept]];
  assert.ok(removed && other);
  node.write.service(service, [{ ids: [ids[1 - kept] ?? 0] }]);
  node.datapath.backends.storeWord32(removed.index, BackendRow.offsets.id, 0);
  await node.datapath.gracePeriod();
  node.write.backend({ ...stranger.first, index: removed.index, generation: 2, proto: Proto.Udp });
  await node.pod.sendto(sock, vip, 80, "x");
  assert.deepEqual(await node.pod.receive(sock), { data: `${other.name}:x`, from: [vip, 80] });
});

test("a UDP socket leaves a backend that is down, but not one that is suspect", async () => {
  const { vip, servers } = await serve("udp", 2);
  const { sock, data } = await askUdp(4, vip, 80, false);
  const kept = servers.find(({ name }) => data === `${name}:x`);
  assert.ok(kept);
  for (const [state, stays] of [
    [Rank.Suspect, true],
    [Rank.Down, false],
  ] as const) {
    node.write.backend({ ...kept, proto: Proto.Udp, state });
    await node.pod.sendto(sock, vip, 80, "x");
    assert.equal((await node.pod.receive(sock)).data === data, stays);
  }
});

test("a Service without backends refuses at once, for TCP and UDP, connected and not, in both families", async () => {
  const [tcp, udp] = [await serveNothing("tcp"), await serveNothing("udp")];
  const refused = { code: "ECONNREFUSED" };
  const count = await counted("no_backend", async () => {
    for (const [family, prefix] of [
      [4, ""],
      [6, "::ffff:"],
    ] as const) {
      await assert.rejects(node.pod.connect(await node.pod.open("tcp", family), prefix + tcp, 80), refused);
      await assert.rejects(node.pod.connect(await node.pod.open("udp", family), prefix + udp, 80), refused);
      await assert.rejects(node.pod.sendto(await node.pod.open("udp", family), prefix + udp, 80, "x"), refused);
    }
  });
  assert.equal(count, 6);
  assert.equal(node.datapath.refusal, "ECONNREFUSED");
});

test("an unknown port of a VIP refuses at once, also of the other protocol; a probe to port 0 passes", async () => {
  const { vip } = await serve("tcp");
  const refused = { code: "ECONNREFUSED" };
  const count = await counted("unknown_port", async () => {
    await assert.rejects(node.pod.connect(await node.pod.open("tcp", 4), vip, 81), refused);
    await assert.rejects(node.pod.connect(await node.pod.open("udp", 4), vip, 80), refused);
    await assert.rejects(node.pod.sendto(await node.pod.open("udp", 6), `::ffff:${vip}`, 53, "x"), refused);
  });
  assert.equal(count, 3);
  assert.equal(await counted("unknown_port", async () => node.pod.connect(await node.pod.open("udp", 4), vip, 0)), 0);
});

test("addresses that are not a Service are left alone", async () => {
  const port = await node.host.server("tcp", 4, "127.0.2.1", "plain");
  const udpPort = await node.host.server("udp", 4, "127.0.2.1", "plain");
  const before = node.datapath.metrics();
  const sock = await node.pod.open("tcp", 4);
  await node.pod.connect(sock, "127.0.2.1", port);
  assert.deepEqual(await node.pod.peer(sock), ["127.0.2.1", port]);
  assert.equal((await node.pod.receive(sock)).data, "plain");
  for (const connected of [true, false]) {
    const { from } = await askUdp(4, "127.0.2.1", udpPort, connected);
    assert.deepEqual(from, ["127.0.2.1", udpPort]);
  }
  await assert.rejects(node.pod.connect(await node.pod.open("tcp", 4), "127.0.2.9", 1), { code: "ECONNREFUSED" });
  assert.deepEqual(node.datapath.metrics(), before);
});

test("a backend that is dialled directly shows its own address", async () => {
  const { first } = await serve("udp");
  const { from } = await askUdp(4, first.address, first.port, true);
  assert.deepEqual(from, [first.address, first.port]);
});

test("a connect to an address that is not a Service clears the socket's original destination", async () => {
  const { vip, first } = await serve("udp");
  const { sock } = await askUdp(4, vip, 80, true);
  await node.pod.connect(sock, first.address, first.port);
  assert.deepEqual(await node.pod.peer(sock), [first.address, first.port]);
  await node.pod.send(sock, "y");
  assert.deepEqual(await node.pod.receive(sock), { data: `${first.name}:y`, from: [first.address, first.port] });
});

test("a socket that connects again shows its last original destination", async () => {
  const [one, two] = [await serve("udp"), await serve("udp")];
  const { sock } = await askUdp(4, one.vip, 80, true);
  await node.pod.connect(sock, two.vip, 80);
  await node.pod.send(sock, "x");
  assert.deepEqual(await node.pod.receive(sock), { data: `${two.first.name}:x`, from: [two.vip, 80] });
  assert.deepEqual(await node.pod.peer(sock), [two.vip, 80]);
});

test("after getpeername a TCP socket keeps its VIP; without it, it shows its backend once its ring slot is reused", async () => {
  const { vip, first } = await serve("tcp");
  const [asked, other] = [await node.pod.open("tcp", 4), await node.pod.open("tcp", 6)];
  await node.pod.connect(asked, vip, 80);
  await node.pod.connect(other, `::ffff:${vip}`, 80);
  assert.deepEqual(await node.pod.peer(asked), [vip, 80]);
  // As after 65,536 more connects: every slot of the ring has another socket's row.
  const ring = native().openPin(join(node.options.bpffs, MAP_NAMES.tcpRecent));
  for (let i = 0; i < Limit.TcpOrigDst; i++) {
    native().mapUpdate(
      ring,
      new Uint8Array(Uint32Array.of(i).buffer),
      new Uint8Array(TcpOrigDstRow.size),
      UpdateFlag.Any,
    );
  }
  ring.close();
  assert.deepEqual(await node.pod.peer(asked), [vip, 80]);
  assert.deepEqual(await node.pod.peer(other), [`::ffff:${first.address}`, first.port]);
});

test("processes outside the cgroup are not translated", async () => {
  const { vip, first } = await serve("tcp", 1, { vip: "127.96.0.1" });
  assert.deepEqual(await node.pod.dial(vip, 80, 1, 4), { [first.name]: 1 });
  const count = await counted("connect", () => assert.rejects(node.host.dial(vip, 80, 1, 4), { code: "ECONNREFUSED" }));
  assert.equal(count, 0);
});

test("Services work without the agent, and open sockets keep their backend when it restarts", async () => {
  const { vip, first } = await serve("udp");
  const tcp = await serve("tcp");
  const { sock } = await askUdp(4, vip, 80, true);
  const loose = (await askUdp(4, vip, 80, false)).sock;
  node.datapath.close();
  assert.deepEqual(await node.pod.dial(tcp.vip, 80, 5, 4), { [tcp.first.name]: 5 });
  await node.reopen();
  await node.pod.send(sock, "z");
  await node.pod.sendto(loose, vip, 80, "z");
  for (const kept of [sock, loose]) {
    assert.deepEqual(await node.pod.receive(kept), { data: `${first.name}:z`, from: [vip, 80] });
  }
  assert.deepEqual(await node.pod.peer(sock), [vip, 80]);
  assert.equal((await node.datapath.frontends.load()).size > 0, true);
});

test("programs are replaced under load without a connect that bypasses them", async () => {
  const { vip, first } = await serve("tcp");
  const load = node.pod.dial(vip, 80, 3000, 4);
  let running = true;
  const ended = load.finally(() => {
    running = false;
  });
  let changes = 0;
  while (running) {
    await node.reopen();
    changes++;
    await setImmediate();
  }
  assert.deepEqual(await ended, { [first.name]: 3000 });
  assert.ok(changes > 1, `${changes} changes`);
});
