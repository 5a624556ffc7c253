/** One cluster of the tests' lab: its API, and pods from which the tests connect. */
import {
  createKubeClient,
  createTransport,
  DEPLOYMENTS,
  type KubeClient,
  type KubeService,
  loadKubeAccess,
  SERVICES,
} from "@isthmus/kube";
import type { ClusterPlan, LabHandle } from "@isthmus/lab";
import { eventually } from "./eventually.js";
import { NAMESPACE } from "./objects.js";
import { type Ran, run } from "./run.js";

export interface Cluster {
  readonly plan: ClusterPlan;
  readonly client: KubeClient;
  kubectl(...args: readonly string[]): Promise<Ran>;
  /** The frontend of the Service's first port: `10.96.3.4:80`. */
  frontend(service: string): Promise<string>;
  annotate(service: string, annotations: Readonly<Record<string, string | null>>): Promise<void>;
  /** Sets a Deployment's replicas; resolves when exactly that many are ready. */
  scale(deployment: string, replicas: number): Promise<void>;
  /** Output lines of `probe …` in the cluster's prober pod. */
  probe(...args: readonly string[]): Promise<readonly string[]>;
  close(): void;
}

export const PROBER = "prober";

export function openCluster(lab: LabHandle, plan: ClusterPlan): Cluster {
  const client = createKubeClient(createTransport(loadKubeAccess({ kubeconfig: lab.kubeconfig, context: plan.name })));
  const inNamespace = { namespace: NAMESPACE };
  const kubectl = (...args: readonly string[]) =>
    run(`${lab.bin}/kubectl`, ["--kubeconfig", lab.kubeconfig, "--context", plan.name, "-n", NAMESPACE, ...args]);
  return {
    plan,
    client,
    kubectl,
    async frontend(name) {
      const service = await client.get<KubeService>(SERVICES, name, inNamespace);
      return `${service?.spec?.clusterIP}:${service?.spec?.ports?.[0]?.port}`;
    },
    async annotate(name, annotations) {
      await client.mergePatch(SERVICES, name, { metadata: { annotations } }, inNamespace);
    },
    async scale(name, replicas) {
      await client.mergePatch(DEPLOYMENTS, name, { spec: { replicas } }, inNamespace);
      const ready = async () => readyReplicas(await client.get(DEPLOYMENTS, name, inNamespace));
      await eventually(`${replicas} ready pods of "${name}" in ${plan.name}`, ready, (n) => n === replicas, 30_000);
    },
    async probe(...args) {
      const ran = await kubectl("exec", PROBER, "--", "/probe", ...args);
      if (ran.code !== 0) throw new Error(`Cannot probe in ${plan.name}: ${ran.err}`);
      return ran.out.trim().split("\n");
    },
    close: () => client.transport.close(),
  };
}

function readyReplicas(deployment: unknown): number {
  const { status } = deployment as { status?: { replicas?: number; readyReplicas?: number } };
  return (status?.replicas ?? 0) === (status?.readyReplicas ?? 0) ? (status?.readyReplicas ?? 0) : -1;
}
