/** The real `World`: clusters through their APIs, parts of the mesh through the rig that runs them. */
import {
  createKubeClient,
  createTransport,
  DEPLOYMENTS,
  type KubeClient,
  type KubeObject,
  type KubeService,
  loadKubeAccess,
  PODS,
  SERVICES,
  type Transport,
} from "@isthmus/kube";
import { systemClock } from "@isthmus/model";
import { waitWithin } from "@isthmus/runtime";
import type { MovesReading } from "../judge/moves.js";
import { NEAR } from "../judge/clusters.js";
import type { Mark } from "../judge/runs.js";
import type { Rig, RigControls } from "../rigs/rig.js";
import { type Mono, monoNow } from "../samples/sample.js";
import { AFFINITY, addressOf, CLIENT, NAMESPACE, SERVICE, USUAL_AFFINITY } from "../setup/objects.js";
import { createInForce } from "./in-force.js";
import { watchMoves } from "./moves-watch.js";
import { createPortProbe } from "./port-probe.js";
import { createSliceWatch, type SliceWatch } from "./slice-watch.js";
import { openStoreView, type StoreView } from "./store-view.js";
import type { Affinity, RigWorld } from "./world.js";

export interface ClusterAccess {
  readonly name: string;
  readonly client: KubeClient;
  readonly transport: Transport;
  readonly slices: SliceWatch;
}

export function openClusters({ kubeconfig, clusters }: Rig): ReadonlyMap<string, ClusterAccess> {
  return new Map(
    clusters.map((name) => {
      const transport = createTransport(loadKubeAccess({ kubeconfig, context: name }));
      const slices = createSliceWatch(transport, NAMESPACE, SERVICE);
      return [name, { name, transport, client: createKubeClient(transport), slices }];
    }),
  );
}

export interface MeshWorldOptions {
  readonly clusters: ReadonlyMap<string, ClusterAccess>;
  readonly controls: RigControls;
  readonly store: Pick<StoreView, "id" | "live" | "close">;
  /** The clusters that answered the client's last requests; "" for one that was lost. */
  readonly lastAnswers: (count: number) => readonly string[];
  readonly progress: (fault: string, mark: Mark) => void;
  readonly signal: AbortSignal;
}

export interface MeshWorld extends RigWorld {
  /** Connects that the client's node has moved to another backend. */
  readonly moves: readonly MovesReading[];
  close(): void;
}

/** `clientNode`: the node that the client's pod runs on. */
export async function openMeshWorld(
  rig: Rig,
  clientNode: string,
  options: Omit<MeshWorldOptions, "controls" | "store">,
): Promise<MeshWorld> {
  const store = await openStoreView(rig.storeFile, rig.clusters);
  const controls = await rig.controls(clientNode, (cluster) => accessTo(options.clusters, cluster).client);
  return createMeshWorld({ ...options, store, controls });
}

function accessTo(clusters: ReadonlyMap<string, ClusterAccess>, name: string): ClusterAccess {
  const cluster = clusters.get(name);
  if (cluster === undefined) throw new Error(`Cannot find cluster "${name}"`);
  return cluster;
}

interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
}

interface Deployment extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: Readonly<
    Partial<Record<"observedGeneration" | "replicas" | "updatedReplicas" | "availableReplicas", number>>
  >;
}

/** As the template's annotation that `kubectl rollout restart` sets. */
const RESTARTED_AT = "kubectl.kubernetes.io/restartedAt";

