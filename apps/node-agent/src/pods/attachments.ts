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
  readonly devices: ReadonlySet<string>;
  readonly addresses: ReadonlyMap<string, Address>;
}

export interface Attachments {
  /** Reads the file and compares it with the kernel. Returns devices that belong to nothing: half-made, to be deleted. */
  load(observed: Observed): Promise<readonly string[]>;
  list(): readonly PodAttachment[];
  get(hostDevice: string): PodAttachment | undefined;
  /** Gives the pod an address; one it has already stays. Throws `CniError` when none is free. */
  add(pod: Omit<PodAttachment, "address">, cidr: Prefix): PodAttachment;
  remove(hostDevice: string): void;
  /** Drops what has no device any more, except `busy`. */
  reclaim(devices: ReadonlySet<string>, busy: ReadonlySet<string>): void;
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
    async load({ devices, addresses }) {
      const state = await readFile();
      last = state.last;
      for (const pod of state.attachments) if (devices.has(pod.hostDevice)) table.set(pod.hostDevice, pod);
      for (const [hostDevice, address] of addresses) {
        if (!table.has(hostDevice)) table.set(hostDevice, adopted(hostDevice, address));
      }
      return [...devices].filter((device) => !table.has(device));
    },
    list: () => [...table.values()],
    get: (hostDevice) => table.get(hostDevice),
    add(pod, cidr) {
      const known = table.get(pod.hostDevice)?.address;
      const address = known ?? freeAddress(cidr, table.values(), last);
      const attachment = { ...pod, address };
      table.set(pod.hostDevice, attachment);
      if (known === undefined) last = toNumber(address);
      return attachment;
    },
    remove(hostDevice) {
      const pod = table.get(hostDevice);
      if (pod !== undefined) drop(pod);
    },
    reclaim(devices, busy) {
      for (const pod of [...table.values()]) {
        if (devices.has(pod.hostDevice) || busy.has(pod.hostDevice)) continue;
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
