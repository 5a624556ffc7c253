/** Which sets in the maps stand for which desired ones, and how many pods have each. */
import type { PolicySet } from "@isthmus/policy";
import type { StoredSet } from "./set-store.js";

export interface SetUsers {
  /** What the maps hold of a desired set. */
  storedOf(set: PolicySet): StoredSet | undefined;
  /** The desired set that a set in the maps stands for; undefined: another process wrote it, and none was found yet. */
  ownerOf(stored: StoredSet): PolicySet | undefined;
  /** The set with this index. */
  withIndex(index: number): StoredSet | undefined;
  /** From now on the one in the maps stands for the desired one. */
  own(set: PolicySet, stored: StoredSet): void;
  /** A pod has the set. */
  add(stored: StoredSet | undefined): void;
  /** A pod has the set no more. */
  remove(stored: StoredSet | undefined): void;
  /** The set is to be freed: it stands for nothing. */
  drop(stored: StoredSet): void;
  /** Sets that no pod has. */
  readonly unused: Iterable<StoredSet>;
}

/** `adopted`: sets that the maps hold, of which pods are added later. */
export function createSetUsers(adopted: Iterable<StoredSet>): SetUsers {
  const pods = new Map<StoredSet, number>();
  const unused = new Set<StoredSet>();
  const byIndex = new Map<number, StoredSet>();
  const storedOf = new Map<PolicySet, StoredSet>();
  const owners = new Map<StoredSet, PolicySet>();

  function know(stored: StoredSet): void {
    if (pods.has(stored)) return;
    pods.set(stored, 0);
    unused.add(stored);
    byIndex.set(stored.index, stored);
  }

  for (const stored of adopted) know(stored);
  return {
    storedOf: (set) => storedOf.get(set),
    ownerOf: (stored) => owners.get(stored),
    withIndex: (index) => byIndex.get(index),
    own(set, stored) {
      know(stored);
      storedOf.set(set, stored);
      owners.set(stored, set);
    },
    add(stored) {
      if (stored === undefined) return;
      pods.set(stored, (pods.get(stored) ?? 0) + 1);
      unused.delete(stored);
    },
    remove(stored) {
      if (stored === undefined) return;
      const left = (pods.get(stored) ?? 1) - 1;
      pods.set(stored, left);
      if (left === 0) unused.add(stored);
    },
    drop(stored) {
      const set = owners.get(stored);
      if (set !== undefined && storedOf.get(set) === stored) storedOf.delete(set);
      owners.delete(stored);
      pods.delete(stored);
      unused.delete(stored);
      byIndex.delete(stored.index);
    },
    unused,
  };
}
