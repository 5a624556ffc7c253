import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject, KubePod } from "@isthmus/kube";
import { formatAddress } from "@isthmus/model";
import { podFacts } from "./pod-facts.js";

interface Changes {
  readonly metadata?: Partial<KubePod["metadata"]>;
  readonly spec?: KubePod["spec"];
  readonly status?: KubePod["status"];
}

const facts = ({ metadata, spec, status }: Changes = {}) =>
  podFacts({
    metadata: {
      ...{ namespace: "shop", name: "web-1", uid: "u1", creationTimestamp: "2026-11-30T09:00:00Z" },
      ...{ labels: { app: "web", "pod-template-hash": "5d4f" }, ...metadata },
    },
    spec: { nodeName: "n1", serviceAccountName: "web", ...spec },
    status: { phase: "Running", podIP: "10.11.1.5", podIPs: [{ ip: "10.11.1.5" }, { ip: "fd00:1::5" }], ...status },
  } as KubeObject);
const addresses = (changes: Changes) => facts(changes)?.addresses.map(formatAddress);

test("a pod's labels, account, node and addresses are kept, and nothing that only controllers use", () => {
  const { addresses: _, ...rest } = facts() ?? assert.fail();
  assert.deepEqual(rest, {
    ...{ namespace: "shop", name: "web-1", uid: "u1", objectUid: "u1", node: "n1", serviceAccount: "web" },
    ...{ labels: '[["app","web"]]', isReported: false, ports: [], isTerminating: false, auditMode: undefined },
    created: Date.parse("2026-11-30T09:00:00Z") / 1000,
  });
  assert.deepEqual(addresses({}), ["10.11.1.5", "fd00:1::5"]);
});

test("pods on the host network and finished pods have no identity, though their status has an address", () => {
  assert.equal(facts({ spec: { hostNetwork: true } }), undefined);
  for (const phase of ["Succeeded", "Failed"]) assert.equal(facts({ status: { phase } }), undefined);
  for (const phase of ["Pending", "Unknown"]) assert.ok(facts({ status: { phase } }) !== undefined);
});

test("the addresses that the node's agent reported come before those of the status", () => {
  const metadata = (value: string) => ({ annotations: { "mesh.isthmus.io/pod-ips": value } });
  assert.deepEqual(addresses({ metadata: metadata("10.11.1.9@u1") }), ["10.11.1.9"]);
  assert.equal(facts({ metadata: metadata("10.11.1.9@u1") })?.isReported, true);
  const none = { podIP: "", podIPs: [] };
  assert.deepEqual(addresses({ metadata: metadata("10.11.1.9,fd00:1::9@u1"), status: none }), [
    "10.11.1.9",
    "fd00:1::9",
  ]);
  for (const bad of ["", "@", "web@u1", "10.11.1.256@u1", "10.11.1.9", "10.11.1.9@u2", "x".repeat(100_000)]) {
    assert.deepEqual(addresses({ metadata: metadata(bad) }), ["10.11.1.5", "fd00:1::5"], bad.slice(0, 20));
    assert.equal(facts({ metadata: metadata(bad) })?.isReported, false);
  }
  assert.deepEqual(addresses({ metadata: metadata(`${Array(1000).fill("10.11.1.9").join()}@u1`) })?.length, 2);
});

test("a status without a list has one address, and a pod that was not started has none", () => {
  const oldStatus = { phase: "Running", podIP: "10.11.1.5", podIPs: undefined } as unknown as KubePod["status"];
  assert.deepEqual(addresses({ status: oldStatus }), ["10.11.1.5"]);
  assert.deepEqual(addresses({ status: { phase: "Pending", podIP: "", podIPs: [] } }), []);
});

test("a static pod has the uid that the container runtime knows; another pod cannot claim one", () => {
  const uids = (annotations: Record<string, string>) => {
    const { uid, objectUid } = facts({ metadata: { annotations } }) ?? assert.fail();
    return [uid, objectUid];
  };
  const hash = { "kubernetes.io/config.hash": "abc" };
  assert.deepEqual(uids({ ...hash, "kubernetes.io/config.mirror": "abc" }), ["abc", "u1"]);
  assert.deepEqual(uids(hash), ["u1", "u1"]);
});

test("ports with a name are kept, those of containers that start first too", () => {
  const ports = facts({
    spec: {
      containers: [{ ports: [{ name: "http", containerPort: 8080 }, { containerPort: 9 }] }, {}],
      initContainers: [
        {
          ports: [
            { name: "dns", containerPort: 53, protocol: "UDP" },
            { name: "odd", containerPort: 1, protocol: "ICMP" },
          ],
        },
      ],
    },
  })?.ports;
  assert.deepEqual(ports, [
    { name: "http", port: 8080, protocol: 6 },
    { name: "dns", port: 53, protocol: 17 },
  ]);
});
