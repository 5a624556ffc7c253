import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { until } from "@isthmus/testing";
import { CONF, readyAgent, readyNode } from "./testing/ready-node.js";
import { createTestNode } from "./testing/test-node.js";

/** Prints the error of a connect to a closed port; ECONNREFUSED shows that the other pod answered. */
const DIAL = `require("net").connect({ host: process.argv[1], port: 9, timeout: 2000 })
  .on("error", (error) => process.stdout.write(error.code)).on("timeout", () => process.exit(0))`;

test("the configuration is written only once the pod CIDR is known; before, ADD fails with try again", async (t) => {
  const node = await createTestNode(t);
  const agent = await node.startAgent();
  assert.equal(existsSync(join(node.root, CONF)), false);
  const early = await node.cni("ADD", "c1", node.addPod("p1"));
  assert.deepEqual([early.code, early.error.code], [1, 11]);
  agent.setCidrs("10.77.1.0/24");
  await until("configuration", () => existsSync(join(node.root, CONF)));
  assert.deepEqual(JSON.parse(readFileSync(join(node.root, CONF), "utf8")), {
    cniVersion: "1.0.0",
    name: "isthmus",
    plugins: [
      { type: "isthmus-cni", socket: "/run/isthmus/cni.sock", capabilities: { cgroupPath: true, portMappings: true } },
    ],
  });
  assert.ok(existsSync(join(node.root, "opt/cni/bin/loopback")));
});

test("the write of the configuration is retried until it succeeds", async (t) => {
  const node = await createTestNode(t);
  const blocked = join(node.root, "etc/cni");
  mkdirSync(dirname(blocked));
  writeFileSync(blocked, "not a directory");
  const agent = await node.startAgent();
  agent.setCidrs("10.77.1.0/24");
  await until("an address", async () => (await node.cni("ADD", "c1", node.addPod("p1"))).code === 0);
  rmSync(blocked);
  await until("configuration", () => existsSync(join(node.root, CONF)));
});

test("ADD gives a pod an address, and pods reach each other through the node", async (t) => {
  const { node, agent } = await readyNode(t);
  const one = await node.cni("ADD", "c1", node.addPod("p1"));
  const two = await node.cni("ADD", "c2", node.addPod("p2"));
  assert.deepEqual([one.address, two.address], ["10.77.1.1", "10.77.1.2"]);
  assert.match(node.inPod("p1", "ip", "-4", "addr", "show", "dev", "eth0"), /inet 10\.77\.1\.1\/32/);
  assert.match(node.inPod("p1", "ip", "route"), /^default via 169\.254\.1\.1 dev eth0 onlink/);
  assert.match(node.ip("route", "show", "proto", "78"), /10\.77\.1\.1 dev mesh[0-9a-f]{11} scope link/);
  assert.equal(node.inPod("p1", process.execPath, "-e", DIAL, "10.77.1.2"), "ECONNREFUSED");
  await until("reports", () => agent.events.length === 2);
  assert.deepEqual(agent.events[0], { up: { address: "10.77.1.1", uid: "uid-c1" } });
});

test("a repeated ADD returns the same result, and CHECK fails only when the pod's network is broken", async (t) => {
  const { node } = await readyNode(t);
  const netns = node.addPod("p1");
  const first = await node.cni("ADD", "c1", netns);
  assert.equal((await node.cni("ADD", "c1", netns)).text, first.text);
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
  node.inPod("p1", "ip", "addr", "flush", "dev", "eth0");
  assert.equal((await node.cni("CHECK", "c1", netns)).error.code, 102);
  assert.equal((await node.cni("CHECK", "unknown", netns)).error.code, 102);
  await node.cni("ADD", "c1", netns);
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
});

test("an ADD without policy in time removes what it made, and reports the pod down", async (t) => {
  const { node, agent } = await readyNode(t);
  const netns = node.addPod("p1");
  const late = await node.cni("ADD", "late", netns);
  assert.deepEqual(late.error, {
    cniVersion: "1.0.0",
    code: 11,
    msg: "Cannot enforce policy for late yet",
    details: "",
  });
  assert.equal(node.ip("-o", "link", "show", "type", "veth"), "");
  await until("reports", () => agent.events.length === 2);
  assert.deepEqual(agent.events, [
    { up: { address: "10.77.1.1", uid: "uid-late" } },
    { down: { address: "10.77.1.1", uid: "uid-late" } },
  ]);
  assert.equal((await node.cni("ADD", "c1", netns)).code, 0);
  await node.cni("DEL", "late", netns);
  assert.equal(node.inPod("p1", "ip", "-o", "-4", "addr", "show", "dev", "eth0").includes("10.77.1.2"), true);
});

