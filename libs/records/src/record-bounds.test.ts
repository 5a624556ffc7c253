/** Every number, text and list of a record has a bound; a record at the bound is accepted, one above it is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { identityNumber } from "@isthmus/identity";
import { parseAddress, parseClusterId, parseClusterName, parsePrefix } from "@isthmus/model";
import { Endpoint, Identity, Kind, Node, Service, Slice } from "@isthmus/proto";
import { BOUNDS } from "./bounds.js";
import { asBuffer, hashRecord } from "./hash.js";
import { kindOfKey } from "./kinds.js";
import { refusalReasons } from "./states.js";
import type { PeerLimits } from "./types.js";
import { refusalSentence, validateRecord } from "./validate.js";

const limits: PeerLimits = {
  cluster: parseClusterName("west"),
  id: parseClusterId(2),
  podCidrs: [parsePrefix("10.2.0.0/16")],
  excludedCidrs: [],
};
const pod = asBuffer(parseAddress("10.2.0.1"));
const identity = identityNumber(limits.id, 300);
const long = (length: number) => "x".repeat(length);
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
const cidr = { address: asBuffer(parsePrefix("10.2.0.0/24").address), length: 120 };

type Part<T extends (...args: never) => unknown> = Parameters<T>[0];
const slice = (part: Part<typeof Slice.fromPartial>) =>
  [`slices/a/b/c`, Slice.encode(Slice.fromPartial(part)).finish()] as const;
const backend = (part: object) => slice({ family: 4, backends: [{ address: pod, ...part }] });
const port = (part: object) => slice({ ports: [{ name: "http", protocol: 6, port: 80, ...part }] });
const service = (part: Part<typeof Service.fromPartial>) =>
  [`services/a/b`, Service.encode(Service.fromPartial(part)).finish()] as const;
const node = (part: object) => ["nodes/w1", Node.encode(Node.fromPartial({ name: "w1", ...part })).finish()] as const;
const endpoint = (part: object) =>
  ["endpoints/10.2.0.1", Endpoint.encode(Endpoint.fromPartial({ address: pod, identity, ...part })).finish()] as const;
const labels = (list: { key: string; value: string }[]) => {
  const cluster = { key: "io.cilium.k8s.policy.cluster", value: limits.cluster };
  return [`identities/${identity}`, Identity.encode({ labels: [...list, cluster] }).finish()] as const;
};
const manyLabels = (count: number) => Array.from({ length: count - 1 }, (_, i) => ({ key: `k${i}`, value: "v" }));

function judge([key, value]: readonly [string, Uint8Array]): string {
  const found = validateRecord(hashRecord(kindOfKey(key) ?? Kind.KIND_UNSPECIFIED, key, value), limits);
  return found.ok ? "ok" : `${refusalReasons.name(found.reason)}: ${found.detail}`;
}

/** A function that makes a record of size n, the bound, and the expected sentence above it. */
const cases: readonly (readonly [(n: number) => readonly [string, Uint8Array], number, string])[] = [
  [(weight) => backend({ weight }), BOUNDS.weight, "weight 65536 is not from 0 to 65535"],
  [(n) => backend({ node: long(n) }), BOUNDS.objectName, "node of 254 characters is more than 253"],
  [(n) => backend({ zone: long(n) }), BOUNDS.labelValue, "zone of 64 characters is more than 63"],
  [(n) => backend({ forZones: many(n, "z") }), BOUNDS.forZones, "9 zones of a hint are more than 8"],
  [(n) => backend({ forZones: [long(n)] }), BOUNDS.labelValue, "zone of a hint of 64 characters is more than 63"],
  [(n) => backend({ hostname: long(n) }), BOUNDS.label, "hostname of 64 characters is more than 63"],
  [(n) => backend({ podUid: long(n) }), BOUNDS.uid, "pod uid of 129 characters is more than 128"],
  [(n) => slice({ backends: many(n, { address: pod }) }), BOUNDS.backends, "1001 backends are more than 1000"],
  [(n) => slice({ ports: many(n, { name: "", port: 1, protocol: 6 }) }), BOUNDS.ports, "1001 ports are more than 1000"],
  [(n) => port({ name: long(n) }), BOUNDS.label, "port name of 64 characters is more than 63"],
  [(n) => port({ port: n }), BOUNDS.port, "port 65536 is not from 1 to 65535"],
  [(protocol) => port({ protocol }), BOUNDS.protocol, "protocol 256 is not from 0 to 255"],
  [(n) => service({ uid: long(n) }), BOUNDS.uid, "uid of 129 characters is more than 128"],
  [(n) => service({ expected: n }), BOUNDS.expected, "expected 2147483648 is not from 0 to 2147483647"],
  [(n) => service({ created: BigInt(n) }), BOUNDS.created, "created 253402300800 is not from 0 to 253402300799"],
  [(n) => service({ frontends: many(n, pod) }), BOUNDS.frontends, "17 frontends are more than 16"],
  [(n) => service({ ports: many(n, { name: "", port: 1, protocol: 6 }) }), BOUNDS.ports, "1001 ports are more than"],
  [(n) => node({ addresses: many(n, pod) }), BOUNDS.nodeAddresses, "9 addresses are more than 8"],
  [(n) => node({ podCidrs: many(n, cidr) }), BOUNDS.nodeCidrs, "33 pod CIDRs are more than 32"],
  [(length) => node({ podCidrs: [{ ...cidr, length }] }), BOUNDS.prefix, "prefix length 129 is not from 0 to 128"],
  [(n) => node({ zone: long(n) }), BOUNDS.labelValue, "zone of 64 characters is more than 63"],
  [(n) => node({ region: long(n) }), BOUNDS.labelValue, "region of 64 characters is more than 63"],
  [(n) => endpoint({ node: long(n) }), BOUNDS.objectName, "node of 254 characters is more than 253"],
  [(n) => endpoint({ namespace: long(n) }), BOUNDS.label, "namespace of 64 characters is more than 63"],
  [(n) => endpoint({ pod: long(n) }), BOUNDS.objectName, "pod of 254 characters is more than 253"],
  [(n) => endpoint({ podUid: long(n) }), BOUNDS.uid, "pod uid of 129 characters is more than 128"],
  [(n) => endpoint({ ports: many(n, { name: "", port: 1, protocol: 6 }) }), BOUNDS.ports, "1001 ports are more than"],
  [(n) => labels(manyLabels(n)), BOUNDS.labels, "257 labels are more than 256"],
  [(n) => labels([{ key: long(n), value: "" }]), BOUNDS.labelKey, "label key of 349 characters is more than 348"],
  [
    (n) => labels([{ key: "k", value: long(n) }]),
    BOUNDS.identityLabelValue,
    "label value of 254 characters is more than 253",
  ],
];

