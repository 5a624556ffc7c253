import assert from "node:assert/strict";
import { test } from "node:test";
import { peerText } from "@isthmus/policy";
import { Policy } from "@isthmus/proto";
import { POLICY_KIND, policyRecordKey } from "@isthmus/records";
import { readPolicy } from "./parse-records.js";

function record(spec: object, more: Partial<Policy> = {}) {
  const names = { resource: "ciliumnetworkpolicies", namespace: "shop", name: "web" };
  const object = Buffer.from(JSON.stringify({ metadata: { namespace: "shop", name: "web" }, spec }));
  return POLICY_KIND.record(policyRecordKey(names), Policy.fromPartial({ ...names, object, ...more }));
}

test("a policy is read with the groups, the Services and the scope that are in its record", () => {
  const groups = { endpointSelector: {}, egress: [{ toCIDRSet: [{ cidrGroupRef: "partners" }] }] };
  assert.throws(() => readPolicy(record(groups), "east"), { code: "POLICY_RECORD" });
  const [spec] = readPolicy(
    record(groups, { cidrGroups: [{ name: "partners", cidrs: ["192.0.2.0/24"] }] }),
    "east",
  ).specs;
  const [peer] = spec?.rules[0]?.peers ?? [];
  assert.ok(typeof peer === "object" && peer.kind === "block");
  assert.equal(peer.block.text, "192.0.2.0/24");

  const endpoints = { endpointSelector: {}, ingress: [{ fromEndpoints: [{ matchLabels: { app: "client" } }] }] };
  const clusters = (meshScope: boolean) => {
    const [spec] = readPolicy(record(endpoints, { meshScope }), "east").specs;
    const [peer] = spec?.rules[0]?.peers ?? [];
    assert.ok(typeof peer === "object");
    return peer.selector.requirements.filter(({ key }) => key === "io.cilium.k8s.policy.cluster");
  };
  assert.deepEqual(clusters(false), [{ key: "io.cilium.k8s.policy.cluster", operator: "In", values: ["east"] }]);
  assert.deepEqual(clusters(true), []);

  const toServices = { endpointSelector: {}, egress: [{ toServices: [{ k8sService: { serviceName: "db" } }] }] };
  const services = [
    { namespace: "shop", name: "db", labels: [], selector: [{ key: "app", value: "db" }], addresses: [] },
    { namespace: "bank", name: "db", labels: [], selector: [], addresses: ["192.0.2.7"] },
  ];
  const [rule] = readPolicy(record(toServices, { services }), "east").specs[0]?.rules ?? [];
  assert.deepEqual(Array.isArray(rule?.peers) && rule.peers.map(peerText), [
    "block 192.0.2.7/32 of reserved:world Exists",
    "labels app In db; io.cilium.k8s.policy.cluster In east; io.kubernetes.pod.namespace In shop",
  ]);
});
