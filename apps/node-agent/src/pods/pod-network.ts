/**
 * Makes one pod's network in the kernel: the veth pair, its addresses and routes. Every step may be repeated.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type Address, formatAddress } from "@isthmus/model";
import { CNI_INVALID_ENVIRONMENT, CniError } from "./cni-error.js";
import { ip, ipBatch, ipBatchIn, ipIn } from "./ip.js";
import { configureHost, configurePod, createPair } from "./ip-commands.js";
import { listDevices } from "./node-devices.js";
import { setStrict } from "./source-filter.js";
import type { PodAttachment } from "./types.js";

/** Replaces `/var/run`, an absolute symbolic link, which below `/proc/<pid>/root` leads into this process's root. */
export function resolveNetns(nodeRoot: string, netns: string): string {
  return join(nodeRoot, netns.replace(/^\/var\/run\//, "/run/"));
}

export async function requireNetns(path: string, asGiven: string): Promise<void> {
  try {
    await access(path);
  } catch (cause) {
    throw new CniError(CNI_INVALID_ENVIRONMENT, `Cannot find network namespace "${asGiven}"`, { cause });
  }
}

export interface Pair {
  /** Namespace of the pod's end, as this process sees it. */
  readonly netns: string;
  /** MTU of the pair to create; undefined = the pair exists. */
  readonly mtu: number | undefined;
}

/** Creates the pair if there is none, and creates or completes the node's side. */
export function configureNodeSide(pod: PodAttachment, { netns, mtu }: Pair): Promise<void> {
  return ipBatch([...(mtu === undefined ? [] : createPair(pod, netns, mtu)), ...configureHost(pod)]);
}

export async function configurePodSide(pod: PodAttachment, netns: string): Promise<void> {
  await Promise.all([ipBatchIn(netns, configurePod(pod)), setStrict(pod.hostDevice)]);
}

/** Is the other end of the pair the interface of this name in this namespace? */
export async function isPairedWith(hostDevice: string, interfaceName: string, netns: string): Promise<boolean> {
  const [outside] = linksOf(await ip(["-json", "link", "show", "dev", hostDevice]));
  const inside = linksOf(await ipIn(netns, ["-json", "link", "show"]));
  return inside.some((link) => link.ifname === interfaceName && link.link_index === outside?.ifindex);
}

export async function hasAddress(address: Address, interfaceName: string, netns: string): Promise<boolean> {
  const addresses = await ipIn(netns, ["-4", "-oneline", "addr", "show", "dev", interfaceName]);
  return addresses.includes(` ${formatAddress(address)}/32 `);
}

/** Deletes a device of the agent; it is no error if the device is already gone (with the pod's namespace). */
export async function deleteDevice(hostDevice: string): Promise<void> {
  try {
    await ip(["link", "del", hostDevice]);
  } catch (error) {
    if ((await listDevices()).has(hostDevice)) throw error;
  }
}

interface Link {
  readonly ifname?: string;
  readonly ifindex?: number;
  /** The ifindex of the other end, in the namespace of that end. */
  readonly link_index?: number;
}

function linksOf(json: string): readonly Link[] {
  return JSON.parse(json === "" ? "[]" : json) as readonly Link[];
}
