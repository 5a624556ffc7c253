import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestSpec } from "../testing/mesh.js";
import { EVERYONE, OUTSIDE, tableOf, truthTable } from "../testing/truth-table.js";
import { isOpen } from "./policy-set.js";

const PODS = ["web", "db", "admin", "proxy", "far"];
const ALL_PODS: TestSpec = { podSelector: {} };

/** Specs of policies in namespace `shop`, and who may be at the other end of which flows. */
type Case = readonly [name: string, specs: readonly TestSpec[], answers: Readonly<Record<string, readonly string[]>>];

const db = { matchLabels: { app: "db" } };
const web = { matchLabels: { app: "web" } };

const CASES: readonly Case[] = [
  ["no policy allows everything", [], { "ingress db 1/TCP": EVERYONE, "egress db 1/UDP": EVERYONE }],
  [
    "an empty policy denies all ingress of its namespace, and no egress",
    [ALL_PODS],
    {
      "ingress web 80/TCP": [],
      "ingress db 5432/TCP": [],
      "ingress db 0/1": [],
      "egress db 5432/TCP": EVERYONE,
      "ingress admin 80/TCP": EVERYONE,
    },
  ],
  [
    "default deny of both directions",
    [{ ...ALL_PODS, policyTypes: ["Ingress", "Egress"] }],
    { "ingress web 80/TCP": [], "egress web 80/TCP": [] },
  ],
  [
    "default deny of egress only",
    [{ ...ALL_PODS, policyTypes: ["Egress"] }],
    { "ingress web 80/TCP": EVERYONE, "egress web 80/TCP": [] },
  ],
  [
    "an empty rule allows everything, also beside a policy that allows nothing",
    [ALL_PODS, { podSelector: db, ingress: [{}] }],
    { "ingress db 5432/TCP": EVERYONE, "ingress db 0/1": EVERYONE, "ingress web 80/TCP": [] },
  ],
  [
    "egress rules imply the type Egress where none is written",
    [{ podSelector: db, egress: [{ to: [{ podSelector: web }] }] }],
    { "egress db 80/TCP": ["web"], "ingress db 5432/TCP": [] },
  ],
  [
    "rules of a direction that is not among the types do nothing",
    [{ podSelector: db, policyTypes: ["Ingress"], ingress: [{}], egress: [{ to: [{ podSelector: web }] }] }],
    { "egress db 80/TCP": EVERYONE, "ingress db 80/TCP": EVERYONE },
  ],
  [
    "a podSelector selects in the namespace of the policy, in the local cluster",
    [{ podSelector: db, ingress: [{ from: [{ podSelector: web }] }] }],
    { "ingress db 5432/TCP": ["web"], "ingress db 53/UDP": ["web"], "ingress db 0/1": ["web"] },
  ],
  [
    "an empty podSelector selects the namespace's pods",
    [{ podSelector: db, ingress: [{ from: [{ podSelector: {} }] }] }],
    { "ingress db 5432/TCP": ["web", "db"] },
  ],
  [
    "a namespaceSelector selects all pods of its namespaces",
    [{ podSelector: db, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }] }] }],
    { "ingress db 5432/TCP": ["admin", "proxy"] },
  ],
  [
    "an empty namespaceSelector selects all pods of the local cluster and nothing outside",
    [{ podSelector: db, ingress: [{ from: [{ namespaceSelector: {} }] }] }],
    { "ingress db 5432/TCP": ["web", "db", "admin", "proxy"] },
  ],
  [
    "both selectors in one peer are both asked",
    [
      {
        podSelector: db,
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } }, podSelector: web }] }],
      },
    ],
    { "ingress db 5432/TCP": ["proxy"] },
  ],
  [
    "two peers are either of them",
    [
      {
        podSelector: db,
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }, { podSelector: web }] }],
      },
    ],
    { "ingress db 5432/TCP": ["web", "admin", "proxy"] },
  ],
  [
    "operators of expressions; NotIn and DoesNotExist match pods without the label",
    [
      {
        podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["db", "other"] }] },
        ingress: [
          {
            from: [
              {
                namespaceSelector: {},
                podSelector: {
                  matchExpressions: [
                    { key: "tier", operator: "NotIn", values: ["front"] },
                    { key: "role", operator: "DoesNotExist" },
                    { key: "app", operator: "Exists" },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
    { "ingress db 5432/TCP": ["db", "proxy"], "ingress web 80/TCP": EVERYONE },
  ],
  [
    "a selector that contradicts itself selects nothing",
    [
      {
        podSelector: db,
        ingress: [
          {
            from: [
              {
                podSelector: {
                  matchLabels: { app: "web" },
                  matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }],
                },
              },
            ],
          },
        ],
      },
    ],
    { "ingress db 5432/TCP": [] },
  ],
  [
    "an ipBlock without its exceptions; pods are where their addresses are",
    [
      {
        podSelector: db,
        ingress: [{ from: [{ ipBlock: { cidr: "172.17.0.0/16", except: ["172.17.1.0/24"] } }] }],
        egress: [{ to: [{ ipBlock: { cidr: "10.1.0.0/30", except: ["10.1.0.1/32"] } }] }],
      },
    ],
    { "ingress db 5432/TCP": ["172.17.0.5"], "egress db 5432/TCP": ["db", "admin"] },
  ],
  [
    "a range that one block excepts and another one has is allowed",
    [
      {
        podSelector: db,
        egress: [
          {
            to: [
              { ipBlock: { cidr: "172.17.0.0/16", except: ["172.17.1.0/24"] } },
              { ipBlock: { cidr: "172.17.1.4/31" } },
            ],
          },
        ],
      },
    ],
    { "egress db 443/TCP": ["172.17.0.5", "172.17.1.5"] },
  ],
  [
    "all of IPv4 is no part of IPv6, and the other way round",
    [
      { podSelector: db, ingress: [{ from: [{ ipBlock: { cidr: "::/0" } }] }] },
      { podSelector: web, ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0" } }] }] },
    ],
    {
      "ingress db 5432/TCP": ["2001:db8::1"],
      "ingress web 80/TCP": [...PODS, ...OUTSIDE.filter((one) => !one.includes(":"))],
    },
  ],
  [
    "a port without a protocol is of TCP",
    [{ podSelector: db, ingress: [{ ports: [{ port: 53 }] }] }],
    { "ingress db 53/TCP": EVERYONE, "ingress db 53/UDP": [], "ingress db 54/TCP": [], "ingress db 53/1": [] },
  ],
  [
    "ports of UDP and SCTP",
    [
      {
        podSelector: db,
        ingress: [
          {
            ports: [
              { port: 53, protocol: "UDP" },
              { port: 38412, protocol: "SCTP" },
            ],
          },
        ],
      },
    ],
    { "ingress db 53/UDP": EVERYONE, "ingress db 38412/SCTP": EVERYONE, "ingress db 53/TCP": [] },
  ],
  [
    "a protocol without a port is all of its ports",
    [{ podSelector: db, ingress: [{ ports: [{ protocol: "UDP" }] }] }],
    { "ingress db 1/UDP": EVERYONE, "ingress db 65535/UDP": EVERYONE, "ingress db 1/TCP": [] },
  ],
  [
    "endPort is in the range",
    [{ podSelector: db, ingress: [{ ports: [{ port: 1000, endPort: 1003 }] }] }],
    {
      "ingress db 999/TCP": [],
      "ingress db 1000/TCP": EVERYONE,
      "ingress db 1003/TCP": EVERYONE,
      "ingress db 1004/TCP": [],
    },
  ],
  [
    "a named port of ingress is the subject's own, of its protocol",
    [{ podSelector: {}, ingress: [{ ports: [{ port: "http" }, { port: "dns" }] }] }],
    {
      "ingress web 8080/TCP": EVERYONE,
      "ingress web 9090/TCP": [],
      "ingress db 9090/TCP": EVERYONE,
      "ingress db 8080/TCP": [],
      "ingress db 53/TCP": [],
      "ingress db 53/UDP": [],
    },
  ],
  [
    "a named port of egress is the peer's",
    [{ podSelector: db, egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: "http" }] }] }],
    {
      "egress db 8080/TCP": ["web"],
      "egress db 9090/TCP": ["db"],
      "egress db 80/TCP": ["proxy"],
      "egress db 1/TCP": [],
    },
  ],
  [
    "a named port of egress to anyone is that of each pod, and of nobody without it",
    [{ podSelector: db, egress: [{ ports: [{ port: "http" }, { port: 443 }] }] }],
    { "egress db 8080/TCP": ["web", "far"], "egress db 80/TCP": ["proxy"], "egress db 443/TCP": EVERYONE },
  ],
  [
    "peers and ports of one rule belong together",
    [
      {
        podSelector: db,
        ingress: [
          { from: [{ podSelector: web }], ports: [{ port: 5432 }] },
          { from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }], ports: [{ port: 22 }] },
        ],
      },
    ],
    { "ingress db 5432/TCP": ["web"], "ingress db 22/TCP": ["admin", "proxy"] },
  ],
  [
    "policies add up",
    [
      { podSelector: db, ingress: [{ from: [{ podSelector: web }], ports: [{ port: 5432 }] }] },
      { podSelector: {}, ingress: [{ ports: [{ port: 9100 }] }] },
    ],
    { "ingress db 5432/TCP": ["web"], "ingress db 9100/TCP": EVERYONE },
  ],
];

for (const [name, specs, answers] of CASES) {
  test(name, () => {
    const { reach } = truthTable(...specs);
    for (const [question, wanted] of Object.entries(answers)) assert.deepEqual(reach(question), wanted, question);
  });
}

test("a policy selects pods of its own namespace only", () => {
  const { reach } = tableOf([{ metadata: { namespace: "ops", name: "none" }, spec: ALL_PODS }]);
  assert.deepEqual(reach("ingress web 80/TCP"), EVERYONE);
  assert.deepEqual(reach("ingress proxy 80/TCP"), []);
});

test("a pod that no policy selects has an open set", () => {
  const { engine } = truthTable({ podSelector: db });
  const [webSet, dbSet] = [engine.setOf("web"), engine.setOf("db")];
  assert.ok(webSet !== undefined && isOpen(webSet));
  assert.ok(dbSet !== undefined && !isOpen(dbSet));
});
