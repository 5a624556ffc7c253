/** The exporter's rows of failover.md section 1, and the records of a Service that local agents get. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item, KubeObject } from "@isthmus/kube";
import { formatAddress, parsePrefix, serviceName } from "@isthmus/model";
import { Affinity, Service, ServiceConfig, Slice } from "@isthmus/proto";
import type { HashedRecord } from "@isthmus/records";
import { sliceFacts } from "./endpoints/slice-facts.js";
import { nodeFacts } from "./nodes/node-facts.js";
import { serviceFacts } from "./services/service-facts.js";
import { createTestRecords, type TestRecords } from "./testing/test-records.js";

const GLOBAL = { "service.cilium.io/global": "true" };
const POD_CIDRS = [parsePrefix("10.11.0.0/16")];

function item<T>(object: KubeObject, project: (object: KubeObject) => T): Item<T> {
  const { namespace, name = "", uid = "" } = object.metadata;
  return { key: namespace === undefined ? name : `${namespace}/${name}`, uid, version: 1n, value: project(object) };
}

function service(annotations: Record<string, string> = {}, spec: object = {}, uid = "u1", more: object = {}) {
  const object = {
    ...more,
    metadata: {
      ...{ namespace: "shop", name: "cart", uid, annotations, creationTimestamp: "2026-11-20T10:00:00Z" },
      ...("labels" in more ? { labels: more.labels } : {}),
    },
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

function slice(name = "cart-1", ...addresses: readonly string[]) {
  const object = {
    metadata: { namespace: "shop", name, uid: `uid-${name}`, labels: { "kubernetes.io/service-name": "cart" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: (addresses.length === 0 ? ["10.11.0.5"] : addresses).map((address) => ({ addresses: [address] })),
  };
  return item(object as KubeObject, sliceFacts);
}

const node = (name: string) => item({ metadata: { name } }, nodeFacts);

/** Keeps the flushed records, as an index does. */
function harness() {
  const records = createTestRecords(POD_CIDRS);
  const own = new Map<string, HashedRecord>();
  const exported = new Map<string, HashedRecord>();
  const notes: string[] = [];
  const flush = () => {
    const flushed = records.takeChanges();
    for (const [into, change] of [
      [own, flushed.local],
      [exported, flushed.exported],
    ] as const) {
      for (const record of change.upserts) into.set(record.key, record);
      for (const { key } of change.deletes) into.delete(key);
    }
    notes.push(...flushed.notes.map(({ reason }) => reason));
    return flushed;
  };
  const addresses = (records: ReadonlyMap<string, HashedRecord>, key: string) =>
    Slice.decode(records.get(key)?.value ?? new Uint8Array()).backends.map(({ address }) => formatAddress(address));
  const config = () => ServiceConfig.decode(own.get("service-configs/shop/cart")?.value ?? new Uint8Array());
  return { records, own, exported, notes, flush, config, addresses };
}

const set = <T>(...sets: Item<T>[]) => ({ sets, deletes: [] });
const gone = <T>(...deletes: Item<T>[]) => ({ sets: [], deletes });

test("a Service that is not global is sent to local agents and not exported", () => {
  const { records, own, exported, flush } = harness();
  records.takeServices(set(service()));
  records.takeSlices(set(slice()));
  flush();
  assert.deepEqual([...own.keys()].sort(), [
    "service-configs/shop/cart",
    "services/shop/cart",
    "slices/shop/cart/cart-1",
  ]);
  assert.deepEqual([...exported.keys()], []);
});

test("a global Service is exported with its slices; without the annotation everything is withdrawn", () => {
  const { records, exported, flush } = harness();
  records.takeServices(set(service(GLOBAL)));
  records.takeSlices(set(slice()));
  flush();
  assert.deepEqual([...exported.keys()].sort(), ["services/shop/cart", "slices/shop/cart/cart-1"]);
  records.takeServices(set(service({ "service.cilium.io/global": "false" })));
  flush();
  assert.deepEqual([...exported.keys()], []);
});

test('shared "false" exports the Service without slices, with shared false in its record; local agents keep the slices', () => {
  const { records, own, exported, flush } = harness();
  records.takeServices(set(service(GLOBAL)));
  records.takeSlices(set(slice()));
  flush();
  records.takeServices(set(service({ ...GLOBAL, "service.cilium.io/shared": "false" })));
  const { exported: change } = flush();
  assert.deepEqual(
    change.deletes.map(({ key }) => key),
    ["slices/shop/cart/cart-1"],
  );
  assert.deepEqual([...exported.keys()], ["services/shop/cart"]);
  assert.equal(Service.decode(exported.get("services/shop/cart")?.value ?? new Uint8Array()).shared, false);
  assert.ok(own.has("slices/shop/cart/cart-1"));
});

