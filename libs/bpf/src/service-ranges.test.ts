/** Addresses in a ClusterIP range that belong to no Service (bpf/lib/frontend.h): real sockets, ranges on loopback. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { formatPrefix, parsePrefix } from "@isthmus/model";
import { FrontendFlag, Proto } from "./index.js";
import { startNode, type TestNode } from "./testing/node.js";
import { createServing, type Serving } from "./testing/serving.js";
import { frontend, insertFrontends } from "./testing/writer.js";

const RANGE = "127.97.0.0/16";
const RANGE6 = "fd00:97::/108";
const REFUSED = { code: "ECONNREFUSED" };
const UNREACHABLE = { code: "EHOSTUNREACH" };

let node: TestNode;
let serving: Serving;
before(async () => {
  node = await startNode("ranges");
  serving = createServing(node);
});
after(() => node.remove());

async function arm(...ranges: readonly string[]): Promise<void> {
  await node.datapath.serviceRanges.replace(ranges.map(parsePrefix));
}

const disarm = () => arm();

async function connect(proto: "tcp" | "udp", family: 4 | 6, host: string, port = 80): Promise<void> {
  const sock = await node.pod.open(proto, family);
  try {
    await node.pod.connect(sock, host, port);
  } finally {
    await node.pod.close(sock);
  }
}

async function send(family: 4 | 6, host: string): Promise<void> {
  await node.pod.sendto(await node.pod.open("udp", family), host, 80, "x");
}

test("an address of a range that no Service has is unreachable at once for TCP and UDP, connected or not", async () => {
  await arm(RANGE, RANGE6);
  const ways = [
    () => connect("tcp", 4, "127.97.3.4"),
    () => connect("udp", 4, "127.97.3.4"),
    () => send(4, "127.97.255.255"),
    () => connect("tcp", 6, "::ffff:127.97.3.4"),
    () => send(6, "::ffff:127.97.3.4"),
    () => connect("tcp", 6, "fd00:97::1"),
    () => send(6, "fd00:97::f:ffff"),
  ];
  for (const way of ways) {
    assert.equal(await serving.counterIncrease("unknown_service", () => assert.rejects(way(), UNREACHABLE)), 1);
  }
  await disarm();
});

test("addresses outside ranges, probes to port 0 and disarmed ranges are left to the kernel", async () => {
  await arm(RANGE);
  const before = node.datapath.metrics();
  await assert.rejects(connect("tcp", 4, "127.98.0.1"), REFUSED);
  await assert.rejects(connect("tcp", 4, "127.96.255.255"), REFUSED);
  await connect("udp", 4, "127.97.3.4", 0);
  await disarm();
  await assert.rejects(connect("tcp", 4, "127.97.3.4"), REFUSED);
  assert.deepEqual(node.datapath.metrics(), before);
});

test("a Service in the range is served, and its unknown ports are refused", async () => {
  await arm(RANGE);
  const { vip, first } = await serving.serve("tcp", 1, { vip: "127.97.0.1" });
  assert.deepEqual(await node.pod.dial(vip, 80, 1, 4), { [first.name]: 1 });
  assert.equal(
    await serving.counterIncrease("unknown_port", () => assert.rejects(connect("tcp", 4, vip, 81), REFUSED)),
    1,
  );
  await disarm();
});

test("the ClusterIP of a Service that another proxy serves is passed to that proxy", async () => {
  await arm(RANGE);
  const vip = "127.97.0.2";
  const port = await node.host.server("tcp", 4, vip, "other proxy");
  await assert.rejects(node.pod.dial(vip, port, 1, 4), UNREACHABLE);
  await insertFrontends(node.datapath.frontends, [frontend(vip, 0, Proto.Any, 0, FrontendFlag.Pass)]);
  assert.deepEqual(await node.pod.dial(vip, port, 1, 4), { "other proxy": 1 });
  await disarm();
});

test("ranges stay armed when the agent restarts", async () => {
  await arm(RANGE, RANGE6);
  await node.reopen();
  assert.deepEqual((await node.datapath.serviceRanges.load()).map(formatPrefix), [RANGE, RANGE6]);
  await assert.rejects(connect("tcp", 4, "127.97.3.4"), UNREACHABLE);
  await disarm();
});

test("every range of a full list is in force; one more is rejected and the list stays", async () => {
  const { serviceRanges } = node.datapath;
  const full = Array.from({ length: serviceRanges.maxEntries }, (_, i) => `127.${100 + i}.0.0/16`);
  await arm(...full);
  for (const range of full) {
    await assert.rejects(connect("tcp", 4, range.replace("0.0/16", "255.254")), UNREACHABLE);
  }
  await assert.rejects(connect("tcp", 4, `127.${100 + full.length}.0.1`), REFUSED);
  await assert.rejects(arm(...full, RANGE), { code: "MAP_FULL" });
  assert.deepEqual((await serviceRanges.load()).map(formatPrefix), full);
  await disarm();
});

test("prefixes are matched exactly to the last bit, in both families", async () => {
  await arm("127.97.64.0/18", "fd00:97::/108", "127.97.1.1/32");
  for (const host of ["127.97.64.0", "127.97.127.255", "127.97.1.1"]) {
    await assert.rejects(connect("tcp", 4, host), UNREACHABLE);
  }
  for (const host of ["127.97.63.255", "127.97.128.0", "127.97.1.0", "127.97.1.2"]) {
    await assert.rejects(connect("tcp", 4, host), REFUSED);
  }
  await assert.rejects(connect("tcp", 6, "fd00:97::f:ffff"), UNREACHABLE);
  const beyond = () => connect("udp", 6, "fd00:97::10:0").catch(() => undefined);
  assert.equal(await serving.counterIncrease("unknown_service", beyond), 0);
  await disarm();
});
