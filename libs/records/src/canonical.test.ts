import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress, parsePrefix } from "@isthmus/model";
import { Family, SessionAffinity } from "@isthmus/proto";
import fc from "fast-check";
import { asBuffer } from "./hash.js";
import { ENDPOINT_KIND, IDENTITY_KIND, NODE_KIND, SERVICE_KIND, SLICE_KIND } from "./kinds/index.js";

const address = (text: string): Buffer => asBuffer(parseAddress(text));
const prefix = (text: string) => ({ address: asBuffer(parsePrefix(text).address), length: parsePrefix(text).length });
const ports = ["http", "admin", "metrics"].map((name, i) => ({ name, protocol: 6, port: 8080 + i }));
const backends = Array.from({ length: 12 }, (_, i) => ({
  address: address(`10.1.0.${i}`),
  conditions: i % 4,
  weight: 0,
  node: `n${i % 3}`,
  zone: "a",
  forZones: ["a", "b", "c"],
  hostname: "",
  podUid: `uid-${i}`,
}));
const labels = Array.from({ length: 8 }, (_, i) => ({ key: `k${i}`, value: `v${7 - i}` }));
const shuffled = <T>(values: readonly T[]) => fc.shuffledSubarray([...values], { minLength: values.length });

test("input in any order gives identical bytes", () => {
  const service = (p: typeof ports, frontends: Buffer[]) =>
    SERVICE_KIND.encode({
      uid: "u",
      ports: p,
      shared: true,
      session: SessionAffinity.SESSION_AFFINITY_NONE,
      expected: 3,
      created: 1n,
      mcs: undefined,
      frontends,
    });
  const frontends = [address("10.96.0.1"), address("fd00::1")];
  const cidrs = [prefix("10.1.0.0/24"), prefix("fd00::/64")];
  const node = (podCidrs: typeof cidrs) =>
    NODE_KIND.encode({
      name: "n",
      addresses: frontends,
      podCidrs,
      tunnel: Buffer.alloc(0),
      health: Buffer.alloc(0),
      zone: "",
      region: "",
      conditions: 1,
    });
  const endpoint = (p: typeof ports) =>
    ENDPOINT_KIND.encode({
      address: address("10.1.0.1"),
      identity: 1,
      node: "n",
      namespace: "a",
      pod: "p",
      podUid: "u",
      audited: false,
      ports: p,
    });
  const slice = (p: typeof ports, b: typeof backends) =>
    SLICE_KIND.encode({
      family: Family.FAMILY_IPV4,
      ports: p,
      backends: b.map((each) => ({ ...each, forZones: [...each.forZones].reverse() })),
    });
  fc.assert(
    fc.property(
      shuffled(ports),
      shuffled(backends),
      shuffled(labels),
      shuffled(frontends),
      shuffled(cidrs),
      (p, b, l, f, c) => {
        assert.deepEqual(slice(p, b), slice(ports, backends));
        assert.deepEqual(service(p, f), service(ports, frontends));
        assert.deepEqual(IDENTITY_KIND.encode({ labels: l }), IDENTITY_KIND.encode({ labels }));
        assert.deepEqual(endpoint(p), endpoint(ports));
        assert.deepEqual(node(c), node(cidrs));
      },
    ),
    { numRuns: 50 },
  );
});
