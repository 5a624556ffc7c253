/** CiliumNetworkPolicies and CiliumClusterwideNetworkPolicies. */
import type { ClusterName } from "./pods.js";
import type { Change, PolicySpec, TruthTable } from "./table.js";

const policy = (spec: PolicySpec, name = "p", cluster: ClusterName = "solo"): Change => ({
  apply: { kind: "CiliumNetworkPolicy", name, spec },
  in: cluster,
});
const clusterwide = (spec: PolicySpec, name = "p"): Change => ({
  apply: { kind: "CiliumClusterwideNetworkPolicy", name, spec },
});
const removed: Change = { remove: "CiliumNetworkPolicy", name: "p" };
const CLUSTER = "io.cilium.k8s.policy.cluster";
const NAMESPACE = "k8s:io.kubernetes.pod.namespace";
const db = { matchLabels: { app: "db" } };
const web = { matchLabels: { app: "web" } };
const webOf = (cluster: string) => ({ matchLabels: { app: "web", [CLUSTER]: cluster } });
const ports = (...list: readonly object[]) => [{ ports: list }];
const service = (name: string, app: string): Change => ({
  apply: { kind: "Service", name, spec: { selector: { app }, ports: [{ port: 80 }] } },
});
const toService = (serviceName: string) => ({ toServices: [{ k8sService: { serviceName, namespace: "shop" } }] });

/** Whom web reaches when only its row is not open. */
const webTo = (...row: readonly [db: string, api: string, cache: string]) => `
         db    api   cache
  web    ${row.join("  ")}
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`;

/** Who reaches db when only these cells are. */
const dbFrom = (webCell: string, batch: string, ops: string, far: string) => `
         db    api   cache
  web    ${webCell}  thui  thui
  batch  ${batch}  thui  thui
  ops    ${ops}  thui  thui
  far    ${far}  thui  thui`;

