/**
 * The attachments on disk: `<stateDir>/pods.json`, replaced as a whole and atomically after every change.
 *
 * Saves that are requested during a write become one write. A file that cannot be read is ignored: the addresses in use
 * are then read from the kernel's routes. Layout 1, with one IPv4 address per pod, is read too; layout 2 is written. An
 * agent of the version before refuses layout 2, and so reads the addresses from the kernel (README.md, "State files").
 */
import { type Address, formatAddress, isV4, MeshError, parseAddress, printable } from "@isthmus/model";
import { readIfThere, writeAtomic } from "../files/atomic-file.js";
import { fromNumber } from "./address-pool.js";
import type { PodAddresses, PodAttachment } from "./types.js";

export interface AttachmentState {
  /** Of all pods with an address, also of those whose ADD is not complete. */
  readonly attachments: readonly PodAttachment[];
  /** The addresses that were assigned last, at most one of each family; empty = none yet. */
  readonly last: readonly Address[];
  /** The node's health address; undefined = none is taken yet. */
  readonly health: Address | undefined;
}

export interface AttachmentFile {
  /** Undefined when there is none. Rejects with `STATE_FILE` when it cannot be read. */
  read(): Promise<AttachmentState | undefined>;
  /** Resolves when the file contains a state that `state()` returned after this call. */
  save(): Promise<void>;
}

const LAYOUT = 2;
/** Characters of the reason in an error: a parser quotes the text that it could not read. */
const MOST_REASON = 120;

/** `state` is called at each write. Nothing is read or written before the first call. */
export function createAttachmentFile(path: string, state: () => AttachmentState): AttachmentFile {
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  return {
    async read() {
      const bytes = await readIfThere(path);
      return bytes === undefined ? undefined : parse(bytes.toString(), path);
    },
    save() {
      waiting ??= running
        .catch(() => undefined)
        .then(() => {
          waiting = undefined;
          running = writeAtomic(path, print(state()));
          return running;
        });
      return waiting;
    },
  };
}

function print({ attachments, last, health }: AttachmentState): string {
  const entries = attachments.map((pod) => ({ ...pod, addresses: pod.addresses.map(formatAddress) }));
  const ofNode = { last: last.map(formatAddress), ...(health === undefined ? {} : { health: formatAddress(health) }) };
  return `${JSON.stringify({ layout: LAYOUT, ...ofNode, attachments: entries })}\n`;
}

type Entry = Readonly<Record<string, unknown>>;

function parse(text: string, path: string): AttachmentState {
  try {
    const file = JSON.parse(text) as Entry | null;
    if (file?.["layout"] === 1) return parseLayout1(file);
    if (file?.["layout"] === LAYOUT) return parseLayout2(file);
    throw new Error(`layout ${JSON.stringify(file?.["layout"])} is not 1 or ${LAYOUT}`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const sentence = `Cannot read the pods' state file "${path}": ${printable(reason, MOST_REASON)}`;
    throw new MeshError({ code: "STATE_FILE", path }, sentence, { cause });
  }
}

/** Each pod has `address`, and `last` is an IPv4 address as a number. */
function parseLayout1(file: Entry): AttachmentState {
  const last = Number(file["last"]) || 0;
  return {
    attachments: entriesOf(file).map((entry) => attachmentOf(entry, parseAddresses([entry["address"]]))),
    last: last === 0 ? [] : [fromNumber(last)],
    health: undefined,
  };
}

function parseLayout2(file: Entry): AttachmentState {
  const health = file["health"];
  return {
    attachments: entriesOf(file).map((entry) => attachmentOf(entry, parseAddresses(entry["addresses"]))),
    last: listOf(file["last"], "last").map((text) => parseAddress(String(text))),
    health: health === undefined ? undefined : parseAddress(String(health)),
  };
}

function entriesOf(file: Entry): readonly Entry[] {
  return listOf(file["attachments"], "attachments") as readonly Entry[];
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`"${field}" is not a list`);
}

/** IPv4 first, whatever the order in the file. */
function parseAddresses(value: unknown): PodAddresses {
  const all = listOf(value, "addresses").map((text) => parseAddress(String(text)));
  const [first, ...others] = [...all.filter(isV4), ...all.filter((address) => !isV4(address))];
  if (first === undefined) throw new Error("a pod has no address");
  const families = new Set(all.map(isV4));
  if (families.size < all.length) throw new Error(`a pod has ${all.length} addresses of ${families.size} families`);
  return [first, ...others];
}

function attachmentOf(entry: Entry, addresses: PodAddresses): PodAttachment {
  return {
    hostDevice: String(entry["hostDevice"]),
    addresses,
    containerId: String(entry["containerId"]),
    interfaceName: String(entry["interfaceName"]),
    namespace: String(entry["namespace"]),
    name: String(entry["name"]),
    uid: String(entry["uid"]),
  };
}
