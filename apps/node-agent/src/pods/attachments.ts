/**
 * Which pod has which address: in memory, and saved on disk after every change.
 *
 * An attachment exists as long as its device on the node. One whose device is gone, and that no call is working on, is
 * reclaimed; a device with a route of the agent but without an entry keeps its address until its DEL.
 */
import { join } from "node:path";
import { type Address, formatPrefix, isV4, type Prefix, prefixContains } from "@isthmus/model";
import type { Logger } from "@isthmus/observe";
import { fromNumber, nextAddress, nextHealthAddress, poolSize, toNumber } from "./address-pool.js";
import { type AttachmentState, createAttachmentFile } from "./attachment-file.js";
import { CNI_ADDRESSES_EXHAUSTED, CniError } from "./cni-error.js";
import type { PodAddresses, PodAttachment, PodReport } from "./types.js";

/** What the node's kernel contains of the agent. */
export interface KernelState {
  /** Devices whose names match the agent's pattern. */
  readonly devices: ReadonlySet<string>;
  /** Those of them with the agent's MAC. */
  readonly ownedDevices: ReadonlySet<string>;
  /** Addresses of devices with a route of the agent. */
  readonly addresses: ReadonlyMap<string, PodAddresses>;
}

export interface Attachments {
  /**
   * Reads the file and compares it with the kernel: pods whose device is gone are reported down. Returns devices of the
   * agent without an attachment, which an interrupted ADD left and the caller must delete.
   */
  load(observed: KernelState): Promise<readonly string[]>;
  /** A copy, which the caller may keep. */
  list(): readonly PodAttachment[];
  /** Undefined = this device has no address. */
  get(hostDevice: string): PodAttachment | undefined;
  /** Assigns an address to a new pod. Throws `CniError` when none is free. */
  add(pod: Omit<PodAttachment, "addresses">, cidr: Prefix): PodAttachment;
  /** Replaces the entry of a pod that has an address. */
  put(pod: PodAttachment): void;
  /** Removes a pod and reports it down. */
  remove(hostDevice: string): void;
  /** Removes a pod that was never reported up, without a report. */
  removeUnreported(hostDevice: string): void;
  /** Removes these pods, whose devices are gone, and reports them down; an entry that was replaced meanwhile stays. */
  reclaim(gone: readonly PodAttachment[]): void;
  /**
   * The node's health address in its pod CIDR, which no pod gets: the one that is taken, else a free one, which is taken
   * from now on. One that is outside the CIDR, or that a pod got from an agent that did not know of it, is given up.
   * Undefined when none is free, or the CIDR is too small.
   */
  takeHealth(cidr: Prefix): Address | undefined;
  /** Resolves when the file contains the present attachments and health address. */
  save(): Promise<void>;
}

export interface AttachmentsModules {
  /** Gets a file that cannot be read, and each address that is reclaimed. */
  readonly log: Logger;
  /** Called when a pod is removed, before that is saved. */
  readonly report: Pick<PodReport, "down">;
}

/** Name in the state folder. */
const FILE = "pods.json";

/** The pods in the file of this state folder. Rejects with `STATE_FILE` when it cannot be read. */
export async function readAttachments(stateDir: string): Promise<readonly PodAttachment[]> {
  const state = await createAttachmentFile(join(stateDir, FILE), () => NOTHING).read();
  return state?.attachments ?? [];
}

/** Keeps the pods in `pods.json` of this folder; none is known before `load`. */
export function createAttachments(stateDir: string, { log, report }: AttachmentsModules): Attachments {
  const table = new Map<string, PodAttachment>();
  /** The addresses that were assigned last. */
  let last: readonly Address[] = [];
  let health: Address | undefined;
  const file = createAttachmentFile(join(stateDir, FILE), () => ({
    attachments: [...table.values()],
    last,
    health,
  }));

  async function readFile(): Promise<AttachmentState> {
    try {
      return (await file.read()) ?? NOTHING;
    } catch (error) {
      log.warn("Cannot read the pods' state file, reading addresses from the kernel", { error });
      return NOTHING;
    }
  }

  /** IPv4 addresses of pods. */
  function ofPods(): Set<number> {
    return new Set([...table.values()].flatMap(({ addresses }) => addresses.filter(isV4).map(toNumber)));
  }

  function drop(pod: PodAttachment): void {
    table.delete(pod.hostDevice);
    report.down(pod);
  }

  return {
    async load({ devices, ownedDevices, addresses }) {
      const state = await readFile();
      last = state.last;
      health = state.health;
      for (const pod of state.attachments) {
        if (devices.has(pod.hostDevice)) table.set(pod.hostDevice, pod);
        else report.down(pod);
      }
      for (const [hostDevice, found] of addresses) {
        if (!table.has(hostDevice)) table.set(hostDevice, attachmentFromKernel(hostDevice, found));
      }
      return [...ownedDevices].filter((device) => !table.has(device));
    },
    list: () => [...table.values()],
    get: (hostDevice) => table.get(hostDevice),
    add(pod, cidr) {
      const used = ofPods();
      if (health !== undefined) used.add(toNumber(health));
      const address = freeAddress(cidr, used, last.find(isV4));
      const attachment: PodAttachment = { ...pod, addresses: [address] };
      table.set(pod.hostDevice, attachment);
      last = [address, ...last.filter((each) => !isV4(each))];
      return attachment;
    },
    put: (pod) => void table.set(pod.hostDevice, pod),
    remove(hostDevice) {
      const pod = table.get(hostDevice);
      if (pod !== undefined) drop(pod);
    },
    removeUnreported: (hostDevice) => void table.delete(hostDevice),
    reclaim(gone) {
      for (const pod of gone) {
        if (table.get(pod.hostDevice) !== pod) continue;
        log.info("Address reclaimed, its device is gone", { device: pod.hostDevice, pod: pod.uid });
        drop(pod);
      }
    },
    takeHealth(cidr) {
      const used = ofPods();
      if (health !== undefined && prefixContains(cidr, health) && !used.has(toNumber(health))) return health;
      const free = nextHealthAddress(cidr, used);
      health = free === undefined ? undefined : fromNumber(free);
      return health;
    },
    save: () => file.save(),
  };
}

const NOTHING: AttachmentState = { attachments: [], last: [], health: undefined };

function freeAddress(cidr: Prefix, used: ReadonlySet<number>, last: Address | undefined): Address {
  const free = nextAddress(cidr, used, last === undefined ? 0 : toNumber(last));
  if (free !== undefined) return fromNumber(free);
  const sentence = `Cannot give the pod an address: all ${poolSize(cidr)} of pod CIDR "${formatPrefix(cidr)}" are in use`;
  throw new CniError(CNI_ADDRESSES_EXHAUSTED, sentence);
}

/** A pod that is missing in the file: only its device and addresses are known. */
function attachmentFromKernel(hostDevice: string, addresses: PodAddresses): PodAttachment {
  return { hostDevice, addresses, containerId: "", interfaceName: "", namespace: "", name: "", uid: "" };
}
