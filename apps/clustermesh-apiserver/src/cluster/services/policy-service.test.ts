import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "@isthmus/kube";
import { sliceFacts } from "../endpoints/slice-facts.js";
import { policyService } from "./policy-service.js";
import { serviceFacts } from "./service-facts.js";

const label = (key: string, value: string) => ({ key, value });

const serviceOf = (spec: object, labels?: object) =>
  serviceFacts({ metadata: { namespace: "shop", name: "db", labels }, spec } as KubeObject);

function sliceOf(name: string, addresses: readonly string[], ready = true) {
  const facts = sliceFacts({
    metadata: { namespace: "shop", name, labels: { "kubernetes.io/service-name": "db" } },
    addressType: addresses[0]?.includes(":") ? "IPv6" : "IPv4",
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready } })),
  } as unknown as KubeObject);
  assert.ok(facts !== undefined);
  return facts.record;
}

test("a Service is its selector, or without one the addresses of its slices, whether they are ready or not", () => {
  const slices = [sliceOf("db-1", ["192.0.2.9", "192.0.2.7"], false), sliceOf("db-2", ["192.0.2.7", "192.0.2.8"])];
  const six = sliceOf("db-6", ["2001:db8:0::7"]);
  const of = (spec: object, labels?: object) => policyService(serviceOf(spec, labels), [...slices, six]);
  const names = { namespace: "shop", name: "db" };
  assert.deepEqual(of({ selector: { tier: "back", app: "db" } }, { team: "shop", a: "b" }), {
    ...names,
    labels: [label("a", "b"), label("team", "shop")],
    selector: [label("app", "db"), label("tier", "back")],
    addresses: [],
  });
  const addresses = ["192.0.2.7", "192.0.2.8", "192.0.2.9", "2001:db8::7"];
  for (const spec of [{}, { selector: {} }, { selector: null }, { clusterIP: "None" }])
    assert.deepEqual(of(spec), { ...names, labels: [], selector: [], addresses });
  const outside = { type: "ExternalName", externalName: "db.example.com", selector: { app: "db" } };
  assert.deepEqual(policyService(serviceOf(outside), []), { ...names, labels: [], selector: [], addresses: [] });
});
