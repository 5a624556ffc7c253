/** Rows of failover.md section 1 that are the exporter's, and what of a Service its own agents get. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item, KubeObject } from "@isthmus/kube";
import { Affinity, Service, ServiceConfig } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { createLastGood } from "./last-good.js";
import { nodeFacts } from "./node-facts.js";
import { createOwnRecords, type OwnRecords } from "./own-records.js";
import { serviceFacts } from "./service-facts.js";
import { sliceFacts } from "./slice-facts.js";

const GLOBAL = { "service.cilium.io/global": "true" };

function item<T>(object: KubeObject, project: (object: KubeObject) => T): Item<T> {
  const { namespace, name = "", uid = "" } = object.metadata;
  return { key: namespace === undefined ? name : `${namespace}/${name}`, uid, version: 1n, value: project(object) };
}

function service(annotations: Record<string, string> = {}, spec: object = {}, uid = "u1") {
  const object = {
    metadata: { namespace: "shop", name: "cart", uid, annotations, creationTimestamp: "2026-11-20T10:00:00Z" },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.7",
      clusterIPs: ["10.96.0.7"],
      ports: [{ name: "http", port: 80 }],
      ...spec,
    },
  };
  return item(object as KubeObject, serviceFacts);
}

function slice(name = "cart-1", address = "10.11.0.5") {
  const object = {
    metadata: { namespace: "shop", name, uid: `uid-${name}`, labels: { "kubernetes.io/service-name": "cart" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: [{ addresses: [address] }],
  };
  return item(object as KubeObject, sliceFacts);
}

const node = (name: string) => item({ metadata: { name } }, nodeFacts);

/** Keeps what was flushed, as an index would. */
function harness() {
  const records = createOwnRecords(createLastGood());
  const own = new Map<string, HashedRecord>();
  const exported = new Map<string, HashedRecord>();
  const notes: string[] = [];
  const flush = () => {
    const flushed = records.flush();
    for (const [into, change] of [
      [own, flushed.own],
      [exported, flushed.exported],
    ] as const) {
      for (const record of change.upserts) into.set(record.key, record);
      for (const { key } of change.deletes) into.delete(key);
    }
    notes.push(...flushed.notes.map(({ note }) => note.reason));
    return flushed;
  };
  const config = () => ServiceConfig.decode(own.get("service-configs/shop/cart")?.value ?? new Uint8Array());
  return { records, own, exported, notes, flush, config };
}

const set = <T>(...sets: Item<T>[]) => ({ sets, deletes: [] });
const gone = <T>(...deletes: Item<T>[]) => ({ sets: [], deletes });

test("a Service that is not global goes to own agents and is not exported", () => {
  const { records, own, exported, flush } = harness();
  records.services(set(service()));
  records.slices(set(slice()));
  flush();
  assert.deepEqual([...own.keys()].sort(), [
    "service-configs/shop/cart",
    "services/shop/cart",
    "slices/shop/cart/cart-1",
  ]);
  assert.deepEqual([...exported.keys()], []);
});

test("global exports the Service with its slices; taken back, everything is withdrawn", () => {
  const { records, exported, flush } = harness();
  records.services(set(service(GLOBAL)));
  records.slices(set(slice()));
  flush();
  assert.deepEqual([...exported.keys()].sort(), ["services/shop/cart", "slices/shop/cart/cart-1"]);
  records.services(set(service({ "service.cilium.io/global": "false" })));
  flush();
  assert.deepEqual([...exported.keys()], []);
});

test('shared "false" exports the Service without slices, and says so; own agents keep the slices', () => {
  const { records, own, exported, flush } = harness();
  records.services(set(service(GLOBAL)));
  records.slices(set(slice()));
  flush();
  records.services(set(service({ ...GLOBAL, "service.cilium.io/shared": "false" })));
  const { exported: change } = flush();
  assert.deepEqual(
    change.deletes.map(({ key }) => key),
    ["slices/shop/cart/cart-1"],
  );
  assert.deepEqual([...exported.keys()], ["services/shop/cart"]);
  assert.equal(Service.decode(exported.get("services/shop/cart")?.value ?? new Uint8Array()).shared, false);
  assert.ok(own.has("slices/shop/cart/cart-1"));
});

