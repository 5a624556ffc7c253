import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCiliumClusterwideNetworkPolicy, parseCiliumNetworkPolicy } from "./cilium-policy.js";

const OPTIONS = { cluster: "east" };
const all = { endpointSelector: {} };

const parseSpec = (spec: unknown) =>
  parseCiliumNetworkPolicy(
    { apiVersion: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata: { namespace: "shop", name: "p" }, spec },
    OPTIONS,
  );

const rule = (fields: object) => ({ ...all, ingress: [fields] });
const toPorts = (...ports: readonly object[]) => rule({ toPorts: [{ ports }] });
const egress = (fields: object) => ({ ...all, egress: [fields] });

const REFUSED: readonly (readonly [spec: unknown, path: string, sentence: RegExp])[] = [
  [undefined, "spec", /must be there, or specs/],
  [{ ingress: [{}] }, "spec.endpointSelector", /must be an object/],
  [{ nodeSelector: {}, ...rule({}) }, "spec.nodeSelector", /is not supported/],
  [{ ...all }, "spec", /must have a rule/],
  [{ ...all, ingress: [] }, "spec", /must have a rule/],
  [{ ...rule({}), log: { value: "x" } }, "spec.log", /is not supported/],
  [{ ...rule({}), enableDefaultDeny: { ingress: "no" } }, "spec.enableDefaultDeny.ingress", /must be true or false/],
  [
    { endpointSelector: { matchLabels: { "k8s:io.kubernetes.pod.namespace": "bank" } }, ingress: [{}] },
    "spec.endpointSelector",
    /must not select another namespace/,
  ],
  [
    { endpointSelector: { matchLabels: { "reserved:host": "" } }, ingress: [{}] },
    "spec.endpointSelector",
    /must select pods/,
  ],
  [
    { endpointSelector: { matchLabels: { "container:a": "b" } }, ingress: [{}] },
    "spec.endpointSelector.matchLabels.container:a",
    /must be a label of source k8s, any or reserved/,
  ],
  [
    { endpointSelector: { matchLabels: { "k8s:pod-template-hash": "5d4f" } }, ingress: [{}] },
    "spec.endpointSelector.matchLabels.k8s:pod-template-hash",
    /must be another label than "pod-template-hash", which is no part of identities/,
  ],
  [rule({ fromRequires: [{}] }), "spec.ingress[0].fromRequires", /is not supported/],
  [rule({ fromNodes: [{}] }), "spec.ingress[0].fromNodes", /is not supported/],
  [rule({ fromGroups: [{}] }), "spec.ingress[0].fromGroups", /is not supported/],
  [rule({ authentication: { mode: "required" } }), "spec.ingress[0].authentication", /is not supported/],
  [rule({ toEndpoints: [{}] }), "spec.ingress[0].toEndpoints", /is not supported/],
  [egress({ toFQDNs: [{ matchName: "a.b" }] }), "spec.egress[0].toFQDNs", /is not supported/],
  [rule({ fromServices: [] }), "spec.ingress[0].fromServices", /is not supported/],
  [rule({ toServices: [] }), "spec.ingress[0].toServices", /is not supported/],
  [
    egress({ toCIDRSet: [{ cidrGroupRef: "g" }] }),
    "spec.egress[0].toCIDRSet[0].cidrGroupRef",
    /names the CiliumCIDRGroup "g", which does not exist/,
  ],
  [egress({ toCIDR: ["10.0.0.0/8"], toEntities: ["world"] }), "spec.egress[0].toCIDR", /cannot be beside toEntities/],
  [egress({ toEntities: ["internet"] }), "spec.egress[0].toEntities[0]", /must be one of host/],
  [egress({ toCIDR: ["10.0.0.0/40"] }), "spec.egress[0].toCIDR[0]", /must be an address range/],
  [
    egress({ toPorts: [{ ports: [{ port: "80" }], rules: { http: [{}] } }] }),
    "spec.egress[0].toPorts[0].rules",
    /is not supported/,
  ],
  [rule({ toPorts: [{}] }), "spec.ingress[0].toPorts[0].ports", /must have a port/],
  [toPorts({ port: 80 }), "spec.ingress[0].toPorts[0].ports[0].port", /must be a text, not 80/],
  [toPorts({ port: "70000" }), "spec.ingress[0].toPorts[0].ports[0].port", /must be from 0 to 65535/],
  [toPorts({ port: "80-90" }), "spec.ingress[0].toPorts[0].ports[0].port", /must be a number or the name/],
  [toPorts({ port: "80", endPort: 70 }), "spec.ingress[0].toPorts[0].ports[0].endPort", /must be a number from/],
  [toPorts({ port: "0", endPort: 70 }), "spec.ingress[0].toPorts[0].ports[0].endPort", /not 0/],
  [toPorts({ port: "http", endPort: 70 }), "spec.ingress[0].toPorts[0].ports[0].endPort", /is allowed only with/],
  [toPorts({ port: "80", protocol: "ICMP" }), "spec.ingress[0].toPorts[0].ports[0].protocol", /must be one of TCP/],
  [toPorts({ port: "80", protocol: "VRRP" }), "spec.ingress[0].toPorts[0].ports[0].port", /must be "0"/],
  [rule({ icmps: [{ fields: [{ type: 256 }] }] }), "spec.ingress[0].icmps[0].fields[0].type", /from 0 to 255/],
  [rule({ icmps: [{ fields: [] }] }), "spec.ingress[0].icmps[0].fields", /must have a type/],
  [
    rule({ icmps: [{ fields: [{ type: 8 }] }], toPorts: [{ ports: [{ port: "80" }] }] }),
    "spec.ingress[0].icmps",
    /cannot be beside toPorts/,
  ],
];

