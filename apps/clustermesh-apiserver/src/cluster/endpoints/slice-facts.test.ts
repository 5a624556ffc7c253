import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeEndpointSlice, KubeObject } from "@isthmus/kube";
import { formatAddress } from "@isthmus/model";
import { Slice } from "@isthmus/proto";
import { sliceFacts } from "./slice-facts.js";

function facts(changes: Partial<KubeEndpointSlice>) {
  const object = {
    metadata: { namespace: "shop", name: "cart-x", labels: { "kubernetes.io/service-name": "cart" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: [],
    ...changes,
  };
  return sliceFacts(object as KubeObject);
}

const decoded = (changes: Partial<KubeEndpointSlice>) => Slice.decode(facts(changes)?.record.value ?? new Uint8Array());

test("a slice is keyed under its Service, and its backends are sorted by address", () => {
  const slice = facts({ endpoints: [{ addresses: ["10.1.0.9"] }, { addresses: ["10.1.0.2"] }] });
  assert.equal(slice?.record.key, "slices/shop/cart/cart-x");
  assert.deepEqual(
    Slice.decode(slice?.record.value ?? new Uint8Array()).backends.map(({ address }) => formatAddress(address)),
    ["10.1.0.2", "10.1.0.9"],
  );
});

test("an unknown ready condition counts as true, and an unknown serving condition as ready", () => {
  const rows = [
    [undefined, 3],
    [{}, 3],
    [{ ready: false }, 0],
    [{ ready: false, serving: true, terminating: true }, 6],
    [{ ready: true, serving: true, terminating: false }, 3],
    [{ ready: null, serving: null, terminating: null }, 3],
  ] as const;
  for (const [conditions, bits] of rows) {
    const endpoint = { addresses: ["10.1.0.2"], ...(conditions === undefined ? {} : { conditions }) };
    assert.equal(decoded({ endpoints: [endpoint] }).backends[0]?.conditions, bits, JSON.stringify(conditions));
  }
});

test("slices without a Service and slices of host names are left out", () => {
  assert.equal(facts({ metadata: { namespace: "shop", name: "lone" } }), undefined);
  assert.equal(facts({ addressType: "FQDN" }), undefined);
});

test("backends without an address and ports without a number or with an unknown protocol are left out", () => {
  const slice = decoded({
    ports: [
      { name: "all", port: null },
      { name: "odd", port: 1, protocol: "XYZ" },
      { port: 53, protocol: "UDP" },
    ],
    endpoints: [{ addresses: [] }, { addresses: ["not-an-address"] }, { addresses: ["10.1.0.2", "10.1.0.3"] }],
  });
  assert.deepEqual(slice.ports, [{ name: "", protocol: 17, port: 53 }]);
  assert.equal(slice.backends.length, 1, "the first address of an endpoint is the backend");
});

test("node, zone, hints, host name and pod uid are in the record; other targets have no pod uid", () => {
  const [backend] = decoded({
    endpoints: [
      {
        addresses: ["10.1.0.2"],
        nodeName: "n1",
        zone: "a",
        hostname: "web-0",
        hints: { forZones: [{ name: "b" }, { name: "a" }] },
        targetRef: { kind: "Pod", uid: "u1" },
      },
    ],
  }).backends;
  assert.deepEqual(
    [backend?.node, backend?.zone, backend?.hostname, backend?.forZones, backend?.podUid],
    ["n1", "a", "web-0", ["a", "b"], "u1"],
  );
  const other = decoded({ endpoints: [{ addresses: ["10.1.0.2"], targetRef: { kind: "Node", uid: "u2" } }] });
  assert.equal(other.backends[0]?.podUid, "");
});
