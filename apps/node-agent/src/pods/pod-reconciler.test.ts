/** The node's side of pod networks in a real kernel is restored when another program removes parts of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { until } from "@isthmus/testing";
import { startLoad } from "../routes/testing/load.js";
import { deviceMacs, hostDeviceName } from "./device-name.js";
import { missingOf, type NodeSide } from "./node-side.js";
import { readyAgent, readyNode } from "./testing/ready-node.js";
import type { TestNode } from "./testing/test-node.js";

const ROUTES = ["route", "show", "proto", "78"];
const count = (node: TestNode) => node.ip(...ROUTES).split("\n").length - 1;

test("route, neighbour and device of a pod are restored under load, and those of many pods at once", async (t) => {
  const { node } = await readyNode(t);
  const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
  for (const added of await Promise.all(names.map((name) => node.cni("ADD", name, node.addPod(name)))))
    assert.equal(added.code, 0, JSON.stringify(added.error));
  const whole = () => node.ip(...ROUTES).replaceAll(" linkdown", "");
  // Their order changes, and ip(8) ends a line with a space.
  const neighbours = () =>
    node
      .ip("neigh", "show", "nud", "permanent")
      .split("\n")
      .map((line) => line.trim())
      .sort()
      .join("\n");
  const before = [whole(), neighbours()];
  const address = /^10\.\d+\.\d+\.\d+/.exec(
    node.inPod("p1", "ip", "-4", "-br", "addr", "show", "dev", "eth0").split(/ +/)[2] ?? "",
  );
  const netns = (name: string) => `/run/netns/${node.podNamespace(name)}`;
  const load = await startLoad(t, netns("p0"), netns("p1"), address?.[0] ?? "");
  await load.goesOn("load");
  const device = hostDeviceName("p1", "eth0");
  const faults: readonly [string, () => void][] = [
    ["route of one", () => void node.ip("route", "del", `${address?.[0]}/32`)],
    ["neighbour of one", () => void node.ip("neigh", "del", address?.[0] ?? "", "dev", device)],
    [
      "neighbour of another MAC",
      () =>
        void node.ip(
          "neigh",
          "replace",
          address?.[0] ?? "",
          "dev",
          device,
          "lladdr",
          "02:00:00:00:00:01",
          "nud",
          "stale",
        ),
    ],
    ["device down", () => void node.ip("link", "set", device, "down")],
    [
      "route replaced",
      () =>
        void node.ip("route", "replace", `${address?.[0]}/32`, "dev", hostDeviceName("p0", "eth0"), "proto", "static"),
    ],
    [
      "flush of all",
      () => {
        node.ip("route", "flush", "proto", "78");
        node.ip("neigh", "flush", "nud", "permanent");
      },
    ],
  ];
  for (const [what, fault] of faults) {
    fault();
    const began = performance.now();
    await until(what, () => whole() === before[0] && neighbours() === before[1]);
    const took = performance.now() - began;
    t.diagnostic(`${what}: whole after ${took.toFixed(0)} ms`);
    assert.ok(took < 20_000); // 100 to 700 ms, on a busy machine a second
    await load.goesOn(`load after: ${what}`);
  }
});

test("what was removed while the agent was down is restored at its start", async (t) => {
  const { node, agent } = await readyNode(t);
  await node.cni("ADD", "c1", node.addPod("p1"));
  const before = node.ip(...ROUTES);
  await agent.kill();
  node.ip("route", "flush", "proto", "78");
  await readyAgent(node);
  await until("route", () => node.ip(...ROUTES) === before);
});

test("a pod that is deleted while others are restored is not restored", async (t) => {
  const { node } = await readyNode(t);
  const names = Array.from({ length: 8 }, (_, i) => `p${i}`);
  const paths = new Map(names.map((name) => [name, node.addPod(name)]));
  await Promise.all(names.map((name) => node.cni("ADD", name, paths.get(name) ?? "")));
  node.ip("route", "flush", "proto", "78");
  await Promise.all(names.slice(0, 4).map((name) => node.cni("DEL", name, paths.get(name) ?? "")));
  await until("the others' routes", () => count(node) === 4);
});

test("CHECK fails when a part of the node's side is missing", async (t) => {
  const { node } = await readyNode(t);
  const netns = node.addPod("p1");
  const { address = "" } = await node.cni("ADD", "c1", netns);
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
  // The first repair is immediate, later ones of repeated removals are not.
  let outcome = await node.cni("CHECK", "c1", netns);
  await until("a CHECK before the repair", async () => {
    node.ip("route", "flush", "proto", "78");
    outcome = await node.cni("CHECK", "c1", netns);
    return outcome.code !== 0;
  });
  assert.equal(outcome.error.code, 102);
  assert.equal(outcome.error.msg, `Cannot find route ${address} dev ${hostDeviceName("c1", "eth0")} on the node`);
  await until("restored", async () => (await node.cni("CHECK", "c1", netns)).code === 0);
});

test("each part of the node's side that is missing is named", () => {
  const hostDevice = hostDeviceName("c1", "eth0");
  const mac = deviceMacs(hostDevice).pod;
  const named = { containerId: "c1", interfaceName: "eth0", namespace: "", name: "", uid: "" };
  const pod = { hostDevice, addresses: [parseAddress("10.77.1.1")] as const, ...named };
  const whole: NodeSide = {
    devices: new Map([[hostDevice, true]]),
    routes: new Set([`10.77.1.1 ${hostDevice}`]),
    neighbours: new Set([`10.77.1.1 ${hostDevice} ${mac}`]),
  };
  const missing = (part: Partial<NodeSide>) => missingOf(pod, { ...whole, ...part });
  assert.equal(missing({}), undefined);
  assert.equal(missing({ devices: new Map([[hostDevice, false]]) }), `device "${hostDevice}" up`);
  assert.equal(missing({ routes: new Set(["10.77.1.1 eth0"]) }), `route 10.77.1.1 dev ${hostDevice}`);
  assert.equal(
    missing({ neighbours: new Set([`10.77.1.1 ${hostDevice} 02:00:00:00:00:01`]) }),
    `neighbour 10.77.1.1 ${mac}`,
  );
});