test("a repeated ADD that fails at any step does not change the pod's network", async (t) => {
  const { node, agent } = await readyNode(t);
  const netns = node.addPod("p1");
  const first = await node.cni("ADD", "c1", netns);
  const network = () => [
    node.ip("-d", "link", "show", "type", "veth"),
    node.ip("route", "show", "proto", "78"),
    node.inPod("p1", "ip", "-4", "addr", "show", "dev", "eth0"),
    node.inPod("p1", "ip", "route"),
  ];
  // The kernel reports a carrier a moment after both ends are up.
  await until("carrier", () => network()[0]?.includes("state UP") === true);
  const before = network();
  let steps = 0;
  for (let struck = true; struck; ) {
    node.faults.plan(steps + 1, "fail");
    const again = await node.cni("ADD", "c1", netns);
    struck = node.faults.clear();
    assert.equal(again.code, struck ? 1 : 0, again.text);
    assert.deepEqual(network(), before);
    assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
    if (struck) steps++;
  }
  assert.ok(steps >= 10, String(steps));
  assert.equal((await node.cni("ADD", "c1", netns)).text, first.text);
  assert.deepEqual(agent.events, [{ up: { address: "10.77.1.1", uid: "uid-c1" } }]);
});

test("a first ADD that fails at any step leaves nothing", async (t) => {
  const { node, agent } = await readyNode(t, "10.77.1.0/30");
  const netns = node.addPod("p1");
  for (let call = 1, struck = true; struck; call++) {
    node.faults.plan(call, "fail");
    const outcome = await node.cni("ADD", `c${call}`, netns);
    struck = node.faults.clear();
    assert.equal(outcome.code, struck ? 1 : 0, outcome.text);
    if (struck) assert.equal(node.ip("-br", "link", "show", "type", "veth"), "");
    if (struck) assert.deepEqual(agent.events, []);
  }
});

test("an ADD for an attached container in another namespace is refused, and the pod keeps its network", async (t) => {
  const { node } = await readyNode(t);
  const netns = node.addPod("p1");
  const first = await node.cni("ADD", "c1", netns);
  const other = node.addPod("p2");
  const refused = await node.cni("ADD", "c1", other);
  assert.deepEqual([refused.code, refused.error.code], [1, 103]);
  assert.match(
    refused.error.msg ?? "",
    /^Cannot attach container "c1" to ".*p2": its "eth0" is in another network namespace/,
  );
  assert.equal((await node.cni("CHECK", "c1", netns)).code, 0);
  assert.equal((await node.cni("ADD", "c1", netns)).text, first.text);
  assert.equal((await node.cni("DEL", "c1", other)).code, 0);
  assert.equal((await node.cni("ADD", "c1", other)).address, "10.77.1.2");
});

test("a sandbox whose namespace was recreated under the same name gets the same network and address again", async (t) => {
  const { node } = await readyNode(t);
  const first = await node.cni("ADD", "c1", node.addPod("p1"));
  node.deletePod("p1");
  await until("device gone", () => node.ip("route", "show", "proto", "78") === "");
  const again = await node.cni("ADD", "c1", node.addPod("p1"));
  assert.equal(again.text, first.text);
  assert.equal((await node.cni("CHECK", "c1", `/var/run/netns/${node.podNamespace("p1")}`)).code, 0);
});

test("a DEL during ADD waits for it; an ADD for a namespace that is gone leaves nothing", async (t) => {
  const { node } = await readyNode(t);
  const netns = node.addPod("p1");
  for (let round = 0; round < 5; round++) {
    const [added, deleted] = await Promise.all([node.cni("ADD", "c1", netns), node.cni("DEL", "c1", netns)]);
    assert.deepEqual([added.code, deleted.code], [0, 0]);
    assert.equal((await node.cni("DEL", "c1", netns)).code, 0);
    assert.equal(node.ip("-br", "link", "show", "type", "veth"), "");
  }
  node.deletePod("p1");
  assert.equal((await node.cni("ADD", "c1", netns)).error.code, 4);
  assert.equal(node.ip("-br", "link", "show", "type", "veth"), "");
});

