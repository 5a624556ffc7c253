/**
 * The pod network's interface to the rest of the agent: what `startPods` needs and what it reports.
 *
 * ```
 *  kubelet ─► runtime ─► isthmus-cni ─► socket ─► ADD / DEL / CHECK ─► veth, address, routes (rtnetlink)
 *                                                        │                    └► report up / down
 *                                                        └► state file: addresses survive this process
 * ```
 */
import type { OpenNetlink, rtnetlink } from "@isthmus/bpf";
import type { Address, Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { NetworkChanges } from "../network/network-changes.js";

export interface PodsOptions {
  /** The node's root directory as this process sees it: `/`, or `/proc/<pid>/root` in the lab. */
  readonly nodeRoot: string;
  /** This path and the next two are those on the node; this process puts `nodeRoot` before them. */
  readonly socketPath: string;
  /** Folder in which the runtime looks for plugins. */
  readonly cniBinDir: string;
  /** Folder in which the runtime looks for network configurations. */
  readonly cniConfDir: string;
  /** The static plugin, as this process sees it. */
  readonly pluginPath: string;
  /** Folder of the state file, as this process sees it. */
  readonly stateDir: string;
}

export interface PodsModules {
  /** Gets the start, calls that failed, and what was restored. */
  readonly log: Logger;
  /**
   * Calls `listener` with the node's pod CIDRs as soon as they are known, and at each change, until `signal` aborts.
   */
  readonly nodeConfig: NodeCidrSource;
  /** Called already during the start, for pods that are adopted or gone. */
  readonly report: PodReport;
  /** Called with the node's health address once it is known, and when another one is taken; undefined = it has none. */
  readonly health: (address: Address | undefined) => void;
  /** Without a path it opens the node's namespace, which is that of this process. */
  readonly openNetlink: OpenNetlink;
  /** Called at each ADD before anything is made. */
  readonly programs: RequirePrograms;
  /** Called at each ADD when the pod is reported; undefined: nothing enforces policy here. */
  readonly enforced: AwaitEnforced | undefined;
  /** Changes in the node's network namespace. */
  readonly changes: NetworkChanges;
  /** Undefined: no programs are attached to devices. */
  readonly devices: PodDevices | undefined;
  /** Sets a condition of the node; `message` undefined removes it. */
  readonly condition: (type: string, message: string | undefined) => void;
  /** Ends the server. Pods keep their network. */
  readonly signal: AbortSignal;
}

/**
 * Ensures, at each ADD, that the Service programs run for the pod. `podCgroup`: as the runtime named it, or undefined
 * when it named none. Throws `CniError` (try again) when they do not run.
 */
export type RequirePrograms = (podCgroup: string | undefined) => void;

/**
 * Resolves when the pod's policy is enforced, and rejects with `CniError` (try again) when it is not in time: the pod's processes start
 * after the ADD.
 */
export type AwaitEnforced = (pod: PodAttachment) => Promise<void>;

/** Follows the devices of pods, for programs on them. */
export interface PodDevices {
  /** Called once at the start, before any call is answered, with the pods that have devices. */
  adopt(pods: readonly PodAttachment[]): Promise<void>;
  /**
   * Called in an ADD when the node's side is up, before the pod gets its address. When it rejects, so does the ADD. `link`: the pod's
   * host device as just read.
   */
  attach(pod: PodAttachment, link: rtnetlink.Link): Promise<void>;
  /** The pod's device is gone, or its ADD has failed. */
  detach(pod: PodAttachment): void;
}

export interface NodeCidrSource {
  /** Calls `listener` at once if CIDRs are known, and at each change, until `signal` aborts. */
  subscribe(listener: (podCidrs: readonly Prefix[]) => void, signal: AbortSignal): void;
}

/** Reports pods of this node that were attached or removed. After a start every existing pod is reported up once. */
export interface PodReport {
  /** `hostPorts`: the host ports that the pod requests, if known. */
  up(pod: PodAttachment, hostPorts?: readonly HostPort[]): void;
  /** Also for a pod that went while the agent did not run. */
  down(pod: PodAttachment): void;
}

export interface HostPort {
  /** 1 to 65535. */
  readonly port: number;
  /** The number that IP has for it, such as 6 for TCP. */
  readonly protocol: number;
}

/** At least one address, and at most one of each family, IPv4 (as v4-mapped) first. Pods get IPv4 alone today. */
export type PodAddresses = readonly [Address, ...Address[]];

/** One interface of one pod. */
export interface PodAttachment {
  /** Name of the node's side of the veth. It is derived from container and interface, and is the key everywhere. */
  readonly hostDevice: string;
  /** Of the pod's side of the veth. */
  readonly addresses: PodAddresses;
  /** From CNI_CONTAINERID; "" when the state file was lost, as in the members below. */
  readonly containerId: string;
  /** Name of the pod's side of the veth, in the pod's namespace. */
  readonly interfaceName: string;
  /** From CNI_ARGS; "" when the runtime passed none. */
  readonly namespace: string;
  /** Kubernetes name of the pod; "" as `namespace`. */
  readonly name: string;
  /** Kubernetes UID of the pod; "" as `namespace`. */
  readonly uid: string;
}

export interface Pods {
  /** Attached interfaces, by host device. */
  list(): readonly PodAttachment[];
  /** Resolves when the socket is closed and no call is running any more. */
  readonly closed: Promise<void>;
}
