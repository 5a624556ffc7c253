/**
 * What a fault may see and do: two clusters with the Deployment `web` in each, and the parts of the mesh.
 *
 * Time is the machine's monotonic clock. Waiting functions return null when the thing did not come about in time;
 * they throw only when the world itself is broken or the demo was told to stop.
 */
import type { Mark } from "../judge/runs.js";
import type { Mono } from "../samples/sample.js";

/** What a fault holds down; the apiserver is east's. */
export type Part = "mesh-etcd" | "clustermesh-apiserver";

/** Watches a part's ports by connecting to them ten times a second. */
export interface PortProbe {
  /** Longest stretch so far in which every connection to every port was refused, in ms. */
  refusedMs(): number;
  /** True when one of the last connections was accepted. */
  open(): boolean;
  stop(): Promise<void>;
}

export interface World {
  now(): Mono;
  until(at: Mono): Promise<void>;

  /** Sets the Deployment's replicas; returns when the API server has them. */
  scale(cluster: string, replicas: number): Promise<void>;
  /** Ready addresses of the cluster's EndpointSlices, as the demo's own watch has them. */
  ready(cluster: string): readonly string[];
  /** When the watch first said, at or after `since`, that the number of ready addresses fits. */
  readyWhen(cluster: string, fits: (ready: number) => boolean, since: Mono, withinMs: number): Promise<Mono | null>;
  /** Sends SIGKILL to the server in each of the cluster's pods at once; returns how many got it. */
  killServers(cluster: string): Promise<number>;

  /** Of the agent on the client's node; null while it does not run. */
  agentPid(): Promise<number | null>;
  /** SIGKILL to that agent; its supervisor starts it again. */
  killAgent(): Promise<void>;
  /** SIGKILL, and held down until `start`. */
  holdDown(part: Part): Promise<void>;
  start(part: Part): Promise<void>;
  probe(part: Part): Promise<PortProbe>;

  /** The store comes back empty. */
  wipeStore(): Promise<void>;
  /** What the publishers wrote as the store's id; null while there is none. */
  storeId(): Promise<string | null>;
  /** The head of every cluster is LIVE in the store, and the clusters are in sync. */
  live(): Promise<boolean>;
  /** The address is a backend of the Service in the maps of the client's node. */
  inMaps(address: string): Promise<boolean>;

  /** Called as it happens, for people. */
  progress(fault: string, mark: Mark): void;
}
