/** A fixed mesh for truth tables, and who may reach whom in it. */
import { reservedIdentity } from "@isthmus/identity";
import type { Policy } from "../model/policy.js";
import { lookUp } from "../resolve/look-up.js";
import { createPolicyEngine, type PolicyEngine } from "../resolve/policy-engine.js";
import { LOCAL, type TestMesh, type TestPod, type TestPolicy, type TestSpec } from "./mesh.js";
import { acceptedPolicy, type IdentityOf, learnIdentities, PROTOCOLS, podPorts } from "./node.js";

const pod = (
  name: string,
  place: string,
  labels: TestPod["labels"],
  address: string,
  ports: TestPod["ports"] = [],
): TestPod => {
  const [cluster = "", namespace = ""] = place.split("/");
  return { name, cluster, namespace, labels, address, ports };
};

const tcp = (name: string, port: number) => ({ name, protocol: "TCP", port });

/** `far` is as `web`, of another cluster. */
export const PODS: readonly TestPod[] = [
  pod("web", "east/shop", { app: "web", tier: "front" }, "10.1.0.1", [tcp("http", 8080), tcp("metrics", 9100)]),
  pod("db", "east/shop", { app: "db" }, "10.1.0.2", [
    tcp("sql", 5432),
    tcp("http", 9090),
    { name: "dns", protocol: "UDP", port: 53 },
  ]),
  pod("admin", "east/ops", { app: "admin", role: "operator" }, "10.1.0.3"),
  pod("proxy", "east/ops", { app: "web" }, "10.1.0.4", [tcp("http", 80)]),
  pod("far", "west/shop", { app: "web", tier: "front" }, "10.2.0.1", [tcp("http", 8080)]),
];

export const OUTSIDE: readonly string[] = ["172.17.0.5", "172.17.1.5", "203.0.113.9", "2001:db8::1"];

/** Reserved identities. */
export const NODES = ["host", "remote-node", "kube-apiserver"] as const;

export const EVERYONE: readonly string[] = [...PODS.map(({ name }) => name), ...OUTSIDE, ...NODES];

const MESH: TestMesh = {
  namespaces: {
    "east/shop": { team: "shop", "kubernetes.io/metadata.name": "shop" },
    "east/ops": { team: "ops", "kubernetes.io/metadata.name": "ops" },
    "west/shop": { team: "shop", "kubernetes.io/metadata.name": "shop" },
  },
  pods: PODS,
  outside: OUTSIDE,
  policies: [],
};

/** An engine with the policies, and all local pods as its subjects. */
export interface TruthTable {
  readonly engine: PolicyEngine;
  readonly identityOf: IdentityOf;
  /** Ends that may be at the other end of the pod's flows: `reach("ingress db 5432/TCP")`. */
  reach(question: string): readonly string[];
}

/** Policies by the specs of NetworkPolicies in namespace `shop`, named `p0`, `p1`, … */
export function truthTable(...specs: readonly TestSpec[]): TruthTable {
  return tableOf(specs.map((spec, i) => ({ metadata: { namespace: "shop", name: `p${i}` }, spec })));
}

/** NetworkPolicies of any namespace. */
export function tableOf(policies: readonly TestPolicy[]): TruthTable {
  return tableOfPolicies(policies.map(acceptedPolicy));
}

/** Policies of any kind. */
export function tableOfPolicies(policies: readonly Policy[]): TruthTable {
  const engine = createPolicyEngine();
  for (const policy of policies) engine.setPolicy(policy);
  const identityOf = learnIdentities(engine, MESH);
  for (const name of NODES) engine.setIdentity(reservedIdentity(name), { labels: new Map([[`reserved:${name}`, ""]]) });
  for (const one of PODS.filter(({ cluster }) => cluster === LOCAL))
    engine.setSubject(one.name, { identity: identityOf(one.address), ports: podPorts(one) });
  engine.commit();
  return { engine, identityOf, reach: (question) => reach(engine, identityOf, question) };
}

function reach(engine: PolicyEngine, identityOf: IdentityOf, question: string): readonly string[] {
  const [direction, name = "", port = "", protocol = ""] = question.split(/[ /]/);
  if (direction !== "ingress" && direction !== "egress") throw new Error(`No direction in "${question}"`);
  const set = engine.setOf(name);
  if (set === undefined) throw new Error(`No set for "${name}"`);
  return EVERYONE.filter((end) => {
    const node = NODES.find((one) => one === end);
    const identity = node === undefined ? identityOf(addressOf(end)) : reservedIdentity(node);
    return lookUp(set, { direction, identity, protocol: PROTOCOLS[protocol] ?? Number(protocol), port: Number(port) })
      .allow;
  });
}

function addressOf(end: string): string {
  return PODS.find(({ name }) => name === end)?.address ?? end;
}
