import assert from "node:assert/strict";
import { test } from "node:test";
import { type Peer, peerText } from "../model/policy.js";
import { parseCiliumClusterwideNetworkPolicy, parseCiliumNetworkPolicy } from "./cilium-policy.js";
import { MAX_ITEMS, MAX_SERVICE_SELECTORS, MAX_SERVICES } from "./limits.js";
import type { ParseOptions } from "./parsed-policy.js";
import { type PolicyService, serviceQueries } from "./service-query.js";

const labelsOf = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([key, value]) => ({ key, value }));

function service(
  path: string,
  selector: Readonly<Record<string, string>>,
  { labels = {}, addresses = [] }: { readonly labels?: Record<string, string>; readonly addresses?: string[] } = {},
): PolicyService {
  const [namespace = "", name = ""] = path.split("/");
  return { namespace, name, labels: labelsOf(labels), selector: labelsOf(selector), addresses };
}

const SERVICES = [
  service("bank/db", { app: "ledger" }, { labels: { team: "bank" } }),
  service("shop/billing", {}, { labels: { team: "shop" }, addresses: ["192.0.2.7", "2001:db8::7"] }),
  service("shop/db", { app: "db", tier: "" }, { labels: { team: "shop" } }),
];

function parse(elements: unknown, options: Partial<ParseOptions> = {}, section = "egress", more: object = {}) {
  const spec = { endpointSelector: {}, [section]: [{ toServices: elements, ...more }] };
  const object = { metadata: { namespace: "shop", name: "p" }, spec };
  return parseCiliumNetworkPolicy(object, { cluster: "east", services: SERVICES, ...options });
}

/** The peers, or the findings. */
function read(elements: unknown, options: Partial<ParseOptions> = {}): readonly string[] {
  const parsed = parse(elements, options);
  if (!parsed.ok) return parsed.findings.map(({ sentence }) => sentence);
  return peersOf(parsed.policy.specs[0]?.rules[0]?.peers).map(peerText);
}

function peersOf(peers: "all" | readonly Peer[] | undefined): readonly Peer[] {
  assert.ok(Array.isArray(peers));
  return peers;
}

const named = (serviceName: string, namespace?: string) => ({
  k8sService: { serviceName, ...(namespace === undefined ? {} : { namespace }) },
});
const selected = (matchLabels: object, namespace?: string) => ({
  k8sServiceSelector: { selector: { matchLabels }, ...(namespace === undefined ? {} : { namespace }) },
});
const LOCAL = "io.cilium.k8s.policy.cluster In east";
const SHOP_DB = `labels app In db; ${LOCAL}; io.kubernetes.pod.namespace In shop; tier In `;
const BANK_DB = `labels app In ledger; ${LOCAL}; io.kubernetes.pod.namespace In bank`;
const BILLING = ["192.0.2.7/32", "2001:db8::7/128"].map((range) => `block ${range} of reserved:world Exists`);

test("a Service with a selector is the pods of its namespace that it selects, of the local cluster", () => {
  assert.deepEqual(read([named("db", "shop")]), [SHOP_DB]);
  assert.deepEqual(read([named("db", "shop")], { defaultScope: "mesh" }), [SHOP_DB.replace(`${LOCAL}; `, "")]);
});

test("a Service without a selector is the addresses of its EndpointSlices, as ranges outside of clusters", () => {
  assert.deepEqual(read([named("billing", "shop")]), BILLING);
});

test("without a namespace, or with an empty one, Services of all namespaces are meant", () => {
  for (const written of [named("db"), named("db", "")]) assert.deepEqual(read([written]), [BANK_DB, SHOP_DB]);
  assert.deepEqual(read([selected({ team: "bank" })]), [BANK_DB]);
  assert.deepEqual(read([selected({ team: "bank" }, "shop")]), []);
});

test("a k8sServiceSelector selects by labels of the Service, with or without their source; an empty one selects all", () => {
  for (const key of ["team", "k8s:team", "any:team"])
    assert.deepEqual(read([selected({ [key]: "shop" }, "shop")]), [...BILLING, SHOP_DB]);
  assert.deepEqual(read([selected({}, "bank")]), [BANK_DB]);
  const notShop = { matchExpressions: [{ key: "team", operator: "NotIn", values: ["shop"] }] };
  assert.deepEqual(read([{ k8sServiceSelector: { selector: notShop } }]), [BANK_DB]);
});

