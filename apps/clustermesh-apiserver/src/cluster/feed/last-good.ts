/**
 * Last good annotation values by Service uid.
 *
 * The values of Services whose present value is invalid are also saved outside the process and passed in at the next start: a
 * typo must not turn a global Service into a local one when this process restarts.
 */
import { createEmitter } from "@isthmus/runtime";
import type { MeshAnnotations } from "../services/annotations.js";

export interface LastGood {
  get(uid: string): Partial<MeshAnnotations> | undefined;
  /** `needed`: a present value of the object is invalid, so the last good ones are in force. */
  set(uid: string, good: Partial<MeshAnnotations>, needed: boolean): void;
  delete(uid: string): void;
}

export interface SavedLastGood extends LastGood {
  /** The values that must survive a restart, by uid. */
  needed(): Readonly<Record<string, Partial<MeshAnnotations>>>;
  onChange(listener: () => void): () => void;
}

export function createLastGood(kept: Readonly<Record<string, Partial<MeshAnnotations>>> = {}): SavedLastGood {
  const values = new Map(Object.entries(kept));
  const needed = new Set(Object.keys(kept));
  const changes = createEmitter();
  return {
    get: (uid) => values.get(uid),
    set(uid, good, isNeeded) {
      values.set(uid, good);
      if (needed.has(uid) === isNeeded) return;
      if (isNeeded) needed.add(uid);
      else needed.delete(uid);
      changes.emit();
    },
    delete(uid) {
      values.delete(uid);
      if (needed.delete(uid)) changes.emit();
    },
    needed: () => Object.fromEntries([...needed].sort().map((uid) => [uid, values.get(uid) ?? {}])),
    onChange: changes.subscribe,
  };
}
