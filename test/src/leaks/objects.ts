/** The Kubernetes objects of the leak test. */
import type { KubeObject } from "@isthmus/kube";
import { PROBE_TAG } from "../e2e/probe-image.js";
import { PORTS, TEAMS } from "./random-policy.js";

export const NAMESPACES_USED = ["blue", "green"] as const;
export const SERVICE = "shop";
/** Of the servers that the Service selects. */
export const SERVICE_NAMESPACE = NAMESPACES_USED[0];
export const SERVICE_PORT = 80;
export const ROLE_OF_BACKENDS = "server";

export function namespaceObject(name: string, team: string): KubeObject {
  return { metadata: { name, labels: { team } } };
}

export function firstTeam(namespace: string): string {
  return namespace === NAMESPACES_USED[0] ? TEAMS[0] : TEAMS[1];
}

export const service: KubeObject & { readonly spec: object } = {
  metadata: {
    name: SERVICE,
    namespace: SERVICE_NAMESPACE,
    annotations: { "service.cilium.io/global": "true" },
  },
  spec: {
    selector: { role: ROLE_OF_BACKENDS },
    ports: [{ name: "main", protocol: "TCP", port: SERVICE_PORT, targetPort: PORTS[0] }],
  },
};

export interface PodPlan {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Serves on all ports. Its host name is its name. */
export function podObject({ name, namespace, node, labels }: PodPlan): KubeObject & { readonly spec: object } {
  const args = ["serve", ...PORTS.map(String)];
  return {
    metadata: { name, namespace, labels: { ...labels } },
    spec: {
      nodeName: node,
      automountServiceAccountToken: false,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: PROBE_TAG, imagePullPolicy: "Never", command: ["/flows"], args }],
    },
  };
}
