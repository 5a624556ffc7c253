/** Connections that were moved (bpf/lib/rescue.h) carry what their sockets send, by real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NatFlag } from "./gen/index.js";
import { addService, MECHANISMS, makeNode, makeNodes, VIP } from "./testing/rescue-nodes.js";

for (const offload of [true, false])
  test(`a moved connection carries data both ways, ${offload ? "with" : "without"} offloads`, async (t) => {
    const { near, far, a, c, d } = await makeNodes(t);
    if (!offload) {
      const features = ["tx", "tso", "gso", "gro"] as const;
      for (const pod of [a, c, d]) pod.netns.offload("eth0", features, false);
      for (const node of [near, far]) node.netns.offload("up0", features, false);
    }
    await addService(near, { c: [c, "dead"], d: [d, "echo"] });
    for (let i = 0; near.counts()["moved"] === undefined; i++) {
      assert.ok(i < 50, "no connect was moved");
      const socket = await a.sockets.open("tcp", 4);
      await a.sockets.connect(socket, VIP, 80);
      assert.deepEqual(await a.sockets.peer(socket), [VIP, 80]);
      assert.equal(await a.sockets.exchange(socket, 1 << 20), true);
      await a.sockets.close(socket);
    }
  });

for (const mechanism of MECHANISMS)
  test(`${mechanism}: a moved connection goes on when its flows are forgotten`, async (t) => {
    const { near, a, c, d } = await makeNodes(t, mechanism);
    await addService(near, { c: [c, "dead"], d: [d, "echo"] });
    const sockets: number[] = [];
    while (near.counts()["moved"] === undefined) {
      const socket = await a.sockets.open("tcp", 4);
      await a.sockets.connect(socket, VIP, 80);
      sockets.push(socket);
      assert.ok(sockets.length < 50, "no connect was moved");
    }
    for (let i = 0; i < 3; i++) {
      near.forgetFlows();
      for (const socket of sockets) assert.equal(await a.sockets.exchange(socket, 100_000), true);
    }
  });

for (const [what, proto, settings] of [
  ["MPTCP", "mptcp", []],
  ["SYN cookies", "tcp", ["net.ipv4.tcp_syncookies=2"]],
  ["window scaling and time stamps off", "tcp", ["net.ipv4.tcp_timestamps=0", "net.ipv4.tcp_window_scaling=0"]],
] as const)
  test(`connects are moved with ${what}`, async (t) => {
    const { node, a, b, c } = await makeNode(t);
    for (const pod of [a, b]) for (const setting of settings) pod.netns.sysctl(setting);
    await addService(node, { c: [c, "dead"] }, { b: [b, "echo"] });
    for (let i = 0; i < 10; i++) {
      const socket = await a.sockets.open(proto, 4);
      await a.sockets.connect(socket, VIP, 80);
      assert.equal(await a.sockets.exchange(socket, 100_000), true);
      assert.deepEqual(await a.sockets.peer(socket), [VIP, 80]);
      await a.sockets.close(socket);
    }
    assert.equal(node.counts()["moved"], 10);
  });

test("a connect with data in its SYN (TCP Fast Open) is moved, and its data arrives", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  // Without a cookie, which no dead backend gives.
  a.netns.sysctl("net.ipv4.tcp_fastopen=5");
  for (const pod of [b, c]) pod.netns.sysctl("net.ipv4.tcp_fastopen=0x602");
  await addService(node, { c: [c, "dead"] }, { b: [b, "echo"] });
  for (let i = 0; i < 10; i++) {
    const socket = await a.sockets.open("tcp", 4);
    assert.equal(await a.sockets.fastopen(socket, VIP, 80, "hello"), 5);
    assert.equal((await a.sockets.receive(socket)).data, "hello");
    await a.sockets.close(socket);
  }
  assert.equal(node.counts()["moved"], 10);
});

test("a port that a moved connect has is refused to the pod, for the same backend alone", async (t) => {
  const { node, a, b, c } = await makeNode(t);
  await addService(node, { c: [c, "dead"] }, { b: [b, "echo"] });
  const socket = await a.sockets.open("tcp", 4);
  await a.sockets.connect(socket, VIP, 80);
  const [front] = (await node.natRows()).filter(({ flags }) => flags & NatFlag.Front);
  assert.ok(front);
  // Its SYN is sent twice.
  const own = await a.sockets.open("tcp", 4, 1500);
  await a.sockets.bind(own, a.address, front.clientPort);
  await assert.rejects(a.sockets.connect(own, b.address, front.peerPort), { code: "TIMEOUT" });
  assert.ok((node.counts()["port_taken"] ?? 0) > 0);
  assert.equal(await a.sockets.exchange(socket, 10_000), true, "the connection that has it goes on");
});
