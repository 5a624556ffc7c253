import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeNode, KubeObject } from "@isthmus/kube";
import { addressFromBytes, formatAddress, formatPrefix, parsePrefix } from "@isthmus/model";
import { Node, NodeConfig } from "@isthmus/proto";
import { nodeFacts } from "./node-facts.js";
import { exportedNode, nodeConfigRecord, nodeRecord } from "./node-records.js";

const node = (changes: Partial<KubeNode> = {}) =>
  nodeFacts({
    metadata: { name: "n1", labels: { "topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "eu" } },
    spec: { podCIDR: "10.11.1.0/24", podCIDRs: ["10.11.1.0/24"] },
    status: {
      addresses: [
        { type: "Hostname", address: "n1" },
        { type: "ExternalIP", address: "203.0.113.1" },
        { type: "InternalIP", address: "10.0.0.1" },
      ],
      conditions: [{ type: "Ready", status: "True" }],
    },
    ...changes,
  } as KubeObject);

test("the internal address comes first, and host names are left out", () => {
  assert.deepEqual(node().addresses.map(formatAddress), ["10.0.0.1", "203.0.113.1"]);
});

test("the health address is that of the annotation, if it is in the node's pod ranges", () => {
  const health = (value: string | undefined, cidrs: readonly string[] = ["10.11.1.0/24", "fd00:1::/64"]) => {
    const annotations = value === undefined ? {} : { "mesh.isthmus.io/health-address": value };
    const facts = node({ metadata: { name: "n1", annotations }, spec: { podCIDRs: cidrs } });
    const record = Node.decode(nodeRecord(facts).value).health;
    return [facts.hasHealthAnnotation, record.length === 0 ? "none" : formatAddress(record)];
  };
  assert.deepEqual(health(undefined), [false, "none"]);
  assert.deepEqual(health("10.11.1.254"), [true, "10.11.1.254"]);
  assert.deepEqual(health("fd00:1::9"), [true, "fd00:1::9"]);
  for (const refused of ["", "10.11.2.254", "10.11.1.256", "n1", "fd00:2::1", "x".repeat(100_000)])
    assert.deepEqual(health(refused), [true, "none"]);
  assert.deepEqual(health("10.11.1.254", []), [true, "none"]);
});

test("a health address in a range that is not exported is not exported either", () => {
  const metadata = { name: "n1", annotations: { "mesh.isthmus.io/health-address": "10.11.1.254" } };
  const facts = node({ metadata });
  assert.equal(exportedNode(facts, [parsePrefix("10.11.0.0/16")]), facts);
  assert.equal(exportedNode(facts, [parsePrefix("10.12.0.0/16")]).health, undefined);
});

test("Ready and unschedulable are one bit each", () => {
  const conditions = (changes: Partial<KubeNode>) => Node.decode(nodeRecord(node(changes)).value).conditions;
  assert.equal(conditions({}), 1);
  assert.equal(conditions({ status: { conditions: [{ type: "Ready", status: "Unknown" }] } }), 0);
  assert.equal(conditions({ spec: { unschedulable: true } }), 3);
});

test("a node without a pod CIDR has records", () => {
  const config = NodeConfig.decode(nodeConfigRecord(node({ spec: {} }), []).value);
  assert.deepEqual(config.podCidrs, []);
  assert.equal(config.name, "n1");
});

test("the configuration holds the cluster's Service CIDRs, sorted", () => {
  const cidrs = ["10.96.0.0/16", "10.95.0.0/16"].map(parsePrefix);
  const config = NodeConfig.decode(nodeConfigRecord(node(), cidrs).value);
  assert.deepEqual(
    config.serviceCidrs.map(({ address, length }) => formatPrefix({ address: addressFromBytes(address), length })),
    ["10.95.0.0/16", "10.96.0.0/16"],
  );
});

test("the platform of a node follows its operating system label and the marks of virtual nodes", () => {
  const platform = (labels: Record<string, string>, taints: { key: string }[] = []) =>
    node({ metadata: { name: "n1", labels }, spec: { taints } }).platform;
  assert.equal(platform({}), "linux", "a node without the label is missed, not passed over");
  assert.equal(platform({ "kubernetes.io/os": "linux" }), "linux");
  assert.equal(platform({ "kubernetes.io/os": "windows" }), "windows");
  assert.equal(platform({ "kubernetes.io/os": "linux", type: "virtual-kubelet" }), "virtual");
  assert.equal(platform({ "eks.amazonaws.com/compute-type": "fargate" }), "virtual");
  assert.equal(platform({}, [{ key: "virtual-kubelet.io/provider" }]), "virtual");
});
