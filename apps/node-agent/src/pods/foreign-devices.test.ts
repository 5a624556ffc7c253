/** The agent never deletes or uses devices of other programs on the node whose names resemble those of its devices. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "@isthmus/testing";
import { hostDeviceName } from "./device-name.js";
import { readyAgent, readyNode } from "./testing/ready-node.js";
import { createTestNode, type TestNode } from "./testing/test-node.js";

/** Names that other programs' devices may have; an 802.11s interface is named mesh0. */
const FOREIGN = ["mesh0", "mesh0123456789a", "mesh1", "meshcafe"];

async function nodeWithForeign(t: Parameters<typeof createTestNode>[0]): Promise<TestNode> {
  const node = await createTestNode(t);
  const [bridge = "", ...veths] = FOREIGN;
  node.ip("link", "add", bridge, "type", "bridge");
  for (const [i, name] of veths.entries()) node.ip("link", "add", name, "type", "veth", "peer", "name", `peer${i}`);
  return node;
}

const names = (node: TestNode): string[] =>
  node
    .ip("-br", "link", "show")
    .split("\n")
    .map((line) => line.split(/[@ ]/)[0] ?? "")
    .filter((name) => name.startsWith("mesh"))
    .sort();

test("foreign devices survive the start, ADD and DEL, and restarts with and without the state file", async (t) => {
  const node = await nodeWithForeign(t);
  const agent = await readyAgent(node);
  assert.deepEqual(names(node), FOREIGN);
  const netns = node.addPod("p1");
  await node.cni("ADD", "c1", netns);
  await node.cni("DEL", "c1", netns);
  await node.cni("ADD", "c1", netns);
  await agent.kill();
  await readyAgent(node).then((next) => next.kill());
  await rm(join(node.root, "var/lib/isthmus/agent/pods.json"));
  await readyAgent(node);
  assert.deepEqual(names(node), [...FOREIGN, hostDeviceName("c1", "eth0")].sort());
});

test("a foreign device with the name of a pod's device is neither used nor deleted", async (t) => {
  const { node } = await readyNode(t);
  const name = hostDeviceName("c1", "eth0");
  node.ip("link", "add", name, "type", "veth", "peer", "name", "theirs");
  const netns = node.addPod("p1");
  assert.equal((await node.cni("DEL", "c1", netns)).code, 0);
  assert.equal((await node.cni("ADD", "c1", netns)).error.code, 103);
  assert.equal((await node.cni("DEL", "c1", netns)).code, 0);
  assert.deepEqual(names(node), [name]);
});

test("a pod's device whose MAC was changed is recognised by the state file", async (t) => {
  const { node, agent } = await readyNode(t);
  const netns = node.addPod("p1");
  await node.cni("ADD", "c1", netns);
  node.ip("link", "set", hostDeviceName("c1", "eth0"), "address", "02:00:00:00:00:07");
  await agent.kill();
  const next = await readyAgent(node);
  assert.deepEqual(next.events, [{ up: { address: "10.77.1.1", uid: "uid-c1" } }]);
  assert.equal((await node.cni("DEL", "c1", netns)).code, 0);
  assert.deepEqual(names(node), []);
});

test("a device of the agent that belongs to no pod is deleted at the start", async (t) => {
  const { node, agent } = await readyNode(t);
  await node.cni("ADD", "c1", node.addPod("p1"));
  node.ip("route", "flush", "proto", "78");
  await agent.kill();
  await rm(join(node.root, "var/lib/isthmus/agent/pods.json"));
  await readyAgent(node);
  await until("device gone", () => names(node).length === 0);
});
