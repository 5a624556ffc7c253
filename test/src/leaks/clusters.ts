/** The two clusters of the leak test, and each change of them with the model of what may be in force. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  CILIUM_NETWORK_POLICIES,
  type KubeClient,
  type KubeObject,
  type KubeService,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PODS,
  type Resource,
  SERVICES,
} from "@isthmus/kube";
import type { LabHandle } from "@isthmus/lab";
import { MeshError } from "@isthmus/model";
import { type Cluster, openCluster } from "../e2e/cluster.js";
import { meshOf } from "../e2e/world.js";
import { type ClusterAdmin, type ClusterView, openAdmin } from "./admin.js";
import { createTimeline, nowMicros, type Version } from "./history.js";
import { type ClusterInForce, createInForce, hasPod, type IsKnown, identitiesOf, labelOf } from "./in-force.js";
import { type Model, type ModelPod, policyName } from "./model.js";
import {
  FIRST,
  firstTeam,
  NAMESPACES_USED,
  namespaceObject,
  type PodPlan,
  podObject,
  SERVICE,
  SERVICE_NAMESPACE,
  SERVICE_PORT,
  service,
} from "./objects.js";
import type { Labels, PolicyKind, PolicyObject, PolicySpec } from "./oracle.js";

export interface LeakCluster extends Cluster {
  readonly inForce: ClusterInForce;
  readonly admin: ClusterAdmin;
  /** `address:port` of the global Service, by TCP and by UDP. */
  readonly globalService: string;
  /** Ranges of its pods, and of those of each node. */
  readonly podRanges: readonly string[];
}

export interface Clusters {
  readonly all: readonly LeakCluster[];
  named(name: string): LeakCluster;
  /** Resolves when it runs and its address is known. */
  startPod(cluster: LeakCluster, plan: PodPlan): Promise<ModelPod>;
  /** What it found of what it dialled first, as lines. */
  firstFound(pod: ModelPod): Promise<readonly string[]>;
  /** Resolves when it is gone. */
  deletePod(pod: ModelPod): Promise<void>;
  relabelPod(pod: ModelPod, change: Labels): Promise<void>;
  relabelNamespace(cluster: LeakCluster, name: string, labels: Labels): Promise<void>;
  writePolicy(of: PolicyObject, spec: PolicySpec): Promise<void>;
  deletePolicy(of: PolicyObject): Promise<void>;
  /** True while a change of the object is not known to be in force: a pod's name, "cluster/namespace", `policyName`. */
  isPending(what: string): boolean;
  /** Number of changes that are not in force yet. */
  readonly pending: number;
  /** Follows what is in force until aborted. */
  run(signal: AbortSignal): Promise<void>;
  close(): void;
}

interface Pod extends KubeObject {
  readonly status?: { readonly phase?: string; readonly podIP?: string };
}

const MANAGER = { manager: "leaks", force: true };
const START_MS = 60_000;
const RESOURCES: Readonly<Record<PolicyKind, Resource>> = {
  NetworkPolicy: NETWORK_POLICIES,
  CiliumNetworkPolicy: CILIUM_NETWORK_POLICIES,
  CiliumClusterwideNetworkPolicy: CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
};

/** Connects the clusters and makes their namespaces and Services. `model`: gets each change. */
export async function openClusters(lab: LabHandle, model: Model, failed: (error: Error) => void): Promise<Clusters> {
  const mesh = meshOf(lab);
  await mustRun(mesh("connect", ...lab.plan.clusters.map(({ name }) => name)));
  const all = await Promise.all(lab.plan.clusters.map((plan) => openOne(openCluster(lab, plan))));
  await mustRun(mesh("status", "--wait", "--timeout", "60s"));
  // There are no pods in them yet, so their labels are in force.
  for (const { plan } of all)
    for (const name of NAMESPACES_USED) {
      const { inForceAt } = model.namespace(plan.name, name).ask({ team: firstTeam(name) }, nowMicros());
      for (const other of all) inForceAt.set(other.plan.name, nowMicros());
    }
  return changesOf(all, model, failed);
}

