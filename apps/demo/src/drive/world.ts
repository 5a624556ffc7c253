/**
 * What a fault may see and do: two clusters with the Deployment `web` in each, and the parts of the mesh.
 *
 * Time is the machine's monotonic clock. Waiting functions return null when the thing did not come about in time;
 * they throw only when the world itself is broken or the demo was told to stop.
 */
import type { Mark } from "../judge/runs.js";
import type { Mono } from "../samples/sample.js";

export type Role = "node-agent" | "mesh-etcd" | "clustermesh-apiserver";

/** Watches a port by connecting to it ten times a second. */
export interface PortProbe {
  /** Longest stretch so far in which every connection was refused, in ms. */
  refusedMs(): number;
  /** True when the last connection was accepted. */
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

  /** The agent is the one on the client's node, the apiserver is east's. */
  pid(role: Role): Promise<number | null>;
  /** SIGKILL; its supervisor starts it again. */
  kill(role: Role): Promise<void>;
  /** SIGKILL, and held down until `start`. */
  holdDown(role: Role): Promise<void>;
  start(role: Role): Promise<void>;
  probe(role: Role): Promise<PortProbe>;

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
