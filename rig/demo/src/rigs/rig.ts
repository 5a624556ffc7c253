/** Where the demo runs: two existing clusters with one store, and functions that start and stop the parts of the mesh there. */
import type { KubeClient } from "@isthmus/kube";
import type { Fault } from "@isthmus/lab";
import type { MapView } from "../drive/map-view.js";
import type { FaultInForce, Part, Suspension } from "../drive/world.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Rig {
  /** For messages, after "in": `lab "demo"`. */
  readonly name: string;
  /** Contexts of the kubeconfig, the near cluster first. */
  readonly clusters: readonly string[];
  readonly kubeconfig: string;
  /** The value of MESH_STORE. */
  readonly storeFile: string;
  /** Other environment variables of the CLI. */
  readonly env: Readonly<Record<string, string>>;
  /** For the error that another demo runs here: what to do instead of waiting. Empty when there is no alternative. */
  readonly alternative: string;
  /** The file that names the demo that runs here. */
  readonly useFile: string;
  /** `clientNode`: a node of the near cluster. `clientOf`: returns the client of a cluster's API. */
  controls(clientNode: string, clientOf: (cluster: string) => KubeClient): Promise<RigControls>;
  /** Saves the logs of every process into a folder that does not exist yet. */
  saveLogs(folder: string): Promise<void>;
}

/** Controls the agent on the client's node, the apiserver of the near cluster, and the shared store. */
export interface RigControls {
  /** Pid of the agent; null while it does not run. */
  agentPid(): Promise<number | null>;
  /** Sends SIGKILL; its supervisor restarts it. */
  killAgent(): Promise<void>;
  /** Sends SIGKILL and keeps the part down until `start`. */
  holdDown(part: Part): Promise<void>;
  start(part: Part): Promise<void>;
  /** The addresses at which it may listen; a part that can move has several. */
  addresses(part: Part): Promise<readonly Address[]>;
  /** Resolves when the store is empty; it serves again shortly after that. */
  wipeStore(): Promise<void>;
  /** Sends SIGKILL to the demo's program in these pods (by uid) of a cluster; returns the number of processes. */
  killServers(cluster: string, podUids: readonly string[]): Promise<number>;
  /** Suspends it. The processes run again, whatever becomes of this one, after `LONGEST_FAULT_MS` at the latest. */
  suspendServers(cluster: string, podUids: readonly string[]): Promise<Suspension>;
  /** Resolves when the fault is in force. It ends by itself after `forMs`. Throws where faults of this kind cannot be made. */
  startFault(fault: Fault, forMs: number): Promise<FaultInForce>;
  /** The maps of the client's node. */
  readonly maps: MapView;
}
