/**
 * Last good values of objects by uid: what stays in force while an object's present value is not understood.
 *
 * The values of objects whose present value is invalid are also saved outside the process and passed in at the next start: a
 * typo must not turn a global Service into a local one when this process restarts.
 */
import { createEmitter } from "@isthmus/runtime";

export interface LastGood<Values> {
  /** Undefined for an object that is not known; a field that never had a valid value is absent. */
  get(uid: string): Partial<Values> | undefined;
  /** `needed`: a present value of the object is invalid, so the last good ones are in force. */
  set(uid: string, good: Partial<Values>, needed: boolean): void;
  /** Forgets the values of a deleted object, so that they are not saved any more. */
  delete(uid: string): void;
}

export interface SavedLastGood<Values> extends LastGood<Values> {
  /** The values that must survive a restart, by uid. */
  needed(): Readonly<Record<string, Partial<Values>>>;
  /** Calls the listener when an object enters or leaves `needed`. Returns a function that removes it. */
  onChange(listener: () => void): () => void;
}

/** `saved`: what `needed` returned before the restart; each is needed until `set` says otherwise, or `delete`. */
export function createLastGood<Values>(saved: Readonly<Record<string, Partial<Values>>> = {}): SavedLastGood<Values> {
  const values = new Map(Object.entries(saved));
  const needed = new Set(Object.keys(saved));
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