test("STATUS and GC of later CNI versions are refused", async (t) => {
  const { node } = await readyNode(t);
  for (const command of ["STATUS", "GC"]) {
    assert.deepEqual((await node.cni(command, "c1", "/var/run/netns/x")).error.code, 4);
  }
});

test("DEL removes everything, can be repeated, and works when the namespace is gone", async (t) => {
  const { node, agent } = await readyNode(t);
  const netns = node.addPod("p1");
  await node.cni("ADD", "c1", netns);
  assert.equal((await node.cni("DEL", "c1", netns)).code, 0);
  assert.equal(node.ip("-br", "link", "show", "type", "veth"), "");
  assert.equal((await node.cni("DEL", "c1", netns)).code, 0);

  await node.cni("ADD", "c2", netns);
  node.deletePod("p1");
  assert.deepEqual(await node.cni("DEL", "c2", ""), { code: 0, text: "", error: {}, address: undefined });
  await until("reports", () => agent.events.length === 4);
  assert.deepEqual(
    agent.events.map((event) => event.down?.uid),
    [undefined, "uid-c1", undefined, "uid-c2"],
  );
});

test("a freed address is assigned again only after all others", async (t) => {
  const { node } = await readyNode(t, "10.77.1.0/29");
  const given: (string | undefined)[] = [];
  const netns = node.addPod("p1");
  for (let i = 0; i < 8; i++) {
    given.push((await node.cni("ADD", `c${i}`, netns)).address);
    await node.cni("DEL", `c${i}`, netns);
  }
  assert.deepEqual(
    given.map((address) => address?.slice(-1)),
    ["1", "2", "3", "4", "5", "1", "2", "3"],
  );
});

test("the node's last address is its health address, which no pod gets and a restart keeps", async (t) => {
  const { node, agent } = await readyNode(t, "10.77.1.0/29");
  await until("a health address", () => agent.health !== "");
  assert.equal(agent.health, "10.77.1.6");
  const names = ["p1", "p2", "p3", "p4", "p5"];
  const outcomes = await Promise.all(names.map((name) => node.cni("ADD", name, node.addPod(name))));
  assert.deepEqual(
    new Set(outcomes.map(({ address }) => address)),
    new Set([1, 2, 3, 4, 5].map((host) => `10.77.1.${host}`)),
  );
  assert.equal((await node.cni("ADD", "p6", node.addPod("p6"))).error.code, 101);
  await agent.kill();
  const next = await readyAgent(node, "10.77.1.0/29");
  await until("a health address", () => next.health !== "");
  assert.equal(next.health, "10.77.1.6");
});

test("without a free address ADD fails with error 101; the address of a pod removed without DEL is reclaimed", async (t) => {
  const { node } = await readyNode(t, "10.77.1.0/30");
  await node.cni("ADD", "c1", node.addPod("p1"));
  await node.cni("ADD", "c2", node.addPod("p2"));
  const third = node.addPod("p3");
  const refused = await node.cni("ADD", "c3", third);
  assert.equal(refused.error.code, 101);
  assert.equal(refused.error.msg, 'Cannot give the pod an address: all 2 of pod CIDR "10.77.1.0/30" are in use');
  node.deletePod("p1");
  await until("device gone", () => !node.ip("route", "show", "proto", "78").includes("10.77.1.1 "));
  assert.equal((await node.cni("ADD", "c3", third)).address, "10.77.1.1");
});

test("twenty concurrent pods get twenty addresses", async (t) => {
  const { node } = await readyNode(t);
  const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
  const outcomes = await Promise.all(names.map((name) => node.cni("ADD", name, node.addPod(name))));
  assert.equal(new Set(outcomes.map((outcome) => outcome.address)).size, 20);
  assert.deepEqual(new Set(outcomes.map((outcome) => outcome.code)), new Set([0]));
});

test("ADD takes milliseconds, not seconds", async (t) => {
  const { node } = await readyNode(t);
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const netns = node.addPod(`t${i}`);
    const started = performance.now();
    await node.cni("ADD", `t${i}`, netns);
    times.push(performance.now() - started);
  }
  t.diagnostic(`ADD ${times.map((ms) => ms.toFixed(1)).join(" ")} ms`);
  assert.ok(Math.min(...times) < 1_000); // 15 to 31 ms on two busy cores
});
