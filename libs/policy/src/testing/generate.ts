/** Random small meshes, with few names, ports and addresses, so that policies often meet and overlap. */
import fc from "fast-check";
import type { TestCiliumPolicy, TestCiliumRule } from "./cilium-oracle.js";
import {
  LOCAL,
  type TestMesh,
  type TestPeer,
  type TestPod,
  type TestPolicy,
  type TestRule,
  type TestSelector,
} from "./mesh.js";
import { contains } from "./oracle.js";

const NAMESPACES = ["shop", "bank", "lab"];
const KEYS = ["app", "tier", "example.com/zone"];
const VALUES = ["a", "b", "c"];
const PORT_NAMES = ["http", "dns"];
export const PORTS = [1, 22, 53, 79, 80, 81, 443, 8080, 8081, 9090, 65535];
const CIDRS = [
  "10.0.0.0/8",
  "10.0.0.0/24",
  "10.0.0.0/29",
  "10.0.0.4/30",
  "10.0.0.5/32",
  "10.0.1.0/24",
  "0.0.0.0/0",
  "::/0",
  "fd00::/16",
  "fd00::4/126",
];

const labels = fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES), {
  maxKeys: 3,
  noNullPrototype: true,
});
const protocol = fc.constantFrom("TCP", "UDP", "SCTP");

const expression = fc.oneof(
  fc.record({
    key: fc.constantFrom(...KEYS),
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.uniqueArray(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ key: fc.constantFrom(...KEYS), operator: fc.constantFrom("Exists", "DoesNotExist") }),
);

const selector: fc.Arbitrary<TestSelector> = fc.record(
  {
    matchLabels: fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES), {
      maxKeys: 1,
      noNullPrototype: true,
    }),
    matchExpressions: fc.array(expression, { maxLength: 1 }),
  },
  { requiredKeys: [] },
);

const ipBlock = fc
  .record({ cidr: fc.constantFrom(...CIDRS), except: fc.subarray(CIDRS, { maxLength: 2 }) })
  .map(({ cidr, except }) => ({ cidr, except: except.filter((one) => isPart(one, cidr)) }));

const peer: fc.Arbitrary<TestPeer> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ podSelector: selector }) },
  { weight: 2, arbitrary: fc.record({ namespaceSelector: selector }) },
  { weight: 2, arbitrary: fc.record({ podSelector: selector, namespaceSelector: selector }) },
  { weight: 3, arbitrary: fc.record({ ipBlock }) },
);

const port = fc.oneof(
  fc.record({ protocol, port: fc.constantFrom(...PORTS) }),
  fc.record({ port: fc.constantFrom(...PORTS) }),
  fc.record({ protocol, port: fc.constantFrom(...PORT_NAMES) }),
  fc.record({ protocol }),
  fc
    .record({ protocol, ends: fc.tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS)) })
    .map(({ protocol: its, ends: [a, b] }) => ({ protocol: its, port: Math.min(a, b), endPort: Math.max(a, b) })),
);

const rule = (list: "from" | "to"): fc.Arbitrary<TestRule> =>
  fc.record(
    { [list]: fc.array(peer, { maxLength: 2 }), ports: fc.array(port, { maxLength: 2 }) },
    { requiredKeys: [] },
  ) as fc.Arbitrary<TestRule>;

const spec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.subarray(["Ingress", "Egress"]),
    ingress: fc.array(rule("from"), { maxLength: 2 }),
    egress: fc.array(rule("to"), { maxLength: 2 }),
  },
  { requiredKeys: ["podSelector"] },
);

export const policyArbitrary: fc.Arbitrary<TestPolicy> = fc.record({
  metadata: fc.record({ namespace: fc.constantFrom(...NAMESPACES), name: fc.constantFrom("p", "q", "r") }),
  spec,
});

const CLUSTER = "io.cilium.k8s.policy.cluster";
const NAMESPACE = "io.kubernetes.pod.namespace";

const endpoints: fc.Arbitrary<TestSelector> = fc
  .tuple(
    selector,
    fc.option(fc.constantFrom(LOCAL, "west", "*"), { freq: 2 }),
    fc.option(fc.constantFrom(...NAMESPACES), { freq: 2 }),
  )
  .map(([{ matchLabels, matchExpressions = [] }, cluster, namespace]) => ({
    matchLabels: {
      ...matchLabels,
      ...(cluster === null || cluster === "*" ? {} : { [CLUSTER]: cluster }),
      ...(namespace === null ? {} : { [NAMESPACE]: namespace }),
    },
    matchExpressions: cluster === "*" ? [...matchExpressions, { key: CLUSTER, operator: "Exists" }] : matchExpressions,
  }));

