import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "@isthmus/testing";
import { readyAgent, readyNode } from "./testing/ready-node.js";

test("without an agent the plugin fails with try again; the next agent continues with the saved state", async (t) => {
  const { node, agent } = await readyNode(t);
  const first = await node.cni("ADD", "c1", node.addPod("p1"));
  const second = node.addPod("p2");
  await node.cni("ADD", "c2", second);
  await agent.kill();
  const calls = await Promise.all([node.cni("ADD", "c3", second), node.cni("DEL", "c2", second)]);
  assert.deepEqual(
    calls.map((call) => call.error.code),
    [11, 11],
  );
  node.deletePod("p2");
  await until("device gone", () => !node.ip("route", "show", "proto", "78").includes("10.77.1.2 "));

  const next = await readyAgent(node);
  assert.deepEqual(next.events, [
    { down: { address: "10.77.1.2", uid: "uid-c2" } },
    { up: { address: "10.77.1.1", uid: "uid-c1" } },
  ]);
  assert.equal((await node.cni("ADD", "c1", "/var/run/netns/none")).error.code, 4);
  assert.equal((await node.cni("DEL", "c2", "")).code, 0);
  assert.equal((await node.cni("ADD", "c4", node.addPod("p4"))).address, "10.77.1.3");
  assert.equal(first.address, "10.77.1.1");
});

test("with a corrupt state file, the addresses in use are read from the kernel", async (t) => {
  const { node, agent } = await readyNode(t);
  const netns = node.addPod("p1");
  await node.cni("ADD", "c1", netns);
  await agent.kill();
  await writeFile(join(node.root, "var/lib/isthmus/agent/pods.json"), '{"layout":1,"attach');
  await readyAgent(node);
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
  assert.equal((await node.cni("ADD", "c2", node.addPod("p2"))).address, "10.77.1.2");
  assert.equal((await node.cni("ADD", "c1", netns)).address, "10.77.1.1");
  assert.equal((await node.cni("DEL", "c1", netns)).code, 0);
  assert.doesNotMatch(node.ip("route", "show", "proto", "78"), /10\.77\.1\.1 /);
});

test("a state file of layout 1 is taken over: pods keep their addresses and names, and the next address follows the last", async (t) => {
  const { node, agent } = await readyNode(t);
  const netns = node.addPod("p1");
  await node.cni("ADD", "c1", netns);
  await agent.kill();
  const path = join(node.root, "var/lib/isthmus/agent/pods.json");
  const { attachments } = JSON.parse(await readFile(path, "utf8")) as { attachments: { addresses: string[] }[] };
  const entries = attachments.map(({ addresses, ...pod }) => ({ ...pod, address: addresses[0] }));
  const last = ((10 << 24) | (77 << 16) | (1 << 8) | 4) >>> 0;
  await writeFile(path, JSON.stringify({ layout: 1, last, attachments: entries }));
  const next = await readyAgent(node);
  assert.deepEqual(next.events, [{ up: { address: "10.77.1.1", uid: "uid-c1" } }]);
  assert.equal(JSON.parse(await readFile(path, "utf8")).layout, 2);
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
  assert.equal((await node.cni("ADD", "c2", node.addPod("p2"))).address, "10.77.1.5");
});

test("after the plugin is killed during ADD, a repeated ADD succeeds", async (t) => {
  const { node } = await readyNode(t);
  const netns = node.addPod("p1");
  const plugin = node.startCni("ADD", "c1", netns);
  await until("device", () => node.ip("-br", "link", "show", "type", "veth") !== "");
  plugin.kill("SIGKILL");
  const again = await node.cni("ADD", "c1", netns);
  assert.deepEqual([again.code, again.address], [0, "10.77.1.1"]);
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
});

test("after the agent is killed at any moment of ADD, the next agent removes or completes the pod's network", async (t) => {
  const { node, agent } = await readyNode(t);
  let running = agent;
  for (const [round, delayMs] of [0, 2, 4, 6, 8, 12, 20].entries()) {
    const name = `k${round}`;
    const netns = node.addPod(name);
    const answer = node.cni("ADD", name, netns);
    await new Promise((resolve) => setTimeout(resolve, delayMs)); // varies the moment of the kill in ADD
    await running.kill();
    running = await readyAgent(node);
    const first = await answer;
    assert.equal(first.code, 0, first.text);
    assert.equal((await node.cni("ADD", name, netns)).text, first.text);
    assert.equal((await node.cni("CHECK", name, netns)).code, 0);
    if (round % 2 === 0) assert.equal((await node.cni("DEL", name, netns)).code, 0);
  }
  const devices = node.ip("-br", "link", "show", "type", "veth").trim().split("\n");
  const routes = node.ip("route", "show", "proto", "78").trim().split("\n");
  assert.deepEqual([devices.length, routes.length], [3, 3]);
});

/** Netlink requests of a first ADD: the pair, its index and 3 on the node; the index and 5 in the pod. */
const STEPS = 11;

test("an agent that is killed at each step of ADD leaks no address, with or without a DEL", async (t) => {
  const { node, agent } = await readyNode(t, "10.77.1.0/29");
  let running = agent;
  for (let round = 0; round < STEPS; round++) {
    const name = `k${round}`;
    const netns = node.addPod(name);
    node.faults.plan(round + 1, "kill");
    const plugin = node.startCni("ADD", name, netns);
    await running.ended;
    plugin.kill("SIGKILL");
    assert.equal(node.faults.clear(), true);
    running = await readyAgent(node, "10.77.1.0/29");
    if (round % 2 === 0) assert.equal((await node.cni("DEL", name, netns)).code, 0);
    node.deletePod(name);
    await until("devices gone", () => node.ip("-br", "link", "show", "type", "veth") === "");
  }
  const names = [1, 2, 3, 4, 5].map((i) => `p${i}`);
  const outcomes = await Promise.all(names.map((name) => node.cni("ADD", name, node.addPod(name))));
  assert.equal(new Set(outcomes.map(({ address }) => address)).size, 5);
});

test("a pod that was removed while the agent was down is reported down, and its address is free", async (t) => {
  const { node, agent } = await readyNode(t, "10.77.1.0/30");
  await node.cni("ADD", "c1", node.addPod("p1"));
  await node.cni("ADD", "c2", node.addPod("p2"));
  await agent.kill();
  node.deletePod("p1");
  await until("device gone", () => !node.ip("route", "show", "proto", "78").includes("10.77.1.1 "));
  const next = await readyAgent(node, "10.77.1.0/30");
  assert.deepEqual(next.events, [
    { down: { address: "10.77.1.1", uid: "uid-c1" } },
    { up: { address: "10.77.1.2", uid: "uid-c2" } },
  ]);
  assert.equal((await node.cni("ADD", "c3", node.addPod("p3"))).address, "10.77.1.1");
});