test("rescue-after is the Service's, else the cluster's, and is not exported", () => {
  const { records, exported, flush, config } = harness();
  const rescue = () => [config().noRescue, config().rescueAfterMs];
  const change = (annotation: string | undefined) => {
    const mine = annotation === undefined ? {} : { "mesh.isthmus.io/rescue-after": annotation };
    records.takeServices(set(service({ ...GLOBAL, ...mine })));
    return flush();
  };
  change(undefined);
  const bytes = exported.get("services/shop/cart")?.value;
  assert.deepEqual(rescue(), [false, 0], "by round-trip time, as records of an older version mean it");
  records.configure({ rescueAfter: 250 });
  const { local, exported: nothing } = flush();
  assert.deepEqual(
    local.upserts.map(({ key }) => key),
    ["service-configs/shop/cart"],
  );
  assert.deepEqual(nothing, { upserts: [], deletes: [] });
  assert.deepEqual(rescue(), [false, 250]);
  change("off");
  assert.deepEqual(rescue(), [true, 0]);
  records.configure({ rescueAfter: "off" });
  change("auto");
  assert.deepEqual(rescue(), [false, 0]);
  change("7ms");
  assert.deepEqual(rescue(), [false, 0], "the last good value");
  change(undefined);
  assert.deepEqual(rescue(), [true, 0]);
  assert.deepEqual(exported.get("services/shop/cart")?.value, bytes);
});

test("affinity applies in the local cluster and is not exported; without global it is none", () => {
  const { records, own, exported, flush, config } = harness();
  const affinity = { "service.cilium.io/affinity": "remote" };
  records.takeServices(set(service({ ...GLOBAL, ...affinity })));
  flush();
  assert.equal(config().affinity, Affinity.AFFINITY_REMOTE);
  assert.equal(config().global, true);
  assert.ok(![...exported.keys()].some((key) => key.startsWith("service-configs/")));
  records.takeServices(set(service(affinity)));
  flush();
  assert.equal(config().affinity, Affinity.AFFINITY_NONE);
  assert.ok(own.has("services/shop/cart"));
});

test("headless and ExternalName Services have no frontend and no records, global or not", () => {
  for (const spec of [
    { clusterIP: "None", clusterIPs: ["None"] },
    { type: "ExternalName", externalName: "example.org" },
  ]) {
    const { records, own, exported, flush, notes } = harness();
    records.takeServices(set(service(GLOBAL, spec)));
    records.takeSlices(set(slice()));
    flush();
    assert.deepEqual([...own.keys(), ...exported.keys()], []);
    assert.deepEqual(notes, ["NotServedAsWritten"]);
  }
});

test("what is not served as written is reported once, as a note", () => {
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
  records.takeServices(set(service({}, spec)));
  flush();
  assert.equal(config().notes.length, 4);
  assert.match(config().notes.join("\n"), /Port "sig\/SCTP" is not served/);
  assert.equal(config().internalLocal, false);
  records.takeSlices(set(slice()));
  flush();
  assert.equal(notes.length, 4, "a slice does not report the Service again");
});

test("other addresses of a Service than its ClusterIP, and trafficDistribution, have notes that name them", () => {
  const { records, flush, config } = harness();
  const ports = Array.from({ length: 7 }, (_, i) => ({
    name: `p${i}`,
    port: 80 + i,
    protocol: "TCP",
    nodePort: 30_000 + i,
  }));
  records.takeServices(
    set(
      service(
        {},
        {
          ...{ type: "LoadBalancer", ports, externalIPs: ["203.0.113.9"], trafficDistribution: "PreferClose" },
          ...{ externalTrafficPolicy: "Local", healthCheckNodePort: 31_000 },
        },
      ),
    ),
  );
  flush();
  assert.deepEqual(
    config().notes.map((note) => note.split(":")[0]),
    [
      "Addresses of its load balancer are not served yet",
      "externalIPs are not served yet",
      'externalTrafficPolicy "Local" is not supported yet',
      'nodePort "30000/TCP", "30001/TCP", "30002/TCP", "30003/TCP", "30004/TCP" and 3 more is not served yet',
      'trafficDistribution "PreferClose" is not supported yet',
    ],
  );
  records.takeServices(set(service()));
  flush();
  assert.deepEqual(config().notes, []);
});

