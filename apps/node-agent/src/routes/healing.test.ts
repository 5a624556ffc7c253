/** Routes in a real kernel, between two nodes (network namespaces), are restored when another program removes them. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "@isthmus/testing";
import { startLoad } from "./testing/load.js";

const NODES = [
  ["n1", "172.18.0.1", "10.11.0.0/24"],
  ["n2", "172.18.0.2", "10.12.0.0/24"],
  ["n3", "172.18.0.3", "10.13.0.0/24"],
];
const POD = "10.12.0.5";

interface Rig {
  /** Paths of the nodes' namespaces. */
  readonly here: string;
  readonly there: string;
  ip(...args: readonly string[]): string;
  batch(lines: readonly string[]): void;
  set(nodes: readonly (readonly string[])[]): void;
  /** The agent's routes, without the device. */
  routes(): readonly string[];
  healed(what: string): Promise<number>;
}

let counter = 0;

/** Node n1 with an agent's routes, node n2 with a pod's address. */
async function rig(t: TestContext): Promise<Rig> {
  const [one, two] = ["1", "2"].map((side) => `mrt${process.pid}-${counter}-${side}`);
  if (one === undefined || two === undefined) throw new Error("no names");
  counter++;
  for (const name of [one, two]) {
    execFileSync("ip", ["netns", "add", name]);
    t.after(() => execFileSync("ip", ["netns", "del", name]));
  }
  const run = (name: string, ...args: readonly string[]) => execFileSync("ip", ["-n", name, ...args]).toString();
  run(one, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two);
  for (const [name, address] of [
    [one, "172.18.0.1/24"],
    [two, "172.18.0.2/24"],
  ] as const) {
    run(name, "addr", "add", address, "dev", "eth0");
    for (const device of ["lo", "eth0"]) run(name, "link", "set", device, "up");
  }
  run(two, "addr", "add", `${POD}/32`, "dev", "lo");
  const agent = startAgent(t, one);
  const ip = (...args: readonly string[]) => run(one, ...args);
  const routes = () =>
    ["-4", "-6"].flatMap((family) =>
      ip(family, "route", "show", "proto", "77")
        .trim()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.replace(/ dev \S+/, "").trim()),
    );
  const set: Rig["set"] = (nodes) => void agent.stdin?.write(`${JSON.stringify(nodes)}\n`);
  set(NODES);
  await until("routes", () => routes().length === 3);
  return {
    here: `/run/netns/${one}`,
    there: `/run/netns/${two}`,
    ip,
    batch: (lines) => void execFileSync("ip", ["-n", one, "-batch", "-"], { input: lines.join("\n") }),
    set,
    routes,
    async healed(what) {
      const began = performance.now();
      await until(what, () => routes().length === 3);
      return performance.now() - began;
    },
  };
}