test("affinity governs consumption here and is not exported; without global it is none", () => {
  const { records, own, exported, flush, config } = harness();
  const affinity = { "service.cilium.io/affinity": "remote" };
  records.services(set(service({ ...GLOBAL, ...affinity })));
  flush();
  assert.equal(config().affinity, Affinity.AFFINITY_REMOTE);
  assert.equal(config().global, true);
  assert.ok(![...exported.keys()].some((key) => key.startsWith("service-configs/")));
  records.services(set(service(affinity)));
  flush();
  assert.equal(config().affinity, Affinity.AFFINITY_NONE);
  assert.ok(own.has("services/shop/cart"));
});

test("headless and ExternalName have no frontend and no records, global or not", () => {
  for (const spec of [
    { clusterIP: "None", clusterIPs: ["None"] },
    { type: "ExternalName", externalName: "example.org" },
  ]) {
    const { records, own, exported, flush, notes } = harness();
    records.services(set(service(GLOBAL, spec)));
    records.slices(set(slice()));
    flush();
    assert.deepEqual([...own.keys(), ...exported.keys()], []);
    assert.deepEqual(notes, ["NotServedAsWritten"]);
  }
});

test("what is not served as written is a note, once", () => {
  const { records, flush, config, notes } = harness();
  const spec = {
    sessionAffinity: "ClientIP",
    internalTrafficPolicy: "Local",
    externalTrafficPolicy: "Local",
    ports: [
      { name: "http", port: 80 },
      { name: "sig", port: 90, protocol: "SCTP" },
    ],
  };
  records.services(set(service({}, spec)));
  flush();
  assert.equal(config().notes.length, 4);
  assert.match(config().notes.join("\n"), /Port "sig\/SCTP" is not served/);
  assert.equal(config().internalLocal, false);
  records.slices(set(slice()));
  flush();
  assert.equal(notes.length, 4, "a slice does not report the Service again");
});

test("slices come before, after and without their Service; a deletion counts for its own uid", () => {
  const { records, own, flush } = harness();
  records.slices(set(slice()));
  flush();
  assert.equal(own.size, 0);
  records.services(set(service()));
  flush();
  assert.equal(own.size, 3);
  // Deleted and made again under the same name, in one step.
  records.services({ deletes: [service()], sets: [service({}, {}, "u2")] });
  flush();
  assert.equal(own.size, 3);
  records.services(gone(service({}, {}, "u1")));
  flush();
  assert.equal(own.size, 3, "the old object's deletion is not the new one's");
  records.services(gone(service({}, {}, "u2")));
  flush();
  assert.equal(own.size, 0);
  records.slices(gone(slice()));
  flush();
});

test("nothing changed is nothing to tell", () => {
  const { records, flush } = harness();
  records.services(set(service(GLOBAL)));
  records.nodes(set(node("n1")));
  flush();
  records.services(set(service(GLOBAL)));
  records.nodes(set(node("n1")));
  const { own, exported } = flush();
  assert.deepEqual([...own.upserts, ...own.deletes, ...exported.upserts, ...exported.deletes], []);
});

test("any order of events ends in the same bytes", () => {
  const steps: ((records: OwnRecords) => void)[] = [
    (records) => records.services(set(service(GLOBAL))),
    (records) => records.slices(set(slice("cart-1", "10.11.0.5"))),
    (records) => records.slices(set(slice("cart-2", "10.11.0.6"))),
    (records) => records.nodes(set(node("n1"))),
    (records) => records.nodes(set(node("n2"))),
    (records) => records.serviceCidrs([]),
  ];
  const results = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const { records, own, exported, flush } = harness();
    const shuffled = [...steps].sort(
      (a, b) => Math.sin(seed * (1 + steps.indexOf(a))) - Math.sin(seed * (1 + steps.indexOf(b))),
    );
    for (const step of shuffled) {
      step(records);
      if (seed % 2 === 0) flush();
    }
    flush();
    const text = (map: ReadonlyMap<string, HashedRecord>) =>
      [...map]
        .map(([key, { value }]) => `${key}=${Buffer.from(value).toString("hex")}`)
        .sort()
        .join("\n");
    results.add(`${text(own)}\n--\n${text(exported)}`);
  }
  assert.equal(results.size, 1);
});
