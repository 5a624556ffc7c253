import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { policyArbitrary } from "../testing/generate.js";
import { MAX_RULES, MAX_WIDE_PEERS } from "./limits.js";
import { parseNetworkPolicy } from "./network-policy.js";

const OPTIONS = { cluster: "east" };

const objectOf = (spec: unknown) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { namespace: "shop", name: "p", labels: { any: "thing" }, uid: "u" },
  spec,
});

/** Paths and sentences of the findings. */
function findingsOf(spec: unknown): readonly (readonly [string, string])[] {
  const parsed = parseNetworkPolicy(objectOf(spec), OPTIONS);
  return parsed.ok ? [] : parsed.findings.map(({ path, sentence }) => [path, sentence]);
}

const REFUSED: readonly (readonly [spec: unknown, path: string, sentence: RegExp])[] = [
  [undefined, "spec", /must be an object, not absent/],
  [{ podSelector: "app=db" }, "spec.podSelector", /must be an object, not "app=db"/],
  [{ podSelector: {}, priority: 1 }, "spec.priority", /is not supported: remove it/],
  [{ podSelector: { matchLabel: {} } }, "spec.podSelector.matchLabel", /is not supported/],
  [{ podSelector: { matchLabels: { "a b": "c" } } }, "spec.podSelector.matchLabels.a b", /must be a label key/],
  [{ podSelector: { matchLabels: { a: "-" } } }, "spec.podSelector.matchLabels.a", /must be a label value/],
  [{ podSelector: { matchLabels: { a: 1 } } }, "spec.podSelector.matchLabels.a", /must be a text, not 1/],
  [
    { podSelector: { matchLabels: { "io.kubernetes.pod.namespace": "bank" } } },
    "spec.podSelector.matchLabels.io.kubernetes.pod.namespace",
    /is no label of pods/,
  ],
  [
    { podSelector: { matchExpressions: [{ key: "statefulset.kubernetes.io/pod-name", operator: "Exists" }] } },
    "spec.podSelector.matchExpressions[0].key",
    /must be another label than "statefulset\.kubernetes\.io\/pod-name", which is no part of identities/,
  ],
  [
    { podSelector: { matchExpressions: [{ key: "a", operator: "Is", values: ["b"] }] } },
    "spec.podSelector.matchExpressions[0].operator",
    /must be one of In, NotIn, Exists, DoesNotExist, not "Is"/,
  ],
  [
    { podSelector: { matchExpressions: [{ key: "a", operator: "In" }] } },
    "spec.podSelector.matchExpressions[0].values",
    /must have a value/,
  ],
  [
    { podSelector: { matchExpressions: [{ key: "a", operator: "Exists", values: ["b"] }] } },
    "spec.podSelector.matchExpressions[0].values",
    /must be empty/,
  ],
  [{ podSelector: {}, policyTypes: ["ingress"] }, "spec.policyTypes[0]", /must be one of Ingress, Egress/],
  [{ podSelector: {}, ingress: {} }, "spec.ingress", /must be a list/],
  [{ podSelector: {}, ingress: [null] }, "spec.ingress[0]", /must be an object/],
  [{ podSelector: {}, ingress: [{ to: [] }] }, "spec.ingress[0].to", /is not supported/],
  [{ podSelector: {}, egress: [{ from: [] }] }, "spec.egress[0].from", /is not supported/],
  [{ podSelector: {}, ingress: [{ from: [{}] }] }, "spec.ingress[0].from[0]", /must have either/],
  [
    { podSelector: {}, ingress: [{ from: [{ podSelector: {}, ipBlock: { cidr: "10.0.0.0/8" } }] }] },
    "spec.ingress[0].from[0]",
    /must have either/,
  ],
  [
    { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0" } }] }] },
    "spec.ingress[0].from[0].ipBlock.cidr",
    /must be an address range/,
  ],
  [
    { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/33" } }] }] },
    "spec.ingress[0].from[0].ipBlock.cidr",
    /must be an address range/,
  ],
  [
    { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "::ffff:10.0.0.0/104" } }] }] },
    "spec.ingress[0].from[0].ipBlock.cidr",
    /must be an address range/,
  ],
  [
    { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/16", except: ["10.1.0.0/24"] } }] }] },
    "spec.ingress[0].from[0].ipBlock.except[0]",
    /must be a part of the range "10.0.0.0\/16"/,
  ],
  [
    { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/16", except: ["10.0.0.0/16"] } }] }] },
    "spec.ingress[0].from[0].ipBlock.except[0]",
    /must be a part/,
  ],
  [{ podSelector: {}, ingress: [{ ports: [{ port: 0 }] }] }, "spec.ingress[0].ports[0].port", /from 1 to 65535/],
  [{ podSelector: {}, ingress: [{ ports: [{ port: 1.5 }] }] }, "spec.ingress[0].ports[0].port", /from 1 to 65535/],
  [{ podSelector: {}, ingress: [{ ports: [{ port: "80" }] }] }, "spec.ingress[0].ports[0].port", /name of a port/],
  [{ podSelector: {}, ingress: [{ ports: [{ port: "a--b" }] }] }, "spec.ingress[0].ports[0].port", /name of a port/],
  [
    { podSelector: {}, ingress: [{ ports: [{ port: 80, endPort: 79 }] }] },
    "spec.ingress[0].ports[0].endPort",
    /must be a number from 80/,
  ],
  [
    { podSelector: {}, ingress: [{ ports: [{ port: "http", endPort: 79 }] }] },
    "spec.ingress[0].ports[0].endPort",
    /is allowed only with a port that is a number/,
  ],
  [
    { podSelector: {}, ingress: [{ ports: [{ endPort: 79 }] }] },
    "spec.ingress[0].ports[0].endPort",
    /is allowed only with a port/,
  ],
  [
    { podSelector: {}, ingress: [{ ports: [{ protocol: "tcp" }] }] },
    "spec.ingress[0].ports[0].protocol",
    /must be one of TCP, UDP, SCTP, not "tcp"/,
  ],
  [{ podSelector: {}, ingress: Array(MAX_RULES + 1).fill({}) }, "spec", /more than 1000: split it/],
];

test("a policy may be large, if its peers are narrow", () => {
  const peers = (count: number, requirement: (value: string) => object) => ({
    ingress: [
      {
        from: Array.from({ length: count }, (_, i) => ({
          namespaceSelector: {},
          podSelector: { matchExpressions: [requirement(`v${i}`)] },
        })),
      },
    ],
  });
  const isNot = (value: string) => ({ key: "app", operator: "NotIn", values: [value] });
  assert.deepEqual(findingsOf(peers(MAX_WIDE_PEERS, isNot)), []);
  assert.match(
    findingsOf(peers(MAX_WIDE_PEERS + 1, isNot))[0]?.[1] ?? "",
    /has 101 peers without a value of any label/,
  );
  assert.deepEqual(findingsOf(peers(1_000, (value) => ({ key: "app", operator: "In", values: [value] }))), []);
  assert.deepEqual(findingsOf(peers(1_000, () => isNot("same"))), []);
  assert.match(findingsOf(peers(4_000, () => isNot("same")))[0]?.[1] ?? "", /more than 10000: split it/);
});

for (const [spec, path, sentence] of REFUSED) {
  test(`refused: ${path} ${sentence.source}`, () => {
    const [first] = findingsOf(spec);
    assert.equal(first?.[0], path);
    assert.match(first?.[1] ?? "", sentence);
    assert.ok(first?.[1].includes(`"${path}"`));
  });
}

test("every finding of a policy is reported, and nothing of it is accepted", () => {
  const findings = findingsOf({ podSelector: {}, x: 1, ingress: [{ ports: [{ port: 80 }] }, { y: 1 }] });
  assert.deepEqual(
    findings.map(([path]) => path),
    ["spec.x", "spec.ingress[1].y"],
  );
});

test("bits beyond the length of a range are ignored, as by the API server", () => {
  const spec = (cidr: string) => ({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr } }] }] });
  const parse = (cidr: string) => parseNetworkPolicy(objectOf(spec(cidr)), OPTIONS);
  assert.deepEqual(parse("10.1.2.3/16"), parse("10.1.0.0/16"));
  assert.ok(parse("fd00::1/8").ok);
});

