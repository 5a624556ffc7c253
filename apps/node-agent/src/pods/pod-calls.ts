/**
 * Runs ADD, DEL and CHECK, each of which may be repeated at any time.
 *
 * Calls for one device run one after the other, those for different devices concurrently. A repeated ADD completes what
 * exists and returns the same result. An ADD that fails removes what it made, and nothing that an earlier ADD made; one whose pod
 * gets no policy in time has reported it up, and reports it down. If
 * the agent dies during an ADD, a device may remain; the runtime, which got no answer, sends DEL for it.
 */
import type { OpenNetlink } from "@isthmus/bpf";
import { formatAddress, type Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Attachments } from "./attachments.js";
import { CNI_CHECK_FAILED, CNI_OTHER_NAMESPACE, CNI_TRY_AGAIN, CniError } from "./cni-error.js";
import type { CniRequest } from "./cni-request.js";
import { resultJson } from "./cni-result.js";
import { hostDeviceName } from "./device-name.js";
import type { KeyLock } from "./key-lock.js";
import { agentDevices, listDevices } from "./node-devices.js";
import { missingOf, readNodeSide } from "./node-side.js";
import {
  absentAddress,
  configureNodeSide,
  configurePodSide,
  deleteDevice,
  isPairedWith,
  requireNetns,
  resolveNetns,
} from "./pod-network.js";
import type { AwaitEnforced, PodAttachment, PodDevices, PodReport, RequirePrograms } from "./types.js";

export interface PodCallsOptions {
  /** The node's root folder as this process sees it: paths of namespaces are below it. */
  readonly nodeRoot: string;
  /** In bytes, for pairs that are created; existing ones keep theirs. */
  readonly mtu: number;
}

export interface PodCallsModules {
  /** Gets a failed ADD that cannot be undone. */
  readonly log: Logger;
  /** Loaded before the first call. */
  readonly attachments: Attachments;
  /** By host device. */
  readonly lock: KeyLock;
  /** Called at the end of an ADD, unless the same pod was attached before. Removals are reported by `attachments`. */
  readonly report: PodReport;
  /** Called for each step, in the node's namespace or in the pod's. */
  readonly openNetlink: OpenNetlink;
  /** Waits some seconds for the node's pod CIDR; undefined when it is still unknown then. */
  readonly cidr: () => Promise<Prefix | undefined>;
  /** Called by each ADD before anything is made. */
  readonly requirePrograms: RequirePrograms;
  /** Called by each ADD after the report. */
  readonly enforced: AwaitEnforced | undefined;
  /** Removals are passed on by `attachments`. */
  readonly devices: Pick<PodDevices, "attach" | "detach"> | undefined;
}

/** Resolves with the result as JSON ("" where CNI has none). Rejects with `CniError`, or with `NETLINK`. */
export type PodCalls = (request: CniRequest) => Promise<string>;