test("each number, text and list is accepted at its bound and refused above it with its name", () => {
  for (const [make, bound, sentence] of cases) {
    assert.equal(judge(make(bound)), "ok", sentence);
    assert.ok(
      judge(make(bound + 1)).startsWith(`out-of-bounds: ${sentence}`),
      `${judge(make(bound + 1))}; ${sentence}`,
    );
  }
  assert.match(judge(port({ port: 0 })), /out-of-bounds: port 0 is not from 1 to 65535/);
  assert.match(judge(service({ created: -1n })), /out-of-bounds: created -1 /);
});

test("additions of a newer version pass: bits, enum values, protocols, fields, the largest numbers", () => {
  assert.equal(judge(backend({ conditions: 0xffff_ffff })), "ok");
  assert.equal(judge(node({ conditions: 0xffff_ffff })), "ok");
  assert.equal(judge(slice({ family: 77 as never })), "ok");
  assert.equal(judge(service({ session: 99 as never })), "ok");
  assert.equal(judge(port({ protocol: 132 })), "ok");
  const [key, value] = backend({});
  // Field 99, a string.
  assert.equal(judge([key, Buffer.concat([value, Buffer.from([0x9a, 0x06, 2, 0x68, 0x69])])]), "ok");
});

test("sizes are checked before decoding, and a flood of empty fields is not decoded at all", () => {
  const [, value] = backend({});
  assert.match(judge([`slices/a/b/${long(BOUNDS.key)}`, value]), /^too-large: its key of 1035 bytes is more than 1024/);
  assert.match(judge(["slices/a/b/c", Buffer.alloc(BOUNDS.value + 1)]), /^too-large: 524289 bytes are more/);
  // 250,000 empty backends in 500 KB.
  const flood = Buffer.alloc(500_000);
  for (let i = 0; i < flood.length; i += 2) flood[i] = 0x1a;
  assert.match(judge(["slices/a/b/c", flood]), /^too-large: its fields are more than 4096/);
});

test("a value whose fields cannot be counted is refused without decoding it", (t) => {
  const [, value] = backend({});
  const flood = Buffer.alloc(400_000);
  for (let i = 0; i < flood.length; i += 2) flood[i] = 0x1a;
  // An empty group, a length-delimited field 0, a tag 0 at the end, the end of a group without a start.
  for (const [before, after] of [
    ["0b0c", ""],
    ["0200", ""],
    ["", "00"],
    ["", "0c"],
  ] as const) {
    for (const between of [value, flood.subarray(0, 1000)]) {
      const bytes = Buffer.concat([Buffer.from(before, "hex"), between, Buffer.from(after, "hex")]);
      assert.equal(judge(["slices/a/b/c", bytes]), "malformed-value: its value cannot be read", before + after);
    }
  }
  const hidden = Buffer.concat([Buffer.from("0b0c", "hex"), flood]);
  const decode = t.mock.method(Slice, "decode");
  assert.match(judge(["slices/a/b/c", hidden]), /^malformed-value: /);
  assert.equal(decode.mock.callCount(), 0);
});

test("messages show keys and values shortened and without control characters", () => {
  const found = (key: string, value: Uint8Array) => {
    const verdict = validateRecord(hashRecord(Kind.KIND_NODE, key, value), limits);
    return verdict.ok ? "" : refusalSentence(key, limits.cluster, verdict.detail);
  };
  assert.match(found("nodes/\u001b[2J", Buffer.alloc(0)), /record "nodes\/\\u\{1b\}\[2J" of cluster/);
  assert.match(found("nodes/w1", Node.encode(Node.fromPartial({ name: "\u0007x" })).finish()), /node "\\u\{7\}x"/);
  const wide = Node.fromPartial({ name: "w1", addresses: [Buffer.alloc(100_000)] });
  assert.ok(found("nodes/w1", Node.encode(wide).finish()).length < 500);
  assert.ok(found(`nodes/${long(5000)}`, Buffer.alloc(0)).length < 500);
});
