/** The world as it is: a lab's clusters through their APIs, its processes through its supervisor. */
import {
  createKubeClient,
  createTransport,
  DEPLOYMENTS,
  type KubeClient,
  loadKubeAccess,
  PODS,
  type Transport,
} from "@isthmus/kube";
import { type ClusterPlan, controlProcess, type LabHandle, labStatus, pinDirectory, wipe } from "@isthmus/lab";
import type { Mark } from "../judge/runs.js";
import { type Mono, monoNow } from "../samples/sample.js";
import { NAMESPACE, SERVICE } from "../setup/objects.js";
import { delay } from "./delay.js";
import { type MapView, openMapView } from "./map-view.js";
import { pidIn, portOf, selectorOf } from "./places.js";
import { createPortProbe } from "./port-probe.js";
import { demoProcesses } from "./server-processes.js";
import { createSliceWatch, type SliceWatch } from "./slice-watch.js";
import { openStoreView, type StoreView } from "./store-view.js";
import type { World } from "./world.js";

export interface ClusterAccess {
  readonly plan: ClusterPlan;
  readonly client: KubeClient;
  readonly transport: Transport;
  readonly slices: SliceWatch;
}

export function openClusters(lab: LabHandle): ReadonlyMap<string, ClusterAccess> {
  return new Map(
    lab.plan.clusters.map((plan) => {
      const transport = createTransport(loadKubeAccess({ kubeconfig: lab.kubeconfig, context: plan.name }));
      const slices = createSliceWatch(transport, NAMESPACE, SERVICE);
      return [plan.name, { plan, transport, client: createKubeClient(transport), slices }];
    }),
  );
}

export interface LabWorldOptions {
  readonly lab: LabHandle;
  readonly clusters: ReadonlyMap<string, ClusterAccess>;
  /** The node that the client's pod runs on. */
  readonly clientNode: string;
  readonly progress: (fault: string, mark: Mark) => void;
  readonly signal: AbortSignal;
}

export interface LabWorld extends World {
  close(): void;
}

export async function createLabWorld(options: LabWorldOptions): Promise<LabWorld> {
  const { lab, clusters, signal } = options;
  const store = await openStoreView(lab.storeFile, [...clusters.keys()]);
  return makeWorld(options, store, openMaps(lab, options.clientNode), (name) => {
    signal.throwIfAborted();
    const cluster = clusters.get(name);
    if (cluster === undefined) throw new Error(`Cannot find cluster "${name}" in the lab`);
    return cluster;
  });
}

function openMaps(lab: LabHandle, clientNode: string): MapView {
  const node = lab.plan.clusters.flatMap((cluster) => cluster.nodes).find((n) => n.name === clientNode);
  if (node === undefined) throw new Error(`Cannot find node "${clientNode}" in the lab`);
  return openMapView(pinDirectory(lab.plan, node));
}

/** `at`: access to a cluster by its name; throws when the demo was told to stop. */
export function makeWorld(
  { lab, clientNode, progress, signal }: LabWorldOptions,
  store: Pick<StoreView, "id" | "live" | "close">,
  maps: MapView,
  at: (cluster: string) => ClusterAccess,
): LabWorld {
  const name = lab.plan.name;
  const until = (time: Mono) => delay(time - monoNow(), signal);
  return {
    now: monoNow,
    until,
    scale: async (cluster, replicas) =>
      void (await at(cluster).client.mergePatch(
        DEPLOYMENTS,
        SERVICE,
        { spec: { replicas } },
        { namespace: NAMESPACE },
      )),
    ready: (cluster) => at(cluster).slices.current(),
    async readyWhen(cluster, fits, since, withinMs) {
      const end = monoNow() + withinMs;
      for (;;) {
        const seen = at(cluster).slices.history.find((change) => change.at >= since && fits(change.ready.length));
        if (seen !== undefined || monoNow() >= end) return seen?.at ?? null;
        await until(monoNow() + 10);
      }
    },
    async killServers(cluster) {
      const pods = await at(cluster).client.list(PODS, { namespace: NAMESPACE, labelSelector: `app=${SERVICE}` });
      const live = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
      const pids = await demoProcesses(live.flatMap((pod) => pod.metadata.uid ?? []));
      for (const pid of pids) process.kill(pid, "SIGKILL");
      return pids.length;
    },
    pid: async (role) => pidIn(await labStatus(name), selectorOf(role, clientNode)),
    kill: async (role) => void (await controlProcess(name, "kill", selectorOf(role, clientNode))),
    async holdDown(role) {
      // SIGKILL first: `stop` alone would ask politely.
      await controlProcess(name, "kill", selectorOf(role, clientNode));
      await controlProcess(name, "stop", selectorOf(role, clientNode));
    },
    start: async (role) => void (await controlProcess(name, "start", selectorOf(role, clientNode))),
    async probe(role) {
      const { host, port } = portOf(lab.plan, role);
      return createPortProbe(host, port);
    },
    wipeStore: async () => void (await wipe(name)),
    storeId: () => store.id(),
    live: () => store.live(),
    inMaps: async (address) => maps.holds(address),
    progress,
    close() {
      store.close();
      maps.close();
    },
  };
}
