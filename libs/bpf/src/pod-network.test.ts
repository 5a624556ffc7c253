/** Pods that talk to each other, to their node and from it, with the programs on their devices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { native } from "./native.js";
import { makePodNode } from "./testing/pod-network.js";

for (const mechanism of native().probeTcx() ? (["tcx", "clsact"] as const) : (["clsact"] as const)) {
  test(`${mechanism}: pods of a node reach each other past its stack, by TCP and UDP`, async (t) => {
    const node = makePodNode(t, mechanism);
    const [a, b] = [await node.addLivePod("10.1.0.1"), await node.addLivePod("10.1.0.2")];
    const port = await b.sockets.server("tcp", 4, "10.1.0.2", "b");
    assert.deepEqual(await a.sockets.dial("10.1.0.2", port, 50, 4), { b: 50 });
    const udp = await b.sockets.server("udp", 4, "10.1.0.2", "b");
    const socket = await a.sockets.open("udp", 4);
    await a.sockets.sendto(socket, "10.1.0.2", udp, "hello");
    assert.deepEqual(await a.sockets.receive(socket), { data: "b:hello", from: ["10.1.0.2", udp] });
    const { deliver = 0, flow_new, to_stack = 0 } = node.counts();
    assert.ok(deliver > 50 * 5, `${deliver} packets were delivered`);
    assert.deepEqual([flow_new, to_stack], [51, 0]);
  });

  test(`${mechanism}: the node reaches its pods and they reach it, through the stack`, async (t) => {
    const node = makePodNode(t, mechanism);
    const a = await node.addLivePod("10.1.0.1");
    node.node.ip("link", "set", "lo", "up");
    node.node.ip("addr", "add", "172.31.0.1/32", "dev", "lo");
    const host = node.nodeSockets();
    const port = await a.sockets.server("tcp", 4, "10.1.0.1", "a");
    assert.deepEqual(await host.dial("10.1.0.1", port, 10, 4), { a: 10 });
    const own = await host.server("tcp", 4, "172.31.0.1", "node");
    assert.deepEqual(await a.sockets.dial("172.31.0.1", own, 10, 4), { node: 10 });
    assert.deepEqual(node.counts(), {});
  });

  test(`${mechanism}: a datagram in fragments arrives past the node's stack, and so does its answer`, async (t) => {
    const node = makePodNode(t, mechanism);
    const [a, b] = [await node.addLivePod("10.1.0.1"), await node.addLivePod("10.1.0.2")];
    const udp = await b.sockets.server("udp", 4, "10.1.0.2", "b");
    const socket = await a.sockets.open("udp", 4);
    // The server's buffer has 2,048 bytes.
    await a.sockets.sendto(socket, "10.1.0.2", udp, "x".repeat(2000));
    assert.equal((await a.sockets.receive(socket)).data.length, 2002);
    assert.deepEqual(node.counts(), { flow_new: 1, deliver: 4 });
  });

  test(`${mechanism}: what a pod sends with another source address is dropped`, async (t) => {
    const node = makePodNode(t, mechanism);
    const [a, b] = [await node.addLivePod("10.1.0.1"), await node.addLivePod("10.1.0.2")];
    const port = await b.sockets.server("tcp", 4, "10.1.0.2", "b");
    a.netns.ip("addr", "add", "10.1.0.77/32", "dev", "eth0");
    a.netns.ip("route", "replace", "default", "via", "169.254.1.1", "dev", "eth0", "src", "10.1.0.77");
    const socket = await a.sockets.open("udp", 4);
    await a.sockets.sendto(socket, "10.1.0.2", port, "spoofed");
    assert.deepEqual(node.counts(), { spoofed_source: 1 });
  });
}
