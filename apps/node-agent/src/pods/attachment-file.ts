/**
 * The attachments on disk: `<stateDir>/pods.json`, replaced as a whole and atomically after every change.
 *
 * Saves that are requested during a write become one write. A file that cannot be read is ignored: the addresses in use
 * are then read from the kernel's routes.
 */
import { formatAddress, MeshError, parseAddress } from "@isthmus/model";
import { readIfThere, writeAtomic } from "../files/atomic-file.js";
import type { PodAttachment } from "./types.js";

export interface AttachmentState {
  /** Of all pods with an address, also of those whose ADD is not complete. */
  readonly attachments: readonly PodAttachment[];
  /** The address that was assigned last, as a number; 0 = none yet. */
  readonly lastAddress: number;
}

export interface AttachmentFile {
  /** Undefined when there is none. Rejects with `STATE_FILE` when it cannot be read. */
  read(): Promise<AttachmentState | undefined>;
  /** Resolves when the file contains a state that `state()` returned after this call. */
  save(): Promise<void>;
}

const LAYOUT = 1;

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

function print({ attachments, lastAddress }: AttachmentState): string {
  const entries = attachments.map((pod) => ({ ...pod, address: formatAddress(pod.address) }));
  return `${JSON.stringify({ layout: LAYOUT, last: lastAddress, attachments: entries })}\n`;
}

function parse(text: string, path: string): AttachmentState {
  try {
    const file = JSON.parse(text) as { layout: unknown; last: unknown; attachments: unknown };
    if (file.layout !== LAYOUT || !Array.isArray(file.attachments)) throw new Error(`not of layout ${LAYOUT}`);
    const attachments = file.attachments.map((entry: Record<keyof PodAttachment, unknown>) => ({
      hostDevice: String(entry.hostDevice),
      address: parseAddress(String(entry.address)),
      containerId: String(entry.containerId),
      interfaceName: String(entry.interfaceName),
      namespace: String(entry.namespace),
      name: String(entry.name),
      uid: String(entry.uid),
    }));
    return { attachments, lastAddress: Number(file.last) || 0 };
  } catch (cause) {
    throw new MeshError({ code: "STATE_FILE", path }, `Cannot read the pods' state file "${path}"`, { cause });
  }
}
