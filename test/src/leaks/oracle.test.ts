import assert from "node:assert/strict";
import { test } from "node:test";
import {
  areAllowed,
  CLUSTER_KEY,
  isInRange,
  NAMESPACE_KEY,
  opinionOf,
  type Peer,
  type PodState,
  type PolicyObject,
  type PolicySpec,
  type Port,
} from "./oracle.js";

const NP: PolicyObject = { cluster: "east", kind: "NetworkPolicy", namespace: "blue", name: "p" };
const CNP: PolicyObject = { ...NP, kind: "CiliumNetworkPolicy" };
const TCP: Port = { protocol: "TCP", port: 7000 };

const pod = (more: Partial<PodState> = {}): PodState => ({
  cluster: "east",
  namespace: "blue",
  namespaceLabels: { team: "one" },
  labels: { color: "red" },
  address: "10.11.0.1",
  ...more,
});

const says = (
  of: PolicyObject,
  spec: PolicySpec,
  peer: Peer,
  port = TCP,
  subject = pod(),
  direction = "ingress" as const,
) => opinionOf(of, spec, direction, subject, peer, port);

const from = (...peers: readonly object[]) =>
  ({ podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from: peers }] }) as PolicySpec;
const red = { matchLabels: { color: "red" } };

test("a NetworkPolicy is about the pods of its namespace and cluster that it selects, in its directions", () => {
  const spec: PolicySpec = { podSelector: red, policyTypes: ["Ingress"] };
  assert.equal(says(NP, spec, pod()), "isolates");
  for (const other of [{ namespace: "green" }, { cluster: "west" }, { labels: { color: "blue" } }])
    assert.equal(says(NP, spec, pod(), TCP, pod(other)), "none");
  assert.equal(opinionOf(NP, spec, "egress", pod(), pod(), TCP), "none");
  assert.equal(says(NP, { podSelector: {}, policyTypes: ["Ingress"], ingress: [{}] }, { unknownOf: "east" }), "allows");
});

test("selectors of a NetworkPolicy mean pods of its cluster, and of its namespace unless they ask for namespaces", () => {
  const here = from({ podSelector: red });
  assert.equal(says(NP, here, pod()), "allows");
  for (const other of [{ labels: {} }, { namespace: "green" }, { cluster: "west" }])
    assert.equal(says(NP, here, pod(other)), "isolates");
  assert.equal(says(NP, here, { unknownOf: "east" }), "isolates");
  const ofTeam = from({ namespaceSelector: { matchLabels: { team: "two" } }, podSelector: red });
  assert.equal(says(NP, ofTeam, pod()), "isolates");
  assert.equal(says(NP, ofTeam, pod({ namespace: "green", namespaceLabels: { team: "two" } })), "allows");
  assert.equal(says(NP, from({ namespaceSelector: {} }), pod({ namespace: "green", labels: {} })), "allows");
});

test("a range means addresses, of any cluster, but for its exceptions", () => {
  const spec = from({ ipBlock: { cidr: "10.0.0.0/8", except: ["10.12.1.0/24"] } });
  assert.equal(says(NP, spec, pod({ cluster: "west", address: "10.12.0.3" })), "allows");
  assert.equal(says(NP, spec, pod({ cluster: "west", address: "10.12.1.3" })), "isolates");
  assert.ok(isInRange("10.12.0.7", "10.12.0.7") && !isInRange("10.12.0.0/24", "10.12.1.0"));
});

test("ports narrow a rule", () => {
  const spec: PolicySpec = {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: {} }], ports: [{ protocol: "UDP", port: 7000 }] }],
  };
  assert.equal(says(NP, spec, pod()), "isolates");
  assert.equal(says(NP, spec, pod(), { protocol: "UDP", port: 7000 }), "allows");
  assert.equal(says(NP, spec, pod(), { protocol: "UDP", port: 7001 }), "isolates");
});

