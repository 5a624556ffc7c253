/** The real `World`: clusters through their APIs, parts of the mesh through the rig that runs them. */
import {
  createKubeClient,
  createTransport,
  DEPLOYMENTS,
  type KubeClient,
  type KubeObject,
  loadKubeAccess,
  PODS,
  SERVICES,
  type Transport,
} from "@isthmus/kube";
import { systemClock } from "@isthmus/model";
import { waitWithin } from "@isthmus/runtime";
import type { MovesReading } from "../judge/moves.js";
import type { Mark } from "../judge/runs.js";
import type { Rig, RigControls } from "../rigs/rig.js";
import { type Mono, monoNow } from "../samples/sample.js";
import { AFFINITY, NAMESPACE, SERVICE } from "../setup/objects.js";
import { watchMoves } from "./moves-watch.js";
import { createPortProbe } from "./port-probe.js";
import { createSliceWatch, type SliceWatch } from "./slice-watch.js";
import { openStoreView, type StoreView } from "./store-view.js";
import type { RigWorld } from "./world.js";

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

async function livePods({ client }: ClusterAccess): Promise<readonly Pod[]> {
  const pods = await client.list<Pod>(PODS, { namespace: NAMESPACE, labelSelector: `app=${SERVICE}` });
  return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

export function createMeshWorld({ clusters, controls, store, progress, signal }: MeshWorldOptions): MeshWorld {
  const until = (time: Mono) => systemClock.delay(time - monoNow(), signal);
  const at = (name: string): ClusterAccess => {
    signal.throwIfAborted();
    return accessTo(clusters, name);
  };
  const moves = watchMoves(() => controls.maps.moved());
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
    async signalServers(cluster, signalName) {
      const uids = (await livePods(at(cluster))).flatMap((pod) => pod.metadata.uid ?? []);
      return controls.signalServers(cluster, uids, signalName);
    },
    async setAffinity(cluster, affinity) {
      const patch = { metadata: { annotations: { [AFFINITY]: affinity } } };
      await at(cluster).client.mergePatch(SERVICES, SERVICE, patch, { namespace: NAMESPACE });
    },
    async placedPods(cluster) {
      return (await livePods(at(cluster))).map(({ metadata, spec }) => ({
        pod: metadata.name ?? "",
        node: spec?.nodeName ?? "",
      }));
    },
    async apiAnswers(cluster) {
      const { client } = at(cluster);
      return client.get(SERVICES, SERVICE, { namespace: NAMESPACE, signal: AbortSignal.timeout(1000) }).then(
        () => true,
        () => false,
      );
    },
    startFault: (fault, forMs) => controls.startFault(fault, forMs),
    agentPid: () => controls.agentPid(),
    killAgent: () => controls.killAgent(),
    holdDown: (part) => controls.holdDown(part),
    start: (part) => controls.start(part),
    probe: async (part) => createPortProbe(await controls.addresses(part)),
    wipeStore: () => controls.wipeStore(),
    storeId: () => store.id(),
    live: () => store.live(),
    inMaps: async (address) => controls.maps.holds(address),
    progress,
    moves: moves.readings,
    close() {
      moves.stop();
      store.close();
      controls.maps.close();
    },
  };
}