async function openOne(cluster: Cluster): Promise<LeakCluster> {
  const { client, plan } = cluster;
  for (const name of NAMESPACES_USED) await client.apply(NAMESPACES, namespaceObject(name, firstTeam(name)), MANAGER);
  await client.apply(SERVICES, service, MANAGER);
  const admin = await openAdmin(client);
  const found = await client.get<KubeService>(SERVICES, SERVICE, { namespace: SERVICE_NAMESPACE });
  const nodes = await client.list<KubeObject & { readonly spec?: { readonly podCIDR?: string } }>(NODES);
  return {
    ...cluster,
    admin,
    inForce: createInForce({ cluster: plan.name, client, admin, namespace: NAMESPACES_USED[0] }),
    globalService: `${found?.spec?.clusterIP}:${SERVICE_PORT}`,
    podRanges: [plan.podCidr, ...nodes.flatMap(({ spec }) => spec?.podCIDR ?? [])],
    close() {
      admin.close();
      cluster.close();
    },
  };
}

function changesOf(all: readonly LeakCluster[], model: Model, failed: (error: Error) => void): Clusters {
  const pendingOf = new Map<string, number>();

  function named(name: string): LeakCluster {
    const found = all.find(({ plan }) => plan.name === name);
    if (found === undefined) throw new Error(`Unknown cluster "${name}"`);
    return found;
  }

  /** Notes when a version is in force in each cluster that cares. */
  function track(
    what: string,
    version: Version<unknown>,
    waits: readonly (readonly [string, Promise<number>])[],
  ): void {
    const change = (by: number) => {
      const left = (pendingOf.get(what) ?? 0) + by;
      if (left === 0) pendingOf.delete(what);
      else pendingOf.set(what, left);
    };
    for (const [cluster, inForce] of waits) {
      change(1);
      inForce
        .then((at) => void version.inForceAt.set(cluster, at))
        .catch(failed)
        .finally(() => change(-1));
    }
  }

  /** A change of pods of one cluster, as both clusters come to know it. */
  function trackPods(what: string, of: LeakCluster, version: Version<unknown>, isKnown: IsKnown): void {
    track(
      what,
      version,
      all.map(({ plan, inForce }) => [
        plan.name,
        plan.name === of.plan.name ? inForce.localChange(isKnown) : inForce.remoteChange(of.plan.id, isKnown),
      ]),
    );
  }

  const resourceOf = ({ kind }: PolicyObject) => RESOURCES[kind];
  const targetOf = ({ namespace }: PolicyObject) => (namespace === "" ? {} : { namespace });

  return {
    all,
    named,
    isPending: (what) => pendingOf.has(what),
    get pending() {
      return [...pendingOf.values()].reduce((sum, count) => sum + count, 0);
    },
    async startPod(cluster, plan) {
      const pod: ModelPod = {
        name: plan.name,
        cluster: cluster.plan.name,
        namespace: plan.namespace,
        node: plan.node,
        labels: createTimeline<Labels | undefined>(undefined),
      };
      const version = pod.labels.ask(plan.labels, nowMicros());
      model.pods.set(pod.name, pod);
      await cluster.client.create(PODS, podObject(plan));
      trackPods(pod.name, cluster, version, hasLabels(plan.name, plan.labels));
      const began = performance.now();
      for (;;) {
        const found = await cluster.client.get<Pod>(PODS, pod.name, { namespace: pod.namespace });
        const { phase, podIP } = found?.status ?? {};
        if (phase === "Running" && podIP !== undefined) {
          pod.address = podIP;
          pod.runsSince = nowMicros();
          return pod;
        }
        if (performance.now() - began > START_MS)
          throw new Error(`Timed out after ${START_MS / 1000} s waiting for pod "${pod.name}" to run: ${phase}`);
        await sleep(100);
      }
    },
    async firstFound({ cluster, namespace, name }) {
      const { code, out, err } = await named(cluster).kubectl("logs", name, "-n", namespace, "-c", FIRST);
      if (code !== 0) throw new Error(`Cannot read what pod "${name}" found: ${err}`);
      // The last line may be half written.
      return out
        .slice(0, out.lastIndexOf("\n") + 1)
        .split("\n")
        .filter((line) => line !== "");
    },
    async deletePod(pod) {
      const { client } = named(pod.cluster);
      const version = pod.labels.ask(undefined, nowMicros());
      pod.deletedAt = version.askedAt;
      await client.delete(PODS, pod.name, { namespace: pod.namespace });
      trackPods(pod.name, named(pod.cluster), version, (view) => !hasPod(view, pod.name));
      while ((await client.get(PODS, pod.name, { namespace: pod.namespace })) !== undefined) await sleep(100);
    },
    async relabelPod(pod, change) {
      const labels = { ...pod.labels.latest, ...change };
      const version = pod.labels.ask(labels, nowMicros());
      const patch = { metadata: { labels: change } };
      await named(pod.cluster).client.mergePatch(PODS, pod.name, patch, { namespace: pod.namespace });
      trackPods(pod.name, named(pod.cluster), version, hasLabels(pod.name, labels));
    },
    async relabelNamespace(cluster, name, labels) {
      const version = model.namespace(cluster.plan.name, name).ask(labels, nowMicros());
      await cluster.client.mergePatch(NAMESPACES, name, { metadata: { labels } });
      trackPods(`${cluster.plan.name}/${name}`, cluster, version, (view) =>
        areInNamespace(view, cluster.plan.name, name, labels),
      );
    },
    async writePolicy(of, spec) {
      const { client, inForce } = named(of.cluster);
      const version = model.policy(of).spec.ask(spec, nowMicros());
      const target = targetOf(of);
      const before = await client.get(resourceOf(of), of.name, target);
      const object: KubeObject & { readonly spec: PolicySpec } = { metadata: { name: of.name, ...target }, spec };
      // Server-side apply would drop a selector that becomes empty.
      const { metadata } = await (before === undefined
        ? client.create(resourceOf(of), object)
        : writeWhole(client, resourceOf(of), object));
      const written = inForce.policyWritten(of.kind, of.namespace, of.name, metadata.generation ?? 0);
      track(policyName(of), version, [[of.cluster, written]]);
    },
    async deletePolicy(of) {
      const { client, inForce } = named(of.cluster);
      const version = model.policy(of).spec.ask(undefined, nowMicros());
      await client.delete(resourceOf(of), of.name, targetOf(of));
      const isGone: IsKnown = ({ policies }) =>
        !policies.some(({ kind, name }) => kind === of.kind && name === of.name);
      track(policyName(of), version, [[of.cluster, inForce.localChange(isGone)]]);
    },
    async run(signal) {
      await Promise.all(all.map(({ inForce }) => inForce.run(signal)));
    },
    close() {
      for (const cluster of all) cluster.close();
    },
  };
}