test("a new process writes no Event for a problem in the Service's conditions, and one for a new problem", () => {
  const nodePort = { type: "NodePort", ports: [{ port: 80, protocol: "TCP", nodePort: 30_080 }] };
  const first = harness();
  first.records.takeServices(set(service({}, nodePort)));
  first.flush();
  assert.deepEqual(first.notes, ["NotServedAsWritten"]);
  const message = first.config().notes.join("; ");
  const status = { conditions: [{ type: "mesh.isthmus.io/ServedAsWritten", status: "False", reason: "x", message }] };
  const second = harness();
  second.records.takeServices(set(service({}, nodePort, "u1", { status })));
  second.flush();
  assert.deepEqual(second.notes, []);
  second.records.takeServices(set(service({}, { ...nodePort, sessionAffinity: "ClientIP" }, "u1", { status })));
  second.flush();
  assert.deepEqual(second.notes, ["NotServedAsWritten"]);
});

test("a Service of another proxy has no frontend and is not exported, as long as it has the label", () => {
  const { records, own, exported, flush, config, notes } = harness();
  const labels = (value: string) => ({ labels: { "service.kubernetes.io/service-proxy-name": value } });
  const whole = ["service-configs/shop/cart", "services/shop/cart", "slices/shop/cart/cart-1"];
  records.takeServices(set(service(GLOBAL)));
  records.takeSlices(set(slice()));
  flush();
  assert.deepEqual([...own.keys()].sort(), whole);
  for (const value of ["other.example", ""]) {
    records.takeServices(set(service(GLOBAL, {}, "u1", labels(value))));
    flush();
    assert.deepEqual([...own.keys()], ["service-configs/shop/cart"]);
    assert.deepEqual([...exported.keys()], []);
    assert.deepEqual([config().otherProxy, config().global], [value, false]);
    assert.deepEqual(config().leftFrontends.map(formatAddress), ["10.96.0.7"]);
    records.takeSlices(set(slice("cart-2")));
    flush();
    assert.equal(own.size, 1, "its slices go nowhere");
    records.takeSlices(gone(slice("cart-2")));
    records.takeServices(set(service(GLOBAL)));
    flush();
    assert.deepEqual([...own.keys()].sort(), whole);
    assert.ok(exported.has("slices/shop/cart/cart-1"));
    assert.deepEqual(config().leftFrontends, []);
  }
  assert.deepEqual(notes, ["NotServedAsWritten", "NotServedAsWritten"], "that its annotations have no effect");
  records.takeServices(set(service({}, { sessionAffinity: "ClientIP" }, "u2", labels("x"))));
  flush();
  assert.deepEqual(config().notes, [], "what another proxy makes of its spec is not ours to say");
});

