/** The Kubernetes objects of the demo, as a user would write them. */
import type { KubeObject, KubeService } from "@isthmus/kube";
import { NEAR } from "../judge/clusters.js";

export const NAMESPACE = "shop";
export const SERVICE = "web";
export const CLIENT = "client";
/** Of the pods, one in each cluster, that the policy does not admit. */
export const DENIED = "denied";
/** Requests a second of each of them. */
const DENIED_RATE = 10;
const PORT = 8080;

export const namespace: KubeObject = { metadata: { name: NAMESPACE } };

export const service: KubeObject & { readonly spec: object } = {
  metadata: { name: SERVICE, namespace: NAMESPACE },
  spec: {
    selector: { app: SERVICE },
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: PORT }],
  },
};

/** What a client of the Service dials. */
export function addressOf(found: KubeService | undefined): string {
  return `${found?.spec?.clusterIP}:80`;
}

export const AFFINITY = "service.cilium.io/affinity";
export const USUAL_AFFINITY = "local";
export const meshAnnotations = { "service.cilium.io/global": "true", [AFFINITY]: USUAL_AFFINITY };

/**
 * Three replicas, on all nodes. The server begins to listen 3 s after its start, so that pods killed together are NotReady together.
 * `lingerMs`: for how long it answers after SIGTERM.
 */
export function deployment(cluster: string, image: string, lingerMs: number): KubeObject & { readonly spec: object } {
  return {
    metadata: { name: SERVICE, namespace: NAMESPACE },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: SERVICE } },
      template: {
        metadata: { labels: { app: SERVICE } },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 10,
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: "kubernetes.io/hostname",
              whenUnsatisfiable: "DoNotSchedule",
              nodeTaintsPolicy: "Honor",
              labelSelector: { matchLabels: { app: SERVICE } },
            },
          ],
          containers: [
            {
              ...container(image, [
                "httpd",
                "--port",
                String(PORT),
                "--listen-after-ms",
                "3000",
                "--linger-ms",
                String(lingerMs),
              ]),
              env: [{ name: "CLUSTER", value: cluster }],
              ports: [{ containerPort: PORT }],
              readinessProbe: { httpGet: { path: "/ready", port: PORT }, periodSeconds: 1 },
              resources: { requests: { cpu: "100m" } },
            },
          ],
        },
      },
    },
  };
}

/** Admits the client to the servers, and nobody else; the same in both clusters. */
export const policy: KubeObject & { readonly spec: object } = {
  metadata: { name: SERVICE, namespace: NAMESPACE },
  spec: {
    endpointSelector: { matchLabels: { app: SERVICE } },
    ingress: [
      {
        fromEndpoints: [{ matchLabels: { app: CLIENT, "io.cilium.k8s.policy.cluster": NEAR } }],
        toPorts: [{ ports: [{ port: String(PORT), protocol: "TCP" }] }],
      },
    ],
  },
};

/** The open-loop client. It requests a CPU, since a starved client would measure its own delay. */
export function clientPod(image: string, target: string, rate: number): KubeObject & { readonly spec: object } {
  return loadPod(CLIENT, { ...loader(image, target, rate), resources: { requests: { cpu: "1" } } });
}

/** A client that is not admitted. */
export function deniedPod(image: string, target: string): KubeObject & { readonly spec: object } {
  return loadPod(DENIED, loader(image, target, DENIED_RATE));
}

const loader = (image: string, target: string, rate: number) =>
  container(image, ["load", "--target", target, "--rate", String(rate)]);

function loadPod(name: string, main: object): KubeObject & { readonly spec: object } {
  return {
    metadata: { name, namespace: NAMESPACE, labels: { app: name } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 2,
      restartPolicy: "Never",
      containers: [main],
    },
  };
}

function container(image: string, args: readonly string[]) {
  return { name: "demo", image, imagePullPolicy: "Never", args };
}