const NAMESPACE_LABEL = "io.kubernetes.pod.namespace";
const CLUSTER_LABEL = "io.cilium.k8s.policy.cluster";
const LABELS_OF_NAMESPACE = "io.cilium.k8s.namespace.labels.";

function hasLabels(pod: string, labels: Labels): IsKnown {
  return (view) => {
    const [identity, ...others] = identitiesOf(view, pod);
    return (
      identity !== undefined &&
      others.length === 0 &&
      Object.entries(labels).every(([key, value]) => labelOf(identity, key) === value)
    );
  };
}

/** All pods of a namespace have its labels. */
function areInNamespace({ identities }: ClusterView, cluster: string, namespace: string, labels: Labels): boolean {
  return identities
    .filter(
      (one) => one.pods > 0 && labelOf(one, NAMESPACE_LABEL) === namespace && labelOf(one, CLUSTER_LABEL) === cluster,
    )
    .every((one) => Object.entries(labels).every(([key, value]) => labelOf(one, LABELS_OF_NAMESPACE + key) === value));
}

async function mustRun(running: ReturnType<ReturnType<typeof meshOf>>): Promise<void> {
  const { code, out, err } = await running;
  if (code !== 0) throw new Error(`mesh ended with ${code}: ${err}${out}`);
}

/** The conditions of a policy are written meanwhile, each of which is another version of the object. */
async function writeWhole(client: KubeClient, resource: Resource, object: KubeObject): Promise<KubeObject> {
  const { name = "", namespace } = object.metadata;
  for (let tries = 0; ; tries++) {
    const found = await client.get(resource, name, namespace === undefined ? {} : { namespace });
    const { resourceVersion = "" } = found?.metadata ?? {};
    try {
      return await client.replace(resource, { ...object, metadata: { ...object.metadata, resourceVersion } });
    } catch (error) {
      if (!isConflict(error) || tries === 10) throw error;
    }
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof MeshError && (error.data as { readonly status?: number }).status === 409;
}
