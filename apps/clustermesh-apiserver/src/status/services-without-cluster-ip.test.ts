import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { formatAddress, parsePrefix } from "@isthmus/model";
import { serviceFacts } from "../cluster/services/service-facts.js";
import { createTestRecords } from "../cluster/testing/test-records.js";
import { servicesWithoutClusterIp } from "./services-without-cluster-ip.js";

function cluster(
  ...objects: readonly (readonly [
    key: string,
    annotations: Record<string, string>,
    spec: object,
    labels?: Record<string, string>,
  ])[]
) {
  const records = createTestRecords([parsePrefix("10.11.0.0/16")]);
  const sets = objects.map(([key, annotations, spec, labels = {}]) => {
    const [namespace, name] = key.split("/");
    const object = { metadata: { namespace, name, uid: key, annotations, labels }, spec } as KubeObject;
    return { key, uid: key, version: 1n, value: serviceFacts(object) };
  });
  records.takeServices({ deletes: [], sets });
  records.takeChanges();
  return { get: records.service, all: records.allServices, onChange: () => () => undefined };
}

const GLOBAL = { "service.cilium.io/global": "true" };
const HEADLESS = { clusterIP: "None", clusterIPs: ["None"] };

const SERVICES = cluster(
  ["shop/headless", GLOBAL, HEADLESS],
  ["shop/name", { "service.cilium.io/shared": "false" }, { type: "ExternalName", externalName: "example.org" }],
  ["shop/plain", {}, HEADLESS],
  ["shop/cart", GLOBAL, { clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"] }],
  ["pay/headless", GLOBAL, HEADLESS],
);

test("headless and ExternalName Services with mesh annotations have a row with the reason that they have no frontend", () => {
  const found = servicesWithoutClusterIp(SERVICES, { namespace: "", globalOnly: false });
  assert.deepEqual(
    found.map(({ service, status, global }) => [service, status, global]),
    [
      ["shop/headless", "No frontend", true],
      ["shop/name", "No frontend", false],
      ["pay/headless", "No frontend", true],
    ],
  );
  assert.match(found[0]?.notes.join() ?? "", /without a ClusterIP has no frontend/);
});

test("rows are filtered by namespace and by global", () => {
  const names = (namespace: string, globalOnly: boolean) =>
    servicesWithoutClusterIp(SERVICES, { namespace, globalOnly }).map(({ service }) => service);
  assert.deepEqual(names("pay", false), ["pay/headless"]);
  assert.deepEqual(names("shop", true), ["shop/headless"]);
});

test("a Service of another proxy has a row for each port with its address and the proxy's name", () => {
  const ports = [
    { name: "http", port: 80 },
    { name: "dns", port: 53, protocol: "UDP" },
  ];
  const spec = { clusterIP: "10.96.0.8", clusterIPs: ["10.96.0.8"], ports, sessionAffinity: "ClientIP" };
  const services = cluster(["shop/left", {}, spec, { "service.kubernetes.io/service-proxy-name": "other" }]);
  const rows = servicesWithoutClusterIp(services, { namespace: "shop", globalOnly: false });
  assert.deepEqual(
    rows.map(({ address, port, protocol, status, notes }) => [formatAddress(address), port, protocol, status, notes]),
    [
      ["10.96.0.8", 80, 6, "Left to another proxy", ['proxy "other" serves it, as its label says']],
      ["10.96.0.8", 53, 17, "Left to another proxy", ['proxy "other" serves it, as its label says']],
    ],
  );
  assert.deepEqual(servicesWithoutClusterIp(services, { namespace: "", globalOnly: true }), []);
});
