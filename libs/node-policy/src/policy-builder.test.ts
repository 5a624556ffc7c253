import assert from "node:assert/strict";
import { test } from "node:test";
import { identityCluster, RESERVED, unmanagedIdentity } from "@isthmus/identity";
import { bytesKey, parseAddress, parseClusterId } from "@isthmus/model";
import type { HashedRecord } from "@isthmus/records";
import { makePolicy, makeSlice } from "@isthmus/testing";
import { createPolicyNode, type PolicyNode } from "./testing/policy-node.js";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "./testing/records.js";

const WEB = numberOf(1, 256);
const DB = numberOf(1, 257);
const FAR = numberOf(2, 256);
const LOCAL: readonly HashedRecord[] = [
  makeIdentity(WEB, shopLabels("east", { app: "web" })),
  makeIdentity(DB, shopLabels("east", { app: "db" })),
  makeMeshNode("n1", { addresses: ["172.18.0.1"], podCidrs: ["10.1.1.0/24"], health: "10.1.1.2" }),
  makeMeshNode("n2", { addresses: ["172.18.0.2"], podCidrs: ["10.1.2.0/24"], health: "10.1.2.2" }),
  makeEndpoint("10.1.1.5", WEB),
  makeEndpoint("10.1.2.5", DB, { node: "n2" }),
];
const REMOTE: readonly HashedRecord[] = [
  makeIdentity(FAR, shopLabels("west", { app: "web" })),
  makeMeshNode("n1", { addresses: ["172.19.0.1"], podCidrs: ["10.2.1.0/24"], health: "10.2.1.2" }),
  makeEndpoint("10.2.1.5", FAR),
];

/** Clusterwide, for all pods. */
function allowEntities(name: string, entities: readonly string[]): HashedRecord {
  const record = makePolicy(`/${name}`, {
    apiVersion: "cilium.io/v2",
    kind: "CiliumClusterwideNetworkPolicy",
    metadata: { name },
    spec: { endpointSelector: {}, egress: [{ toEntities: entities }] },
  });
  return { ...record, key: `policies/ciliumclusterwidenetworkpolicies/-/${name}` };
}

async function startMesh(...more: readonly HashedRecord[]) {
  const node = createPolicyNode();
  await node.take(1, [...LOCAL, ...more], [], true);
  await node.take(2, REMOTE, [], true);
  node.attach("10.1.1.5");
  await node.settle();
  return node;
}

test("addresses of pods, nodes and health have their identities, and the rest of a pod range is unmanaged", async () => {
  const node = await startMesh();
  assert.deepEqual(["10.1.1.5", "10.1.2.5", "10.2.1.5"].map(node.identity), [WEB, DB, FAR]);
  const nodes = ["172.18.0.1", "172.18.0.2", "172.19.0.1", "10.1.1.2", "10.2.1.2"].map(node.identity);
  assert.deepEqual(nodes, [1, 6, 6, 4, 4]);
  assert.deepEqual(
    ["10.1.1.99", "10.2.1.99"].map(node.identity),
    [1, 2].map((id) => unmanagedIdentity(parseClusterId(id))),
  );
  assert.equal(node.identity("192.0.2.1"), RESERVED.world);
});

test("addresses of the node's devices are its own, whatever records say, until they go", async () => {
  const node = await startMesh(makeMeshNode("n3", { addresses: ["172.17.0.1"] }));
  assert.equal(node.identity("172.17.0.1"), RESERVED["remote-node"]);
  node.builder.setHostAddresses(["172.17.0.1", "192.0.2.7"].map(parseAddress));
  assert.equal((await node.flush()).addresses.size, 2);
  assert.deepEqual(["172.17.0.1", "192.0.2.7", "172.18.0.1"].map(node.identity), [1, 1, 1]);
  node.builder.setHostAddresses([parseAddress("192.0.2.7")]);
  await node.settle();
  assert.deepEqual(["172.17.0.1", "192.0.2.7"].map(node.identity), [6, 1]);
});

