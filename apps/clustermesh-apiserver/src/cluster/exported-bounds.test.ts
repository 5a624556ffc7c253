/** Readers refuse none of the records exported for the largest objects that Kubernetes accepts, and for larger ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { addressFromBytes, formatAddress, parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { Backend, Node, Service, Slice } from "@isthmus/proto";
import { BOUNDS, validateRecord } from "@isthmus/records";
import { sliceFacts } from "./endpoints/slice-facts.js";
import { nodeFacts } from "./nodes/node-facts.js";
import { serviceFacts } from "./services/service-facts.js";
import { createTestRecords } from "./testing/test-records.js";

const POD_CIDRS = [parsePrefix("10.0.0.0/8")];
const limits = { cluster: parseClusterName("east"), id: parseClusterId(1), podCidrs: POD_CIDRS, excludedCidrs: [] };
const long = (length: number) => "x".repeat(length);
const label = long(63);

interface Extremes {
  readonly ports?: number;
  readonly slicePorts?: number;
  readonly endpoints?: number;
  readonly text?: number;
  readonly addresses?: number;
  /** Instead of those many. */
  readonly nodeAddresses?: readonly string[];
  readonly nodeCidrs?: readonly string[];
}

function serviceOf({ ports = 1 }: Extremes): KubeObject {
  const object = {
    metadata: {
      namespace: label,
      name: label,
      uid: long(36),
      annotations: { "service.cilium.io/global": "true" },
      creationTimestamp: "9999-12-31T23:59:59Z",
    },
    spec: {
      type: "ClusterIP",
      clusterIPs: ["192.168.0.1", "fd00::1"],
      ports: Array.from({ length: ports }, (_, i) => ({ name: `${i}`.padStart(63, "p"), port: 1 + (i % 65_535) })),
    },
  };
  return object as KubeObject;
}

function sliceOf({ slicePorts = 1, endpoints = 1, text = 63 }: Extremes): KubeObject {
  const object = {
    metadata: { namespace: label, name: long(253), labels: { "kubernetes.io/service-name": label } },
    addressType: "IPv4",
    ports: [
      ...Array.from({ length: slicePorts }, (_, i) => ({ name: `${i}`.padStart(63, "p"), port: 65_535 })),
      { name: "zero", port: 0 },
      { name: "negative", port: -1 },
      { name: "beyond", port: 65_536 },
    ],
    endpoints: Array.from({ length: endpoints }, (_, i) => ({
      addresses: [`10.1.${i >> 8}.${i & 255}`],
      nodeName: long(Math.max(253, text)),
      zone: long(text),
      hostname: long(text),
      hints: { forZones: Array.from({ length: 20 }, () => ({ name: long(text) })) },
      targetRef: { kind: "Pod", uid: long(text) },
    })),
  };
  return object as KubeObject;
}

function nodeOf({ addresses = 1, nodeAddresses, nodeCidrs = ["10.1.0.0/24"] }: Extremes): KubeObject {
  const many = Array.from({ length: addresses }, (_, i) => `192.168.1.${i & 255}`);
  const object = {
    metadata: {
      name: long(253),
      labels: { "topology.kubernetes.io/zone": label, "topology.kubernetes.io/region": label },
    },
    spec: { podCIDRs: nodeCidrs },
    status: { addresses: (nodeAddresses ?? many).map((address) => ({ type: "InternalIP", address })) },
  };
  return object as KubeObject;
}

/** Exports one Service with one slice and one node, and checks that a reader accepts each record. */
function exportOf(extremes: Extremes) {
  const records = createTestRecords(POD_CIDRS);
  const item = <T>(value: T) => ({ sets: [{ key: "a/b", uid: "u", version: 1n, value }], deletes: [] });
  records.takeServices(item(serviceFacts(serviceOf(extremes))));
  records.takeSlices(item(sliceFacts(sliceOf(extremes))));
  records.takeNodes(item(nodeFacts(nodeOf(extremes))));
  const { exported, local } = records.takeChanges();
  const notes = [...records.allServices()].flatMap((service) => service.notes);
  for (const record of exported.upserts) {
    const verdict = validateRecord(record, limits);
    assert.ok(verdict.ok, verdict.ok ? "" : verdict.detail);
  }
  const of = (kind: string) => exported.upserts.find(({ key }) => key.startsWith(kind));
  const slice = Slice.decode(of("slices/")?.value ?? Buffer.alloc(0));
  return { exported, own: local, slice, service: of("services/"), node: of("nodes/"), notes };
}