function startAgent(t: TestContext, namespace: string): ChildProcess {
  const main = fileURLToPath(new URL("./testing/routes-main.js", import.meta.url));
  const args = [`--net=/run/netns/${namespace}`, process.execPath, main, "n1"];
  const child = spawn("nsenter", args, { stdio: ["pipe", "ignore", "ignore"] });
  t.after(async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  return child;
}

const ALL = ["unreachable 10.11.0.0/24 metric 1000000", "10.12.0.0/24 via 172.18.0.2", "10.13.0.0/24 via 172.18.0.3"];

test("traffic continues after a flush of routes, a link that goes down and up, and an address that is set again", async (t) => {
  const { here, there, ip, routes, healed } = await rig(t);
  const load = await startLoad(t, here, there, POD);
  await load.goesOn("load");
  const faults: readonly [string, () => void][] = [
    ["flush of the agent's routes", () => ip("route", "flush", "proto", "77")],
    [
      "link down and up",
      () => {
        ip("link", "set", "eth0", "down");
        ip("link", "set", "eth0", "up");
      },
    ],
    [
      "address removed and set again",
      () => {
        ip("addr", "flush", "dev", "eth0");
        ip("addr", "add", "172.18.0.1/24", "dev", "eth0");
      },
    ],
    [
      "flush of the table",
      () => {
        ip("route", "flush", "table", "main");
        ip("route", "add", "172.18.0.0/24", "dev", "eth0", "proto", "kernel", "scope", "link", "src", "172.18.0.1");
      },
    ],
  ];
  for (const [what, fault] of faults) {
    fault();
    const took = await healed(what);
    t.diagnostic(`${what}: whole after ${took.toFixed(0)} ms`);
    assert.ok(took < 20_000); // 30 to 600 ms, on a busy machine a second
    assert.deepEqual([...routes()].sort(), [...ALL].sort());
    await load.goesOn(`load after: ${what}`);
  }
});

test("a replaced route of the agent is restored, a foreign one stays", async (t) => {
  const { ip, routes } = await rig(t);
  ip("route", "add", "10.99.0.0/24", "via", "172.18.0.9");
  ip("route", "replace", "10.12.0.0/24", "via", "172.18.0.9", "proto", "static");
  await until("route restored", () => routes().includes("10.12.0.0/24 via 172.18.0.2"));
  assert.match(ip("route", "show", "10.99.0.0/24"), /via 172\.18\.0\.9/);
});

test("a removed route of the agent is restored even if so many other routes change that notifications are lost", async (t) => {
  const { batch, routes, healed } = await rig(t);
  const others = Array.from({ length: 3000 }, (_, i) => `unreachable 10.${100 + (i >> 8)}.${i & 255}.0/24`);
  batch([
    ...others.map((route) => `route add ${route}`),
    "route flush proto 77",
    ...others.map((route) => `route del ${route}`),
  ]);
  assert.ok((await healed("storm")) < 20_000);
  assert.equal(routes().length, 3);
});

test("the node's pod CIDR is unreachable except for its pods, and the route changes and disappears with the CIDR", async (t) => {
  const { ip, set, routes } = await rig(t);
  const answer = (address: string): string => {
    try {
      return ip("route", "get", address);
    } catch (error) {
      return String(error);
    }
  };
  assert.match(answer("10.11.0.9"), /No route to host/);
  ip("route", "add", "10.11.0.5/32", "dev", "eth0");
  assert.match(answer("10.11.0.5"), /dev eth0/);
  ip("route", "add", "default", "via", "172.18.0.9");
  assert.match(answer("10.11.0.9"), /No route to host/);
  set([["n1", "172.18.0.1", "10.21.0.0/24"], ...NODES.slice(1)]);
  await until("range moved", () => routes().includes("unreachable 10.21.0.0/24 metric 1000000"));
  await until("old range gone", () => /via 172\.18\.0\.9/.test(answer("10.11.0.9")));
  set(NODES.slice(1));
  await until("range gone", () => routes().length === 2);
});

/** The error of a connect from this namespace to a closed port of this address. */
function dial(netns: string, address: string): string {
  const script = `require("net").connect({ host: "${address}", port: 9 }).setTimeout(20000)
    .on("error", (error) => process.stdout.write(error.code)).on("timeout", () => process.exit(0))`;
  return execFileSync("nsenter", [`--net=${netns}`, process.execPath, "-e", script]).toString();
}

test("a connect to an address that no pod has fails at once, from a pod of the node and from another node", async (t) => {
  const { here, there, ip } = await rig(t);
  execFileSync("nsenter", [`--net=${here}`, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  const pod = `mrt${process.pid}-pod`;
  execFileSync("ip", ["netns", "add", pod]);
  t.after(() => execFileSync("ip", ["netns", "del", pod]));
  ip("link", "add", "pod", "type", "veth", "peer", "name", "eth0", "netns", pod);
  ip("link", "set", "pod", "up");
  ip("addr", "add", "169.254.1.1/32", "dev", "pod");
  ip("route", "add", "10.11.0.5/32", "dev", "pod");
  // As on a real node, where a packet without a route is sent to the network, which sends it back.
  ip("route", "add", "default", "via", "172.18.0.2");
  const inside =
    "ip addr add 10.11.0.5/32 dev eth0 && ip link set eth0 up && ip route add default via 169.254.1.1 dev eth0 onlink";
  execFileSync("ip", ["netns", "exec", pod, "sh", "-c", inside]);
  execFileSync("nsenter", [`--net=${there}`, "ip", "route", "add", "10.11.0.0/24", "via", "172.18.0.1"]);
  for (const [from, netns] of [
    ["a pod of the node", `/run/netns/${pod}`],
    ["another node", there],
    ["the node", here],
  ] as const) {
    assert.equal(dial(netns, "10.11.0.9"), "EHOSTUNREACH", from);
  }
  assert.equal(dial(there, "10.11.0.5"), "ECONNREFUSED");
});
