/**
 * ADD, DEL and CHECK, each of which may be repeated at any time.
 *
 * One call at a time per device, others beside it. A repeated ADD completes what stands and answers the same. One that
 * fails takes back what it made itself, and nothing of an earlier one; an agent that dies in between leaves a device
 * whose DEL comes, since its runtime got no answer.
 */
import { formatAddress, type Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Attachments } from "./attachments.js";
import { CNI_CHECK_FAILED, CNI_OTHER_NAMESPACE, CNI_TRY_AGAIN, CniError } from "./cni-error.js";
import type { CniRequest } from "./cni-request.js";
import { resultJson } from "./cni-result.js";
import { hostDeviceName } from "./device-name.js";
import type { KeyLock } from "./key-lock.js";
import { listDevices, markedDevices } from "./node-devices.js";
import { missingOf, readNodeSide } from "./node-side.js";
import {
  configureInside,
  configureNode,
  deleteDevice,
  hasAddress,
  isPairedWith,
  requireNetns,
  resolveNetns,
} from "./pod-network.js";
import type { PodAttachment, PodReport, RequirePrograms } from "./types.js";

export interface PodCallsOptions {
  readonly nodeRoot: string;
  readonly mtu: number;
}

export interface PodCallsModules {
  readonly log: Logger;
  readonly attachments: Attachments;
  /** By host device. */
  readonly lock: KeyLock;
  readonly report: PodReport;
  /** The node's pod CIDR, waiting some seconds for it; undefined when it is still not known then. */
  readonly cidr: () => Promise<Prefix | undefined>;
  readonly programs: RequirePrograms;
}

/** Answers a request with JSON ("" where CNI wants none). Rejects with `CniError`, or with what `ip` said. */
export type PodCalls = (request: CniRequest) => Promise<string>;

export function createPodCalls(options: PodCallsOptions, modules: PodCallsModules): PodCalls {
  const { attachments, lock, log, report } = modules;

  /** The known address, which needs no CIDR, or a new one. */
  async function allocate(request: CniRequest, hostDevice: string): Promise<PodAttachment> {
    const { containerId, interfaceName, pod } = request;
    const named = { hostDevice, containerId, interfaceName, ...pod };
    const known = attachments.get(hostDevice);
    if (known !== undefined) return { ...named, address: known.address };
    const cidr = await modules.cidr();
    if (cidr === undefined) throw new CniError(CNI_TRY_AGAIN, "Cannot attach pods yet: this node has no pod CIDR");
    await reclaim();
    return attachments.add(named, cidr);
  }

  /** Only what was at rest before the devices were listed: one that is in the making may come after the list. */
  async function reclaim(): Promise<void> {
    const resting = attachments.list().filter(({ hostDevice }) => !lock.busy.has(hostDevice));
    const devices = await listDevices();
    attachments.reclaim(resting.filter(({ hostDevice }) => !devices.has(hostDevice) && !lock.busy.has(hostDevice)));
  }

  async function add(request: CniRequest, hostDevice: string): Promise<string> {
    const netns = resolveNetns(options.nodeRoot, request.netns);
    await requireNetns(netns, request.netns);
    modules.programs(request.podCgroup);
    const stands = (await listDevices()).has(hostDevice);
    if (stands) await requireSamePod(request, hostDevice, netns);
    const before = attachments.get(hostDevice);
    const pod = await allocate(request, hostDevice);
    try {
      attachments.put(pod);
      const mtu = stands ? undefined : options.mtu;
      await allDone([attachments.save(), configureNode(pod, { netns, mtu })]);
      await configureInside(pod, netns);
    } catch (error) {
      await takeBack(hostDevice, before, stands);
      throw error;
    }
    if (before?.uid !== pod.uid) report.up(pod, request.hostPorts);
    log.debug("Pod attached", { device: hostDevice, address: formatAddress(pod.address), pod: pod.uid });
    return resultJson(pod, request.netns);
  }

  async function requireSamePod(request: CniRequest, hostDevice: string, netns: string): Promise<void> {
    const { containerId, interfaceName } = request;
    if (await isPairedWith(hostDevice, interfaceName, netns)) return;
    const reason = `its "${interfaceName}" is in another network namespace; delete it there first`;
    throw new CniError(
      CNI_OTHER_NAMESPACE,
      `Cannot attach container "${containerId}" to "${request.netns}": ${reason}`,
    );
  }

  /** After a failed ADD: everything is as it was before it. */
  async function takeBack(hostDevice: string, before: PodAttachment | undefined, stood: boolean): Promise<void> {
    try {
      if (!stood && (await markedDevices()).has(hostDevice)) await deleteDevice(hostDevice);
      if (before === undefined) attachments.forget(hostDevice);
      else attachments.put(before);
      await attachments.save();
    } catch (cause) {
      log.warn("Half-made pod network not removed", { device: hostDevice, cause });
    }
  }

  async function remove(hostDevice: string): Promise<void> {
    const known = attachments.get(hostDevice) !== undefined;
    const ours = known ? await listDevices() : await markedDevices();
    if (ours.has(hostDevice)) await deleteDevice(hostDevice);
    if (!known) return;
    attachments.remove(hostDevice);
    await attachments.save();
  }

  async function check(request: CniRequest, hostDevice: string): Promise<void> {
    const pod = attachments.get(hostDevice);
    if (pod === undefined || !(await listDevices()).has(hostDevice)) {
      throw new CniError(CNI_CHECK_FAILED, `Cannot find the network of container "${request.containerId}"`);
    }
    const missing = missingOf(pod, await readNodeSide(hostDevice));
    if (missing !== undefined) throw new CniError(CNI_CHECK_FAILED, `Cannot find ${missing} on the node`);
    const netns = resolveNetns(options.nodeRoot, request.netns);
    if (await hasAddress(pod.address, request.interfaceName, netns)) return;
    const sentence = `Cannot find address ${formatAddress(pod.address)} on "${request.interfaceName}" of the pod`;
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

/** Waits for every part, then rejects with the first failure: what is taken back must not still be in the making. */
async function allDone(parts: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(parts);
  await Promise.all(parts);
}