test("an address leaves the node before the node's number is in another block, and the next one gets the number after that", async () => {
  const node = await startMesh(allow("blocks", "web", "egress", [{ ipBlock: { cidr: "172.18.0.0/16" } }]));
  const [left, came] = ["172.18.0.1", "192.0.2.9"];
  const allows = () => [left, came].map((other) => node.allows("10.1.1.5", "egress", other, 80));
  const numbers = () => [left, came].map((address) => node.identity(address) === RESERVED.host);
  assert.deepEqual(
    [allows(), numbers()],
    [
      [true, false],
      [true, false],
    ],
  );
  await node.take(1, [makeMeshNode("n1", { addresses: [came], podCidrs: ["10.1.1.0/24"] })]);
  const { subjects, again } = await node.flush();
  assert.deepEqual(
    [allows(), numbers()],
    [
      [true, false],
      [false, false],
    ],
  );
  assert.deepEqual([[...subjects], again], [[], true], "what allows the number stays until nobody has it");
  await node.settle();
  assert.deepEqual(
    [allows(), numbers()],
    [
      [true, false],
      [false, true],
    ],
  );
});

test("an address whose identity is not known is not among the addresses until it is", async () => {
  const node = await startMesh();
  const late = numberOf(1, 300);
  await node.take(1, [makeEndpoint("10.1.2.7", late)]);
  assert.deepEqual([...(await node.flush()).addresses], []);
  assert.equal(node.identity("10.1.2.7"), unmanagedIdentity(parseClusterId(1)));
  await node.take(1, [makeIdentity(late, shopLabels("east", { app: "x" }))]);
  assert.equal((await node.flush()).addresses.size, 1);
  assert.equal(node.identity("10.1.2.7"), late);
});

test("a number keeps its labels, and a cluster names neither another cluster, nor its numbers, nor reserved labels", async () => {
  const node = await startMesh();
  const bad = [
    makeIdentity(WEB, shopLabels("east", { app: "db" })),
    makeIdentity(numberOf(1, 400), new Map([["reserved:host", ""]])),
    makeIdentity(numberOf(1, 401), shopLabels("west", { app: "web" })),
    makeIdentity(numberOf(2, 402), shopLabels("east", { app: "web" })),
    makeEndpoint("10.1.1.77", FAR),
  ];
  await node.take(1, bad);
  assert.equal(node.refused.length, 5, node.refused.join("\n"));
  assert.match(node.refused[0] ?? "", /it has other labels already/);
  await node.take(2, [], [{ kind: 1, key: `identities/${WEB}` }]);
  await node.settle();
  assert.equal(node.identity("10.1.1.5"), WEB);
  assert.equal(node.identity("10.1.1.77"), unmanagedIdentity(parseClusterId(1)));
});

test("the local cluster's claim of an address wins, among others the first one", async () => {
  const node = await startMesh();
  await node.take(2, [makeEndpoint("10.1.2.5", FAR), makeMeshNode("n9", { addresses: ["10.1.1.5"] })]);
  await node.settle();
  assert.deepEqual(["10.1.2.5", "10.1.1.5"].map(node.identity), [DB, WEB]);
  await node.take(1, [], [{ kind: 3, key: "endpoints/10.1.2.5" }]);
  await node.settle();
  assert.equal(node.identity("10.1.2.5"), FAR);
});

test("a removed cluster leaves nothing", async () => {
  const node = await startMesh();
  const before = { addresses: new Map(node.desired.addresses), prefixes: new Map(node.desired.prefixes) };
  const third = numberOf(3, 256);
  node.builder.name(3, "north");
  await node.take(3, [
    makeIdentity(third, shopLabels("north", { app: "web" })),
    makeMeshNode("n1", { addresses: ["172.20.0.1"], podCidrs: ["10.3.1.0/24"] }),
    makeEndpoint("10.3.1.5", third, { ports: [{ name: "http", protocol: 6, port: 80 }] }),
  ]);
  await node.settle();
  assert.equal(node.identity("10.3.1.5"), third);
  for (const _ of node.builder.removeCluster(3));
  const changes = await node.settle();
  assert.equal(changes[0]?.addresses.size, 2);
  assert.deepEqual({ ...node.desired, subjects: undefined }, { ...before, subjects: undefined });
});