test("the largest objects that Kubernetes makes are exported whole", () => {
  const { slice, service, notes } = exportOf({ ports: 500, slicePorts: 500, endpoints: 400, addresses: 32 });
  assert.deepEqual([slice.ports.length, slice.backends.length], [500, 400]);
  assert.equal(Service.decode(service?.value ?? Buffer.alloc(0)).ports.length, 500);
  assert.equal(slice.backends[0]?.forZones.length, 1);
  assert.deepEqual(notes, []);
});

test("over-long texts of an EndpointSlice are left out, its backends stay", () => {
  const { slice, notes } = exportOf({ text: 5000, endpoints: 3 });
  const { node, zone, hostname, podUid, forZones } = slice.backends[0] ?? Backend.create();
  assert.deepEqual([slice.backends.length, node, zone, hostname, podUid, forZones], [3, "", "", "", "", []]);
  assert.deepEqual([slice.ports.map(({ port }) => port), notes], [[65_535], []]);
});

test("a slice that is too large is exported empty and reported on the Service; local agents get all of it", () => {
  for (const [extremes, why] of [
    [{ slicePorts: BOUNDS.ports + 1 }, /EndpointSlices: 1001 ports are more than 1000\. Other clusters do without/],
    [{ endpoints: BOUNDS.backends, ports: 1 }, /\d+ bytes are more than 524288/],
  ] as const) {
    const { slice, own, notes } = exportOf(extremes);
    assert.deepEqual([slice.ports, slice.backends], [[], []]);
    assert.deepEqual(
      notes.map(({ reason, topic }) => [reason, topic]),
      [["TooLargeToExport", "export"]],
    );
    assert.match(notes[0]?.sentence ?? "", why);
    const mine = own.upserts.find(({ key }) => key.startsWith("slices/"));
    assert.ok(Slice.decode(mine?.value ?? Buffer.alloc(0)).backends.length > 0);
  }
});

test("a Service with more ports than a record may have is not exported, and that is reported", () => {
  const { service, exported, own, notes } = exportOf({ ports: BOUNDS.ports + 1 });
  assert.equal(service, undefined);
  assert.ok(exported.upserts.every(({ key }) => key.startsWith("nodes/")));
  assert.match(notes[0]?.sentence ?? "", /Cannot export the Service: 1001 ports are more than 1000/);
  assert.ok(own.upserts.some(({ key }) => key.startsWith("services/")));
});

test("a node with more addresses than a record may have is exported with the first ones", () => {
  assert.ok(exportOf({ addresses: 200 }).node !== undefined);
});

test("a node is exported without addresses that no cluster may claim and without ranges of other clusters", () => {
  const nodeAddresses = ["fe80::1", "169.254.1.1", "192.168.1.7", "0.0.0.0"];
  const { node, own } = exportOf({ nodeAddresses, nodeCidrs: ["10.1.0.0/24", "fd00:10::/64", "0.0.0.0/0"] });
  const { addresses, podCidrs } = Node.decode(node?.value ?? Buffer.alloc(0));
  assert.deepEqual(
    [addresses.map((bytes) => formatAddress(addressFromBytes(bytes))), podCidrs.map(({ length }) => length)],
    [["192.168.1.7"], [120]],
  );
  const mine = Node.decode(own.upserts.find(({ key }) => key.startsWith("nodes/"))?.value ?? Buffer.alloc(0));
  assert.deepEqual([mine.addresses.length, mine.podCidrs.length], [4, 3], "its own cluster has all of them");
});

test("changed pod ranges change the export of the nodes in them", () => {
  const records = createTestRecords(POD_CIDRS);
  records.takeNodes({ sets: [{ key: "n", uid: "u", version: 1n, value: nodeFacts(nodeOf({})) }], deletes: [] });
  records.takeChanges();
  records.configure({ podCidrs: [parsePrefix("10.2.0.0/16")] });
  const ranges = records.takeChanges().exported.upserts.map(({ value }) => Node.decode(value).podCidrs);
  assert.deepEqual(ranges, [[]]);
  records.configure({ podCidrs: [parsePrefix("10.2.0.0/16")] });
  assert.deepEqual(records.takeChanges().exported.upserts, []);
});
