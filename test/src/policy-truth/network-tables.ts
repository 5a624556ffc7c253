/** Kubernetes NetworkPolicies. */
import type { Change, PolicySpec, TruthTable } from "./table.js";

const policy = (spec: PolicySpec, name = "p"): Change => ({ apply: { kind: "NetworkPolicy", name, spec } });
const removed: Change = { remove: "NetworkPolicy", name: "p" };
const db = { matchLabels: { app: "db" } };
const web = { matchLabels: { app: "web" } };
const servers = { matchExpressions: [{ key: "app", operator: "In", values: ["db", "api"] }] };

const OPEN = `
         db    api   cache
  web    thui  thui  thui
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`;
/** Only the server of the other cluster is left alone. */
const CLOSED = `
         db    api   cache
  web    ----  ----  thui
  batch  ----  ----  thui
  ops    ----  ----  thui
  far    ----  ----  thui`;

export const networkTables: readonly TruthTable[] = [
  {
    name: "an empty policy isolates what it selects, in its local cluster and namespace",
    steps: [
      { text: "no policy", changes: [], reach: OPEN },
      { text: "an empty podSelector without rules", changes: [policy({ podSelector: {} })], reach: CLOSED },
      { text: "an empty rule", changes: [policy({ podSelector: {}, ingress: [{}] })], reach: OPEN },
      {
        text: "only pods of db",
        changes: [policy({ podSelector: db })],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      { text: "deleted", changes: [removed], reach: OPEN },
    ],
  },
  {
    name: "peers by podSelector are pods of the own namespace and cluster",
    steps: [
      {
        text: "app=web",
        changes: [policy({ podSelector: servers, ingress: [{ from: [{ podSelector: web }] }] })],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  ----  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
      {
        text: "batch becomes web",
        changes: [{ pod: "batch", labels: { app: "web" } }],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  thui  thui  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
      {
        text: "and is batch again, while api is selected no more",
        changes: [
          { pod: "batch", labels: { app: "batch" } },
          { pod: "api", labels: { app: "free" } },
        ],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
    ],
  },
  {
    name: "matchExpressions",
    steps: [
      {
        text: "NotIn means pods without the label too",
        changes: [
          policy({
            podSelector: db,
            ingress: [
              {
                from: [{ podSelector: { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["front"] }] } }],
              },
            ],
          }),
        ],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  thui  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "Exists",
        changes: [
          policy({
            podSelector: db,
            ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: "tier", operator: "Exists" }] } }] }],
          }),
        ],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "DoesNotExist",
        changes: [
          policy({
            podSelector: db,
            ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] } }] }],
          }),
        ],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  thui  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
    ],
  },
  {
    name: "namespaceSelector",
    steps: [
      {
        text: "a label of the namespace",
        changes: [
          policy({ podSelector: db, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }] }] }),
        ],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  ----  thui  thui
  ops    thui  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "the namespace loses it",
        changes: [{ namespace: "ops", labels: { team: null } }],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "and another gets it",
        changes: [{ namespace: "shop", labels: { team: "ops" } }],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  thui  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "with a podSelector, both must match; an empty one means all namespaces of the cluster",
        changes: [policy({ podSelector: db, ingress: [{ from: [{ namespaceSelector: {}, podSelector: web }] }] })],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  thui  thui
  ops    thui  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "by the name that Kubernetes gives as a label",
        changes: [
          policy({
            podSelector: db,
            ingress: [{ from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ops" } } }] }],
          }),
        ],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  ----  thui  thui
  ops    thui  thui  thui
  far    ----  thui  thui`,
      },
    ],
  },
  {
    name: "ports",
    steps: [
      {
        text: "by number",
        changes: [
          policy({ podSelector: servers, ingress: [{ from: [{ podSelector: web }], ports: [{ port: 7000 }] }] }),
        ],
        reach: `
         db    api   cache
  web    t---  t---  thui
  batch  ----  ----  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
      {
        text: "of UDP",
        changes: [
          policy({
            podSelector: servers,
            ingress: [{ from: [{ podSelector: web }], ports: [{ port: 7000, protocol: "UDP" }] }],
          }),
        ],
        reach: `
         db    api   cache
  web    --u-  --u-  thui
  batch  ----  ----  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
      {
        text: "a range",
        changes: [
          policy({
            podSelector: servers,
            ingress: [{ from: [{ podSelector: web }], ports: [{ port: 7001, endPort: 8080, protocol: "TCP" }] }],
          }),
        ],
        reach: `
         db    api   cache
  web    -h--  -h--  thui
  batch  ----  ----  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
      {
        text: "by a name that means another port in each pod",
        changes: [policy({ podSelector: servers, ingress: [{ ports: [{ port: "sql" }] }] })],
        reach: `
         db    api   cache
  web    t---  -h--  thui
  batch  t---  -h--  thui
  ops    t---  -h--  thui
  far    t---  -h--  thui`,
      },
      {
        text: "a whole protocol",
        changes: [policy({ podSelector: servers, ingress: [{ ports: [{ protocol: "TCP" }] }] })],
        reach: `
         db    api   cache
  web    th--  th--  thui
  batch  th--  th--  thui
  ops    th--  th--  thui
  far    th--  th--  thui`,
      },
    ],
  },
  {
    name: "several rules and policies add up",
    steps: [
      {
        text: "two rules",
        changes: [
          policy({
            podSelector: db,
            ingress: [
              { from: [{ podSelector: web }], ports: [{ port: 7000 }] },
              { from: [{ podSelector: { matchLabels: { app: "batch" } } }], ports: [{ port: 8080 }] },
            ],
          }),
        ],
        reach: `
         db    api   cache
  web    t---  thui  thui
  batch  -h--  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "a second policy",
        changes: [
          policy(
            { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }] }] },
            "q",
          ),
        ],
        reach: `
         db    api   cache
  web    t---  ----  thui
  batch  -h--  ----  thui
  ops    thui  thui  thui
  far    ----  ----  thui`,
      },
      {
        text: "the first is deleted",
        changes: [removed],
        reach: `
         db    api   cache
  web    ----  ----  thui
  batch  ----  ----  thui
  ops    thui  thui  thui
  far    ----  ----  thui`,
      },
    ],
  },
  {
    name: "egress",
    steps: [
      {
        text: "none, for web of this namespace; answers to what reaches it are not meant",
        changes: [policy({ podSelector: web, policyTypes: ["Egress"] })],
        reach: `
         db    api   cache
  web    ----  ----  ----
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
      {
        text: "to db of the local cluster, at one port",
        changes: [
          policy({
            podSelector: web,
            policyTypes: ["Egress"],
            egress: [{ to: [{ podSelector: db }], ports: [{ port: 7000 }] }],
          }),
        ],
        reach: `
         db    api   cache
  web    t---  ----  ----
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
      {
        text: "by the name of a port of the peers",
        changes: [policy({ podSelector: web, egress: [{ ports: [{ port: "sql" }] }], policyTypes: ["Egress"] })],
        reach: `
         db    api   cache
  web    t---  -h--  t---
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
      {
        text: "and db admits batch only: both ends must allow",
        changes: [
          policy({ podSelector: db, ingress: [{ from: [{ podSelector: { matchLabels: { app: "batch" } } }] }] }, "q"),
        ],
        reach: `
         db    api   cache
  web    ----  -h--  t---
  batch  thui  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
    ],
  },
  {
    name: "ipBlock means pods too",
    steps: [
      {
        text: "one address",
        changes: [
          policy((addressOf) => ({
            podSelector: db,
            ingress: [{ from: [{ ipBlock: { cidr: `${addressOf("far")}/32` } }] }],
          })),
        ],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    thui  thui  thui`,
      },
      {
        text: "everything but one",
        changes: [
          policy((addressOf) => ({
            podSelector: db,
            ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except: [`${addressOf("web")}/32`] } }] }],
          })),
        ],
        reach: `
         db    api   cache
  web    ----  thui  thui
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
    ],
  },
  {
    name: "a policy that is not accepted opens and closes nothing",
    steps: [
      {
        text: "an accepted one",
        changes: [policy({ podSelector: db, ingress: [{ from: [{ podSelector: web }] }] })],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
      {
        text: "then by a label that identities do not have",
        changes: [
          policy({
            podSelector: db,
            ingress: [{ from: [{ podSelector: { matchLabels: { "pod-template-hash": "5d8" } } }] }],
          }),
        ],
        refused: "spec.ingress[0].from[0].podSelector",
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  thui  thui
  ops    ----  thui  thui
  far    ----  thui  thui`,
      },
    ],
  },
];
