/** Where the demo runs: two clusters that exist, joined by one store, and what starts and stops the parts of the mesh there. */
import type { KubeClient } from "@isthmus/kube";
import type { MapView } from "../drive/map-view.js";
import type { Part } from "../drive/world.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Rig {
  /** For people, after "in": `lab "demo"`. */
  readonly name: string;
  /** Contexts of the kubeconfig, the near cluster first. */
  readonly clusters: readonly string[];
  readonly kubeconfig: string;
  /** What MESH_STORE names. */
  readonly storeFile: string;
  /** The environment of the CLI, beside those two. */
  readonly env: Readonly<Record<string, string>>;
  /** For people, where another demo runs here already: what to do instead of waiting. Empty when there is nothing. */
  readonly alternative: string;
  /** A file that says which demo runs here. */
  readonly useFile: string;
  /** `clientNode`: of the near cluster. `clientOf`: of a cluster's API. */
  controls(clientNode: string, clientOf: (cluster: string) => KubeClient): Promise<RigControls>;
  /** What every process has written, into a folder that does not exist yet. */
  saveLogs(folder: string): Promise<void>;
}

/** The agent is the one on the client's node, the apiserver the near cluster's, the store everybody's. */
export interface RigControls {
  /** Null while the agent does not run. */
  agentPid(): Promise<number | null>;
  /** SIGKILL; its supervisor starts it again. */
  killAgent(): Promise<void>;
  /** SIGKILL, and held down until `start`. */
  holdDown(part: Part): Promise<void>;
  start(part: Part): Promise<void>;
  /** Where it may listen; a part that moves has several. */
  addresses(part: Part): Promise<readonly Address[]>;
  /** Returns when the store is empty; it serves again by itself, a moment later. */
  wipeStore(): Promise<void>;
  /** SIGKILL to the demo's program in these pods (by uid) of a cluster; returns how many processes got it. */
  killServers(cluster: string, podUids: readonly string[]): Promise<number>;
  /** Of the client's node. */
  readonly maps: MapView;
}
