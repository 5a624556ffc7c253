/**
 * The node's pods as the rest of the agent sees them: what `startPods` needs and what it tells.
 *
 * ```
 *  kubelet ─► runtime ─► isthmus-cni ─► socket ─► ADD / DEL / CHECK ─► veth, address, routes (ip)
 *                                                        │                    └► report up / down
 *                                                        └► state file: addresses survive this process
 * ```
 */
import type { Address, Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { NetworkChanges } from "../network-changes.js";

export interface PodsOptions {
  readonly nodeName: string;
  /** Where the node's files are as this process sees them: `/`, or `/proc/<pid>/root` in the lab. */
  readonly nodeRoot: string;
  /** As the node sees it; this process adds `nodeRoot`. So are the two folders. */
  readonly socketPath: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  /** The static plugin, as this process sees it. */
  readonly pluginPath: string;
  /** Folder of the state file, as this process sees it. */
  readonly stateDir: string;
}

export interface PodsModules {
  readonly log: Logger;
  /** Calls `listener` with the node's pod CIDRs as soon as they are known, and at each change, until `signal` aborts. */
  readonly nodeConfig: NodeCidrSource;
  readonly report: PodReport;
  readonly programs: RequirePrograms;
  /** What changes in the node's network namespace. */
  readonly changes: NetworkChanges;
  /** Sets a condition of the node; `message` undefined removes it. */
  readonly condition: (type: string, message: string | undefined) => void;
  /** Ends the server. Pods keep their network. */
  readonly signal: AbortSignal;
}

/**
 * Makes sure, at each ADD, that the Service programs run for the pod. `podCgroup`: as the runtime named it, or undefined
 * where it named none. Throws `CniError` (try again) when they do not.
 */
export type RequirePrograms = (podCgroup: string | undefined) => void;

export interface NodeCidrSource {
  subscribe(listener: (podCidrs: readonly Prefix[]) => void, signal: AbortSignal): void;
}

/** Pods of this node as they come and go. After a start every living one is reported up once. */
export interface PodReport {
  /** `hostPorts`: the ports that the pod asks for, where known. */
  up(pod: PodAttachment, hostPorts?: readonly HostPort[]): void;
  down(pod: PodAttachment): void;
}

export interface HostPort {
  readonly port: number;
  readonly protocol: number;
}

/** One interface of one pod. */
export interface PodAttachment {
  /** Name of the node's side of the veth: made from container and interface, so it is the key everywhere. */
  readonly hostDevice: string;
  readonly address: Address;
  readonly containerId: string;
  readonly interfaceName: string;
  /** From CNI_ARGS; "" where the runtime gave none. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface Pods {
  /** Attached interfaces, by host device. */
  list(): readonly PodAttachment[];
  /** Resolves when the socket is closed and no call is in work any more. */
  readonly closed: Promise<void>;
}