test("a field that is null is absent", () => {
  const spec = {
    podSelector: { matchLabels: null },
    policyTypes: null,
    ingress: [{ from: null, ports: null }],
    egress: null,
  };
  assert.deepEqual(
    parseNetworkPolicy(objectOf(spec), OPTIONS),
    parseNetworkPolicy(objectOf({ podSelector: {}, ingress: [{}] }), OPTIONS),
  );
  assert.deepEqual(
    parseNetworkPolicy(objectOf({}), OPTIONS),
    parseNetworkPolicy(objectOf({ podSelector: {} }), OPTIONS),
  );
});

test("no input makes the parser throw: it accepts or has findings with path and sentence", () => {
  const values = fc.anything({
    withBigInt: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withDate: true,
  });
  fc.assert(
    fc.property(fc.oneof(values, values.map(objectOf)), (object) => {
      const parsed = parseNetworkPolicy(object, OPTIONS);
      assert.ok(parsed.ok || parsed.findings.every(({ sentence }) => sentence !== ""));
      assert.ok(parsed.ok || parsed.findings.length > 0);
    }),
    { numRuns: 1000 },
  );
});

test("a policy of which one place is replaced by anything is accepted or refused, never thrown at", () => {
  fc.assert(
    fc.property(policyArbitrary, fc.anything(), fc.nat(), (policy, value, which) => {
      const object = objectOf(structuredClone(policy.spec)) as unknown as Fields;
      const places = placesOf(object);
      const [parent, key] = places[which % places.length] ?? [object, "spec"];
      (parent as Record<string, unknown>)[key] = value;
      const parsed = parseNetworkPolicy(object, OPTIONS);
      assert.ok(parsed.ok || parsed.findings.length > 0);
    }),
    { numRuns: 1000 },
  );
});

test("a field that is added anywhere in the spec is refused by its path", () => {
  fc.assert(
    fc.property(policyArbitrary, fc.nat(), (policy, which) => {
      const object = objectOf(structuredClone(policy.spec)) as unknown as Fields;
      const inSpec = placesOf(object["spec"] as Fields).map(([parent, key]) => (parent as Fields)[key]);
      const parents = [object["spec"], ...inSpec].filter((one): one is Fields => isFields(one) && !isLabels(one));
      const parent = parents[which % parents.length];
      if (parent !== undefined) (parent as Record<string, unknown>)["unknownField"] = 1;
      const parsed = parseNetworkPolicy(object, OPTIONS);
      assert.ok(!parsed.ok && parsed.findings.some(({ path }) => /^spec.*\.unknownField$/.test(path)));
    }),
    { numRuns: 300 },
  );
});

type Fields = Readonly<Record<string, unknown>>;

/** Each object or list with a key that it has, to any depth. */
function placesOf(value: unknown): readonly (readonly [object, string])[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => [[value, key] as const, ...placesOf(one)]);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of matchLabels has any fields. */
function isLabels(value: Fields): boolean {
  return (
    Object.values(value).length > 0 &&
    Object.values(value).every((one) => typeof one === "string" && "abc".includes(one))
  );
}
