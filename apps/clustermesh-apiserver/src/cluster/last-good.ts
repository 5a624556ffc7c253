/**
 * Last good annotation values by Service uid.
 *
 * What is needed, because the object's present value is not understood, is kept outside too and handed in at the next start:
 * a typo must not turn a global Service into a local one when this process restarts.
 */
import type { MeshAnnotations } from "./annotations.js";

export interface LastGood {
  get(uid: string): Partial<MeshAnnotations> | undefined;
  /** `needed`: a value of the object is not understood now. */
  set(uid: string, good: Partial<MeshAnnotations>, needed: boolean): void;
  delete(uid: string): void;
}

export interface SavedLastGood extends LastGood {
  /** What must survive, by uid. */
  needed(): Readonly<Record<string, Partial<MeshAnnotations>>>;
  onChange(listener: () => void): void;
}

export function createLastGood(kept: Readonly<Record<string, Partial<MeshAnnotations>>> = {}): SavedLastGood {
  const values = new Map(Object.entries(kept));
  const needed = new Set(Object.keys(kept));
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  return {
    get: (uid) => values.get(uid),
    set(uid, good, isNeeded) {
      values.set(uid, good);
      if (needed.has(uid) === isNeeded) return;
      if (isNeeded) needed.add(uid);
      else needed.delete(uid);
      tell();
    },
    delete(uid) {
      values.delete(uid);
      if (needed.delete(uid)) tell();
    },
    needed: () => Object.fromEntries([...needed].sort().map((uid) => [uid, values.get(uid) ?? {}])),
    onChange: (listener) => void listeners.add(listener),
  };
}