export const ciliumTables: readonly TruthTable[] = [
  {
    name: "fromEndpoints, by cluster",
    steps: [
      {
        text: "no cluster label: the local cluster and namespace",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEndpoints: [web] }] })],
        reach: dbFrom("thui", "----", "----", "----"),
      },
      {
        text: "the label of the other cluster",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEndpoints: [webOf("other")] }] })],
        reach: dbFrom("----", "----", "----", "thui"),
      },
      {
        text: "both",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEndpoints: [webOf("solo"), webOf("other")] }] })],
        reach: dbFrom("thui", "----", "----", "thui"),
      },
      {
        text: "any cluster",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [
              {
                fromEndpoints: [
                  { matchLabels: { app: "web" }, matchExpressions: [{ key: CLUSTER, operator: "Exists" }] },
                ],
              },
            ],
          }),
        ],
        reach: dbFrom("thui", "----", "----", "thui"),
      },
      {
        text: "the same in the other cluster",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEndpoints: [webOf("solo")] }] }, "p", "other")],
        reach: `
         db    api   cache
  web    thui  thui  thui
  batch  ----  thui  ----
  ops    ----  thui  ----
  far    thui  thui  ----`,
      },
    ],
  },
  {
    name: "fromEndpoints, by namespace",
    steps: [
      {
        text: "an empty selector: all pods of the own namespace and cluster",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEndpoints: [{}] }] })],
        reach: dbFrom("thui", "thui", "----", "----"),
      },
      {
        text: "another namespace",
        changes: [
          policy({ endpointSelector: db, ingress: [{ fromEndpoints: [{ matchLabels: { [NAMESPACE]: "ops" } }] }] }),
        ],
        reach: dbFrom("----", "----", "thui", "----"),
      },
      {
        text: "by a label of the namespace",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEndpoints: [{ matchLabels: { "k8s:io.cilium.k8s.namespace.labels.team": "ops" } }] }],
          }),
        ],
        reach: dbFrom("----", "----", "thui", "----"),
      },
    ],
  },
  {
    name: "rules that say nothing",
    steps: [
      {
        text: "an empty rule isolates and allows nothing",
        changes: [policy({ endpointSelector: db, ingress: [{}] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "no rule at all is not accepted",
        changes: [policy({ endpointSelector: db, ingress: [] })],
        refused: "spec",
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "an empty list of peers is nobody",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEndpoints: [] }] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
    ],
  },
  {
    name: "fromEntities",
    steps: [
      {
        text: "cluster: the local one",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEntities: ["cluster"] }] })],
        reach: dbFrom("thui", "thui", "thui", "----"),
      },
      {
        text: "cluster-mesh: pods of all clusters",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEntities: ["cluster-mesh"] }] })],
        reach: dbFrom("thui", "thui", "thui", "thui"),
      },
      {
        text: "all",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEntities: ["all"] }] })],
        reach: dbFrom("thui", "thui", "thui", "thui"),
      },
      {
        text: "world: no pod, of whatever cluster",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEntities: ["world"] }] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "nodes: no pod",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEntities: ["host", "remote-node", "kube-apiserver", "health"] }],
          }),
        ],
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "unmanaged: no pod that is known",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEntities: ["unmanaged", "init"] }] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "none",
        changes: [policy({ endpointSelector: db, ingress: [{ fromEntities: ["none"] }] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
    ],
  },
  {
    name: "ranges mean no pods",
    steps: [
      {
        text: "fromCIDR",
        changes: [policy({ endpointSelector: db, ingress: [{ fromCIDR: ["0.0.0.0/0"] }] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "fromCIDRSet with an exception",
        changes: [
          policy((addressOf) => ({
            endpointSelector: db,
            ingress: [
              { fromCIDRSet: [{ cidr: "0.0.0.0/0", except: [`${addressOf("web")}/32`] }] },
              { fromEndpoints: [web] },
            ],
          })),
        ],
        reach: dbFrom("thui", "----", "----", "----"),
      },
      {
        text: "a group of ranges",
        changes: [
          { apply: { kind: "CiliumCIDRGroup", name: "partners", spec: { externalCIDRs: ["192.0.2.0/24"] } } },
          policy({
            endpointSelector: db,
            ingress: [
              { fromCIDRSet: [{ cidrGroupRef: "partners" }] },
              { fromEndpoints: [{ matchLabels: { app: "batch" } }] },
            ],
          }),
        ],
        reach: dbFrom("----", "thui", "----", "----"),
      },
    ],
  },
  {
    name: "deny",
    steps: [
      {
        text: "of some whom another rule allows",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEntities: ["cluster-mesh"] }],
            ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: "batch" } }] }],
          }),
        ],
        reach: dbFrom("thui", "----", "thui", "thui"),
      },
      {
        text: "at one port",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEntities: ["cluster-mesh"] }],
            ingressDeny: [{ fromEndpoints: [web], toPorts: ports({ port: "8080", protocol: "TCP" }) }],
          }),
        ],
        reach: dbFrom("t-ui", "thui", "thui", "thui"),
      },
      {
        text: "in a policy of its own, which isolates",
        changes: [policy({ endpointSelector: db, ingressDeny: [{ fromEndpoints: [web] }] })],
        reach: dbFrom("----", "----", "----", "----"),
      },
      {
        text: "and with enableDefaultDeny false denies no more than it says",
        changes: [
          policy({
            endpointSelector: db,
            enableDefaultDeny: { ingress: false },
            ingressDeny: [{ fromEndpoints: [web] }],
          }),
        ],
        reach: dbFrom("----", "thui", "thui", "thui"),
      },
      {
        text: "of egress",
        changes: [
          removed,
          policy(
            {
              endpointSelector: web,
              enableDefaultDeny: { egress: false },
              egressDeny: [{ toEndpoints: [{ matchLabels: { app: "api" } }] }],
            },
            "q",
          ),
        ],
        reach: `
         db    api   cache
  web    thui  ----  thui
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
    ],
  },
  {
    name: "enableDefaultDeny",
    steps: [
      {
        text: "false: a rule that allows closes nothing",
        changes: [
          policy({ endpointSelector: db, enableDefaultDeny: { ingress: false }, ingress: [{ fromEndpoints: [web] }] }),
        ],
        reach: dbFrom("thui", "thui", "thui", "thui"),
      },
      {
        text: "true, with another policy",
        changes: [
          policy({ endpointSelector: db, ingress: [{ fromEndpoints: [{ matchLabels: { app: "batch" } }] }] }, "q"),
        ],
        reach: dbFrom("thui", "thui", "----", "----"),
      },
    ],
  },
  {
    name: "toPorts and icmps",
    steps: [
      {
        text: "a range of TCP",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEndpoints: [web], toPorts: ports({ port: "7000", endPort: 8080, protocol: "TCP" }) }],
          }),
        ],
        reach: dbFrom("th--", "----", "----", "----"),
      },
      {
        text: "any protocol",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEndpoints: [web], toPorts: ports({ port: "7000", protocol: "ANY" }) }],
          }),
        ],
        reach: dbFrom("t-u-", "----", "----", "----"),
      },
      {
        text: "without peers: from everybody",
        changes: [policy({ endpointSelector: db, ingress: [{ toPorts: ports({ port: "8080", protocol: "TCP" }) }] })],
        reach: dbFrom("-h--", "-h--", "-h--", "-h--"),
      },
      {
        text: "by name",
        changes: [policy({ endpointSelector: db, ingress: [{ toPorts: ports({ port: "sql", protocol: "TCP" }) }] })],
        reach: dbFrom("t---", "t---", "t---", "t---"),
      },
      {
        text: "echo requests",
        changes: [
          policy({
            endpointSelector: db,
            ingress: [{ fromEndpoints: [web], icmps: [{ fields: [{ family: "IPv4", type: 8 }] }] }],
          }),
        ],
        reach: dbFrom("---i", "----", "----", "----"),
      },
    ],
  },
  {
    name: "egress",
    steps: [
      {
        text: "to endpoints of the other cluster",
        changes: [
          policy({ endpointSelector: web, egress: [{ toEndpoints: [{ matchLabels: { [CLUSTER]: "other" } }] }] }),
        ],
        reach: `
         db    api   cache
  web    ----  ----  thui
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
      {
        text: "to the local cluster, one port of TCP",
        changes: [
          policy({
            endpointSelector: web,
            egress: [{ toEntities: ["cluster"], toPorts: ports({ port: "7000", protocol: "TCP" }) }],
          }),
        ],
        reach: `
         db    api   cache
  web    t---  t---  ----
  batch  thui  thui  thui
  ops    thui  thui  thui
  far    thui  thui  thui`,
      },
    ],
  },
  {
    name: "toServices",
    steps: [
      {
        text: "a Service that does not exist is nobody",
        changes: [policy({ endpointSelector: web, egress: [toService("data")] })],
        reach: webTo("----", "----", "----"),
      },
      {
        text: "one with a selector is the pods that it selects, of the local cluster",
        changes: [service("data", "db")],
        reach: webTo("thui", "----", "----"),
      },
      { text: "it selects others", changes: [service("data", "api")], reach: webTo("----", "thui", "----") },
      {
        text: "all Services of a namespace, and a port of their pods",
        changes: [
          policy({
            endpointSelector: web,
            egress: [
              {
                toServices: [{ k8sServiceSelector: { selector: {}, namespace: "shop" } }],
                toPorts: ports({ port: "8080", protocol: "TCP" }),
              },
            ],
          }),
        ],
        reach: webTo("----", "-h--", "----"),
      },
      { text: "another Service comes", changes: [service("more", "db")], reach: webTo("-h--", "-h--", "----") },
      {
        text: "a deny",
        changes: [
          policy({
            endpointSelector: web,
            enableDefaultDeny: { egress: false },
            egressDeny: [toService("data")],
          }),
        ],
        reach: webTo("thui", "----", "thui"),
      },
      {
        text: "the Service is deleted",
        changes: [{ remove: "Service", name: "data" }],
        reach: webTo("thui", "thui", "thui"),
      },
    ],
  },
  {
    name: "a CiliumClusterwideNetworkPolicy means pods of all namespaces",
    steps: [
      {
        text: "by labels of any namespace, of the local cluster",
        changes: [clusterwide({ endpointSelector: { matchLabels: { app: "web" } }, egress: [{ toEndpoints: [db] }] })],
        reach: `
         db    api   cache
  web    thui  ----  ----
  batch  thui  thui  thui
  ops    thui  ----  ----
  far    thui  thui  thui`,
      },
      {
        text: "peers of all namespaces",
        changes: [
          { remove: "CiliumClusterwideNetworkPolicy", name: "p" },
          clusterwide({ endpointSelector: db, ingress: [{ fromEndpoints: [web] }] }, "q"),
        ],
        reach: dbFrom("thui", "----", "thui", "----"),
      },
    ],
  },
  {
    name: "specs, and a policy that is not accepted",
    steps: [
      {
        text: "two specs",
        changes: [
          {
            apply: {
              kind: "CiliumNetworkPolicy",
              name: "p",
              specs: [
                { endpointSelector: db, ingress: [{ fromEndpoints: [web] }] },
                {
                  endpointSelector: { matchLabels: { app: "api" } },
                  ingress: [{ fromEndpoints: [{ matchLabels: { app: "batch" } }] }],
                },
              ],
            },
          },
        ],
        reach: `
         db    api   cache
  web    thui  ----  thui
  batch  ----  thui  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
      {
        text: "layer 7 is not accepted; what it replaces stays",
        changes: [
          {
            apply: {
              kind: "CiliumNetworkPolicy",
              name: "p",
              specs: [
                {
                  endpointSelector: db,
                  ingress: [
                    {
                      fromEntities: ["all"],
                      toPorts: [{ ports: [{ port: "8080", protocol: "TCP" }], rules: { http: [{ method: "GET" }] } }],
                    },
                  ],
                },
              ],
            },
          },
        ],
        refused: "specs[0].ingress[0].toPorts[0].rules",
        reach: `
         db    api   cache
  web    thui  ----  thui
  batch  ----  thui  thui
  ops    ----  ----  thui
  far    ----  ----  thui`,
      },
    ],
  },
];
