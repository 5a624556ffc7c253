/**
 * Which pod has which address: in memory, and after every change on disk.
 *
 * An attachment lives as long as its device on the node. One whose device is gone, and that no call is working on, is
 * reclaimed; a device with a route of ours but without an entry keeps its address until its DEL.
 */
import { join } from "node:path";
import { type Address, formatPrefix, type Prefix } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { fromNumber, nextAddress, poolSize, toNumber } from "./address-pool.js";
import { type AttachmentState, createAttachmentFile } from "./attachment-file.js";
import { CNI_ADDRESSES_EXHAUSTED, CniError } from "./cni-error.js";
import type { PodAttachment, PodReport } from "./types.js";

/** What the node's kernel shows of us. */
export interface Observed {
  /** Devices whose names match the agent's pattern. */
  readonly devices: ReadonlySet<string>;
  /** Those of them with the agent's MAC. */
  readonly marked: ReadonlySet<string>;
  /** Addresses of devices with a route of the agent. */
  readonly addresses: ReadonlyMap<string, Address>;
}

export interface Attachments {
  /**
   * Reads the file and compares it with the kernel: pods whose device is gone are reported down. Returns devices that
   * belong to nothing: half-made, to be deleted.
   */
  load(observed: Observed): Promise<readonly string[]>;
  list(): readonly PodAttachment[];
  get(hostDevice: string): PodAttachment | undefined;
  /** Gives a new pod an address. Throws `CniError` when none is free. */
  add(pod: Omit<PodAttachment, "address">, cidr: Prefix): PodAttachment;
  /** Replaces what is known of a pod that has an address. */
  put(pod: PodAttachment): void;
  /** A pod that went: reported down. */
  remove(hostDevice: string): void;
  /** A pod that never was: nobody was told of it. */
  forget(hostDevice: string): void;
  /** Drops pods that have no device any more; one that was replaced meanwhile stays. */
  reclaim(gone: readonly PodAttachment[]): void;
  /** Resolves when the file holds what this table holds now. */
  save(): Promise<void>;
}

export interface AttachmentsModules {
  readonly log: Logger;
  readonly report: Pick<PodReport, "down">;
}

export function createAttachments(stateDir: string, { log, report }: AttachmentsModules): Attachments {
  const table = new Map<string, PodAttachment>();
  let last = 0;
  const file = createAttachmentFile(join(stateDir, "pods.json"), () => ({ attachments: [...table.values()], last }));

  async function readFile(): Promise<AttachmentState> {
    try {
      return (await file.read()) ?? { attachments: [], last: 0 };
    } catch (error) {
      log.warn("Pods' state file refused, addresses taken from the kernel", { error });
      return { attachments: [], last: 0 };
    }
  }

  function drop(pod: PodAttachment): void {
    table.delete(pod.hostDevice);
    report.down(pod);
  }

  return {
    async load({ devices, marked, addresses }) {
      const state = await readFile();
      last = state.last;
      for (const pod of state.attachments) {
        if (devices.has(pod.hostDevice)) table.set(pod.hostDevice, pod);
        else report.down(pod);
      }
      for (const [hostDevice, address] of addresses) {
        if (!table.has(hostDevice)) table.set(hostDevice, adopted(hostDevice, address));
      }
      return [...marked].filter((device) => !table.has(device));
    },
    list: () => [...table.values()],
    get: (hostDevice) => table.get(hostDevice),
    add(pod, cidr) {
      const attachment = { ...pod, address: freeAddress(cidr, table.values(), last) };
      table.set(pod.hostDevice, attachment);
      last = toNumber(attachment.address);
      return attachment;
    },
    put: (pod) => void table.set(pod.hostDevice, pod),
    remove(hostDevice) {
      const pod = table.get(hostDevice);
      if (pod !== undefined) drop(pod);
    },
    forget: (hostDevice) => void table.delete(hostDevice),
    reclaim(gone) {
      for (const pod of gone) {
        if (table.get(pod.hostDevice) !== pod) continue;
        log.info("Address reclaimed, its device is gone", { device: pod.hostDevice, pod: pod.uid });
        drop(pod);
      }
    },
    save: () => file.save(),
  };
}

function freeAddress(cidr: Prefix, pods: Iterable<PodAttachment>, last: number): Address {
  const used = new Set([...pods].map((pod) => toNumber(pod.address)));
  const found = nextAddress(cidr, used, last);
  if (found !== undefined) return fromNumber(found);
  const sentence = `Cannot give the pod an address: all ${poolSize(cidr)} of pod CIDR "${formatPrefix(cidr)}" are in use`;
  throw new CniError(CNI_ADDRESSES_EXHAUSTED, sentence);
}

/** A pod of which the kernel alone tells. */
function adopted(hostDevice: string, address: Address): PodAttachment {
  return { hostDevice, address, containerId: "", interfaceName: "", namespace: "", name: "", uid: "" };
}
