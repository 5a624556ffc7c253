/**
 * Keys whose wanted value differs from the stored one, in the order in which they must be written: upserts in apply order,
 * then deletions in reverse. Each key is in the set once, with its latest state.
 */
import type { Kind } from "@isthmus/proto";
import { KINDS, kindOfKey } from "@isthmus/records";

export interface DirtySet {
  /** Number of keys, those to put and those to delete. */
  readonly size: number;
  /** Of several changes of a key the newest `observedMicros` is kept. */
  add(key: string, what: "upsert" | "delete", observedMicros: number): void;
  /** The key is as wanted; nothing happens when it is not in the set. */
  remove(key: string): void;
  /** True for a key to put as well as for one to delete. */
  has(key: string): boolean;
  /** Keys in writing order with the time their change was observed. */
  ordered(): Iterable<readonly [key: string, observedMicros: number]>;
  /** Empties the set, before all keys are compared again. */
  clear(): void;
}

/** An empty set; `add` ignores a key of no known kind. */
export function createDirtySet(): DirtySet {
  const emptyGroups = (): Map<Kind, Map<string, number>> => new Map(KINDS.map((kind) => [kind, new Map()]));
  const upserts = emptyGroups();
  const deletes = emptyGroups();
  const where = new Map<string, Map<string, number>>();
  const remove = (key: string): void => {
    where.get(key)?.delete(key);
    where.delete(key);
  };
  return {
    get size() {
      return where.size;
    },
    add(key, what, observedMicros) {
      const kind = kindOfKey(key);
      const group = kind === undefined ? undefined : (what === "upsert" ? upserts : deletes).get(kind);
      if (group === undefined) return;
      const newest = Math.max(observedMicros, where.get(key)?.get(key) ?? 0);
      if (where.get(key) !== group) remove(key);
      group.set(key, newest);
      where.set(key, group);
    },
    remove,
    has: (key) => where.has(key),
    *ordered() {
      for (const kind of KINDS) yield* upserts.get(kind) ?? [];
      for (const kind of [...KINDS].reverse()) yield* deletes.get(kind) ?? [];
    },
    clear() {
      for (const key of [...where.keys()]) remove(key);
    },
  };
}