test("pods that are attached have the set of their identity's policies; another uid is another pod", async () => {
  const node = await startMesh(allow("p", "web", "ingress", [{ podSelector: { matchLabels: { app: "db" } } }]));
  const ask = (other: string) => node.allows("10.1.1.5", "ingress", other, 80);
  assert.deepEqual([ask("10.1.2.5"), ask("10.2.1.5"), ask("10.1.2.99"), ask("192.0.2.1")], [true, false, false, false]);
  await node.take(1, [makeEndpoint("10.1.1.5", DB, { uid: "another" })]);
  const [changes] = await node.settle();
  assert.deepEqual([...(changes?.subjects.keys() ?? [])], [bytesKey(parseAddress("10.1.1.5"))]);
  assert.equal(ask("10.1.2.5"), undefined);
  node.attach("10.1.1.5", "another");
  await node.settle();
  assert.deepEqual([ask("10.1.2.5"), ask("192.0.2.1")], [true, true]);
  node.builder.pods.detach("mesh10.1.1.5");
  const [last] = await node.settle();
  assert.equal(last?.subjects.size, 1);
  assert.equal(node.desired.subjects.size, 0);
});

test("an attachment without a uid is the pod of its address that its record names on this node", async () => {
  const node = await startMesh();
  node.attach("10.1.2.5", "");
  node.attach("10.1.1.5", "");
  await node.settle();
  assert.deepEqual([...node.desired.subjects.keys()], [bytesKey(parseAddress("10.1.1.5"))]);
});

test("a policy with a prefix is in force one flush after the prefix is told apart, and its prefix goes one flush after it", async () => {
  const node = await startMesh();
  const block = { ipBlock: { cidr: "192.0.2.0/24", except: ["192.0.2.128/25"] } };
  await node.take(1, [allow("p", "web", "egress", [block])]);
  const first = await node.flush();
  assert.deepEqual(
    [first.again, first.subjects.size, [...first.prefixes].sort()],
    [true, 0, ["192.0.2.0/24", "192.0.2.128/25"]],
  );
  assert.equal(node.allows("10.1.1.5", "egress", "192.0.2.200", 80), true);
  const second = await node.flush();
  assert.deepEqual([second.again, second.subjects.size, second.prefixes.size], [false, 1, 0]);
  const ask = () => ["192.0.2.1", "192.0.2.200", "198.51.100.1"].map((to) => node.allows("10.1.1.5", "egress", to, 80));
  assert.deepEqual(ask(), [true, false, false]);
  await node.take(1, [], [{ kind: 18, key: "policies/networkpolicies/shop/p" }]);
  const third = await node.flush();
  assert.deepEqual([third.again, third.subjects.size, third.prefixes.size], [true, 1, 0]);
  const fourth = await node.flush();
  assert.deepEqual([fourth.again, fourth.subjects.size, fourth.prefixes.size], [true, 0, 2]);
  const fifth = await node.flush();
  assert.deepEqual([fifth.again, fifth.subjects.size, fifth.addresses.size, fifth.prefixes.size], [false, 0, 0, 0]);
  assert.equal([...node.desired.prefixes.values()].filter(({ exact }) => !exact).length, 0);
});

