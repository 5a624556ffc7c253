import assert from "node:assert/strict";
import { test } from "node:test";
import { identityNumber } from "@isthmus/identity";
import { parseAddress, parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { Endpoint, Family, Identity, Kind, type Label, Node, Service, Slice } from "@isthmus/proto";
import { asBuffer, hashRecord } from "./hash.js";
import { kindOfKey } from "./kinds.js";
import { refusalReasons } from "./states.js";
import type { PeerLimits } from "./types.js";
import { MAX_VALUE_BYTES, refusalSentence, validateRecord } from "./validate.js";

const limits: PeerLimits = {
  cluster: parseClusterName("west"),
  id: parseClusterId(2),
  podCidrs: [parsePrefix("10.2.0.0/16"), parsePrefix("fd02::/48")],
  excludedCidrs: [parsePrefix("10.1.0.0/16"), parsePrefix("10.101.0.0/16")],
};
const address = (text: string): Buffer => asBuffer(parseAddress(text));
const backend = (text: string) => ({
  address: address(text),
  conditions: 3,
  weight: 0,
  node: "",
  zone: "",
  forZones: [],
  hostname: "",
  podUid: "",
});
const slice = (...addresses: string[]) =>
  Slice.encode({ family: Family.FAMILY_IPV4, ports: [], backends: addresses.map(backend) }).finish();
const endpoint = (text: string, identity = identityNumber(limits.id, 300) as number) =>
  Endpoint.encode({
    address: address(text),
    identity,
    node: "",
    namespace: "",
    pod: "",
    podUid: "",
    audited: false,
    ports: [],
  }).finish();
const node = (name: string, cidr: string, ip = "192.168.7.1") => {
  const { address: base, length } = parsePrefix(cidr);
  const none = Buffer.alloc(0);
  return Node.encode({
    name,
    addresses: [address(ip)],
    podCidrs: [{ address: asBuffer(base), length }],
    tunnel: none,
    health: none,
    zone: "",
    region: "",
    conditions: 1,
  }).finish();
};
const nodeWithHealth = (cidr: string, health: Buffer) =>
  Node.encode({ ...Node.decode(node("w1", cidr)), health }).finish();
const WEST = { key: "io.cilium.k8s.policy.cluster", value: "west" };
const identity = (...labels: readonly Label[]) => Identity.encode({ labels: [...labels] }).finish();
const verdict = (key: string, value: Uint8Array): string => {
  const found = validateRecord(hashRecord(kindOfKey(key) ?? 0, key, value), limits);
  return found.ok ? "ok" : refusalReasons.name(found.reason);
};

const IDENTITY = `identities/${identityNumber(limits.id, 256)}`;

test("records within the limits are accepted", () => {
  assert.equal(verdict("slices/a/b/c", slice("10.2.0.1", "fd02::1")), "ok");
  assert.equal(verdict("endpoints/10.2.0.1", endpoint("10.2.0.1")), "ok");
  assert.equal(verdict("nodes/w1", node("w1", "10.2.1.0/24")), "ok");
  assert.equal(verdict("nodes/w1", nodeWithHealth("10.2.1.0/24", address("10.2.1.254"))), "ok");
  assert.equal(verdict(`identities/${identityNumber(limits.id, 256)}`, identity(WEST)), "ok");
  assert.equal(
    verdict("services/a/b", Service.encode(Service.create({ frontends: [address("10.102.0.1")] })).finish()),
    "ok",
  );
});

test("each refusal has its reason", () => {
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ["slices/a/b", slice("10.2.0.1"), "malformed-key"],
    ["service-configs/a/b", Buffer.alloc(0), "malformed-key"],
    ["slices/a/b/c", Buffer.from([0xff, 0xff]), "malformed-value"],
    ["slices/a/b/c", slice("10.2.0.1", "10.3.0.1"), "address-outside-cidr"],
    ["slices/a/b/c", slice("10.1.0.1"), "address-of-another-cluster"],
    ["slices/a/b/c", slice("127.0.0.1"), "address-forbidden"],
    ["slices/a/b/c", slice("169.254.1.1"), "address-forbidden"],
    ["slices/a/b/c", slice("224.0.0.1"), "address-forbidden"],
    ["slices/a/b/c", slice("0.0.0.0"), "address-forbidden"],
    ["slices/a/b/c", slice("fe80::1"), "address-forbidden"],
    ["slices/a/b/c", slice("ff02::1"), "address-forbidden"],
    ["slices/a/b/c", slice("::1"), "address-forbidden"],
    ["slices/a/b/c", slice("::"), "address-forbidden"],
    ["slices/a/b/c", Buffer.alloc(MAX_VALUE_BYTES + 1), "too-large"],
    ["endpoints/10.2.0.1", endpoint("10.2.0.2"), "key-mismatch"],
    ["endpoints/10.2.0.1", endpoint("10.2.0.1", identityNumber(parseClusterId(3), 300)), "identity-of-another-cluster"],
    ["endpoints/10.2.0.1", endpoint("10.2.0.1", 2), "identity-of-another-cluster"],
    ["endpoints/10.1.0.1", endpoint("10.1.0.1"), "address-of-another-cluster"],
    [`identities/${identityNumber(parseClusterId(3), 256)}`, identity(WEST), "identity-of-another-cluster"],
    ["identities/2", identity(WEST), "identity-of-another-cluster"],
    ["identities/02", identity(WEST), "malformed-key"],
    [IDENTITY, Buffer.alloc(0), "identity-of-another-cluster"],
    [IDENTITY, identity({ ...WEST, value: "east" }), "identity-of-another-cluster"],
    [IDENTITY, identity(WEST, { key: "reserved:host", value: "" }), "malformed-value"],
    [IDENTITY, identity({ ...WEST, value: "east" }, WEST), "malformed-value"],
    ["nodes/w1", node("w2", "10.2.1.0/24"), "key-mismatch"],
    ["nodes/w1", node("w1", "10.0.0.0/8"), "address-outside-cidr"],
    ["nodes/w1", node("w1", "10.2.1.0/24", "10.1.0.9"), "address-of-another-cluster"],
    ["nodes/w1", nodeWithHealth("10.2.1.0/24", address("10.2.2.254")), "address-outside-cidr"],
    ["nodes/w1", nodeWithHealth("10.2.1.0/24", address("10.1.0.9")), "address-of-another-cluster"],
    ["nodes/w1", nodeWithHealth("10.2.1.0/24", Buffer.alloc(4)), "malformed-value"],
    ["nodes/w1", nodeWithHealth("10.2.1.0/24", address("127.0.0.1")), "address-forbidden"],
  ];
  for (const [key, value, reason] of cases) assert.equal(verdict(key, value), reason, `${key} ${reason}`);
});

test("the message has the record, the peer and what is wrong", () => {
  const found = validateRecord(hashRecord(5, "slices/a/b/c", slice("10.3.0.1")), limits);
  assert.equal(
    found.ok ? "" : refusalSentence("slices/a/b/c", limits.cluster, found.detail),
    'Cannot use record "slices/a/b/c" of cluster "west": address 10.3.0.1 is outside its pod CIDRs',
  );
});

test("an address in an overlapping range is refused to the peer when it is in another cluster's range", () => {
  const wide = { ...limits, podCidrs: [parsePrefix("10.0.0.0/8")], excludedCidrs: [parsePrefix("10.1.0.0/16")] };
  const judge = (text: string) => {
    const found = validateRecord(hashRecord(Kind.KIND_SLICE, "slices/a/b/c", slice(text)), wide);
    return found.ok ? "ok" : refusalReasons.name(found.reason);
  };
  assert.deepEqual(["10.2.0.1", "10.1.0.1", "11.0.0.1", "10.1.255.255"].map(judge), [
    "ok",
    "address-of-another-cluster",
    "address-outside-cidr",
    "address-of-another-cluster",
  ]);
});