for (const [spec, path, sentence] of REFUSED) {
  test(`refused: ${path} ${sentence.source}`, () => {
    const parsed = parseSpec(spec);
    assert.ok(!parsed.ok);
    const finding = parsed.findings.find((one) => one.path === path);
    assert.match(finding?.sentence ?? "", sentence);
  });
}

test("spec and specs are one policy, and a finding of either refuses both", () => {
  const metadata = { namespace: "shop", name: "p" };
  const parse = (specs: readonly object[]) => parseCiliumNetworkPolicy({ metadata, spec: rule({}), specs }, OPTIONS);
  const both = parse([egress({}), rule({})]);
  assert.ok(both.ok && both.policy.specs.length === 3);
  const bad = parse([egress({}), rule({ x: 1 })]);
  assert.deepEqual(!bad.ok && bad.findings.map(({ path }) => path), ["specs[1].ingress[0].x"]);
});

test("a CIDR group is its ranges, without the exceptions", () => {
  const cidrGroups = new Map([["g", ["10.0.0.0/8", "172.17.1.0/24", "203.0.113.9"]]]);
  const parse = (element: object, groups = cidrGroups) =>
    parseCiliumNetworkPolicy(
      { metadata: { namespace: "shop", name: "p" }, spec: egress({ toCIDRSet: [element] }) },
      { ...OPTIONS, cidrGroups: groups },
    );
  const parsed = parse({ cidrGroupRef: "g", except: ["10.1.0.0/16", "172.17.0.0/16"] });
  const peers = parsed.ok ? parsed.policy.specs[0]?.rules[0]?.peers : undefined;
  assert.deepEqual(Array.isArray(peers) && peers.map((peer) => peer.kind === "block" && peer.block.text), [
    "10.0.0.0/8 except 10.1.0.0/16",
    "203.0.113.9/32",
  ]);
  assert.ok(!parse({ cidrGroupRef: "g", cidr: "10.0.0.0/8" }).ok);
  assert.ok(!parse({ cidrGroupRef: 1 }).ok);
  assert.ok(!parse({ cidrGroupRef: "g" }, new Map([["g", ["10.0.0.0/99"]]])).ok);
  assert.ok(!parse({ cidrGroupSelector: {} }).ok);
});