const entities = fc.constantFrom("all", "world", "cluster", "cluster-mesh", "none");
const ciliumPort = fc.record(
  {
    port: fc.constantFrom("0", ...PORTS.map(String), ...PORT_NAMES),
    protocol: fc.constantFrom("TCP", "UDP", "SCTP", "ANY"),
  },
  { requiredKeys: ["port"] },
);
const toPorts = fc.array(fc.record({ ports: fc.array(ciliumPort, { minLength: 1, maxLength: 2 }) }), { maxLength: 1 });

const inNamespace = { namespace: fc.constantFrom("", ...NAMESPACES) };
const toService = fc.oneof(
  fc.record({
    k8sService: fc.record(
      { serviceName: fc.constantFrom("one", "two", "none"), ...inNamespace },
      { requiredKeys: ["serviceName"] },
    ),
  }),
  fc.record({ k8sServiceSelector: fc.record({ selector, ...inNamespace }, { requiredKeys: ["selector"] }) }),
);

const ciliumRules = (side: "from" | "to"): fc.Arbitrary<TestCiliumRule[]> => {
  const withPorts = (peers: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<TestCiliumRule> =>
    fc
      .tuple(fc.record(peers), fc.option(toPorts))
      .map(([its, ports]) => (ports === null ? its : { ...its, toPorts: ports }));
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: withPorts({ [`${side}Endpoints`]: fc.array(endpoints, { maxLength: 2 }) }) },
      { weight: 1, arbitrary: withPorts({ [`${side}Entities`]: fc.array(entities, { maxLength: 2 }) }) },
      { weight: 1, arbitrary: withPorts({ [`${side}CIDRSet`]: fc.array(ipBlock, { maxLength: 2 }) }) },
      ...(side === "to"
        ? [{ weight: 1, arbitrary: withPorts({ toServices: fc.array(toService, { maxLength: 2 }) }) }]
        : []),
      { weight: 1, arbitrary: withPorts({}) },
    ),
    { maxLength: 2 },
  );
};

const ciliumSpec = fc
  .record(
    {
      endpointSelector: selector,
      enableDefaultDeny: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }, { requiredKeys: [] }),
      ingress: ciliumRules("from"),
      ingressDeny: ciliumRules("from"),
      egress: ciliumRules("to"),
      egressDeny: ciliumRules("to"),
    },
    { requiredKeys: ["endpointSelector"] },
  )
  .filter(({ ingress = [], ingressDeny = [], egress = [], egressDeny = [] }) =>
    [ingress, ingressDeny, egress, egressDeny].some((rules) => rules.length > 0),
  );

/** Of a namespace, or clusterwide. */
export const ciliumArbitrary: fc.Arbitrary<TestCiliumPolicy> = fc.record({
  metadata: fc.record(
    { namespace: fc.constantFrom(...NAMESPACES), name: fc.constantFrom("p", "q", "r") },
    { requiredKeys: ["name"] },
  ),
  spec: ciliumSpec,
});

const podPorts = fc.uniqueArray(
  fc.record({ name: fc.constantFrom(...PORT_NAMES), protocol, port: fc.constantFrom(53, 80, 8080, 9090) }),
  { maxLength: 2, selector: ({ name }) => name },
);

const ADDRESSES = [
  "10.0.0.1",
  "10.0.0.4",
  "10.0.0.5",
  "10.0.0.9",
  "10.0.1.1",
  "10.2.0.1",
  "192.168.0.1",
  "fd00::1",
  "fd00::5",
  "2001::1",
];

const pod = fc.record({
  cluster: fc.constantFrom(LOCAL, LOCAL, "west"),
  namespace: fc.constantFrom(...NAMESPACES),
  labels,
  ports: podPorts,
});

/** At most one policy of each name, and each address at one end only. */
export const meshArbitrary: fc.Arbitrary<TestMesh> = fc
  .record({
    namespaces: fc.record(
      Object.fromEntries(
        NAMESPACES.flatMap((name) => [`${LOCAL}/${name}`, `west/${name}`]).map((key) => [key, labels]),
      ),
    ),
    pods: fc.array(pod, { minLength: 1, maxLength: 6 }),
    outside: fc.shuffledSubarray(ADDRESSES, { minLength: ADDRESSES.length }),
    policies: fc.uniqueArray(policyArbitrary, {
      maxLength: 4,
      selector: ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
    }),
  })
  .map(({ namespaces, pods, outside, policies }) => ({
    namespaces,
    pods: pods.map((one, i): TestPod => ({ ...one, name: `pod-${i}`, address: outside[i] ?? "" })),
    outside: outside.slice(pods.length),
    policies,
  }));

function isPart(inner: string, outer: string): boolean {
  const [base = "", length] = inner.split("/");
  return Number(length) > Number(outer.split("/")[1]) && contains(outer, base);
}