test("the Services of a list add up; one that does not exist is nobody, and so is an empty list", () => {
  assert.deepEqual(read([named("db", "bank"), named("none"), named("db", "shop")]), [BANK_DB, SHOP_DB]);
  assert.deepEqual(read([named("db", "shop")], { services: [] }), []);
  assert.deepEqual(read([]), []);
});

test("ports are those of the pods, and a rule may deny", () => {
  const toPorts = [{ ports: [{ port: "5432", protocol: "TCP" }] }];
  const parsed = parse([named("db", "shop")], {}, "egressDeny", { toPorts });
  assert.ok(parsed.ok);
  const [rule] = parsed.policy.specs[0]?.rules ?? [];
  assert.deepEqual(rule?.ports, [{ protocol: 6, first: 5432, last: 5432 }]);
  assert.deepEqual([rule?.action, rule?.path, peersOf(rule?.peers).length], ["deny", "spec.egressDeny[0]", 1]);
});

test("a clusterwide policy may mean Services too", () => {
  const spec = { endpointSelector: {}, egress: [{ toServices: [named("db", "shop")] }] };
  const object = { metadata: { name: "p" }, spec };
  const parsed = parseCiliumClusterwideNetworkPolicy(object, { cluster: "east", services: SERVICES });
  assert.deepEqual(parsed.ok && peersOf(parsed.policy.specs[0]?.rules[0]?.peers).map(peerText), [SHOP_DB]);
});

const AT = "spec.egress[0].toServices";
const ELEMENTS: readonly (readonly [elements: unknown, path: string, sentence: RegExp])[] = [
  [{}, AT, /must be a list/],
  [["db"], `${AT}[0]`, /must be an object/],
  [[{}], `${AT}[0]`, /must have k8sService or k8sServiceSelector/],
  [[{ name: "db", ...named("db") }], `${AT}[0].name`, /is not supported: remove it/],
  [[{ ...named("db"), ...selected({}) }], `${AT}[0].k8sServiceSelector`, /cannot be beside k8sService/],
  [[{ k8sService: "db" }], `${AT}[0].k8sService`, /must be an object/],
  [[{ k8sService: {} }], `${AT}[0].k8sService.serviceName`, /must be a text, not absent/],
  [[named("shop/db")], `${AT}[0].k8sService.serviceName`, /must be a name of at most 63/],
  [[named("d".repeat(64))], `${AT}[0].k8sService.serviceName`, /must be a name of at most 63/],
  [[named("db", "Shop")], `${AT}[0].k8sService.namespace`, /must be a name of at most 63/],
  [[{ k8sService: { serviceName: "db", namespace: 7 } }], `${AT}[0].k8sService.namespace`, /must be a text, not 7/],
  [[{ k8sService: { serviceName: "db", port: 1 } }], `${AT}[0].k8sService.port`, /is not supported/],
  [[{ k8sServiceSelector: {} }], `${AT}[0].k8sServiceSelector.selector`, /must be an object, not absent/],
  [[selected({}, "shop/")], `${AT}[0].k8sServiceSelector.namespace`, /must be a name/],
  [[{ k8sServiceSelector: { selector: {}, name: "a" } }], `${AT}[0].k8sServiceSelector.name`, /is not supported/],
  [
    [selected({ "reserved:host": "" })],
    `${AT}[0].k8sServiceSelector.selector.matchLabels.reserved:host`,
    /must be a label of source k8s or any, not "reserved"/,
  ],
  [[selected({ "a b": "" })], `${AT}[0].k8sServiceSelector.selector.matchLabels.a b`, /must be a label key/],
];

for (const [elements, path, sentence] of ELEMENTS)
  test(`refused: ${path} ${sentence.source}`, () => {
    const parsed = parse(elements);
    const finding = parsed.ok ? undefined : parsed.findings.find((one) => one.path === path);
    assert.match(finding?.sentence ?? "", sentence);
  });