test("slices with the label of headless Services belong to no Service, as for kube-proxy", () => {
  const { records, own, flush } = harness();
  const marked = {
    metadata: {
      namespace: "shop",
      name: "cart-h",
      labels: { "kubernetes.io/service-name": "cart", "service.kubernetes.io/headless": "" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.11.0.9"] }],
  } as KubeObject;
  records.takeServices(set(service()));
  records.takeSlices(set(item(marked, sliceFacts)));
  flush();
  assert.ok(!own.has("slices/shop/cart/cart-h"));
});

test("slices may arrive before, after and without their Service; a deletion applies to its uid only", () => {
  const { records, own, flush } = harness();
  records.takeSlices(set(slice()));
  flush();
  assert.equal(own.size, 0);
  records.takeServices(set(service()));
  flush();
  assert.equal(own.size, 3);
  // Deleted and recreated under the same name, in one step.
  records.takeServices({ deletes: [service()], sets: [service({}, {}, "u2")] });
  flush();
  assert.equal(own.size, 3);
  records.takeServices(gone(service({}, {}, "u1")));
  flush();
  assert.equal(own.size, 3, "the old object's deletion is not the new one's");
  records.takeServices(gone(service({}, {}, "u2")));
  flush();
  assert.equal(own.size, 0);
  records.takeSlices(gone(slice()));
  flush();
});

test("without a change flush returns nothing", () => {
  const { records, flush } = harness();
  records.takeServices(set(service(GLOBAL)));
  records.takeNodes(set(node("n1")));
  flush();
  records.takeServices(set(service(GLOBAL)));
  records.takeNodes(set(node("n1")));
  const { local, exported } = flush();
  assert.deepEqual([...local.upserts, ...local.deletes, ...exported.upserts, ...exported.deletes], []);
});

test("a backend outside the pod ranges is used locally and not exported; the other pods of its slice are", () => {
  const { records, own, exported, flush, notes, config, addresses } = harness();
  records.takeServices(set(service(GLOBAL)));
  records.takeSlices(set(slice("cart-1", "10.11.0.5", "172.18.0.3", "172.18.0.2"), slice("cart-2", "172.18.0.3")));
  flush();
  assert.deepEqual(addresses(own, "slices/shop/cart/cart-1"), ["10.11.0.5", "172.18.0.2", "172.18.0.3"]);
  assert.deepEqual(addresses(exported, "slices/shop/cart/cart-1"), ["10.11.0.5"]);
  assert.ok(exported.has("slices/shop/cart/cart-2"), "a key comes and goes with its EndpointSlice");
  assert.deepEqual(addresses(exported, "slices/shop/cart/cart-2"), []);
  assert.deepEqual(notes, ["BackendsNotExported"]);
  assert.match(config().notes.join(), /^Cannot export 2 of its backends: "172.18.0.2" is outside .*"10.11.0.0\/16"/);
});

test("backends that are not exported are reported once, not at each new number, and only on exported Services", () => {
  const { records, flush, notes, config } = harness();
  records.takeServices(set(service(GLOBAL)));
  records.takeSlices(set(slice("cart-1", "10.11.0.5", "172.18.0.2")));
  flush();
  records.takeSlices(set(slice("cart-1", "10.11.0.5", "172.18.0.2", "172.18.0.3")));
  flush();
  assert.deepEqual(notes, ["BackendsNotExported"]);
  assert.match(config().notes.join(), /^Cannot export 2 of/);
  records.takeSlices(set(slice("cart-1", "172.18.0.2")));
  flush();
  assert.match(config().notes.join(), /^Cannot export its only backend/);
  for (const annotations of [{}, { ...GLOBAL, "service.cilium.io/shared": "false" }]) {
    records.takeServices(set(service(annotations)));
    flush();
    assert.deepEqual(config().notes, []);
  }
  records.takeServices(set(service(GLOBAL)));
  flush();
  assert.deepEqual(notes, ["BackendsNotExported", "BackendsNotExported"], "it begins again");
});

test("without such backends the exported bytes equal the local ones; other pod ranges change the export", () => {
  const { records, own, exported, flush, addresses } = harness();
  records.takeServices(set(service(GLOBAL)));
  records.takeSlices(set(slice("cart-1", "10.11.0.5"), slice("cart-2", "10.12.0.5")));
  flush();
  assert.equal(exported.get("slices/shop/cart/cart-1"), own.get("slices/shop/cart/cart-1"));
  assert.deepEqual(addresses(exported, "slices/shop/cart/cart-2"), []);
  records.configure({ podCidrs: [...POD_CIDRS, parsePrefix("10.12.0.0/16")] });
  const { exported: change } = flush();
  assert.deepEqual(
    change.upserts.map(({ key }) => key),
    ["slices/shop/cart/cart-2"],
  );
  assert.deepEqual(addresses(exported, "slices/shop/cart/cart-2"), ["10.12.0.5"]);
});

test("a recreated object is reported again, and `changed` lists a Service only when its object or notes changed", () => {
  const { records, flush, notes } = harness();
  const bad = { "service.cilium.io/global": "yes" };
  records.takeServices(set(service(bad)));
  assert.deepEqual(flush().changed, ["shop/cart"]);
  records.takeSlices(set(slice()));
  assert.deepEqual(flush().changed, [], "endpoints are not part of the Service or its notes");
  records.takeServices({ deletes: [service(bad)], sets: [service(bad, {}, "u2")] });
  assert.deepEqual(flush().changed, ["shop/cart"]);
  assert.deepEqual(notes, ["InvalidAnnotation", "InvalidAnnotation"]);
  assert.equal(records.service(serviceName("shop", "cart"))?.facts.uid, "u2");
  records.takeServices(gone(service(bad, {}, "u2")));
  assert.deepEqual(flush().changed, ["shop/cart"]);
  assert.equal(records.service(serviceName("shop", "cart")), undefined);
});

test("any order of events results in the same bytes", () => {
  const steps: ((records: TestRecords) => void)[] = [
    (records) => records.takeServices(set(service(GLOBAL))),
    (records) => records.takeSlices(set(slice("cart-1", "10.11.0.5"))),
    (records) => records.takeSlices(set(slice("cart-2", "10.11.0.6", "172.18.0.2"))),
    (records) => records.takeNodes(set(node("n1"))),
    (records) => records.takeNodes(set(node("n2"))),
    (records) => records.configure({ serviceCidrs: [] }),
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
