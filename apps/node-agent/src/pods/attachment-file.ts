/**
 * The attachments on disk: `<stateDir>/pods.json`, written whole and in one step after every change.
 *
 * Writes that are asked for while one is under way become one write. A file that cannot be read is no file: the kernel's
 * routes tell the addresses in use.
 */
import { formatAddress, MeshError, parseAddress } from "@isthmus/model";
import { readIfThere, writeAtomic } from "../atomic-file.js";
import type { PodAttachment } from "./types.js";

export interface AttachmentState {
  readonly attachments: readonly PodAttachment[];
  /** The address given last, as a number; 0 = none yet. */
  readonly last: number;
}

export interface AttachmentFile {
  /** Undefined when there is none. Rejects with `STATE_FILE` when it cannot be read. */
  read(): Promise<AttachmentState | undefined>;
  /** Resolves when what `state()` gives after this call is in the file. */
  save(): Promise<void>;
}

const LAYOUT = 1;

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

function print({ attachments, last }: AttachmentState): string {
  const entries = attachments.map((pod) => ({ ...pod, address: formatAddress(pod.address) }));
  return `${JSON.stringify({ layout: LAYOUT, last, attachments: entries })}\n`;
}

function parse(text: string, path: string): AttachmentState {
  try {
    const file = JSON.parse(text) as { layout: unknown; last: unknown; attachments: unknown };
    if (file.layout !== LAYOUT || !Array.isArray(file.attachments)) throw new Error("another layout");
    const attachments = file.attachments.map((entry: Record<keyof PodAttachment, unknown>) => ({
      hostDevice: String(entry.hostDevice),
      address: parseAddress(String(entry.address)),
      containerId: String(entry.containerId),
      interfaceName: String(entry.interfaceName),
      namespace: String(entry.namespace),
      name: String(entry.name),
      uid: String(entry.uid),
    }));
    return { attachments, last: Number(file.last) || 0 };
  } catch (cause) {
    throw new MeshError({ code: "STATE_FILE", path }, `Cannot read the pods' state file "${path}"`, { cause });
  }
}
