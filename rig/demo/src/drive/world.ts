/**
 * What a fault can read and do: two clusters with the Deployment `web` in each, and the parts of the mesh.
 *
 * Time is the machine's monotonic clock. Waiting functions return null when the condition did not hold in time;
 * they throw only when the rig itself fails or the demo is aborted.
 */
import type { Fault } from "@isthmus/lab";
import type { Mark } from "../judge/runs.js";
import type { Mono } from "../samples/sample.js";

/** A part that a fault keeps down; the apiserver is that of east. */
export type Part = "mesh-etcd" | "clustermesh-apiserver";

/** Watches a part's ports by connecting to them ten times a second. */
export interface PortProbe {
  /** Longest period so far in which every connection to every port was refused, in ms. */
  refusedMs(): number;
  /** True if one of the latest connections was accepted. */
  open(): boolean;
  stop(): Promise<void>;
}

/** As in the annotation `service.cilium.io/affinity`. */
export type Affinity = "local" | "remote" | "none";

/** A server's pod and its node. */
export interface PlacedPod {
  readonly pod: string;
  readonly node: string;
}

export interface FaultInForce {
  /** Resolves when its effects are undone. Called at most once. */
  end(): Promise<void>;
}

export interface Suspension extends FaultInForce {
  /** Processes that are suspended. */
  readonly count: number;
}

export interface RigWorld {
  now(): Mono;
  until(at: Mono): Promise<void>;

  /** Sets the Deployment's replicas; returns when the API server has them. */
  scale(cluster: string, replicas: number): Promise<void>;
  /** Ready addresses of the cluster's EndpointSlices, as the demo's own watch has them. */
  ready(cluster: string): readonly string[];
  /** When, at or after `since`, the watch first reported a number of ready addresses for which `fits` is true. */
  waitForReady(cluster: string, fits: (ready: number) => boolean, since: Mono, withinMs: number): Promise<Mono | null>;
  /** Sends SIGKILL to the server in each of the cluster's pods at once; returns the number of processes. */
  killServers(cluster: string): Promise<number>;
  /** Suspends the server in each of the cluster's pods with SIGSTOP. */
  suspendServers(cluster: string): Promise<Suspension>;
  /** Begins a rollout of new pods, as `kubectl rollout restart` does. */
  rollOut(cluster: string): Promise<void>;
  /** True when no rollout is under way: all pods are of the newest template, available, and no older ones are left. */
  rolledOut(cluster: string): Promise<boolean>;
  /** Sets the affinity of the cluster's Service; returns when the API server has it. */
  setAffinity(cluster: string, affinity: Affinity): Promise<void>;
  placedPods(cluster: string): Promise<readonly PlacedPod[]>;
  /** Uid of the client's pod. */
  clientUid(): Promise<string>;
  /** What the client dials: `10.96.0.1:80`. */
  serviceAddress(): Promise<string>;
  /** True if the cluster's API server answers. */
  apiAnswers(cluster: string): Promise<boolean>;
  /** Puts a fault in force that ends by itself after `forMs`; only in a lab. */
  startFault(fault: Fault, forMs: number): Promise<FaultInForce>;

  /** Pid of the agent on the client's node; null while it does not run. */
  agentPid(): Promise<number | null>;
  /** Sends SIGKILL to that agent; its supervisor restarts it. */
  killAgent(): Promise<void>;
  /** Sends SIGKILL and keeps the part down until `start`. */
  holdDown(part: Part): Promise<void>;
  start(part: Part): Promise<void>;
  probe(part: Part): Promise<PortProbe>;

  /** Empties the store; it restarts. */
  wipeStore(): Promise<void>;
  /** The store id that the publishers wrote; null while there is none. */
  storeId(): Promise<string | null>;
  /** True when the head of every cluster is LIVE in the store, and the clusters are in sync. */
  live(): Promise<boolean>;
  /** True when the address is a backend of the Service in the maps of the client's node. */
  inMaps(address: string): Promise<boolean>;

  /** The clusters that answered the last requests, as the client reported; "" for a request that was lost. */
  lastAnswers(count: number): readonly string[];

  /** Undoes what is in force: faults, suspended servers, parts that are held down, another affinity. Also after an abort. */
  restore(): Promise<void>;

  /** Reports a mark to the user as it happens. */
  progress(fault: string, mark: Mark): void;
}
