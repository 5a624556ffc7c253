/** The Kubernetes objects of the leak test. */
import type { KubeObject } from "@isthmus/kube";
import { PROBE_TAG } from "../e2e/probe-image.js";
import { PORTS, TEAMS } from "./random-policy.js";

export const NAMESPACES_USED = ["blue", "green"] as const;
export const SERVICE = "shop";
/** Of the servers that the Service selects. */
export const SERVICE_NAMESPACE = NAMESPACES_USED[0];
/** By TCP and by UDP, to different ports of the pods. */
export const SERVICE_PORT = 80;
export const SERVICE_TARGETS = { TCP: PORTS[0], UDP: PORTS[1] } as const;
export const ROLE_OF_BACKENDS = "server";

export function namespaceObject(name: string, team: string): KubeObject {
  return { metadata: { name, labels: { team } } };
}

export function firstTeam(namespace: string): string {
  return namespace === NAMESPACES_USED[0] ? TEAMS[0] : TEAMS[1];
}

interface ServicePort {
  readonly name: string;
  readonly protocol: "TCP" | "UDP";
  readonly port: number;
  readonly targetPort: number;
}

export const service: KubeObject & {
  readonly spec: { readonly selector: object; readonly ports: readonly ServicePort[] };
} = {
  metadata: {
    name: SERVICE,
    namespace: SERVICE_NAMESPACE,
    annotations: { "service.cilium.io/global": "true" },
  },
  spec: {
    selector: { role: ROLE_OF_BACKENDS },
    ports: [
      { name: "main", protocol: "TCP", port: SERVICE_PORT, targetPort: SERVICE_TARGETS.TCP },
      { name: "datagrams", protocol: "UDP", port: SERVICE_PORT, targetPort: SERVICE_TARGETS.UDP },
    ],
  },
};

export interface PodPlan {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What it dials from its first moment on, `address:port`; without any it only serves. */
  readonly firstTargets?: readonly string[];
}

/** The container that dials; its log has what it found. */
export const FIRST = "first";
const FIRST_RATE = 50;
const FIRST_SECONDS = 3;

/** Serves on all ports. Its host name is its name. */
export function podObject(plan: PodPlan): KubeObject & { readonly spec: object } {
  const { name, namespace, node, labels, firstTargets = [] } = plan;
  const container = (containerName: string, ...args: readonly string[]) => ({
    name: containerName,
    image: PROBE_TAG,
    imagePullPolicy: "Never",
    command: ["/flows"],
    args,
  });
  const first = container(FIRST, "first", `${FIRST_RATE}`, `${FIRST_SECONDS}`, ...firstTargets);
  return {
    metadata: { name, namespace, labels: { ...labels } },
    spec: {
      nodeName: node,
      automountServiceAccountToken: false,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      containers: [
        ...(firstTargets.length > 0 ? [first] : []),
        container("main", "serve", ...PORTS.map((port) => `${port}`)),
      ],
    },
  };
}