test("toServices cannot be beside another kind of peers", () => {
  const parsed = parse([named("db")], {}, "egress", { toEndpoints: [{}] });
  assert.match((!parsed.ok && parsed.findings[0]?.sentence) || "", /toServices" cannot be beside toEndpoints/);
});

test("a Service that selects pods by a label which identities lack is refused where it is named, and nowhere else", () => {
  const keys = ["statefulset.kubernetes.io/pod-name", "io.kubernetes.pod.namespace", "io.cilium.k8s.policy.cluster"];
  for (const key of keys) {
    const services = [service("shop/db-0", { app: "db", [key]: "west" }), ...SERVICES];
    assert.deepEqual(read([named("db-0")], { services }), [
      `Field "${AT}[0].k8sService" means the Service "shop/db-0", which selects pods by "${key}", and that is no part of identities: select its pods by toEndpoints`,
    ]);
    assert.deepEqual(read([named("db", "shop")], { services }), [SHOP_DB]);
  }
  for (const odd of [{ "a b": "c" }, { app: "a b" }])
    assert.match(
      read([named("odd")], { services: [service("shop/odd", odd)] })[0] ?? "",
      /and that is no label of a pod/,
    );
  const unreadable = [service("shop/odd", {}, { addresses: ["10.0.0"] })];
  assert.match(read([named("odd")], { services: unreadable })[0] ?? "", /k8sService" must be an address range/);
});

test("more Services than a policy may mean, or more peers that they stand for, are refused with the field", () => {
  const many = (count: number, addresses: string[] = []) =>
    Array.from({ length: count }, (_, i) =>
      service(`shop/s${i}`, addresses.length > 0 ? {} : { app: "a" }, { addresses }),
    );
  assert.equal(read([selected({})], { services: many(MAX_SERVICES) }).length, MAX_SERVICES);
  assert.deepEqual(read([selected({})], { services: many(MAX_SERVICES + 1) }), [
    `Field "${AT}[0].k8sServiceSelector" means, with the others of the policy, more than ${MAX_SERVICES} Services: select fewer`,
  ]);
  const addresses = Array.from({ length: MAX_ITEMS / 10 }, (_, i) => `192.0.${i >> 8}.${i & 255}`);
  const large = read([named("s1"), selected({}, "shop")], { services: many(10, addresses) });
  assert.deepEqual(large, [
    `Field "${AT}[1].k8sServiceSelector" makes more than ${MAX_ITEMS} peers and values of the policy: split it into several policies`,
  ]);
});

test("more questions about Services than a policy may have are refused, and each is asked once", () => {
  const names = Array.from({ length: MAX_SERVICES + 1 }, (_, i) => named(`s${i}`));
  assert.match(read(names)[0] ?? "", /^Field "spec" names more than 1000 different Services/);
  const selectors = Array.from({ length: MAX_SERVICE_SELECTORS + 1 }, (_, i) => selected({ [`a${i}`]: "b" }));
  assert.match(read(selectors)[0] ?? "", /^Field "spec" has 101 different k8sServiceSelectors, more than 100/);
  assert.deepEqual(read(Array(10 * MAX_SERVICES).fill(named("none"))), []);
});

test("the queries of a policy are those of all its rules, each once, without those that are refused", () => {
  const rule = (...toServices: unknown[]) => ({ toServices });
  const object = {
    spec: {
      egress: [rule(named("db"), named("db", "")), { toServices: "db" }],
      egressDeny: [rule(selected({ a: "b" }))],
    },
    specs: [{ egress: [rule(named("db", "shop"), named("Not a name"), 7)] }, null],
  };
  assert.deepEqual(
    serviceQueries(object).map(({ namespace, name, selector }) => [namespace, name, selector.text]),
    [
      [undefined, "db", ""],
      [undefined, undefined, "a In b"],
      ["shop", "db", ""],
    ],
  );
  for (const none of [undefined, null, 7, { spec: [] }, { specs: {} }]) assert.deepEqual(serviceQueries(none), []);
});
