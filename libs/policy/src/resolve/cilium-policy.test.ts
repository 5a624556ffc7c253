import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCiliumClusterwideNetworkPolicy, parseCiliumNetworkPolicy } from "../parse/cilium-policy.js";
import type { ParseOptions } from "../parse/parsed-policy.js";
import { LOCAL } from "../testing/mesh.js";
import { accepted, acceptedPolicy } from "../testing/node.js";
import { EVERYONE, NODES, OUTSIDE, tableOfPolicies } from "../testing/truth-table.js";

const db = { matchLabels: { app: "db" } };
const web = { matchLabels: { app: "web" } };
const port = (number: string, protocol = "TCP") => ({ ports: [{ port: number, protocol }] });
const TEAM_OPS = [{ key: "team", value: "ops" }];

type Answers = Readonly<Record<string, readonly string[]>>;
type Options = Partial<ParseOptions> & { readonly clusterwide?: boolean };

/** Specs of one policy in namespace `shop`, and who may be at the other end of which flows. */
const CASES: readonly (readonly [name: string, specs: readonly object[], answers: Answers, options?: Options])[] = [
  [
    "a rule isolates its direction",
    [{ endpointSelector: db, ingress: [{ fromEndpoints: [web] }] }],
    { "ingress db 80/TCP": ["web"], "egress db 80/TCP": EVERYONE, "ingress web 80/TCP": EVERYONE },
  ],
  ["an empty rule isolates and allows nothing", [{ endpointSelector: {}, ingress: [{}] }], { "ingress db 80/TCP": [] }],
  [
    "an empty list of peers is nobody, with ports too",
    [{ endpointSelector: db, ingress: [{ fromEndpoints: [], toPorts: [port("80")] }] }],
    { "ingress db 80/TCP": [] },
  ],
  [
    "an empty selector of peers is the namespace, in the local cluster",
    [{ endpointSelector: db, ingress: [{ fromEndpoints: [{}] }] }],
    { "ingress db 80/TCP": ["web", "db"] },
  ],
  [
    "a selector may ask for another namespace, by name or by its labels, and with the source of a label",
    [
      {
        endpointSelector: db,
        ingress: [{ fromEndpoints: [{ matchLabels: { "k8s:io.kubernetes.pod.namespace": "ops", "any:app": "web" } }] }],
      },
      {
        endpointSelector: web,
        ingress: [{ fromEndpoints: [{ matchLabels: { "io.cilium.k8s.namespace.labels.team": "ops" } }] }],
      },
    ],
    { "ingress db 80/TCP": ["proxy"], "ingress web 80/TCP": ["admin", "proxy"] },
  ],
  [
    "a selector may ask for another cluster, or for any",
    [
      {
        endpointSelector: db,
        ingress: [{ fromEndpoints: [{ matchLabels: { app: "web", "io.cilium.k8s.policy.cluster": "west" } }] }],
      },
      {
        endpointSelector: web,
        ingress: [
          {
            fromEndpoints: [
              {
                matchLabels: { app: "web" },
                matchExpressions: [{ key: "io.cilium.k8s.policy.cluster", operator: "Exists" }],
              },
            ],
          },
        ],
      },
    ],
    { "ingress db 80/TCP": ["far"], "ingress web 80/TCP": ["web", "far"] },
  ],
  [
    "with the older scope a selector means all clusters",
    [{ endpointSelector: db, ingress: [{ fromEndpoints: [web] }] }],
    { "ingress db 80/TCP": ["web", "far"] },
    { defaultScope: "mesh" },
  ],
  [
    "a service account is a label",
    [
      {
        endpointSelector: db,
        ingress: [{ fromEndpoints: [{ matchLabels: { "io.cilium.k8s.policy.serviceaccount": "default" } }] }],
      },
    ],
    { "ingress db 80/TCP": ["web", "db"] },
  ],
  [
    "a clusterwide policy is about all pods of the local cluster, and means pods of any namespace",
    [{ endpointSelector: {}, ingress: [{ fromEndpoints: [{}] }] }],
    { "ingress db 80/TCP": ["web", "db", "admin", "proxy"], "ingress proxy 80/TCP": ["web", "db", "admin", "proxy"] },
    { clusterwide: true },
  ],
  [
    "entities",
    [
      { endpointSelector: db, ingress: [{ fromEntities: ["world"] }], egress: [{ toEntities: ["cluster"] }] },
      {
        endpointSelector: web,
        ingress: [{ fromEntities: ["cluster-mesh"] }],
        egress: [{ toEntities: ["host", "kube-apiserver"] }],
      },
    ],
    {
      "ingress db 80/TCP": OUTSIDE,
      "egress db 80/TCP": ["web", "db", "admin", "proxy", ...NODES],
      "ingress web 80/TCP": ["web", "db", "admin", "proxy", "far"],
      "egress web 80/TCP": ["host", "kube-apiserver"],
    },
  ],
  [
    "all and none",
    [
      { endpointSelector: db, ingress: [{ fromEntities: ["all", "none"], toPorts: [port("80")] }] },
      { endpointSelector: web, ingress: [{ fromEntities: ["none"] }] },
    ],
    { "ingress db 80/TCP": EVERYONE, "ingress db 81/TCP": [], "ingress web 80/TCP": [] },
  ],
  [
    "ranges are outside of the cluster, whatever addresses pods have; one address is a range",
    [
      { endpointSelector: db, egress: [{ toCIDR: ["0.0.0.0/0"] }] },
      {
        endpointSelector: web,
        egress: [{ toCIDRSet: [{ cidr: "172.17.0.0/16", except: ["172.17.1.0/24"] }] }, { toCIDR: ["203.0.113.9"] }],
      },
    ],
    {
      "egress db 80/TCP": ["172.17.0.5", "172.17.1.5", "203.0.113.9"],
      "egress web 80/TCP": ["172.17.0.5", "203.0.113.9"],
    },
  ],
  [
    "deny beats allow, whatever is narrower, and needs no order",
    [
      { endpointSelector: db, ingressDeny: [{ fromEndpoints: [web] }] },
      { endpointSelector: db, ingress: [{ fromEndpoints: [web], toPorts: [port("80")] }, { fromEntities: ["all"] }] },
    ],
    { "ingress db 80/TCP": EVERYONE.filter((end) => end !== "web") },
  ],
  [
    "a denied port of everyone",
    [
      {
        endpointSelector: db,
        ingressDeny: [{ toPorts: [port("22")] }],
        ingress: [{ fromEndpoints: [web] }, { toPorts: [port("80")] }],
      },
    ],
    { "ingress db 22/TCP": [], "ingress db 23/TCP": ["web"], "ingress db 80/TCP": EVERYONE },
  ],
  [
    "a spec that does not isolate takes away what it denies",
    [
      {
        endpointSelector: db,
        enableDefaultDeny: { ingress: false },
        ingressDeny: [{ fromEndpoints: [web], toPorts: [port("80")] }],
      },
    ],
    { "ingress db 80/TCP": EVERYONE.filter((end) => end !== "web"), "ingress db 81/TCP": EVERYONE },
  ],
  [
    "a spec may isolate a direction in which it has no rule, and one of two that isolates is enough",
    [
      { endpointSelector: db, enableDefaultDeny: { egress: true }, ingress: [{ fromEndpoints: [web] }] },
      { endpointSelector: db, enableDefaultDeny: { ingress: false }, ingress: [{ toPorts: [port("443")] }] },
    ],
    { "egress db 80/TCP": [], "ingress db 80/TCP": ["web"], "ingress db 443/TCP": EVERYONE },
  ],
  [
    "ports by number, range and name; no protocol is any of TCP, UDP and SCTP; 0 is all",
    [
      {
        endpointSelector: db,
        ingress: [
          {
            toPorts: [
              {
                ports: [
                  { port: "1000", endPort: 1001, protocol: "UDP" },
                  { port: "53" },
                  { port: "SQL", protocol: "TCP" },
                ],
              },
            ],
          },
        ],
      },
      { endpointSelector: web, ingress: [{ toPorts: [port("0")] }] },
    ],
    {
      "ingress db 1001/UDP": EVERYONE,
      "ingress db 1001/TCP": [],
      "ingress db 53/SCTP": EVERYONE,
      "ingress db 53/1": [],
      "ingress db 5432/TCP": EVERYONE,
      "ingress web 65535/TCP": EVERYONE,
      "ingress web 1/UDP": [],
    },
  ],
  [
    "types of ICMP, with any code",
    [
      {
        endpointSelector: db,
        ingress: [{ fromEndpoints: [web], icmps: [{ fields: [{ type: 8 }, { family: "IPv6", type: 128 }] }] }],
      },
    ],
    {
      [`ingress db ${8 << 8}/1`]: ["web"],
      [`ingress db ${(8 << 8) | 255}/1`]: ["web"],
      [`ingress db ${0}/1`]: [],
      [`ingress db ${128 << 8}/58`]: ["web"],
      "ingress db 80/TCP": [],
    },
  ],
  [
    "toServices: the pods that a Service selects in its namespace of the local cluster, and addresses outside of clusters",
    [
      {
        endpointSelector: web,
        egress: [
          { toServices: [{ k8sService: { serviceName: "db", namespace: "shop" } }], toPorts: [port("5432")] },
          { toServices: [{ k8sServiceSelector: { selector: { matchLabels: { team: "ops" } } } }] },
          { toServices: [{ k8sService: { serviceName: "front", namespace: "shop" } }] },
        ],
        egressDeny: [{ toServices: [{ k8sService: { serviceName: "front" } }], toPorts: [port("81")] }],
      },
      { endpointSelector: db, egress: [{ toServices: [{ k8sService: { serviceName: "none" } }] }] },
    ],
    {
      "egress web 5432/TCP": ["web", "db", "proxy", "172.17.0.5"],
      "egress web 80/TCP": ["web", "proxy", "172.17.0.5"],
      "egress web 81/TCP": ["proxy", "172.17.0.5"],
      "ingress db 80/TCP": EVERYONE,
      "egress db 80/TCP": [],
    },
    {
      services: [
        { namespace: "ops", name: "proxy", labels: TEAM_OPS, selector: [{ key: "app", value: "web" }], addresses: [] },
        // A pod and a node have two of the addresses; ranges of Cilium policies mean neither.
        {
          ...{ namespace: "ops", name: "billing", labels: TEAM_OPS, selector: [] },
          addresses: ["10.1.0.3", "172.17.0.5", "192.0.2.1"],
        },
        { namespace: "shop", name: "db", labels: [], selector: [{ key: "app", value: "db" }], addresses: [] },
        { namespace: "shop", name: "front", labels: [], selector: [{ key: "tier", value: "front" }], addresses: [] },
      ],
    },
  ],
  [
    "protocols without ports",
    [{ endpointSelector: db, ingress: [{ toPorts: [port("0", "VRRP")] }] }],
    { "ingress db 0/112": EVERYONE, "ingress db 0/2": [] },
  ],
];

