/** Policies, labels and connects of the packets' tests. */
import assert from "node:assert/strict";
import { type KubeObject, NETWORK_POLICIES } from "@isthmus/kube";
import type { Cluster } from "./cluster.js";
import { eventually } from "./eventually.js";
import { ECHO_PORT, NAMESPACE } from "./objects.js";
import { MANAGER } from "./world.js";

/** Pods that policies are about. */
export const SERVERS = { podSelector: { matchLabels: { role: "server" } } };

/** Pods with this label, at the port that echoes. */
export const onlyClients = (label: string) => ({
  ...SERVERS,
  ingress: [{ from: [{ podSelector: { matchLabels: { [label]: "client" } } }], ports: [{ port: ECHO_PORT }] }],
});

/** Rejects unless it exits with 0. */
export async function kubectl(cluster: Cluster, ...args: readonly string[]): Promise<void> {
  const ran = await cluster.kubectl(...args);
  assert.equal(ran.code, 0, ran.err);
}

/** `role=client`, or `role-` to remove it. */
export const label = (cluster: Cluster, pod: string, change: string) =>
  kubectl(cluster, "label", "--overwrite", "pod", pod, change);

/** Waits until the pod is Ready. */
export const running = (cluster: Cluster, pod: string, namespace = NAMESPACE) =>
  kubectl(cluster, "wait", `pod/${pod}`, "-n", namespace, "--for=condition=Ready", "--timeout=60s");

/** Of the pods of NAMESPACE. */
export async function applyPolicy({ client }: Cluster, name: string, spec: object): Promise<void> {
  await client.apply(NETWORK_POLICIES, { metadata: { name, namespace: NAMESPACE }, spec } as KubeObject, MANAGER);
}

/** Nothing happens when there is none. */
export const removePolicy = (cluster: Cluster, name: string) =>
  kubectl(cluster, "delete", "networkpolicy", name, "--ignore-not-found");

/**
 * A connect is given up after 2 s. A denial that arrives while the SYN is still being sent, as between pods of one machine, counts
 * from the SYN's first repeat.
 */
export async function connect(
  cluster: Cluster,
  client: string,
  target: string,
  namespace = NAMESPACE,
): Promise<string> {
  const ran = await cluster.kubectl("exec", client, "-n", namespace, "--", "/paths", "connect", target);
  if (ran.code !== 0) throw new Error(`Cannot probe from "${client}": ${ran.err}`);
  return ran.out.trim().split(" ")[0] ?? "";
}

/** Waits until a connect has this outcome. */
export const outcome = (cluster: Cluster, client: string, target: string, wanted: string, namespace = NAMESPACE) =>
  eventually(
    `${client} to find ${target} ${wanted}`,
    () => connect(cluster, client, target, namespace),
    (seen) => seen === wanted,
  );