async function livePods({ client }: ClusterAccess): Promise<readonly Pod[]> {
  const pods = await client.list<Pod>(PODS, { namespace: NAMESPACE, labelSelector: `app=${SERVICE}` });
  return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

export function createMeshWorld(options: MeshWorldOptions): MeshWorld {
  const { clusters, controls, store, lastAnswers, progress, signal } = options;
  const until = (time: Mono) => systemClock.delay(time - monoNow(), signal);
  const at = (name: string): ClusterAccess => {
    signal.throwIfAborted();
    return accessTo(clusters, name);
  };
  const moves = watchMoves(() => controls.maps.moved());
  const inForce = createInForce();
  const uidsIn = async (cluster: string) => (await livePods(at(cluster))).flatMap((pod) => pod.metadata.uid ?? []);
  const annotate = async (cluster: string, affinity: Affinity) => {
    const patch = { metadata: { annotations: { [AFFINITY]: affinity } } };
    await accessTo(clusters, cluster).client.mergePatch(SERVICES, SERVICE, patch, { namespace: NAMESPACE });
  };
  return {
    now: monoNow,
    until,
    async scale(cluster, replicas) {
      const patch = { spec: { replicas } };
      await at(cluster).client.mergePatch(DEPLOYMENTS, SERVICE, patch, { namespace: NAMESPACE });
    },
    ready: (cluster) => at(cluster).slices.current(),
    async waitForReady(cluster, fits, since, withinMs) {
      const match = () => at(cluster).slices.history.find((change) => change.at >= since && fits(change.ready.length));
      return (await waitWithin(match, { timeoutMs: withinMs, everyMs: 10, signal }))?.at ?? null;
    },
    killServers: async (cluster) => controls.killServers(cluster, await uidsIn(cluster)),
    suspendServers: async (cluster) =>
      inForce.put(`suspended ${cluster}`, await controls.suspendServers(cluster, await uidsIn(cluster))),
    async rollOut(cluster) {
      const annotations = { [RESTARTED_AT]: new Date().toISOString() };
      const patch = { spec: { template: { metadata: { annotations } } } };
      await at(cluster).client.mergePatch(DEPLOYMENTS, SERVICE, patch, { namespace: NAMESPACE });
    },
    async rolledOut(cluster) {
      const found = await at(cluster).client.get<Deployment>(DEPLOYMENTS, SERVICE, { namespace: NAMESPACE });
      const { metadata, spec, status } = found ?? {};
      const counts = [status?.replicas, status?.updatedReplicas, status?.availableReplicas];
      return (
        status?.observedGeneration === metadata?.generation && counts.every((n) => (n ?? 0) === (spec?.replicas ?? 0))
      );
    },
    async setAffinity(cluster, affinity) {
      signal.throwIfAborted();
      const what = `affinity ${cluster}`;
      inForce.add(what, () => annotate(cluster, USUAL_AFFINITY));
      await annotate(cluster, affinity);
      if (affinity === USUAL_AFFINITY) inForce.remove(what);
    },
    async placedPods(cluster) {
      return (await livePods(at(cluster))).map(({ metadata, spec }) => ({
        pod: metadata.name ?? "",
        node: spec?.nodeName ?? "",
      }));
    },
    async clientUid() {
      const { metadata } = (await at(NEAR).client.get(PODS, CLIENT, { namespace: NAMESPACE })) ?? {};
      if (metadata?.uid === undefined) throw new Error("Cannot find the client's pod");
      return metadata.uid;
    },
    async serviceAddress() {
      return addressOf(await at(NEAR).client.get<KubeService>(SERVICES, SERVICE, { namespace: NAMESPACE }));
    },
    async apiAnswers(cluster) {
      const { client } = at(cluster);
      return client.get(SERVICES, SERVICE, { namespace: NAMESPACE, signal: AbortSignal.timeout(1000) }).then(
        () => true,
        () => false,
      );
    },
    startFault: async (fault, forMs) => inForce.put(JSON.stringify(fault), await controls.startFault(fault, forMs)),
    agentPid: () => controls.agentPid(),
    killAgent: () => controls.killAgent(),
    holdDown(part) {
      inForce.add(part, () => controls.start(part));
      return controls.holdDown(part);
    },
    async start(part) {
      await controls.start(part);
      inForce.remove(part);
    },
    probe: async (part) => createPortProbe(await controls.addresses(part)),
    wipeStore: () => controls.wipeStore(),
    storeId: () => store.id(),
    live: () => store.live(),
    inMaps: async (address) => controls.maps.holds(address),
    lastAnswers,
    restore: () => inForce.restore(),
    progress,
    moves: moves.readings,
    close() {
      moves.stop();
      store.close();
      controls.maps.close();
    },
  };
}
