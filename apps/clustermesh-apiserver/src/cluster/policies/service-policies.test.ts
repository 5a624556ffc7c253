/** From objects of Services, EndpointSlices and policies to POLICY records, in any order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item, KubeObject } from "@isthmus/kube";
import { Policy, type PolicyService } from "@isthmus/proto";
import { sliceFacts } from "../endpoints/slice-facts.js";
import { serviceFacts } from "../services/service-facts.js";
import { createTestRecords } from "../testing/test-records.js";
import { policyFacts } from "./policy-facts.js";
import { CILIUM_NETWORK_POLICY } from "./policy-resources.js";

function item<T>(object: object, project: (object: KubeObject) => T): Item<T> {
  const { metadata } = object as KubeObject;
  const { namespace, name = "", uid = name } = metadata;
  return { key: `${namespace}/${name}`, uid, version: 1n, value: project(object as KubeObject) };
}

const service = (spec: object) =>
  item(
    { metadata: { namespace: "shop", name: "db", uid: "u" }, spec: { clusterIP: "10.96.0.7", ...spec } },
    serviceFacts,
  );

function slice(name: string, addresses: readonly string[], ready = true, port = 8080) {
  const metadata = { namespace: "shop", name, labels: { "kubernetes.io/service-name": "db" } };
  const endpoints = addresses.map((address) => ({ addresses: [address], conditions: { ready } }));
  return item({ metadata, addressType: "IPv4", ports: [{ port }], endpoints }, sliceFacts);
}

const policy = item(
  {
    metadata: { namespace: "shop", name: "out", generation: 1 },
    spec: {
      endpointSelector: {},
      egress: [{ toServices: [{ k8sService: { serviceName: "db", namespace: "shop" } }] }],
    },
  },
  (object) => policyFacts(CILIUM_NETWORK_POLICY, object),
);

function rig() {
  const records = createTestRecords(undefined);
  /** What the record says of the Service after a turn; "unchanged" when the turn writes no POLICY record. */
  const said = (): readonly PolicyService[] | "unchanged" => {
    const record = records.takeChanges().local.upserts.find(({ key }) => key.startsWith("policies/"));
    return record === undefined ? "unchanged" : Policy.decode(record.value).services;
  };
  return { records, said };
}

const NAMES = { namespace: "shop", name: "db", labels: [] };
const pods = (app: string) => [{ ...NAMES, selector: [{ key: "app", value: app }], addresses: [] }];
const addresses = (...all: string[]) => [{ ...NAMES, selector: [], addresses: all }];

test("a policy follows the selector of its Service, whatever its pods do, and the Service's deletion", () => {
  const { records, said } = rig();
  records.takePolicies({ deletes: [], sets: [policy] });
  assert.deepEqual(said(), []);
  records.takeServices({ deletes: [], sets: [service({ selector: { app: "db" } })] });
  assert.deepEqual(said(), pods("db"));
  records.takeSlices({ deletes: [], sets: [slice("db-1", ["10.1.0.5"])] });
  assert.equal(said(), "unchanged");
  records.takeServices({ deletes: [], sets: [service({ selector: { app: "db2" }, ports: [{ port: 80 }] })] });
  assert.deepEqual(said(), pods("db2"));
  records.takeServices({ deletes: [], sets: [service({ selector: { app: "db2" }, ports: [{ port: 81 }] })] });
  assert.equal(said(), "unchanged");
  records.takeServices({ deletes: [service({})], sets: [] });
  assert.deepEqual(said(), []);
});

test("without a selector it follows the addresses of the slices, and nothing else of them", () => {
  const { records, said } = rig();
  records.takeSlices({ deletes: [], sets: [slice("db-1", ["192.0.2.7"])] });
  records.takeServices({ deletes: [], sets: [service({})] });
  records.takePolicies({ deletes: [], sets: [policy] });
  assert.deepEqual(said(), addresses("192.0.2.7"));
  records.takeSlices({ deletes: [], sets: [slice("db-2", ["192.0.2.8", "192.0.2.7"])] });
  assert.deepEqual(said(), addresses("192.0.2.7", "192.0.2.8"));
  records.takeSlices({ deletes: [], sets: [slice("db-2", ["192.0.2.8"], false, 9090)] });
  assert.equal(said(), "unchanged");
  records.takeSlices({ deletes: [slice("db-1", [])], sets: [] });
  assert.deepEqual(said(), addresses("192.0.2.8"));
  records.takeServices({ deletes: [], sets: [service({ selector: { app: "db" } })] });
  assert.deepEqual(said(), pods("db"));
  records.takeServices({ deletes: [], sets: [service({ selector: {} })] });
  assert.deepEqual(said(), addresses("192.0.2.8"));
});

test("many changes of one turn are one record", () => {
  const { records, said } = rig();
  records.takePolicies({ deletes: [], sets: [policy] });
  records.takeServices({ deletes: [], sets: [service({})] });
  for (let i = 1; i < 100; i++) records.takeSlices({ deletes: [], sets: [slice("db-1", [`192.0.2.${i}`])] });
  assert.deepEqual(said(), addresses("192.0.2.99"));
  assert.equal(said(), "unchanged");
});
