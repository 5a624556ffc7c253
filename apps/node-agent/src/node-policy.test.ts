/** From records to what programs decide by the maps, and back by the next agent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { PodPolicyWord } from "@isthmus/bpf";
import { RESERVED } from "@isthmus/identity";
import { bytesKey, parseAddress } from "@isthmus/model";
import {
  createMemoryKernel,
  createRecordSource,
  makePolicy,
  type MemoryKernel,
  type RecordSource,
} from "@isthmus/testing";
import { viewPolicy } from "./datapath/policy/testing/decide.js";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import { startTestNode, type TestNode, type TestNodeOptions } from "./testing/test-node.js";
import { synced } from "./testing/two-clusters.js";

const POD = "10.1.1.5";
const [WEB, DB, FAR] = [numberOf(1, 256), numberOf(1, 257), numberOf(2, 256)];
const BLOCK = allow("block", "web", "egress", [{ ipBlock: { cidr: "192.0.2.0/24", except: ["192.0.2.128/25"] } }]);

function clusters(): readonly [RecordSource, RecordSource] {
  const [east, west] = [createRecordSource({ clusterId: 0 }), createRecordSource({ clusterId: 2 })];
  east.change([
    makeIdentity(WEB, shopLabels("east", { app: "web" })),
    makeIdentity(DB, shopLabels("east", { app: "db" })),
    makeMeshNode("n1", { addresses: ["172.18.0.1"], podCidrs: ["10.1.1.0/24"] }),
    makeMeshNode("n2", { addresses: ["172.18.0.2"], podCidrs: ["10.1.2.0/24"] }),
    makeEndpoint(POD, WEB),
    makeEndpoint("10.1.2.5", DB, { node: "n2" }),
    allow("web", "web", "ingress", [{ podSelector: { matchLabels: { app: "db" } } }]),
  ]);
  west.change([
    makeIdentity(FAR, shopLabels("west", { app: "db" })),
    makeMeshNode("n1", { addresses: ["172.19.0.1"], podCidrs: ["10.2.1.0/24"] }),
    makeEndpoint("10.2.1.5", FAR),
  ]);
  return [east, west];
}

/** An agent whose pod has a row, before its first stream. */
async function startAgent(
  kernel: MemoryKernel,
  applied?: TestNodeOptions["applied"],
  keptPolicies?: TestNodeOptions["keptPolicies"],
): Promise<TestNode> {
  const node = await startTestNode({ kernel, enforces: true, keptPolicies, ...(applied && { applied }) });
  const macs = { mac: "02:00:00:00:00:01", hostMac: "02:00:00:00:00:02" };
  await node.pods.put({ address: parseAddress(POD), ifindex: 7, netnsId: undefined, ...macs });
  node.state.pods.attach({ hostDevice: "mesh1", addresses: [parseAddress(POD)], uid: `uid-${POD}` });
  await node.state.applier.idle();
  return node;
}

const wordOf = (node: TestNode) => PodPolicyWord.fromWord(node.pods.policyOf(bytesKey(parseAddress(POD)))?.word ?? 0n);

function ask(node: TestNode, direction: "ingress" | "egress", ...others: readonly string[]): readonly boolean[] {
  const view = viewPolicy(node.port.policy);
  return others.map((other) =>
    view.allows(PodPolicyWord.toWord(wordOf(node)), {
      ...{ direction, protocol: 6, port: 80 },
      identity: view.identityOf(bytesKey(parseAddress(other))),
    }),
  );
}

const PEERS = ["10.1.2.5", "10.2.1.5", "10.1.2.99", "172.18.0.1", "172.18.0.2", "192.0.2.1", "192.0.2.200"];

test("programs decide by labels, in both clusters, and by address", async () => {
  const [east, west] = clusters();
  const node = await synced(await startAgent(createMemoryKernel()), east, west);
  assert.deepEqual(ask(node, "ingress", ...PEERS), [true, false, false, true, false, false, false]);
  assert.deepEqual(
    ask(node, "egress", ...PEERS),
    PEERS.map(() => true),
  );
  await node.receive(east.change([BLOCK]));
  assert.deepEqual(ask(node, "egress", ...PEERS), [false, false, false, false, false, true, false]);
  await node.receive(east.change([], [BLOCK]));
  assert.deepEqual(
    ask(node, "egress", ...PEERS),
    PEERS.map(() => true),
  );
  assert.deepEqual(node.counted, []);
});

test("a policy with new prefixes is acknowledged when it is in force, not when its prefixes are", async () => {
  const [east, west] = clusters();
  const answers: boolean[] = [];
  const node: TestNode = await startAgent(createMemoryKernel(), (acks) => {
    if (acks.some(({ position }) => isDeepStrictEqual(position, east.position)))
      answers.push(...ask(node, "egress", "10.1.2.5"));
  });
  await synced(node, east, west);
  answers.length = 0;
  await node.receive(east.change([BLOCK]));
  assert.deepEqual(answers, [false]);
  assert.deepEqual(ask(node, "egress", "10.1.2.5"), [false]);
});