test("pods inside of a block are allowed by it, with numbers of their cluster where all of its pods are", async () => {
  const node = await startMesh(
    allow("p", "web", "egress", [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.1.2.5/32", "172.18.0.2/32"] } }]),
  );
  const ask = (to: string) => node.allows("10.1.1.5", "egress", to, 80);
  assert.deepEqual(["10.2.1.5", "172.19.0.1", "192.0.2.1", "172.18.0.1"].map(ask), [true, true, true, true]);
  assert.deepEqual(["10.1.2.5", "172.18.0.2"].map(ask), [false, false]);
  assert.deepEqual(["10.1.2.99", "10.2.1.99"].map(ask), [false, false], "an unknown pod is not of the world");
  assert.deepEqual(["10.1.1.5", "10.2.1.5", "172.19.0.1", "172.18.0.1"].map(node.identity), [WEB, FAR, 6, 1]);
  assert.deepEqual(
    ["10.1.2.5", "172.18.0.2"].map((one) => identityCluster(node.identity(one))),
    [4095, 4095],
  );
});

test("a node whose range gives its cluster another home changes no verdict, and its pods have their own numbers again", async () => {
  const node = await startMesh(
    allow("p", "web", "egress", [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.2.5/32"] } }]),
  );
  const ask = () => ["10.1.2.5", "10.2.1.5", "192.0.2.1"].map((to) => node.allows("10.1.1.5", "egress", to, 80));
  assert.equal(node.identity("10.2.1.5"), FAR);
  await node.take(2, [makeMeshNode("n2", { addresses: ["172.19.0.2"], podCidrs: ["100.64.0.0/24"] })]);
  const first = await node.flush();
  assert.equal(first.again, true);
  assert.equal(identityCluster(node.identity("10.2.1.5")), 4095, "no address has a number while its meaning changes");
  assert.deepEqual(ask(), [false, true, false]);
  await node.settle();
  assert.equal(identityCluster(node.identity("10.2.1.5")), 4095, "10.0.0.0/8 does not contain all of the cluster now");
  await node.take(2, [], [{ kind: 2, key: "nodes/n2" }]);
  await node.settle();
  assert.equal(node.identity("10.2.1.5"), FAR);
  assert.deepEqual(ask(), [false, true, false]);
});

test("a prefix inside of a pod range has no row: an unknown address there is unmanaged", async () => {
  const node = await startMesh(allow("p", "web", "egress", [{ ipBlock: { cidr: "10.1.2.0/25" } }]));
  assert.equal(node.identity("10.1.2.9"), unmanagedIdentity(parseClusterId(1)));
  assert.equal(node.allows("10.1.1.5", "egress", "10.1.2.9", 80), false);
  assert.equal(node.allows("10.1.1.5", "egress", "10.1.2.5", 80), true);
  await node.take(1, [], [{ kind: 2, key: "nodes/n2" }]);
  await node.settle();
  assert.equal(node.allows("10.1.1.5", "egress", "10.1.2.9", 80), true, "the range has gone with its node");
});

test("entities: an apiserver is also the node that it is on, and outside of the mesh also of the world", async () => {
  const apiservers = makeSlice("default/kubernetes", { ready: ["172.18.0.2", "203.0.113.1", "10.1.2.77"] });
  const node = await startMesh(apiservers, allowEntities("p", ["kube-apiserver"]));
  const ask = (to: string) => node.allows("10.1.1.5", "egress", to, 443);
  const all = ["172.18.0.2", "203.0.113.1", "10.1.2.77", "172.18.0.1", "172.19.0.1", "203.0.113.2"];
  assert.deepEqual(all.map(ask), [true, true, false, false, false, false]);
  assert.equal(node.identity("172.18.0.2"), RESERVED["kube-apiserver"]);
  await node.take(1, [allowEntities("p", ["remote-node"])]);
  await node.settle();
  assert.deepEqual(all.map(ask), [true, false, false, false, true, false]);
  await node.take(1, [allowEntities("p", ["world"])]);
  await node.settle();
  assert.deepEqual(all.map(ask), [false, true, false, false, false, true]);
  await node.take(1, [
    makeSlice("default/kubernetes", { ready: ["172.18.0.1"] }),
    allowEntities("p", ["kube-apiserver"]),
  ]);
  await node.settle();
  assert.deepEqual(all.map(ask), [false, false, false, true, false, false]);
  assert.equal(node.identity("172.18.0.1"), RESERVED.host);
  await node.take(1, [allowEntities("p", ["host"])]);
  await node.settle();
  assert.deepEqual(all.map(ask), [false, false, false, true, false, false]);
});

test("an unmanaged address of another cluster is none of any entity but all", async () => {
  const node = await startMesh(allowEntities("p", ["cluster", "cluster-mesh", "unmanaged", "world"]));
  const ask = (to: string) => node.allows("10.1.1.5", "egress", to, 80);
  assert.deepEqual(["10.1.2.99", "10.2.1.99", "10.2.1.5"].map(ask), [true, false, true]);
});

test("a named port of a peer is the one that its pods have, also when they come and go", async () => {
  const port = (number: number) => [{ name: "http", protocol: 6, port: number }];
  const policy = makePolicy("shop/p", {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "shop", name: "p" },
    spec: { podSelector: {}, policyTypes: ["Egress"], egress: [{ ports: [{ protocol: "TCP", port: "http" }] }] },
  });
  const node = await startMesh(policy, makeEndpoint("10.1.2.5", DB, { node: "n2", ports: port(8080) }));
  const ask = () => [8080, 9090].map((number) => node.allows("10.1.1.5", "egress", "10.1.2.5", number));
  assert.deepEqual(ask(), [true, false]);
  await node.take(1, [makeEndpoint("10.1.2.5", DB, { node: "n2", ports: port(9090) })]);
  await node.settle();
  assert.deepEqual(ask(), [false, true]);
});

test("a policy that needs more prefixes than there is room for is refused whole, and taken when there is", async () => {
  const node = createPolicyNode({ maxPrefixes: 4 });
  await node.take(1, [...LOCAL, allow("p", "web", "egress", [{ ipBlock: { cidr: "192.0.2.0/24" } }])], [], true);
  node.attach("10.1.1.5");
  await node.settle();
  const wide = [{ ipBlock: { cidr: "198.51.100.0/24", except: ["198.51.100.1/32"] } }];
  await node.take(1, [allow("q", "web", "egress", wide)]);
  await node.settle();
  assert.match(
    [...node.builder.policies.errors.values()].join(),
    /Cannot enforce NetworkPolicy shop\/q: .* room for 1 of 4/,
  );
  const ask = () => ["192.0.2.1", "198.51.100.9"].map((to) => node.allows("10.1.1.5", "egress", to, 80));
  assert.deepEqual(ask(), [true, false]);
  await node.take(1, [], [{ kind: 18, key: "policies/networkpolicies/shop/p" }]);
  await node.settle();
  assert.deepEqual([...node.builder.policies.errors], []);
  assert.deepEqual(ask(), [false, true]);
});

test("numbers in the maps are given to nothing else, and to the same prefix again", async () => {
  const [first, second] = [4095 * 2 ** 20 + 256, 4095 * 2 ** 20 + 257];
  const inMaps = { inUse: [first, second], prefixes: new Map([["192.0.2.0/24", second]]) };
  const node = createPolicyNode({ inMaps });
  const peers = [{ ipBlock: { cidr: "192.0.2.0/24" } }, { ipBlock: { cidr: "198.51.100.0/24" } }];
  await node.take(1, [...LOCAL, allow("p", "web", "egress", peers)], [], true);
  await node.settle();
  assert.equal(node.identity("192.0.2.1"), second);
  assert.ok(node.identity("198.51.100.1") > second);
});

const POLICY = (resource: string, name: string) => ({ kind: 18, key: `policies/${resource}/shop/${name}` });

/** Number of policies in force, and those that are refused. */
function inForce({ builder: { policies } }: PolicyNode): readonly (number | string)[] {
  return [policies.inForce, ...policies.errors.keys()];
}

test("a policy that cannot be read leaves the one before, and is refused until it can or is gone", async () => {
  const node = await startMesh(allow("p", "web", "ingress", [{ podSelector: { matchLabels: { app: "none" } } }]));
  const ask = () => ["ingress", "egress"].map((to) => node.allows("10.1.1.5", to as "ingress", "10.1.2.5", 80));
  assert.deepEqual([ask(), inForce(node)], [[false, true], [1]]);
  const bad = makePolicy("shop/p", { kind: "NetworkPolicy" });
  const unknown = { ...bad, key: "policies/others/shop/p" };
  // The next version of a policy, a policy of a new kind, and beside them one that can be read.
  await node.take(1, [bad, unknown, allow("q", "web", "egress", [{ podSelector: { matchLabels: { app: "none" } } }])]);
  await node.settle();
  assert.equal(node.refused.length, 2);
  assert.match(node.refused.join(), /Cannot enforce policy "policies\/networkpolicies\/shop\/p": .*metadata/);
  assert.deepEqual(ask(), [false, false], "what was replaced is in force, and so is what came with it");
  assert.deepEqual(inForce(node), [1, bad.key, unknown.key]);
  assert.match(node.builder.policies.errors.get(bad.key)?.message ?? "", /metadata/);

  await node.take(1, [allow("p", "web", "ingress", [{ podSelector: {} }])], [POLICY("others", "p")]);
  await node.settle();
  assert.deepEqual([ask(), inForce(node)], [[true, false], [2]]);
  await node.take(1, [bad]);
  await node.take(1, [], [POLICY("networkpolicies", "p")]);
  await node.settle();
  assert.deepEqual([ask(), inForce(node)], [[true, false], [1]]);
});

test("the next process enforces what the one before did in place of a refused policy, until there is something better", async () => {
  const blocks = (...cidrs: readonly string[]) => cidrs.map((cidr) => ({ ipBlock: { cidr } }));
  const [v1, r1] = ["p", "r"].map((name) => allow(name, "web", "egress", blocks("192.0.2.0/24")));
  const unreadable = makePolicy("shop/p", { kind: "NetworkPolicy" });
  const large = allow("r", "web", "egress", blocks("198.51.100.0/24", "203.0.113.0/24"));
  assert.ok(v1 !== undefined && r1 !== undefined);
  for (const [before, after] of [
    [v1, unreadable],
    [r1, large],
  ] as const) {
    const node = createPolicyNode({ maxPrefixes: 3 });
    await node.take(1, [...LOCAL, before], [], true);
    await node.settle();
    assert.deepEqual(node.builder.policies.replaced(), []);
    await node.take(1, [after]);
    await node.settle();
    assert.deepEqual(node.builder.policies.replaced(), [before], after.key);
    const kept = node.builder.policies.replaced();

    const start = async (...records: readonly HashedRecord[]) => {
      const next = createPolicyNode({ maxPrefixes: 3, kept: [...kept, unreadable] });
      // Pod ranges are known first, and take room.
      await next.take(1, LOCAL);
      await next.settle();
      await next.take(1, [...LOCAL, ...records], [], true);
      next.attach("10.1.1.5");
      await next.settle();
      return next;
    };
    const ask = (of: PolicyNode) => ["192.0.2.1", "198.51.100.1"].map((to) => of.allows("10.1.1.5", "egress", to, 80));
    const next = await start(after);
    assert.deepEqual(ask(next), [true, false]);
    assert.deepEqual([inForce(next), next.builder.policies.replaced()], [[0, after.key], [before]]);
    await next.take(1, [allow(after.key.slice(-1), "web", "egress", [])]);
    await next.settle();
    assert.deepEqual([ask(next), inForce(next), next.builder.policies.replaced()], [[true, true], [1], []]);

    const gone = await start();
    assert.deepEqual([ask(gone), inForce(gone)], [[true, true], [0]], "the policy was deleted meanwhile");
    await gone.take(1, [after]);
    await gone.settle();
    assert.deepEqual(gone.builder.policies.replaced(), [], "one of that name that came later is another");
  }
});

test("a policy that waits for room or for its prefixes is not in force, and one that cannot be read keeps its place", async () => {
  const node = createPolicyNode({ maxPrefixes: 4 });
  const block = (name: string, cidr: string, ...except: readonly string[]) =>
    allow(name, "web", "egress", [{ ipBlock: { cidr, except } }]);
  await node.take(1, [...LOCAL, block("p", "192.0.2.0/24")], [], true);
  node.attach("10.1.1.5");
  await node.settle();
  const q = block("q", "198.51.100.0/24", "198.51.100.1/32");
  await node.take(1, [q]);
  await node.settle();
  assert.deepEqual(inForce(node), [1, q.key]);
  await node.take(1, [makePolicy("shop/q", { kind: "NetworkPolicy" })]);
  await node.take(1, [], [POLICY("networkpolicies", "p")]);
  await node.settle();
  assert.equal(node.allows("10.1.1.5", "egress", "198.51.100.9", 80), true, "the last that could be read has room now");
  assert.deepEqual(inForce(node), [0, q.key], "and is not what the record has");
  assert.match(node.builder.policies.errors.get(q.key)?.message ?? "", /metadata/);

  await node.take(1, [block("q", "198.51.100.0/24")]);
  await node.settle();
  assert.deepEqual(inForce(node), [1]);
  await node.take(1, [block("r", "203.0.113.0/24")]);
  assert.equal((await node.flush()).again, true);
  assert.deepEqual(inForce(node), [1], "its prefix gets its identity first");
  await node.settle();
  assert.deepEqual(inForce(node), [2]);
});

test("the mode of a pod of this node is that of the local cluster's record, and a change of it is one of the pod alone", async () => {
  const node = await startMesh();
  const pod = bytesKey(parseAddress("10.1.1.5"));
  assert.equal(node.desired.subjects.get(pod)?.audited, false);
  await node.take(1, [makeEndpoint("10.1.1.5", WEB, { audited: true })]);
  const { subjects, addresses, rows } = await node.flush();
  assert.deepEqual([[...subjects.keys()], addresses.size, rows.size], [[pod], 0, 0]);
  assert.equal(node.desired.subjects.get(pod)?.audited, true);
  await node.take(1, [makeEndpoint("10.1.1.5", WEB)]);
  await node.take(2, [makeEndpoint("10.1.1.5", FAR, { audited: true })]);
  await node.settle();
  assert.equal(node.desired.subjects.get(pod)?.audited, false);
});