test("groups cannot make more peers than a policy may have, however few names there are", () => {
  const cidrGroups = new Map([["g", Array.from({ length: 1000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)]]);
  const parse = (elements: number) =>
    parseCiliumNetworkPolicy(
      {
        metadata: { namespace: "shop", name: "p" },
        spec: egress({ toCIDRSet: Array.from({ length: elements }, () => ({ cidrGroupRef: "g" })) }),
      },
      { ...OPTIONS, cidrGroups },
    );
  const parsed = parse(30_000);
  assert.deepEqual(!parsed.ok && parsed.findings.map(({ sentence }) => sentence), [
    'Field "spec.egress[0].toCIDRSet[5].cidrGroupRef" makes more than 10000 peers and values of the policy: split it into several policies',
  ]);
  assert.ok(parse(4).ok);
});

test("a policy is of its own kind only, and a clusterwide one needs no namespace", () => {
  const object = { kind: "CiliumClusterwideNetworkPolicy", metadata: { name: "p" }, spec: rule({}) };
  assert.ok(parseCiliumClusterwideNetworkPolicy(object, OPTIONS).ok);
  const parsed = parseCiliumNetworkPolicy(object, OPTIONS);
  assert.deepEqual(!parsed.ok && parsed.findings.map(({ path }) => path), ["kind", "metadata.namespace"]);
});

test("a policy is about pods of the local cluster, unless it asks for another", () => {
  const subject = (matchLabels: object) => {
    const parsed = parseSpec({ ...rule({}), endpointSelector: { matchLabels } });
    return parsed.ok ? parsed.policy.specs[0]?.subject.text : undefined;
  };
  const inShop = "io.kubernetes.pod.namespace In shop";
  assert.equal(subject({}), `io.cilium.k8s.policy.cluster In east; ${inShop}`);
  const west = "io.cilium.k8s.policy.cluster In west";
  assert.equal(subject({ "io.cilium.k8s.policy.cluster": "west" }), `${west}; ${inShop}`);
});

test("description and labels say nothing about flows", () => {
  const spec = { ...rule({}), description: "x", labels: [{ key: "a", value: "b", source: "k8s" }] };
  assert.deepEqual(parseSpec(spec), parseSpec(rule({})));
});

test("no input makes the parser throw, nor anything in any place of a policy", () => {
  const spec = {
    endpointSelector: {
      matchLabels: { "k8s:app": "a" },
      matchExpressions: [{ key: "b", operator: "In", values: ["c"] }],
    },
    ingress: [
      {
        fromEndpoints: [{ matchLabels: { a: "b" } }],
        toPorts: [{ ports: [{ port: "80", endPort: 90, protocol: "TCP" }] }],
      },
    ],
    ingressDeny: [{ fromEntities: ["world"], icmps: [{ fields: [{ family: "IPv4", type: 8 }] }] }],
    egress: [{ toCIDRSet: [{ cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] }] }],
    egressDeny: [
      { toCIDR: ["10.0.0.1"] },
      {
        toServices: [
          { k8sService: { serviceName: "db", namespace: "shop" } },
          { k8sServiceSelector: { selector: { matchLabels: { a: "b" } }, namespace: "shop" } },
        ],
      },
    ],
    enableDefaultDeny: { ingress: false, egress: true },
    labels: [{ key: "a" }],
    description: "x",
  };
  assert.ok(parseSpec(spec).ok);
  fc.assert(
    fc.property(fc.nat(), fc.anything({ withBigInt: true, withNullPrototype: true }), (which, value) => {
      const copy = structuredClone(spec) as unknown as Record<string, unknown>;
      const places = placesOf(copy);
      const [parent, key] = places[which % places.length] ?? [copy, "ingress"];
      (parent as Record<string, unknown>)[key] = value;
      for (const parsed of [parseSpec(copy), parseSpec(value)]) assert.ok(parsed.ok || parsed.findings.length > 0);
    }),
    { numRuns: 1000 },
  );
});

/** Each object or list with a key that it has, to any depth. */
function placesOf(value: unknown): readonly (readonly [object, string])[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => [[value, key] as const, ...placesOf(one)]);
}
