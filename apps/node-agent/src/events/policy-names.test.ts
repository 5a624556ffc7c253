/** What identities stand for in events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "@isthmus/model";
import { createPolicyNode } from "@isthmus/node-policy/testing";
import { allow, makeEndpoint, makeIdentity, makeMeshNode, numberOf, shopLabels } from "@isthmus/node-policy/testing";
import { createPolicyNames } from "./policy-names.js";
import { CLIENT, makePolicyNames, WEB, WORLD_BLOCK } from "./testing/policy-names.js";

test("an identity has its labels, the pod's own before those of its namespace, and the prefix that policies name", () => {
  const { engine, policies } = makePolicyNames();
  assert.deepEqual(policies.identity(WEB), {
    labels: [
      { key: "io.cilium.k8s.policy.cluster", value: "east" },
      { key: "io.cilium.k8s.policy.serviceaccount", value: "default" },
      { key: "io.kubernetes.pod.namespace", value: "shop" },
      { key: "app", value: "web" },
      { key: "io.cilium.k8s.namespace.labels.team", value: "a" },
    ],
    ...{ moreLabels: 0, labelBytes: 147, prefix: "" },
  });
  const world = policies.identity(WORLD_BLOCK);
  assert.deepEqual([world?.labels, world?.prefix], [[{ key: "reserved:world", value: "" }], "203.0.113.0/24"]);
  assert.equal(policies.identity(12345), undefined);
  engine.setIdentity(WEB, { labels: new Map([["app", "other"]]) });
  engine.commit();
  assert.deepEqual(policies.identity(WEB)?.labels, [{ key: "app", value: "other" }]);
});

test("of many or long labels those of the namespace are left out first, and what a server refuses; they are counted", () => {
  const { engine, policies } = makePolicyNames();
  const labels = (count: number, value: string) =>
    Array.from({ length: count }, (_, i) => [`${"k".repeat(100)}${1000 + i}`, value] as const);
  const ofNamespace = labels(10, "v").map(([key, value]) => [`io.cilium.k8s.namespace.labels.${key}`, value] as const);
  engine.setIdentity(WEB, { labels: new Map([...ofNamespace, ...labels(60, "v")]) });
  engine.setIdentity(CLIENT, { labels: new Map(labels(100, "v".repeat(200))) });
  engine.setIdentity(WORLD_BLOCK, {
    labels: new Map([
      ["ä".repeat(200), "v"],
      ["a", "ä".repeat(127)],
      ["b", "v"],
    ]),
  });
  engine.commit();
  const [many, long, wide] = [WEB, CLIENT, WORLD_BLOCK].map((number) => policies.identity(number));
  assert.deepEqual([many?.labels.length, many?.moreLabels], [64, 6]);
  assert.equal(many?.labels.filter(({ key }) => key.startsWith("io.")).length, 4);
  assert.ok(long !== undefined && long.labelBytes <= 16 << 10 && long.labels.length + long.moreLabels === 100);
  assert.deepEqual([wide?.labels, wide?.moreLabels], [[{ key: "b", value: "v" }], 2]);
});

test("a pod of this node has the identity that it got, any other address none", () => {
  const { policies } = makePolicyNames();
  assert.deepEqual(
    ["10.1.0.1", "10.1.0.9"].map((ip) => policies.identityAt(parseAddress(ip))),
    [CLIENT, 0],
  );
});

test("from the records of a node: its pods, the policies that isolate them, and blocks of the world", async () => {
  const node = createPolicyNode();
  const web = numberOf(1, 256);
  const records = [
    makeIdentity(web, shopLabels("east", { app: "web" })),
    makeEndpoint("10.1.1.5", web),
    makeMeshNode("n1", { addresses: ["172.18.0.1"], podCidrs: ["10.1.1.0/24"] }),
    allow("some", "web", "ingress", [{ ipBlock: { cidr: "203.0.113.0/24" } }]),
  ];
  await node.take(1, records, [], true);
  node.attach("10.1.1.5");
  await node.settle();
  const names = createPolicyNames(node.desired, node.builder.engine);
  const pod = parseAddress("10.1.1.5");
  assert.equal(names.identityAt(pod), web);
  assert.deepEqual(names.isolating(pod, "ingress"), [{ kind: "NetworkPolicy", namespace: "shop", name: "some" }]);
  assert.deepEqual(names.isolating(pod, "egress"), []);
  const block = names.identity(node.identity("203.0.113.7"));
  assert.deepEqual([block?.labels, block?.prefix], [[{ key: "reserved:world", value: "" }], "203.0.113.0/24"]);
  const known = ["172.18.0.1", "192.0.2.1"].map((ip) => names.identity(node.identity(ip))?.labels[0]?.key);
  assert.deepEqual(known, ["reserved:host", "reserved:world"]);
});