/** Returns a function that may be called again while calls run. */
export function createPodCalls(options: PodCallsOptions, modules: PodCallsModules): PodCalls {
  const { attachments, lock, log, report, openNetlink } = modules;

  /** The pod with its existing address, which needs no CIDR, or with a new one. */
  async function allocate(request: CniRequest, hostDevice: string): Promise<PodAttachment> {
    const { containerId, interfaceName, pod } = request;
    const named = { hostDevice, containerId, interfaceName, ...pod };
    const known = attachments.get(hostDevice);
    if (known !== undefined) return { ...named, addresses: known.addresses };
    const cidr = await modules.cidr();
    if (cidr === undefined) throw new CniError(CNI_TRY_AGAIN, "Cannot attach pods yet: this node has no pod CIDR");
    await reclaim();
    return attachments.add(named, cidr);
  }

  /**
   * Only attachments without a call before the list of devices was read: a running ADD may create its device after it.
   */
  async function reclaim(): Promise<void> {
    const idle = attachments.list().filter(({ hostDevice }) => !lock.busy.has(hostDevice));
    const devices = await listDevices();
    attachments.reclaim(idle.filter(({ hostDevice }) => !devices.has(hostDevice) && !lock.busy.has(hostDevice)));
  }

  async function add(request: CniRequest, hostDevice: string): Promise<string> {
    const netns = resolveNetns(options.nodeRoot, request.netns);
    await requireNetns(netns, request.netns);
    modules.requirePrograms(request.podCgroup);
    const exists = (await listDevices()).has(hostDevice);
    if (exists) await requireSamePod(request, hostDevice, netns);
    const before = attachments.get(hostDevice);
    const pod = await allocate(request, hostDevice);
    try {
      attachments.put(pod);
      const mtu = exists ? undefined : options.mtu;
      const configured = configureNodeSide(openNetlink, pod, { netns, mtu });
      await allDone([attachments.save(), configured]);
      await modules.devices?.attach(pod, await configured);
      await configurePodSide(openNetlink, pod, netns);
    } catch (error) {
      if (!exists) modules.devices?.detach(pod);
      await rollBack(hostDevice, before, exists);
      throw error;
    }
    if (before?.uid !== pod.uid) report.up(pod, request.hostPorts);
    try {
      await modules.enforced?.(pod);
    } catch (error) {
      if (!exists) await removeReported(hostDevice);
      throw error;
    }
    log.debug("Pod attached", { device: hostDevice, addresses: pod.addresses.map(formatAddress), pod: pod.uid });
    return resultJson(pod, request.netns);
  }

  async function requireSamePod(request: CniRequest, hostDevice: string, netns: string): Promise<void> {
    const { containerId, interfaceName } = request;
    if (await isPairedWith(openNetlink, hostDevice, interfaceName, netns)) return;
    const reason = `its "${interfaceName}" is in another network namespace; delete it there first`;
    throw new CniError(
      CNI_OTHER_NAMESPACE,
      `Cannot attach container "${containerId}" to "${request.netns}": ${reason}`,
    );
  }

  /** Restores the state before a failed ADD. */
  async function rollBack(hostDevice: string, before: PodAttachment | undefined, existed: boolean): Promise<void> {
    try {
      if (!existed && (await agentDevices(openNetlink)).has(hostDevice)) await deleteDevice(openNetlink, hostDevice);
      if (before === undefined) attachments.removeUnreported(hostDevice);
      else attachments.put(before);
      await attachments.save();
    } catch (cause) {
      log.warn("Cannot undo a failed ADD", { device: hostDevice, cause });
    }
  }

  async function removeReported(hostDevice: string): Promise<void> {
    try {
      await remove(hostDevice);
    } catch (cause) {
      log.warn("Cannot undo a failed ADD", { device: hostDevice, cause });
    }
  }

  async function remove(hostDevice: string): Promise<void> {
    const known = attachments.get(hostDevice) !== undefined;
    const deletable = known ? await listDevices() : await agentDevices(openNetlink);
    if (deletable.has(hostDevice)) await deleteDevice(openNetlink, hostDevice);
    if (!known) return;
    attachments.remove(hostDevice);
    await attachments.save();
  }

  async function check(request: CniRequest, hostDevice: string): Promise<void> {
    const pod = attachments.get(hostDevice);
    if (pod === undefined || !(await listDevices()).has(hostDevice)) {
      throw new CniError(CNI_CHECK_FAILED, `Cannot find the network of container "${request.containerId}"`);
    }
    const missing = missingOf(pod, await readNodeSide(openNetlink, hostDevice));
    if (missing !== undefined) throw new CniError(CNI_CHECK_FAILED, `Cannot find ${missing} on the node`);
    const netns = resolveNetns(options.nodeRoot, request.netns);
    const absent = await absentAddress(openNetlink, pod.addresses, request.interfaceName, netns);
    if (absent === undefined) return;
    const sentence = `Cannot find address ${formatAddress(absent)} on "${request.interfaceName}" of the pod`;
    throw new CniError(CNI_CHECK_FAILED, sentence);
  }

  return (request) => {
    const hostDevice = hostDeviceName(request.containerId, request.interfaceName);
    return lock.run(hostDevice, async () => {
      if (request.command === "ADD") return add(request, hostDevice);
      if (request.command === "DEL") await remove(hostDevice);
      else await check(request, hostDevice);
      return "";
    });
  };
}

/** Waits for every part, then rejects with the first failure, so that nothing is still running when ADD is undone. */
async function allDone(parts: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(parts);
  await Promise.all(parts);
}