for (const [name, specs, answers, { clusterwide = false, ...options } = {}] of CASES) {
  test(name, () => {
    const metadata = { name: "p", ...(clusterwide ? {} : { namespace: "shop" }) };
    const parse = clusterwide ? parseCiliumClusterwideNetworkPolicy : parseCiliumNetworkPolicy;
    const policy = accepted(parse({ metadata, specs }, { cluster: LOCAL, ...options }));
    const { reach } = tableOfPolicies([policy]);
    for (const [question, wanted] of Object.entries(answers)) assert.deepEqual(reach(question), wanted, question);
  });
}

test("policies of all kinds add up, and a deny of one beats an allow of another", () => {
  const denies = accepted(
    parseCiliumClusterwideNetworkPolicy(
      {
        metadata: { name: "p" },
        spec: { endpointSelector: {}, ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: "admin" } }] }] },
      },
      { cluster: LOCAL },
    ),
  );
  const allows = acceptedPolicy({
    metadata: { namespace: "shop", name: "p" },
    spec: { podSelector: db, ingress: [{ from: [{ namespaceSelector: {} }] }] },
  });
  const { engine, reach } = tableOfPolicies([denies, allows]);
  assert.deepEqual(reach("ingress db 80/TCP"), ["web", "db", "proxy"]);
  assert.deepEqual(reach("ingress web 80/TCP"), [], "a deny isolates, too");
  engine.deletePolicy("CiliumClusterwideNetworkPolicy p");
  assert.equal(engine.commit().subjects.get("db")?.tightens, false);
  assert.deepEqual(reach("ingress db 80/TCP"), ["web", "db", "admin", "proxy"]);
  engine.setPolicy(denies);
  assert.equal(engine.commit().subjects.get("db")?.tightens, true);
});

test("a deny of one identity tightens what was open", () => {
  const { engine } = tableOfPolicies([]);
  const spec = { endpointSelector: db, enableDefaultDeny: { ingress: false }, ingressDeny: [{ fromEndpoints: [web] }] };
  engine.setPolicy(
    accepted(parseCiliumNetworkPolicy({ metadata: { namespace: "shop", name: "p" }, spec }, { cluster: LOCAL })),
  );
  assert.deepEqual(
    [...engine.commit().subjects].map(([id, { tightens }]) => [id, tightens]),
    [["db", true]],
  );
});