test("a range of ports means all from its first to its last one", () => {
  const range = { endPort: 7001, protocol: "TCP" } as const;
  const np: PolicySpec = {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 6999, ...range }] }],
  };
  const cnp = (protocol: "TCP" | "ANY"): PolicySpec => ({
    endpointSelector: {},
    ingress: [{ toPorts: [{ ports: [{ port: "6999", ...range, protocol }] }] }],
  });
  const policies: readonly [PolicyObject, PolicySpec][] = [
    [NP, np],
    [CNP, cnp("TCP")],
  ];
  for (const [of, spec] of policies) {
    for (const port of [6999, 7000, 7001]) assert.equal(says(of, spec, pod(), { protocol: "TCP", port }), "allows");
    for (const port of [6998, 7002]) assert.equal(says(of, spec, pod(), { protocol: "TCP", port }), "isolates");
    assert.equal(says(of, spec, pod(), { protocol: "UDP", port: 7000 }), "isolates");
  }
  assert.equal(says(CNP, cnp("ANY"), pod(), { protocol: "UDP", port: 7000 }), "allows");
});

const endpoints = (selector: object): PolicySpec => ({
  endpointSelector: {},
  ingress: [{ fromEndpoints: [selector] }],
});

test("selectors of a CiliumNetworkPolicy mean its namespace and cluster, unless they ask for others", () => {
  assert.equal(says(CNP, endpoints(red), pod()), "allows");
  for (const other of [{ namespace: "green" }, { cluster: "west" }])
    assert.equal(says(CNP, endpoints(red), pod(other)), "isolates");
  const west = { matchLabels: { color: "red", [CLUSTER_KEY]: "west" } };
  assert.equal(says(CNP, endpoints(west), pod({ cluster: "west" })), "allows");
  assert.equal(says(CNP, endpoints(west), pod()), "isolates");
  const any = {
    matchLabels: { [NAMESPACE_KEY]: "green" },
    matchExpressions: [{ key: CLUSTER_KEY, operator: "Exists" }],
  };
  for (const cluster of ["east", "west"])
    assert.equal(says(CNP, endpoints(any), pod({ cluster, namespace: "green" })), "allows");
  assert.equal(says(CNP, endpoints(any), { unknownOf: "west" }), "isolates");
});

test("a CiliumClusterwideNetworkPolicy selects pods and means peers of all namespaces of its cluster, unless they are named", () => {
  const of: PolicyObject = { ...CNP, kind: "CiliumClusterwideNetworkPolicy", namespace: "" };
  const green = pod({ namespace: "green" });
  for (const subject of [pod(), green])
    for (const peer of [pod(), green]) assert.equal(says(of, endpoints(red), peer, TCP, subject), "allows");
  assert.equal(says(of, endpoints(red), pod({ cluster: "west" })), "isolates");
  assert.equal(says(of, endpoints(red), pod(), TCP, pod({ cluster: "west" })), "none");
  const fromGreen = endpoints({ matchLabels: { [NAMESPACE_KEY]: "green" } });
  assert.equal(says(of, fromGreen, green), "allows");
  assert.equal(says(of, fromGreen, pod()), "isolates");
  const ofGreen = { ...fromGreen, endpointSelector: { matchLabels: { [NAMESPACE_KEY]: "green" } } } as PolicySpec;
  assert.equal(says(of, ofGreen, green, TCP, green), "allows");
  assert.equal(says(of, ofGreen, green), "none");
});

test("entities, ranges and a rule without anything", () => {
  const entities = (name: "all" | "cluster"): PolicySpec => ({
    endpointSelector: {},
    ingress: [{ fromEntities: [name] }],
  });
  assert.equal(says(CNP, entities("all"), { unknownOf: "west" }), "allows");
  assert.equal(says(CNP, entities("cluster"), { unknownOf: "east" }), "allows");
  assert.equal(says(CNP, entities("cluster"), pod({ cluster: "west" })), "isolates");
  assert.equal(says(CNP, { endpointSelector: {}, ingress: [{ fromCIDR: ["10.0.0.0/8"] }] }, pod()), "isolates");
  assert.equal(says(CNP, { endpointSelector: {}, ingress: [{}] }, pod()), "isolates");
});

test("a deny beats every allow", () => {
  const spec: PolicySpec = {
    endpointSelector: {},
    ingress: [{ fromEntities: ["all"] }],
    ingressDeny: [{ fromEndpoints: [red] }],
  };
  assert.equal(says(CNP, spec, pod()), "denies");
  assert.equal(says(CNP, spec, pod({ labels: {} })), "allows");
  assert.ok(!areAllowed(["allows", "denies"]) && areAllowed(["isolates", "allows"]) && areAllowed(["none"]));
  assert.ok(!areAllowed(["none", "isolates"]));
});
