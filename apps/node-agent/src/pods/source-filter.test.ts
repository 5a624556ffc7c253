import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { until } from "@isthmus/testing";
import { hostDeviceName } from "./device-name.js";
import { filterProblem } from "./source-filter.js";
import { readyNode } from "./testing/ready-node.js";
import { createTestNode, type TestNode } from "./testing/test-node.js";

const WELL = "PodSourcesChecked: well";
const DEVICE = hostDeviceName("c1", "eth0");

function sysctl(node: TestNode, device: string, value?: number): number {
  const path = `/proc/sys/net/ipv4/conf/${device}/rp_filter`;
  const shell = (command: string) => execFileSync("nsenter", [`--net=${node.netns}`, "sh", "-c", command]).toString();
  if (value !== undefined) shell(`echo ${value} > ${path}`);
  return Number(shell(`cat ${path}`));
}

test("the kernel applies the higher of two values; the problem names the one to change", () => {
  const problem = (all: number, ...devices: readonly number[]) =>
    filterProblem({ all, devices: new Map(devices.map((value, i) => [`mesh${i}`, value])) });
  for (const well of [problem(0), problem(1), problem(0, 1), problem(1, 0), problem(1, 1, 1)])
    assert.equal(well, undefined);
  for (const loose of [problem(2), problem(2, 1)]) assert.match(loose ?? "", /all\.rp_filter to 0 or 1 \(it is 2/);
  assert.match(problem(0, 1, 0) ?? "", /CAP_NET_ADMIN .* stays 0\)$/);
  assert.match(problem(1, 2) ?? "", /stays 2\)$/);
});

test("a loose setting of the node is reported in a condition until it is strict; pods are attached nevertheless", async (t) => {
  const { node, agent } = await readyNode(t);
  sysctl(node, "all", 0);
  assert.equal((await node.cni("ADD", "c1", node.addPod("p1"))).code, 0);
  assert.equal(sysctl(node, DEVICE), 1);
  await until("well", () => agent.condition === WELL);
  sysctl(node, "all", 2);
  await until("loose", () => /^PodSourcesChecked: .*it is 2, loose/.test(agent.condition));
  assert.equal((await node.cni("ADD", "c2", node.addPod("p2"))).code, 0);
  sysctl(node, "all", 1);
  await until("well again", () => agent.condition === WELL);
});

test("a device's setting that another program changes is set to strict again", async (t) => {
  const { node, agent } = await readyNode(t);
  sysctl(node, "all", 0);
  await node.cni("ADD", "c1", node.addPod("p1"));
  for (const value of [2, 0]) {
    sysctl(node, DEVICE, value);
    await until(`strict after ${value}`, () => sysctl(node, DEVICE) === 1);
  }
  await until("well", () => agent.condition === WELL);
});

test("the filter is strict also when /proc/sys is read-only, as in a container", async (t) => {
  const node = await createTestNode(t);
  sysctl(node, "all", 0);
  sysctl(node, "default", 0);
  execFileSync("nsenter", [`--net=${node.netns}`, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  const agent = await node.startAgent("mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys");
  agent.setCidrs("10.77.1.0/24");
  assert.equal((await node.cni("ADD", "c1", node.addPod("p1"))).code, 0);
  assert.equal(sysctl(node, DEVICE), 1);
  await until("well", () => agent.condition === WELL);
});
