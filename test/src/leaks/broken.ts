/** Meshes that are wrong on purpose, without the judge's knowledge, and what the leak test must report of each. */
import {
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  ENDPOINT_SLICES,
  type KubeEndpointSlice,
  type KubeObject,
  NAMESPACES,
  PODS,
  SERVICES,
} from "@isthmus/kube";
import type { LeakCluster } from "./clusters.js";
import type { Model } from "./model.js";
import { NAMESPACES_USED, ROLE_OF_BACKENDS, SERVICE, SERVICE_NAMESPACE, SERVICE_TARGETS, service } from "./objects.js";
import { type CiliumSpec, CLUSTER_KEY, type PolicyObject } from "./oracle.js";
import { COLORS } from "./random-policy.js";

export interface BrokenMesh {
  /** What is wrong, as a sentence of the report. */
  readonly what: string;
  /** `leak: connect`: each of these must be found, and nothing else. */
  readonly expected: readonly string[];
  /** Policies that the judge knows of, which are in force before. */
  readonly policy?: CiliumSpec;
  /** `policy` comes after the fault, and not before it. */
  readonly tightens?: boolean;
  break(cluster: LeakCluster, model: Model): Promise<void>;
  mend(cluster: LeakCluster, model: Model): Promise<void>;
}

const KINDS = [
  "connect",
  "ask",
  "hold",
  "flow",
  "connect to a Service",
  "ask to a Service",
  "hold to a Service",
] as const;
const OF_SERVICES = KINDS.filter((kind) => kind.endsWith("to a Service"));
const as = (verdict: "leak" | "fault", kinds: readonly string[] = KINDS) => kinds.map((kind) => `${verdict}: ${kind}`);

const KNOWN = "known";
const HIDDEN = "hidden";
const MANAGER = { manager: "leaks", force: true };
const IN_NAMESPACE = { namespace: SERVICE_NAMESPACE };
const AUDIT_MODE = "mesh.isthmus.io/policy-audit-mode";

/** Nobody reaches any pod. */
const CLOSED: CiliumSpec = { endpointSelector: {}, ingress: [{}] };
/** Red pods of all clusters reach all pods. */
const RED_ONLY: CiliumSpec = {
  endpointSelector: {},
  ingress: [
    {
      fromEndpoints: [
        { matchLabels: { color: COLORS[0] }, matchExpressions: [{ key: CLUSTER_KEY, operator: "Exists" }] },
      ],
    },
  ],
};
/** The Service's backends are reached by other ports than those to which the Service leads. */
const OTHER_PORTS: CiliumSpec = {
  endpointSelector: { matchLabels: { role: ROLE_OF_BACKENDS } },
  ingress: [
    {
      fromEntities: ["all"],
      toPorts: [
        {
          ports: [
            { port: `${SERVICE_TARGETS.UDP}`, protocol: "TCP" },
            { port: `${SERVICE_TARGETS.TCP}`, protocol: "UDP" },
          ],
        },
      ],
    },
  ],
};

export const BROKEN_MESHES: Readonly<Record<string, BrokenMesh>> = {
  audit: {
    what: "all pods are in policy audit mode",
    expected: as("leak"),
    policy: CLOSED,
    tightens: true,
    break: (cluster) => setAuditMode(cluster, "true"),
    mend: (cluster) => setAuditMode(cluster, null),
  },
  "lost-policy": {
    what: "a policy is deleted",
    expected: as("leak"),
    policy: CLOSED,
    break: (cluster) => deleteClusterwide(cluster, KNOWN),
    mend: () => Promise.resolve(),
  },
  "hidden-policy": {
    what: "a policy is written that nobody reaches any pod",
    expected: as("fault"),
    async break({ client }) {
      const policy: KubeObject & { readonly spec: CiliumSpec } = { metadata: { name: HIDDEN }, spec: CLOSED };
      await client.apply(CILIUM_CLUSTERWIDE_NETWORK_POLICIES, policy, MANAGER);
    },
    mend: (cluster) => deleteClusterwide(cluster, HIDDEN),
  },
  labels: {
    what: "each client has the other color's label, and red ones reach all",
    expected: [...as("leak"), ...as("fault")],
    policy: RED_ONLY,
    break: (cluster, model) => setColors(cluster, model, (color) => COLORS.find((one) => one !== color)),
    mend: (cluster, model) => setColors(cluster, model, (color) => color),
  },
  "service-ports": {
    what: "the ports of the Service's backends are swapped, and policy allows those that it has then",
    expected: as("leak", OF_SERVICES),
    policy: OTHER_PORTS,
    break: (cluster) => setTargets(cluster, { TCP: SERVICE_TARGETS.UDP, UDP: SERVICE_TARGETS.TCP }),
    mend: (cluster) => setTargets(cluster, SERVICE_TARGETS),
  },
  "dead-backend": {
    what: "a slice of the Service has an address that nobody has",
    // Connects are moved to another backend.
    expected: as("fault", ["ask to a Service"]),
    async break(cluster) {
      await cluster.client.apply(ENDPOINT_SLICES, deadSlice(cluster), MANAGER);
    },
    async mend(cluster) {
      await cluster.client.delete(ENDPOINT_SLICES, deadSlice(cluster).metadata.name ?? "", IN_NAMESPACE);
    },
  },
};

/** The policy `broken.policy` of a cluster. */
export function knownPolicy(cluster: string): PolicyObject {
  return { cluster, kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: KNOWN };
}

async function setAuditMode({ client }: LeakCluster, value: string | null): Promise<void> {
  for (const name of NAMESPACES_USED)
    await client.mergePatch(NAMESPACES, name, { metadata: { annotations: { [AUDIT_MODE]: value } } });
}

async function deleteClusterwide({ client }: LeakCluster, name: string): Promise<void> {
  await client.delete(CILIUM_CLUSTERWIDE_NETWORK_POLICIES, name);
}

/** `change`: of the color that the judge knows. */
async function setColors(
  { client, plan }: LeakCluster,
  model: Model,
  change: (color: string | undefined) => string | undefined,
): Promise<void> {
  for (const { name, namespace, cluster, labels } of model.pods.values()) {
    if (cluster !== plan.name || labels.latest?.["role"] !== "client") continue;
    const patch = { metadata: { labels: { color: change(labels.latest["color"]) } } };
    await client.mergePatch(PODS, name, patch, { namespace });
  }
}

async function setTargets({ client }: LeakCluster, targets: Readonly<Record<"TCP" | "UDP", number>>): Promise<void> {
  const ports = service.spec.ports.map((port) => ({ ...port, targetPort: targets[port.protocol] }));
  await client.mergePatch(SERVICES, SERVICE, { spec: { ports } }, IN_NAMESPACE);
}

/** With the last address of the last node, which has few pods. */
function deadSlice({ podRanges }: LeakCluster): KubeEndpointSlice {
  const address = podRanges.at(-1)?.replace(/\.\d+\/24$/, ".254") ?? "";
  return {
    metadata: { name: `${SERVICE}-dead`, ...IN_NAMESPACE, labels: { "kubernetes.io/service-name": SERVICE } },
    addressType: "IPv4",
    ports: service.spec.ports.map(({ name, protocol, targetPort }) => ({ name, protocol, port: targetPort })),
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  };
}
