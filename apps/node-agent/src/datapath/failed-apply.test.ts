/** A write of an apply fails while a round of garbage waits: nothing that programs can reach is freed or used again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type DatapathPort, openDatapath } from "@isthmus/bpf";
import { makeCgroup, OBJECTS, uniqueName } from "@isthmus/bpf/testing";
import type { FrontendPlan } from "@isthmus/loadbalancer";
import { bytesKey, parseAddress, parsePrefix, prefixContains, type ServiceName } from "@isthmus/model";
import { createMemoryKernel } from "@isthmus/testing";
import { otherProxyName, otherProxyValue } from "../desired/services/frontends.js";
import { createFailingPort, type FailingPort, WriteFailed } from "./testing/failing-port.js";
import { type Bench, describeKernel, frontendOf, makePlan, selectable, startBench } from "./testing/testbed.js";

const IPS = ["10.96.0.1", "10.96.0.2", "10.96.0.3"] as const;
const hosts = (net: number, count: number) => Array.from({ length: count }, (_, i) => `10.1.${net}.${i}`);
const one = (...tiers: readonly (readonly string[])[]) => [makePlan("a/one", IPS[0], tiers)];
const two = (...tiers: readonly (readonly string[])[]) => [makePlan("a/two", IPS[1], tiers)];
const three = (...tiers: readonly (readonly string[])[]) => [makePlan("a/three", IPS[2], tiers)];

/** Addresses in the Service ranges that another proxy serves: the first from the first step on, both in the second. */
const LEFT = ["10.97.0.1", "10.98.0.1"] as const;

interface Step {
  readonly services: readonly (readonly FrontendPlan[] | string)[];
  readonly left: readonly string[];
  readonly ranges: readonly string[];
}

const BEFORE: Step = {
  services: [one(hosts(1, 3), ["2:10.2.0.1"]), two(hosts(2, 20))],
  left: LEFT.slice(0, 1),
  ranges: ["10.96.0.0/16", "10.97.0.0/16"],
};
/** A change that leaves tables and backends waiting for a grace period. */
const GARBAGE: Step = {
  ...BEFORE,
  services: [one(["10.1.1.0", "10.1.9.1"], ["2:10.2.0.1"]), two(hosts(2, 17))],
};
/** The apply whose writes fail in turn: tables grow, shrink, are new, lose a tier; proxy rows and ranges change. */
const CHANGE: Step = {
  services: [one(["10.1.1.0", "10.1.9.2", "10.1.9.3"]), two(hosts(2, 18)), three(hosts(3, 40))],
  left: LEFT,
  ranges: ["10.97.0.0/16", "10.98.0.0/16"],
};
const REMOVAL: Step = {
  services: [one(["10.1.1.0"]), "a/two", three(["10.1.3.1"])],
  left: [],
  ranges: ["10.96.0.0/16"],
};

async function take({ datapath, desired, set }: Bench, { services, left, ranges }: Step): Promise<void> {
  datapath.touch({ serviceRanges: ranges.map(parsePrefix) });
  datapath.touch({ frontends: desired.setOtherProxy("a/left" as ServiceName, left.map(parseAddress)) });
  await set(...services);
}

async function served(port: DatapathPort) {
  return Promise.all(IPS.map((ip) => selectable(port, frontendOf(ip))));
}

/** Checks that an address that another proxy serves before and after a step is in no armed range without its row. */
async function checkLeft(port: DatapathPort, left: readonly string[], when: string): Promise<void> {
  const rows = await port.frontends.load();
  const ranges = await port.serviceRanges.load();
  for (const address of left.map(parseAddress)) {
    const armed = ranges.some((range) => prefixContains(range, address));
    const row = rows.get(otherProxyName(address));
    assert.ok(!armed || (row !== undefined && bytesKey(row) === otherProxyValue(otherProxyName(address))), when);
  }
}

/** Fails write `n` of the apply and the rounds after it; false when they have no such write. */
async function failWrite(kernel: DatapathPort, change: Step, n: number, expected: readonly string[]): Promise<boolean> {
  const failing = createFailingPort(kernel);
  let time = 0;
  const bench = await startBench(failing.port, () => time);
  await take(bench, BEFORE);
  await bench.datapath.settled();
  const release = failing.holdGrace();
  await take(bench, GARBAGE);
  const first = failing.writes;
  failing.failAt(n);
  const inApply: unknown = await take(bench, change).catch((error: unknown) => error);
  const before = await served(kernel);
  release();
  const inRound: unknown = await bench.datapath.settled().catch((error: unknown) => error);
  const thrown = inApply ?? inRound;
  await checkLeft(kernel, change.left, `write ${n} failed`);
  const reached = failing.writes - first > n;
  assert.deepEqual(await served(kernel), before, `write ${n} failed; the grace period ended`);
  for (const { backend } of before.flatMap((found) => found ?? [])) assert.notEqual(backend, "stale", `write ${n}`);
  if (thrown === undefined) {
    time += 60_000;
    await bench.datapath.apply();
    await bench.datapath.settled();
    assert.deepEqual(await describeKernel(kernel), expected, `write ${n} failed; tried again`);
  } else {
    await checkStopped(failing, bench, thrown);
    await goOn(kernel, change);
    assert.deepEqual(await describeKernel(kernel), expected, `write ${n} failed; a fresh agent`);
  }
  return reached;
}

async function checkStopped(failing: FailingPort, { datapath }: Bench, thrown: unknown): Promise<void> {
  assert.ok(thrown instanceof WriteFailed, String(thrown));
  const count = failing.writes;
  await assert.rejects(datapath.apply(), WriteFailed);
  await assert.rejects(datapath.settled(), WriteFailed);
  assert.equal(failing.writes, count, "wrote after a failed apply");
}

/** A fresh agent on the maps that the failed one left. */
async function goOn(kernel: DatapathPort, change: Step): Promise<void> {
  const next = await startBench(kernel);
  await take(next, change);
  next.datapath.touch({ sweepFrontends: true });
  await next.datapath.apply();
  await next.datapath.settled();
}

async function outcome(change: Step): Promise<readonly string[]> {
  const port = createMemoryKernel().open();
  const bench = await startBench(port);
  await take(bench, { ...change, services: change.services.filter((service) => typeof service !== "string") });
  return describeKernel(port);
}

for (const [name, change, least] of [
  ["a change", CHANGE, 90],
  ["a removal", REMOVAL, 60],
] as const) {
  test(`after any failed write of ${name}, reachable entries stay, and a fresh agent continues`, async () => {
    const expected = await outcome(change);
    let n = 0;
    while (await failWrite(createMemoryKernel().open(), change, n, expected)) n++;
    assert.ok(n >= least, `${n} writes`);
  });
}

async function openKernel(t: TestContext): Promise<DatapathPort> {
  const name = uniqueName("failed");
  const cgroup = makeCgroup(name);
  t.after(() => cgroup.remove());
  const datapath = await openDatapath({
    bpffs: join("/sys/fs/bpf", name),
    cgroup: cgroup.path,
    objectDir: OBJECTS,
    config: { clusterId: 1 },
    sizes: { frontends: 256, services: 256, backends: 1024, nodes: 64, udp: 64 },
  });
  t.after(() => datapath.destroy());
  return datapath;
}

for (const n of [0, 20, 40, 60, 80]) {
  test(`write ${n} of a change fails in a real kernel`, async (t) => {
    assert.equal(await failWrite(await openKernel(t), CHANGE, n, await outcome(CHANGE)), true);
  });
}
