/**
 * ADD, DEL and CHECK, each of which may be repeated at any time.
 *
 * One call at a time per device, others beside it. A failed ADD takes back what it made; an agent that dies in between
 * leaves a device whose DEL comes, since its runtime got no answer.
 */
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatAddress, type Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import type { Attachments } from "./attachments.js";
import { CNI_CHECK_FAILED, CNI_INVALID_ENVIRONMENT, CNI_TRY_AGAIN, CniError } from "./cni-error.js";
import type { CniRequest } from "./cni-request.js";
import { resultJson } from "./cni-result.js";
import { hostDeviceName } from "./device-name.js";
import { ip, ipBatch, ipBatchIn, ipIn } from "./ip.js";
import { configureHost, configurePod, createPair } from "./ip-commands.js";
import { createKeyLock } from "./key-lock.js";
import { listDevices } from "./node-devices.js";
import type { PodAttachment, PodReport } from "./types.js";

export interface PodCallsOptions {
  readonly nodeRoot: string;
  readonly mtu: number;
}

export interface PodCallsModules {
  readonly log: Logger;
  readonly attachments: Attachments;
  readonly report: PodReport;
  /** The node's pod CIDR, waiting some seconds for it; undefined when it is still not known then. */
  readonly cidr: () => Promise<Prefix | undefined>;
}

/** Answers a request with JSON ("" where CNI wants none). Rejects with `CniError`, or with what `ip` said. */
export type PodCalls = (request: CniRequest) => Promise<string>;

export function createPodCalls(options: PodCallsOptions, modules: PodCallsModules): PodCalls {
  const { attachments, log, report } = modules;
  const lock = createKeyLock();

  async function requireCidr(): Promise<Prefix> {
    const cidr = await modules.cidr();
    if (cidr === undefined) throw new CniError(CNI_TRY_AGAIN, "Cannot attach pods yet: this node has no pod CIDR");
    return cidr;
  }

  function allocate(request: CniRequest, hostDevice: string, cidr: Prefix): PodAttachment {
    const { containerId, interfaceName, pod } = request;
    return attachments.add({ hostDevice, containerId, interfaceName, ...pod }, cidr);
  }

  async function add(request: CniRequest, hostDevice: string): Promise<string> {
    const netns = resolveNetns(options.nodeRoot, request.netns);
    await requireNetns(netns, request.netns);
    const cidr = await requireCidr();
    const devices = await listDevices();
    attachments.reclaim(devices, lock.busy);
    const isNew = attachments.get(hostDevice) === undefined;
    const pod = allocate(request, hostDevice, cidr);
    try {
      const pair = devices.has(hostDevice) ? [] : createPair(pod, netns, options.mtu);
      await allDone([attachments.save(), ipBatch([...pair, ...configureHost(pod)])]);
      await Promise.all([ipBatchIn(netns, configurePod(pod)), refuseForgedSources(hostDevice)]);
    } catch (error) {
      await remove(hostDevice).catch((cause: unknown) => log.warn("Half-made pod network not removed", { cause }));
      throw error;
    }
    if (isNew) report.up(pod);
    log.debug("Pod attached", { device: hostDevice, address: formatAddress(pod.address), pod: pod.uid });
    return resultJson(pod, request.netns);
  }

  async function remove(hostDevice: string): Promise<void> {
    if ((await listDevices()).has(hostDevice)) await deleteDevice(hostDevice);
    if (attachments.get(hostDevice) === undefined) return;
    attachments.remove(hostDevice);
    await attachments.save();
  }

  async function check(request: CniRequest, hostDevice: string): Promise<void> {
    const pod = attachments.get(hostDevice);
    if (pod === undefined || !(await listDevices()).has(hostDevice)) {
      throw new CniError(CNI_CHECK_FAILED, `Cannot find the network of container "${request.containerId}"`);
    }
    const netns = resolveNetns(options.nodeRoot, request.netns);
    const shown = await ipIn(netns, ["-4", "-oneline", "addr", "show", "dev", request.interfaceName]);
    if (shown.includes(` ${formatAddress(pod.address)}/32 `)) return;
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

/** Deletes a device of ours; one that is gone meanwhile (its pod's namespace ended) is as good. */
export async function deleteDevice(hostDevice: string): Promise<void> {
  try {
    await ip(["link", "del", hostDevice]);
  } catch (error) {
    if ((await listDevices()).has(hostDevice)) throw error;
  }
}

/** `/var/run` is an absolute symbolic link, which through `/proc/<pid>/root` would lead into this process's own root. */
export function resolveNetns(nodeRoot: string, netns: string): string {
  return join(nodeRoot, netns.replace(/^\/var\/run\//, "/run/"));
}

async function requireNetns(path: string, asGiven: string): Promise<void> {
  try {
    await access(path);
  } catch (cause) {
    throw new CniError(CNI_INVALID_ENVIRONMENT, `Cannot find network namespace "${asGiven}"`, { cause });
  }
}

/** Packets of a pod that do not come from its address are dropped, where the node allows to say so. */
async function refuseForgedSources(hostDevice: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv4/conf/${hostDevice}/rp_filter`, "1").catch(() => undefined);
}