test("a pod whose labels change is judged by the new ones, and its peers judge it so", async () => {
  const [east, west] = clusters();
  const node = await synced(await startAgent(createMemoryKernel()), east, west);
  await node.receive(east.change([makeEndpoint("10.1.2.5", WEB, { node: "n2" })]));
  assert.deepEqual(ask(node, "ingress", "10.1.2.5"), [false]);
  const before = wordOf(node);
  await node.receive(east.change([makeEndpoint(POD, DB)]));
  assert.deepEqual(
    ask(node, "ingress", ...PEERS),
    PEERS.map(() => true),
  );
  assert.notDeepEqual(wordOf(node), before);
});

test("a restarted agent finds what it wants, and before its server is there nothing changes", async () => {
  const kernel = createMemoryKernel();
  const [east, west] = clusters();
  const first = await synced(await startAgent(kernel), east, west);
  await first.receive(east.change([BLOCK]));
  const [word, answers] = [wordOf(first), ask(first, "egress", ...PEERS)];
  const second = await startAgent(kernel);
  assert.deepEqual(wordOf(second), word);
  assert.deepEqual(ask(second, "egress", ...PEERS), answers);
  await synced(second, east, west);
  assert.deepEqual(wordOf(second), word);
  assert.deepEqual(ask(second, "egress", ...PEERS), answers);
  assert.equal(second.state.datapath.policy?.isReady(bytesKey(parseAddress(POD))), true);
  await second.receive(east.change([], [BLOCK]));
  assert.deepEqual(
    ask(second, "egress", ...PEERS),
    PEERS.map(() => true),
  );
});

test("a policy that the agent refuses changes nothing of what it replaced, and a restarted agent neither", async () => {
  const [east, west] = clusters();
  const kernel = createMemoryKernel();
  const before = await synced(await startAgent(kernel), east, west);
  await before.receive(east.change([BLOCK]));
  // The agent's version does not know a field of the next generation; what comes with it is taken.
  const web = allow("web", "web", "ingress", []);
  await before.receive(east.change([makePolicy("shop/block", { kind: "NetworkPolicy", spec: { new: true } }), web]));
  const outgoing = [false, false, false, false, false, true, false];
  assert.deepEqual(ask(before, "egress", ...PEERS), outgoing);
  assert.deepEqual(
    ask(before, "ingress", ...PEERS),
    PEERS.map(() => true),
  );
  const kept = before.state.meshState.policies.replaced();

  const node = await startAgent(kernel, undefined, kept);
  const look = () => assert.deepEqual(ask(node, "egress", ...PEERS), outgoing);
  const stop = node.state.changes(look);
  await synced(node, east, west);
  look();
  stop();
  await node.receive(east.change([], [BLOCK]));
  assert.deepEqual(
    ask(node, "egress", ...PEERS).every((allowed) => allowed),
    true,
  );
});

test("a prefix of a policy that went while no agent ran is of the world again, also while another cluster is away", async () => {
  const kernel = createMemoryKernel();
  const [east, west] = clusters();
  const first = await synced(await startAgent(kernel), east, west);
  await first.receive(east.change([BLOCK]));
  const identityOf = (node: TestNode, address: string) =>
    viewPolicy(node.port.policy).identityOf(bytesKey(parseAddress(address)));
  assert.notEqual(identityOf(first, "192.0.2.1"), RESERVED.world);
  east.change([], [BLOCK]);
  const second = await synced(await startAgent(kernel), east);
  assert.equal(second.state.complete(), false);
  assert.equal(identityOf(second, "192.0.2.1"), RESERVED.world);
  assert.equal(identityOf(second, "10.2.1.5"), FAR, "what west said stays");
});

test("an agent that enforces policy says so in its Hello", async () => {
  const hello = (await startAgent(createMemoryKernel())).connect()?.message;
  assert.ok(hello?.$case === "hello" && hello.value.capabilities.includes("policies"));
  const without = (await startTestNode({ kernel: createMemoryKernel() })).connect()?.message;
  assert.ok(without?.$case === "hello" && !without.value.capabilities.includes("policies"));
});

test("a pod is in audit mode while its record says so, also for the next agent, and then its policy is enforced again", async () => {
  const kernel = createMemoryKernel();
  const [east, west] = clusters();
  const first = await synced(await startAgent(kernel), east, west);
  const enforced = wordOf(first);
  await first.receive(east.change([makeEndpoint(POD, WEB, { audited: true })]));
  assert.deepEqual(wordOf(first), { ...enforced, audit: 1 });
  assert.deepEqual(
    ask(first, "ingress", ...PEERS),
    PEERS.map(() => true),
  );
  const second = await startAgent(kernel);
  assert.deepEqual(wordOf(second), { ...enforced, audit: 1 });
  await synced(second, east, west);
  assert.deepEqual(wordOf(second), { ...enforced, audit: 1 });
  await second.receive(east.change([makeEndpoint(POD, WEB)]));
  const again = wordOf(second);
  assert.deepEqual([again.set, again.audit, again.revision > enforced.revision], [enforced.set, 0, true]);
  assert.deepEqual(ask(second, "ingress", "10.2.1.5"), [false]);
});
