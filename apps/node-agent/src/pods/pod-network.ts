/**
 * Makes one pod's network in the kernel: the veth pair, its addresses and routes. Every step may be repeated. Functions
 * reject with `NETLINK`.
 */
import { access, open as openFile } from "node:fs/promises";
import { join } from "node:path";
import { type Netlink, type OpenNetlink, rtnetlink, runAll, withNetlink } from "@isthmus/bpf";
import { type Address, bytesKey, isV4, MeshError } from "@isthmus/model";
import { CNI_INVALID_ENVIRONMENT, CniError } from "./cni-error.js";
import { readVeths } from "./node-devices.js";
import { configureHost, configurePod, createPair } from "./pod-requests.js";
import { setStrict } from "./source-filter.js";
import type { PodAttachment } from "./types.js";

/** Replaces `/var/run`, an absolute symbolic link, which below `/proc/<pid>/root` leads into this process's root. */
export function resolveNetns(nodeRoot: string, netns: string): string {
  return join(nodeRoot, netns.replace(/^\/var\/run\//, "/run/"));
}

/**
 * Rejects with `CniError` when there is no such file. `asGiven`: the path as the runtime wrote it, for the sentence.
 */
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

/** Creates the pair if there is none, and creates or completes the node's side; resolves with its link as it was before. */
export function configureNodeSide(
  open: OpenNetlink,
  pod: PodAttachment,
  { netns, mtu }: Pair,
): Promise<rtnetlink.Link> {
  return withNetlink(open, undefined, async (netlink) => {
    if (mtu !== undefined) await makePair(netlink, pod, netns, mtu);
    const link = await requireLink(netlink, pod.hostDevice);
    await runAll(netlink, configureHost(pod, link.index));
    return link;
  });
}

/** Completes the pod's side, and makes the source filter of its device strict. Rejects also with `DEVICE`. */
export async function configurePodSide(open: OpenNetlink, pod: PodAttachment, netns: string): Promise<void> {
  const configured = withNetlink(open, netns, async (netlink) => {
    await runAll(netlink, configurePod(pod, (await requireLink(netlink, pod.interfaceName)).index));
  });
  await Promise.all([configured, setStrict(pod.hostDevice)]);
}

/** Completes the node's side of pods in one batch; resolves with the errors. A pod whose device is gone is skipped. */
export function restoreNodeSides(open: OpenNetlink, pods: readonly PodAttachment[]): Promise<readonly Error[]> {
  return withNetlink(open, undefined, async (netlink) => {
    const indexes = new Map((await readVeths(netlink)).map(({ name, index }) => [name, index]));
    const requests = pods.flatMap((pod) => {
      const link = indexes.get(pod.hostDevice);
      return link === undefined ? [] : configureHost(pod, link);
    });
    return (await netlink.run(requests)).flatMap(({ error }) => error ?? []);
  });
}

/** Is the other end of the pair the interface of this name in this namespace? */
export async function isPairedWith(
  open: OpenNetlink,
  hostDevice: string,
  interfaceName: string,
  netns: string,
): Promise<boolean> {
  const outside = await withNetlink(open, undefined, (netlink) => rtnetlink.readLink(netlink, hostDevice));
  const inside = await withNetlink(open, netns, (netlink) => rtnetlink.readLink(netlink, interfaceName));
  return outside !== undefined && inside?.peer === outside.index;
}

/** The first of the IPv4 addresses that the interface does not have; all are absent when there is no interface. */
export function absentAddress(
  open: OpenNetlink,
  addresses: readonly Address[],
  interfaceName: string,
  netns: string,
): Promise<Address | undefined> {
  return withNetlink(open, netns, async (netlink) => {
    const link = await rtnetlink.readLink(netlink, interfaceName);
    const present = link === undefined ? [] : await rtnetlink.readIpv4Addresses(netlink, link.index);
    const keys = new Set(
      present.filter(({ prefix }) => prefix.length === 128).map(({ prefix }) => bytesKey(prefix.address)),
    );
    return addresses.find((address) => isV4(address) && !keys.has(bytesKey(address)));
  });
}

/** Deletes a device of the agent; it is no error if the device is already gone (with the pod's namespace). */
export async function deleteDevice(open: OpenNetlink, hostDevice: string): Promise<void> {
  try {
    await withNetlink(open, undefined, (netlink) => runAll(netlink, [rtnetlink.deleteLink(hostDevice)]));
  } catch (error) {
    if (!rtnetlink.isErrno(error, "ENODEV")) throw error;
  }
}

async function makePair(netlink: Netlink, pod: PodAttachment, netns: string, mtu: number): Promise<void> {
  const namespace = await openFile(netns);
  try {
    await runAll(netlink, [createPair(pod, namespace.fd, mtu)]);
  } finally {
    await namespace.close();
  }
}

async function requireLink(netlink: Netlink, name: string): Promise<rtnetlink.Link> {
  const link = await rtnetlink.readLink(netlink, name);
  if (link !== undefined) return link;
  throw new MeshError({ code: "DEVICE", device: name }, `Cannot find device "${name}"`);
}
